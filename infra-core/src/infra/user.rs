//! One user's view: every call touches only what is that user's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::change::{Draft, How, Kind};
use super::core::Core;
use super::defaults::{self, Admitted};
use super::error::InfraError;
use super::gate::Step;
use super::reserve::Ask;
use super::views::{
    Explained, IdempotencyKey, KeyView, LaneOfferings, ListOptions, NewKey, Principal, QuoteOptions,
    ReleaseOutcome, ReservationView, Reserved, ViewPage,
};
use super::{ask, keys, list, quote, reserve, rows, show};
use crate::contracts::pricing::Quote;
use crate::contracts::store::Key;
use crate::nouns::account::User;
use crate::nouns::actor::Actor;
use crate::nouns::event::Event;
use crate::nouns::launch::{EndCause, Launch, Thing};
use crate::nouns::request::{Market, Request};
use crate::nouns::reservation::{DeadlineKind, Phase, Power, Reservation, Role};
use crate::records::{Versioned, launch_prefix, state};
use crate::words::clock::Timestamp;
use crate::words::ids::{CloudName, ReservationId, UserId};
use crate::words::lane::Version;
use std::collections::BTreeMap;

/// A wait looks again at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// One user's view of an installation. Cheap to clone.
///
/// Besides what each call says, every call may answer [`InfraError::NotFound`] (`user`) when the user does not
/// exist and [`InfraError::Store`]; every change may answer [`InfraError::Frozen`], [`InfraError::Suspended`]
/// (all but releases), [`InfraError::Busy`], and [`InfraError::NotAllowed`] for a reservation that a team mate shares
/// with too small a role: `user` stops, starts and extends, all else is the owner's. `if_match` is the version that the caller last saw: when the
/// record has moved since, the answer is [`InfraError::Conflict`] and nothing is changed.
#[derive(Clone, Debug)]
pub struct UserHandle {
    pub(super) core: Arc<Core>,
    pub(super) id: UserId,
    pub(super) actor: Actor,
    /// Of the one change that is made next.
    pub(super) key: Option<IdempotencyKey>,
    /// The user as it was read to know who asks: taken by the first look, so that no later one sees it old.
    known: Arc<Mutex<Option<Versioned<User>>>>,
}

impl UserHandle {
    pub(super) fn new(core: Arc<Core>, id: UserId) -> Self {
        let actor = Actor::user(&id);
        Self { core, id, actor, key: None, known: Arc::default() }
    }

    /// The view of whoever showed a token, who is known to be there.
    pub(super) fn of(core: Arc<Core>, principal: &Principal) -> Self {
        let mut user = Self::new(core, principal.user.clone());
        user.known = Arc::new(Mutex::new(principal.seen.clone()));
        user
    }

    /// The same view, used by somebody: who it is, and on which request, stands in the history of what they change,
    /// and the request's id in everything that follows from it. Without this the user acts.
    #[must_use]
    pub fn acting(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Who acts.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Whose view this is.
    #[must_use]
    pub const fn id(&self) -> &UserId {
        &self.id
    }

    /// The cheapest ways to fulfil a request, cheapest first, over all clouds that the team's keys reach.
    ///
    /// What the request leaves out is taken from the user's profile ([`Self::profile`]), as [`Self::reserve`] would.
    /// Reads catalogues (some minutes old at most, unless a cloud does not answer) and changes nothing.
    /// Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`], [`InfraError::Unfulfillable`], [`InfraError::NoCredentials`],
    /// [`InfraError::NoFit`], [`InfraError::UnknownRegion`], [`InfraError::UnknownImage`],
    /// [`InfraError::ProviderUnavailable`] when nothing fits and some cloud did not answer,
    /// [`InfraError::Paused`] when switches rule everything out.
    pub async fn quote(&self, request: &Request) -> Result<Vec<Quote>, InfraError> {
        Ok(self.quotes(request, QuoteOptions::default()).await?.quotes)
    }

    /// As [`Self::quote`], as many as the options say, and which of the request's fields come from the profile. Where the
    /// options ask for it, also what every rule of the request costs: the region, the architecture, the market, the cap
    /// and the policy, each by what the best offer without just that one would cost; and what is skipped because it was
    /// refused a moment ago. Cancel safe.
    ///
    /// # Errors
    /// As [`Self::quote`]: where nothing fits, no rule has a price.
    pub async fn quotes(&self, request: &Request, options: QuoteOptions) -> Result<Explained, InfraError> {
        let user = self.core.user(&self.id).await?.value;
        let limit = options.limit.max(1);
        let Admitted { request, from_profile, quotes, .. } =
            defaults::admit(&self.core, &user, request, limit).await?;
        let answer = match options.explain {
            true => quote::explained(&self.core, &user.tenant, &request, limit).await?,
            false => Explained { quotes, ..Explained::default() },
        };
        Ok(Explained { from_profile, ..answer })
    }

    /// Accepts a reservation in one commit: the record, the count against `machines_max`, the idempotency key and
    /// the event stand together or not at all.
    ///
    /// Cancel safety: dropped, it may have been accepted; the same call under the same idempotency key answers
    /// the same reservation.
    ///
    /// # Errors
    /// As [`Self::quote`]; and [`InfraError::OverLimit`], [`InfraError::OverBudget`], [`InfraError::IdempotencyMismatch`],
    /// [`InfraError::Paused`], [`InfraError::Released`] when the key's reservation is no longer readable.
    pub async fn reserve(
        &self,
        request: &Request,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<Reserved, InfraError> {
        let ask = Ask::Request(request);
        let once = idempotency.or(self.key.as_ref());
        // Boxed: it ranks, admits and seals, and whoever reserves should not carry all of that in a future of their own.
        let reserving = Box::pin(reserve::reserve(&self.core, &self.id, &self.actor, ask, once));
        let (record, replayed) = reserving.await?;
        Ok(Reserved { view: self.reserved(&record, replayed).await?, replayed })
    }

    /// What was accepted just now, or stood already.
    pub(super) async fn reserved(
        &self,
        record: &Versioned<Reservation>,
        replayed: bool,
    ) -> Result<ReservationView, InfraError> {
        if replayed { show::whole(&self.core, record).await } else { Ok(show::fresh(&self.core, record)) }
    }

    /// One reservation with all its slots. Readable for 90 days after its end. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`], also for somebody else's that is not shared with this user.
    pub async fn get(&self, id: &ReservationId) -> Result<ReservationView, InfraError> {
        let user = self.looked_up().await?;
        let (record, role) = self.core.seen(&user.value, id).await?;
        Ok(show::whole(&self.core, &record).await?.seen_as(role))
    }

    /// The user's own record: as it was just read to know who asks, for the first look, and then as it is.
    async fn looked_up(&self) -> Result<Versioned<User>, InfraError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).take();
        match known {
            Some(user) => Ok(user),
            None => self.core.user(&self.id).await,
        }
    }

    /// A page of the user's reservations, or of those that team mates share with the user, oldest first. A page is
    /// full unless it is the last, whatever is filtered. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for a limit outside 1..=200, and for more than 30 tags.
    pub async fn list(&self, options: &ListOptions) -> Result<ViewPage, InfraError> {
        list::check(options)?;
        list::page(&self.core, &self.looked_up().await?.value, options).await
    }

    /// Sets the end to a moment in the future, later or earlier than before.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for a moment that is past or beyond `duration_max`; [`InfraError::NotFound`],
    /// [`InfraError::Gone`] when it is ending or its time is over, [`InfraError::Released`],
    /// [`InfraError::Conflict`].
    pub async fn extend(
        &self,
        id: &ReservationId,
        ends_at: Timestamp,
        if_match: Option<Version>,
    ) -> Result<ReservationView, InfraError> {
        ask::check_end(ends_at, &self.core.limits, self.core.now())?;
        let change = |draft: &mut Draft| {
            let reservation = &mut draft.reservation;
            reservation.deadlines.0.insert(DeadlineKind::Ends, ends_at);
            reservation.spec.request.duration_s = None;
            reservation.spec.request.ends_at = Some(ends_at);
            Ok(())
        };
        self.change(id, if_match, How::new(Kind::Other, Role::User, ("extend", ends_at)), change).await
    }

    /// Turns its machines off; they are kept, and may still cost. Repeating is fine.
    ///
    /// # Errors
    /// [`InfraError::NotFound`], [`InfraError::Gone`], [`InfraError::Released`], [`InfraError::Conflict`],
    /// [`InfraError::Unfulfillable`] for spot machines and on clouds that cannot turn machines off.
    pub async fn stop(
        &self,
        id: &ReservationId,
        if_match: Option<Version>,
    ) -> Result<ReservationView, InfraError> {
        self.can_be_stopped(id).await?;
        let change = |draft: &mut Draft| {
            draft.reservation.desired.power = Power::Off;
            Ok(())
        };
        self.change(id, if_match, How::new(Kind::Other, Role::User, "stop"), change).await
    }

    /// Turns its machines on. Repeating is fine.
    ///
    /// # Errors
    /// As [`Self::stop`]; and [`InfraError::Paused`].
    pub async fn start(
        &self,
        id: &ReservationId,
        if_match: Option<Version>,
    ) -> Result<ReservationView, InfraError> {
        let change = |draft: &mut Draft| {
            draft.reservation.desired.power = Power::On;
            Ok(())
        };
        self.change(id, if_match, How::new(Kind::More, Role::User, "start"), change).await
    }

    /// Replaces its tags. Machines that run keep the labels they were made with; later ones get the new ones.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] as for a request; [`InfraError::NotFound`], [`InfraError::Gone`],
    /// [`InfraError::Released`], [`InfraError::Conflict`].
    pub async fn set_tags(
        &self,
        id: &ReservationId,
        tags: &BTreeMap<String, String>,
        if_match: Option<Version>,
    ) -> Result<ReservationView, InfraError> {
        ask::check_tags(tags)?;
        let change = |draft: &mut Draft| {
            draft.reservation.spec.request.tags.clone_from(tags);
            Ok(())
        };
        self.change(id, if_match, How::new(Kind::Other, Role::Owner, ("tags", tags)), change).await
    }

    /// Sets how many machines are wanted, 0 included; the count against `machines_max` moves with it.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`], [`InfraError::OverLimit`], [`InfraError::Paused`] when it grows,
    /// [`InfraError::NotFound`], [`InfraError::Gone`], [`InfraError::Released`], [`InfraError::Conflict`].
    pub async fn set_count(
        &self,
        id: &ReservationId,
        count: u32,
        if_match: Option<Version>,
    ) -> Result<ReservationView, InfraError> {
        ask::check_count(count, &self.core.limits)?;
        let change = |draft: &mut Draft| {
            draft.reservation.desired.count = count;
            draft.counted = count;
            Ok(())
        };
        self.change(id, if_match, How::new(Kind::Other, Role::Owner, ("count", count)), change).await
    }

    /// Ends it for good: nothing undoes a release. Repeating is fine, also after a lost answer.
    ///
    /// # Errors
    /// [`InfraError::NotFound`].
    pub async fn release(&self, id: &ReservationId) -> Result<ReleaseOutcome, InfraError> {
        let change = |draft: &mut Draft| {
            let reservation = &mut draft.reservation;
            if reservation.desired.present {
                reservation.desired.present = false;
                reservation.end_cause = Some(EndCause::Asked);
            }
            Ok(())
        };
        let view = self.change(id, None, How::repeatable(Kind::Release, Role::Owner), change).await?;
        let over = view.over_at.is_some();
        Ok(if over { ReleaseOutcome::AlreadyOver(view) } else { ReleaseOutcome::Releasing(view) })
    }

    /// The owner says that the machine in a slot is theirs although its mark is gone: the engine may mark it
    /// again. Only machines that the ledger knows by id can be confirmed.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`unit`) when that slot has no machine that lost its mark.
    pub async fn confirm_mark(&self, id: &ReservationId, unit: u32) -> Result<(), InfraError> {
        let settled = self.core.settle("the machine", || async {
            let gate = self.core.gate(&self.id).await?;
            gate.may_change()?;
            let reservation = self.core.mine(&gate.user.value, id).await?;
            let prefix = launch_prefix(&reservation.value.id);
            let rows: Vec<Versioned<Launch>> =
                self.core.repo.list_prefix(gate.tenant(), &prefix, Some(state::OPEN)).await?;
            let lost = |thing: &Thing| thing.unit == Some(unit) && thing.alive() && thing.mark_lost;
            let Some(row) = rows.iter().find(|row| row.value.things.iter().any(lost)) else {
                return Err(InfraError::missing("unit", unit));
            };
            let mut confirmed = row.value.clone();
            confirmed.things.iter_mut().filter(|thing| lost(thing)).for_each(|thing| thing.confirmed = true);
            if confirmed == row.value {
                return Ok(Step::Done((), row.version));
            }
            confirmed.request_id.clone_from(&self.actor.request_id);
            let mut txn = self.core.repo.txn();
            txn.update(row, &confirmed);
            let event = Event::MarkConfirmed { reservation: id.clone(), slot: unit };
            // The row's version is in the cause: a mark may be lost, and confirmed, more than once.
            let (what, nth, now) = (format!("mark-confirmed/{unit}"), row.version.0, self.core.now());
            txn.insert(&rows::event(gate.tenant(), id, &what, nth, now, event, &self.actor));
            gate.check(&mut txn);
            Ok(Step::Commit(txn, ()))
        });
        settled.await.map(drop)
    }

    /// Waits until it is as desired (ready, or stopped when turned off), over, or the time is over, and answers
    /// how it is then. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`].
    pub async fn wait(&self, id: &ReservationId, for_: Duration) -> Result<ReservationView, InfraError> {
        let until = self.core.clock.mono().saturating_add(for_);
        let mut after = self.core.repo.newest().await?;
        loop {
            // Only the last look is shown: until then the reservation's own record says enough.
            let user = self.core.user(&self.id).await?;
            let (record, role) = self.core.seen(&user.value, id).await?;
            let left = until.saturating_sub(self.core.clock.mono());
            let state = show::brief(&self.core, &record).state;
            let settled = matches!(state, Phase::Ready | Phase::Stopped | Phase::Failed | Phase::Released);
            if settled || left.is_zero() {
                return Ok(show::whole(&self.core, &record).await?.seen_as(role));
            }
            // A change may come between the look and the wait: the wait begins where the look before it ended.
            after = self.changed(id, after, left.min(LOOK_AGAIN)).await?;
        }
    }

    /// Waits for a change of this reservation, for so long at most; other people's changes wake nobody.
    pub(super) async fn changed(
        &self,
        id: &ReservationId,
        after: Version,
        for_: Duration,
    ) -> Result<Version, InfraError> {
        let until = self.core.clock.mono().saturating_add(for_);
        let mut seen = after;
        loop {
            let left = until.saturating_sub(self.core.clock.mono());
            let changes = self.core.repo.changes(seen, left).await?;
            seen = changes.upto.max(seen);
            let mine = |key: &Key| key.id.split('/').next() == Some(id.as_str());
            if left.is_zero() || changes.keys.iter().any(mine) {
                return Ok(seen);
            }
        }
    }

    /// Asks the cloud who a key is, then seals and saves it for the user's team. The same label with a key of
    /// the same account replaces it; of another account it retires the old one, which then only looks at and
    /// ends what it made.
    ///
    /// Cancel safety: several commits, of which one saves the key; repeating finishes them.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] (`provider`, `label`, `fields`), [`InfraError::InvalidCredentials`],
    /// [`InfraError::Unverified`]: nothing is stored then.
    pub async fn save_key(&self, key: &NewKey) -> Result<KeyView, InfraError> {
        keys::save(self, key).await
    }

    /// The team's keys, without their secrets. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn keys(&self) -> Result<Vec<KeyView>, InfraError> {
        keys::list(&self.core, &self.id).await
    }

    /// Removes a key and whatever it retired under the same label.
    ///
    /// Cancel safety: several commits; dropped, the key may be left retired. Repeating finishes it.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`key`); [`InfraError::InUse`] with the reservations whose launches are open,
    /// unless another active key reaches the same account.
    pub async fn remove_key(&self, provider: &CloudName, label: &str) -> Result<(), InfraError> {
        self.core.gate(&self.id).await?.may_change()?;
        keys::remove(&self.core, &self.id, provider, label).await
    }

    /// What every lane offers that the team's keys reach; lanes that do not answer are left out. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NoCredentials`]; [`InfraError::ProviderUnavailable`] when no lane answers.
    pub async fn offerings(&self) -> Result<Vec<LaneOfferings>, InfraError> {
        let user = self.core.user(&self.id).await?;
        let tenant = &user.value.tenant;
        let lanes = self.core.connections.lanes_of(tenant).await.map_err(quote::connect_error)?;
        if lanes.is_empty() {
            return Err(InfraError::NoCredentials);
        }
        let (offered, failed) = quote::catalogues(&self.core, tenant, lanes).await;
        let stale_after = self.core.limits.price_stale_after;
        let old_before = self.core.now().saturating_sub(stale_after).unwrap_or(Timestamp::MIN);
        match failed.first() {
            Some((lane, error)) if offered.is_empty() => Err(quote::provider_unavailable(lane, error)),
            _ => Ok(offered
                .into_iter()
                .map(|(lane, credential, stock)| LaneOfferings {
                    lane,
                    credential,
                    catalogue: Arc::clone(&stock.catalogue),
                    old_before,
                })
                .collect()),
        }
    }

    async fn change(
        &self,
        id: &ReservationId,
        if_match: Option<Version>,
        how: How,
        work: impl Fn(&mut Draft) -> Result<(), InfraError> + Sync,
    ) -> Result<ReservationView, InfraError> {
        let least = how.least;
        let record = self.core.change(self, id, if_match, how, work).await?;
        let role = if record.value.owner == self.id { Role::Owner } else { least };
        Ok(show::whole(&self.core, &record).await?.seen_as(role))
    }

    /// Can every offer it may stand on be turned off? A stop that nothing acts upon would leave machines running
    /// that their owner takes for stopped.
    async fn can_be_stopped(&self, id: &ReservationId) -> Result<(), InfraError> {
        let user = self.core.user(&self.id).await?.value;
        let reservation = self.core.seen(&user, id).await?.0.value;
        let no = |why: String| Err(InfraError::Unfulfillable { field: "power", why });
        let mut asked = Vec::new();
        for choice in &reservation.spec.choices {
            if choice.offering.market == Market::Spot {
                return no("spot machines cannot be turned off; release them".to_owned());
            }
            if asked.contains(&&choice.lane) {
                continue;
            }
            asked.push(&choice.lane);
            // A lane that cannot be connected now says nothing about what it can do; the engine will find out.
            let connected =
                self.core.connections.provider(&user.tenant, &choice.credential, &choice.lane).await;
            if connected.is_ok_and(|connected| connected.facts().off_modes.is_empty()) {
                return no(format!("{} cannot turn machines off; release them", choice.lane.cloud));
            }
        }
        Ok(())
    }
}
