//! The cloud side: who asks, what breaks, what is done, what is answered.

use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::{ProviderError, TokenScope};
use infra_core::nouns::cloud::Cursor;
use infra_core::nouns::launch::LaunchBody;
use infra_core::nouns::offering::Catalogue;
use infra_core::words::clock::{Clock, Timestamp, later};
use infra_core::words::fault::Fault;
use infra_core::words::ids::{AccountId, LaunchToken, Region, ResourceId};
use infra_core::words::lane::{ResourceKind, tags};
use infra_core::words::money::Money;
use infra_core::words::secret::digest;

use super::launch::Order;
use super::rules::{CallRecord, FaultEffect, Faults, Match, hide, strike};
use super::thing::SimThing;
use super::wire::{Answer, Asked, Call, Port, invalid, lost, said};
use super::world::{CALLS_KEPT, LateRequest, SimWorld, State};

/// Who asks, and where.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) account: AccountId,
    pub(super) key: String,
    pub(super) region: Region,
}

#[async_trait]
impl Port for SimWorld {
    async fn call(&self, asked: Asked) -> Result<Answer, ProviderError> {
        let (answer, slow) = self.serve(&asked);
        if !slow.is_zero() {
            self.inner.clock.sleep(slow).await;
        }
        answer
    }
}

impl SimWorld {
    /// Answers one call, and says how much later the answer is to arrive.
    pub(super) fn serve(&self, asked: &Asked) -> (Result<Answer, ProviderError>, Duration) {
        self.with(|state, now| {
            let about = self.about(state, asked);
            let faults = strike(&mut state.small.rules, asked.call.op(), &about, &mut state.small.chance);
            state.changed.small |= !faults.0.is_empty() || !state.small.rules.is_empty();
            let caller = self.authenticate(state, &asked.key, &asked.region);
            let answer = caller.clone().and_then(|caller| {
                refuse(&faults)?;
                self.unless_late(state, &caller, asked, &faults, now)?;
                let answer = self.answer(state, &caller, asked, &faults, now)?;
                spoil(&faults, answer)
            });
            let caller = caller.ok();
            remember(state, asked, &about, caller.as_ref(), &answer, faults.0.clone(), now);
            let slow = faults.number(|f| if let FaultEffect::SlowMs(ms) = f { Some(ms) } else { None });
            (answer, Duration::from_millis(slow.unwrap_or(0)))
        })
    }

    /// What rules may match a call by.
    fn about(&self, state: &State, asked: &Asked) -> Match {
        let account = self.account_of(state, &asked.key);
        let mut about = match &asked.call {
            Call::Launch { frozen, .. } => {
                let type_name = match &frozen.body {
                    LaunchBody::Machine(machine) => Some(machine.type_name.clone()),
                    _ => None,
                };
                Match {
                    zone: frozen.zone.clone(),
                    kind: Some(frozen.body.kind()),
                    type_name,
                    name: Some(frozen.name.clone()),
                    token: Some(frozen.token),
                    ..Match::default()
                }
            }
            Call::Find { token, kind, name, .. } => {
                Match { kind: Some(*kind), name: Some(name.clone()), token: Some(*token), ..Match::default() }
            }
            Call::Act { id, .. } => {
                state.number_of(id).map(|number| state.things[&number].facets()).unwrap_or_default()
            }
            Call::Get { kind, ids } => {
                let id = ids.first().filter(|_| ids.len() == 1).cloned();
                Match { kind: Some(*kind), id, ..Match::default() }
            }
            _ => Match::default(),
        };
        about.account = account;
        about.region = Some(asked.region.clone());
        about
    }

    /// Whom a key reaches now; `None` when it is not known.
    pub(super) fn account_of(&self, state: &State, key: &str) -> Option<AccountId> {
        if let Some(led) = state.small.led.get(&key_name(key)) {
            return Some(led.clone());
        }
        let config = &self.inner.config;
        let listed = config.keys.get(key).cloned();
        let open = || key.strip_prefix("sim-").and_then(|account| AccountId::new(account).ok());
        listed.or_else(|| if config.open_accounts { open() } else { None })
    }

    fn authenticate(&self, state: &State, key: &str, region: &Region) -> Result<Caller, ProviderError> {
        let refused =
            |why: &str| ProviderError::Unauthorized { said: said("AuthFailure", format!("the key {why}")) };
        if key.starts_with("bad") {
            return Err(refused("is not valid"));
        }
        let key_name = key_name(key);
        if state.small.revoked.contains(&key_name) {
            return Err(refused("was revoked"));
        }
        let account = self.account_of(state, key).ok_or_else(|| refused("is not known"))?;
        if !self.inner.shelves.contains_key(region) {
            return Err(invalid("UnknownRegion", format!("region {region} is not known")));
        }
        Ok(Caller { account, key: key_name, region: region.clone() })
    }

    /// A request that gets stuck in a queue is answered now and done later.
    fn unless_late(
        &self,
        state: &mut State,
        caller: &Caller,
        asked: &Asked,
        faults: &Faults,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let late = faults.number(|f| if let FaultEffect::LateMs(ms) = f { Some(ms) } else { None });
        let Some(late) = late else { return Ok(()) };
        if let Call::Launch { frozen, user_data } = &asked.call {
            state.small.late.push(LateRequest {
                at: later(now, Duration::from_millis(late)),
                account: caller.account.clone(),
                key: caller.key.clone(),
                region: caller.region.clone(),
                frozen: (**frozen).clone(),
                user_data: user_data.as_ref().map(|data| digest(data.as_bytes())),
            });
        }
        Err(lost("RequestTimeout", "no answer came in time"))
    }

    /// A request comes out of its queue. Nobody hears the answer.
    pub(super) fn arrive(&self, state: &mut State, late: LateRequest) {
        let caller = Caller { account: late.account, key: late.key, region: late.region };
        let order = Order { caller: &caller, frozen: &late.frozen, user_data: late.user_data, now: late.at };
        // A refusal of a request whose caller gave up is nobody's business.
        let _refused = self.launch(state, &order, &Faults::default()).is_err();
    }

    fn answer(
        &self,
        state: &mut State,
        caller: &Caller,
        asked: &Asked,
        faults: &Faults,
        now: Timestamp,
    ) -> Result<Answer, ProviderError> {
        let op = asked.call.op();
        match &asked.call {
            Call::Identify => Ok(Answer::Identity {
                account: caller.account.clone(),
                principal: format!("sim:{}/{}", caller.account, caller.key),
            }),
            Call::Catalogue => Ok(Answer::Catalogue(Box::new(self.shelf_with_images(state, caller, now)))),
            Call::Launch { frozen, user_data } => {
                let user_data = user_data.as_ref().map(|data| digest(data.as_bytes()));
                let made = self.launch(state, &Order { caller, frozen, user_data, now }, faults)?;
                Ok(Answer::Things(made.iter().map(|number| state.things[number].observed(now)).collect()))
            }
            Call::Find { token, kind, name, since } => {
                let State { small, things, current, .. } = state;
                let current = current.iter().map(|number| &things[number]);
                let found = self.find(current, caller, (*token, *kind, name.as_str(), *since), now);
                let found = hide(&mut small.rules, op, found, &mut small.chance);
                Ok(Answer::Things(found.iter().map(|thing| thing.observed(now)).collect()))
            }
            Call::Get { kind, ids } => {
                let look = |id| self.by_id(state, caller, *kind, id, now).map(|thing| thing.observed(now));
                Ok(Answer::Sightings(ids.iter().map(look).collect()))
            }
            Call::ListOwned { installation, after } => {
                let ours = installation.to_string();
                let shown = |thing: &SimThing| thing.tags.get(tags::INSTALLATION) == Some(&ours);
                self.list(state, caller, after.as_ref(), shown, faults, now)
            }
            Call::List { kind, after } => {
                self.list(state, caller, after.as_ref(), |thing| thing.kind() == *kind, faults, now)
            }
            Call::Act { id, kind, mark, act } => {
                self.act(state, caller, (id, *kind), mark, *act, faults, now)?;
                Ok(Answer::Accepted)
            }
            Call::Measure { ids, metric, .. } => {
                if !["cpu_percent", "net_bytes"].contains(&metric.as_str()) {
                    return Err(invalid("UnknownMetric", format!("metric {metric} is not known")));
                }
                Ok(Answer::Series(ids.iter().map(|id| (id.clone(), Vec::new())).collect()))
            }
        }
    }

    fn shelf_with_images(&self, state: &State, caller: &Caller, now: Timestamp) -> Catalogue {
        let shelf = &self.inner.shelves[&caller.region];
        Catalogue {
            offerings: shelf.offerings.clone(),
            images: state.small.images.clone(),
            disk_gib_hour: shelf.disk_gib_hour,
            ipv4_hour: Money::default(),
            billing: shelf.billing,
            billing_by_system: [].into(),
            off_billing: shelf.off_billing,
            options: [].into(),
            as_of: now,
        }
    }

    fn find<'s>(
        &self,
        current: impl Iterator<Item = &'s SimThing>,
        caller: &Caller,
        (token, kind, name, since): (LaunchToken, ResourceKind, &str, Timestamp),
        now: Timestamp,
    ) -> Vec<&'s SimThing> {
        let scope = self.inner.facts.kind(kind).map(|facts| facts.token);
        let stamped = matches!(scope, Some(TokenScope::Token { .. }));
        let fits = |thing: &&SimThing| {
            let named =
                if stamped { thing.stamp == Some(token) } else { thing.name.as_deref() == Some(name) };
            named && thing.kind() == kind && thing.created_at >= since && thing.listed(now)
        };
        current.filter(fits).filter(|thing| self.visible(thing, caller, now)).collect()
    }

    /// Is it in this account and region, and still shown?
    fn visible(&self, thing: &SimThing, caller: &Caller, now: Timestamp) -> bool {
        thing.account == caller.account
            && thing.region == caller.region
            && thing.shown(now, self.inner.config.gone_shown_for)
    }

    pub(super) fn by_id<'s>(
        &self,
        state: &'s State,
        caller: &Caller,
        kind: ResourceKind,
        id: &ResourceId,
        now: Timestamp,
    ) -> Option<&'s SimThing> {
        let thing = &state.things[&state.number_of(id)?];
        let known = thing.kind() == kind && thing.by_id_at <= now;
        Some(thing).filter(|thing| known && self.visible(thing, caller, now))
    }

    /// One page of what a listing shows, in the order in which it was made.
    fn list(
        &self,
        state: &mut State,
        caller: &Caller,
        after: Option<&Cursor>,
        shown: impl Fn(&SimThing) -> bool,
        faults: &Faults,
        now: Timestamp,
    ) -> Result<Answer, ProviderError> {
        let start = start_of(after)?;
        let State { small, things, current, .. } = state;
        let current = current.range(start + 1..).map(|number| &things[number]);
        let (items, next) = self.page(current, caller, shown, now);
        let items = hide(&mut small.rules, "list_owned", items, &mut small.chance);
        let items = items.iter().map(|thing| thing.observed(now)).collect();
        let complete = next.is_none() && !faults.has(FaultEffect::Incomplete);
        Ok(Answer::Page { items, next, complete, as_of: now })
    }

    fn page<'s>(
        &self,
        current: impl Iterator<Item = &'s SimThing>,
        caller: &Caller,
        shown: impl Fn(&SimThing) -> bool,
        now: Timestamp,
    ) -> (Vec<&'s SimThing>, Option<Cursor>) {
        let page = self.inner.config.page.max(1);
        let mut items: Vec<&SimThing> = current
            .filter(|thing| thing.listed(now) && shown(thing))
            .filter(|thing| self.visible(thing, caller, now))
            .take(page + 1)
            .collect();
        let more = items.len() > page;
        items.truncate(page);
        let next = items.last().filter(|_| more).map(|thing| Cursor(thing.number.to_string()));
        (items, next)
    }
}

/// The first digits of a key's digest.
pub(super) fn key_name(key: &str) -> String {
    digest(key.as_bytes())[..12].to_owned()
}

/// Faults that keep the call from being done.
fn refuse(faults: &Faults) -> Result<(), ProviderError> {
    for fault in &faults.0 {
        let says = |code: &str| said(code, "by a rule of the simulator");
        return Err(match fault {
            FaultEffect::LostRequest => lost("ConnectionReset", "the connection was reset"),
            FaultEffect::ServerError => lost("InternalError", "an internal error has occurred"),
            FaultEffect::Capacity => ProviderError::Capacity { said: says("InsufficientInstanceCapacity") },
            FaultEffect::Quota => ProviderError::Quota { said: says("InstanceLimitExceeded") },
            FaultEffect::Throttled => ProviderError::Throttled {
                said: says("RequestLimitExceeded"),
                retry_after: Some(Duration::from_secs(1)),
            },
            FaultEffect::Unauthorized => ProviderError::Unauthorized { said: says("UnauthorizedOperation") },
            FaultEffect::Busy => ProviderError::Busy { said: says("IncorrectState") },
            _ => continue,
        });
    }
    Ok(())
}

/// Faults that hit the answer of a call that was done.
fn spoil(faults: &Faults, answer: Answer) -> Result<Answer, ProviderError> {
    if faults.has(FaultEffect::LostReply) {
        return Err(lost("ConnectionReset", "the connection was reset"));
    }
    if faults.has(FaultEffect::ErrorButCreated) {
        return Err(lost("InternalError", "an internal error has occurred"));
    }
    if faults.has(FaultEffect::Garbled) {
        return Err(ProviderError::Garbled { said: said("Garbled", "the answer ends in the middle") });
    }
    Ok(answer)
}

/// After which number a page begins.
fn start_of(after: Option<&Cursor>) -> Result<u64, ProviderError> {
    let Some(cursor) = after else { return Ok(0) };
    cursor.0.parse().map_err(|_| invalid("BadCursor", format!("cursor {:?} is not one of ours", cursor.0)))
}

fn remember(
    state: &mut State,
    asked: &Asked,
    about: &Match,
    caller: Option<&Caller>,
    answer: &Result<Answer, ProviderError>,
    faults: Vec<FaultEffect>,
    now: Timestamp,
) {
    let body = match &asked.call {
        Call::Launch { frozen, user_data } => {
            Some(super::launch::body_digest(frozen, user_data.as_ref().map(|d| digest(d.as_bytes()))))
        }
        _ => None,
    };
    *state.counts.entry(asked.call.op().to_owned()).or_default() += 1;
    if state.calls.len() == CALLS_KEPT {
        state.calls.pop_front();
    }
    state.calls.push_back(CallRecord {
        at: now,
        op: asked.call.op().to_owned(),
        account: caller.map(|caller| caller.account.clone()),
        key: key_name(&asked.key),
        region: asked.region.clone(),
        token: about.token,
        zone: about.zone.clone(),
        id: about.id.clone(),
        body,
        outcome: answer.as_ref().map_or_else(|error| format!("{:?}", error.kind()), |_| "ok".to_owned()),
        faults,
    });
}
