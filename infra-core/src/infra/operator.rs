//! For those who run the installation.
//!
//! # Flow
//! People and their tokens, brakes and switches, what a frozen store is, and the installation at a glance. Each call
//! is one commit with checks, but for those that say otherwise.
//!
//! # Guarantees
//! * Whoever throws a switch is told which create calls may still land; none beyond them will.
//! * A user who holds anything is not removed: nothing may be left whose owner nobody is.
//!
//! # Caveats
//! There is no further role inside: whether a caller may be an operator is for the front end to say, by the role of
//! the token. Some calls read every open reservation or launch; they are for people, not for loops.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::error::InfraError;
use super::gate::{Step, not_frozen};
use super::once::Once;
use super::views::{IdempotencyKey, InFlight, LaneStatus, Status};
use super::{ask, keys, once, recover, rows, teams, templates};
use crate::contracts::store::{Expect, ListBy};
use crate::nouns::account::{Profile, User};
use crate::nouns::actor::Actor;
use crate::nouns::budget::{Budget, BudgetScope};
use crate::nouns::event::Event;
use crate::nouns::installation::{Installation, LaneRecord, Recovery};
use crate::nouns::launch::{EndCause, Launch, LaunchState};
use crate::nouns::reservation::{HoldReason, Reservation};
use crate::nouns::switch::{Switch, SwitchScope, SwitchValue};
use crate::plan::reservation::is_end_past;
use crate::records::{Versioned, state, system_tenant};
use crate::words::clock::{Timestamp, later};
use crate::words::ids::{ReservationId, TenantId, UserId};
use crate::words::lane::{LaneId, Version};

/// Everything a person may do who runs the installation. Cheap to clone.
///
/// Every call may answer [`InfraError::Store`]. Users and limits are not changed while the store is frozen
/// ([`InfraError::Frozen`]); switches, revocations and [`Self::recover`] always work.
#[derive(Clone, Debug)]
pub struct Operator {
    pub(super) core: Arc<Core>,
    pub(super) actor: Actor,
    /// Of the one change that is made next.
    pub(super) key: Option<IdempotencyKey>,
}

impl Operator {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, actor: Actor::admin(), key: None }
    }

    /// The same, used by somebody: who it is, and on which request, stands in the history of what they change.
    #[must_use]
    pub fn acting(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Adds a user to a team, or as a team of one (whose tenant is `user:<name>`).
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for names beginning with `_`, `.` and `..`, too long ones, and teams beginning with `user:`;
    /// [`InfraError::Conflict`] when the user exists, or when a removed user of that name has left records behind: the
    /// next of that name would read them.
    pub async fn add_user(&self, name: &UserId, team: Option<&TenantId>) -> Result<User, InfraError> {
        if name.as_str().starts_with('_') {
            return Err(InfraError::field("name", "must not begin with _"));
        }
        ask::no_step("name", name.as_str())?;
        // Also of who joins a team: whoever leaves it later needs room for a tenant of one's own.
        let alone = teams::alone(name)?;
        team.map_or(Ok(()), teams::check_name)?;
        let tenant = team.cloned().unwrap_or(alone);
        let new = User {
            id: name.clone(),
            tenant,
            created_at: self.core.now(),
            joined_at: None,
            machines_max: None,
            machines_held: 0,
            suspended: false,
        };
        let once = self.once(|| once::asked(&(name, team)));
        let settled = self.core.settle_under(once.is_some(), "the user", || async {
            if let Some(user) = once::answered(&self.core, once.as_ref()).await? {
                return Ok(Step::Done(user, Version(0)));
            }
            let installation = self.core.installation().await?;
            not_frozen(&installation.value)?;
            if let Some(was) = self.core.repo.get::<User>(User::place(name)).await? {
                return Err(InfraError::Conflict {
                    what: "user",
                    id: name.to_string(),
                    why: "it exists".to_owned(),
                    version: Some(was.version),
                });
            }
            let left: Vec<Versioned<Reservation>> = self.core.repo.list_owner(&new.tenant, name, None).await?;
            if !left.is_empty() {
                let why = "somebody of that name was removed, and what they held is still readable; take another name";
                return Err(InfraError::Conflict {
                    what: "user",
                    id: name.to_string(),
                    why: why.to_owned(),
                    version: None,
                });
            }
            let mut txn = self.core.repo.txn();
            txn.insert(&new);
            teams::touch(&self.core, &mut txn, &new.tenant).await?;
            once::note(&self.core, once.as_ref(), &mut txn, &new);
            txn.check(Installation::place(), Expect::Version(installation.version));
            Ok(Step::Commit(txn, new.clone()))
        });
        Ok(settled.await?.0)
    }

    /// All users, by name. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn users(&self) -> Result<Vec<User>, InfraError> {
        let by = ListBy::Tenant { tenant: system_tenant(), prefix: String::new() };
        let users: Vec<Versioned<User>> = self.core.repo.list_all(by, None).await?;
        Ok(users.into_iter().map(|user| user.value).collect())
    }

    /// One user. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`].
    pub async fn get_user(&self, name: &UserId) -> Result<User, InfraError> {
        Ok(self.core.user(name).await?.value)
    }

    /// Removes a user with its tokens, its templates and its profile and, when it is the last of its team, the team's
    /// keys. What it holds must have ended, or be handed over first ([`Self::transfer`]).
    ///
    /// Cancel safety: several commits; repeating finishes them.
    ///
    /// # Errors
    /// [`InfraError::NotFound`]; [`InfraError::InUse`] while the user holds anything, with the reservations;
    /// [`InfraError::Busy`] when the user asks for something meanwhile.
    pub async fn remove_user(&self, name: &UserId) -> Result<(), InfraError> {
        let installation = self.core.installation().await?;
        not_frozen(&installation.value)?;
        let user = self.core.user(name).await?;
        let tenant = user.value.tenant.clone();
        let open: Vec<Versioned<Reservation>> =
            self.core.repo.list_owner(&tenant, name, Some(state::OPEN)).await?;
        if !open.is_empty() || user.value.machines_held > 0 {
            let by = open.iter().take(50).map(|record| record.value.id.to_string()).collect();
            return Err(InfraError::InUse { what: "user", id: name.to_string(), by });
        }
        let last = self.users().await?.iter().filter(|other| other.tenant == tenant).count() == 1;
        if last {
            for key in keys::list(&self.core, name).await? {
                match keys::remove(&self.core, name, &key.provider, &key.label).await {
                    Ok(()) | Err(InfraError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        for token in self.tokens_of(name).await? {
            self.delete_token(&token).await?;
        }
        templates::remove_all(&self.core, name).await?;
        let profile = self.core.repo.get::<Profile>(Profile::place(name)).await?;
        let mut txn = self.core.repo.txn();
        // A reservation accepted meanwhile has moved this record: then the removal fails, as it should.
        txn.delete(&user);
        match &profile {
            Some(profile) => txn.delete(profile),
            None => txn.check(Profile::place(name), Expect::Absent),
        }
        // The next of that name has no limits of somebody else's.
        let budget = Budget::place(&BudgetScope::User(name.clone()));
        self.core.repo.get::<Budget>(budget).await?.iter().for_each(|budget| txn.delete(budget));
        teams::touch(&self.core, &mut txn, &tenant).await?;
        txn.check(Installation::place(), Expect::Version(installation.version));
        match self.core.repo.commit(txn).await {
            Err(error) if error.is_conflict() => Err(InfraError::Busy { what: format!("user {name}") }),
            other => other.map(drop).map_err(InfraError::from),
        }
    }

    /// Sets how many machines a user may hold; `None` for the installation's limit. What is held already stays.
    ///
    /// # Errors
    /// [`InfraError::NotFound`], [`InfraError::Busy`].
    pub async fn set_machines_max(&self, name: &UserId, max: Option<u32>) -> Result<User, InfraError> {
        let once = self.once(|| once::asked(&("machines_max", name, max)));
        self.change_user(name, once.as_ref(), |user| user.machines_max = max).await
    }

    /// Suspends a user, or lifts it: suspended users may release and look, nothing else.
    ///
    /// # Errors
    /// [`InfraError::NotFound`], [`InfraError::Busy`].
    pub async fn set_suspended(&self, name: &UserId, suspended: bool) -> Result<User, InfraError> {
        let once = self.once(|| once::asked(&("suspended", name, suspended)));
        self.change_user(name, once.as_ref(), |user| user.suspended = suspended).await
    }

    /// Both at once, in one commit; what is `None` stays as it is.
    ///
    /// # Errors
    /// [`InfraError::NotFound`], [`InfraError::Busy`].
    pub async fn set_user(
        &self,
        name: &UserId,
        machines_max: Option<u32>,
        suspended: Option<bool>,
    ) -> Result<User, InfraError> {
        let once = self.once(|| once::asked(&("user", name, machines_max, suspended)));
        let change = |user: &mut User| {
            user.machines_max = machines_max.or(user.machines_max);
            user.suspended = suspended.unwrap_or(user.suspended);
        };
        self.change_user(name, once.as_ref(), change).await
    }

    /// All switches ever thrown. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn switches(&self) -> Result<Vec<Switch>, InfraError> {
        let all: Vec<Versioned<Switch>> = self.core.repo.list_all(ListBy::All, None).await?;
        Ok(all.into_iter().map(|switch| switch.value).collect())
    }

    /// Throws a switch, and answers it with the create calls that may still land: no other will.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for an `until` that is past; [`InfraError::Busy`].
    pub async fn set_switch(
        &self,
        scope: &SwitchScope,
        value: SwitchValue,
        by: &str,
        why: &str,
        until: Option<Timestamp>,
    ) -> Result<(Switch, Vec<InFlight>), InfraError> {
        if until.is_some_and(|until| until <= self.core.now()) {
            return Err(InfraError::field("until", "is not in the future"));
        }
        let at = self.core.now();
        let new = Switch { scope: scope.clone(), value, by: by.to_owned(), why: why.to_owned(), at, until };
        let settled = self.core.settle("the switch", || async {
            let was = self.core.repo.get::<Switch>(Switch::place(&scope.id())).await?;
            let expect = was.map_or(Expect::Absent, |was| Expect::Version(was.version));
            let mut txn = self.core.repo.txn();
            txn.put(&new, expect);
            Ok(Step::Commit(txn, new.clone()))
        });
        let (switch, _) = settled.await?;
        // Read after the switch stands: what is not in this list now will not be sent any more.
        Ok((switch, self.in_flight(scope).await?))
    }

    /// Says what happened to a frozen store, and thaws it.
    ///
    /// Cancel safety: the store stays frozen until the last of several commits; repeating finishes them.
    ///
    /// # Errors
    /// [`InfraError::Conflict`] when the answer does not fit: `Moved` fits a store opened elsewhere, `Clone` any
    /// frozen store, `Restored` always.
    pub async fn recover(&self, what: Recovery) -> Result<Status, InfraError> {
        recover::recover(self, what).await?;
        self.status().await
    }

    /// The installation at a glance. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn status(&self) -> Result<Status, InfraError> {
        let installation = self.core.installation().await?.value;
        let switches = self.switches().await?;
        let lanes: Vec<Versioned<LaneRecord>> = self.core.repo.list_all(ListBy::All, None).await?;
        let lane = |record: Versioned<LaneRecord>| LaneStatus {
            switch: switches.iter().find(|s| s.scope == SwitchScope::Lane(record.value.lane.id())).cloned(),
            keys: record.value.keys.len(),
            created_at: record.value.created_at,
            droppings: record.value.droppings,
            droppings_count: record.value.droppings_count,
            lane: record.value.lane,
        };
        Ok(Status {
            installation: installation.id,
            epoch: installation.epoch,
            home: installation.home,
            opened_at: self.core.home.clone(),
            frozen: installation.frozen,
            deadlines_held_until: installation.deadlines_held_until,
            newest: self.core.repo.newest().await?,
            providers: self.core.connections.clouds(),
            lanes: lanes.into_iter().map(lane).collect(),
            switches,
        })
    }

    /// Lifts the brake that holds a reservation, of any user. Of one that is held because too many ended at once this
    /// confirms the end, unless its owner has moved it away.
    ///
    /// # Errors
    /// [`InfraError::NotFound`]; [`InfraError::Conflict`] when nothing holds it.
    pub async fn lift_hold(&self, reservation: &ReservationId) -> Result<(), InfraError> {
        let settled = self.core.settle("the reservation", || async {
            let all: Vec<Versioned<Reservation>> =
                self.core.repo.list_all(ListBy::All, Some(state::OPEN)).await?;
            let installation = self.core.installation().await?;
            not_frozen(&installation.value)?;
            let found = all.into_iter().find(|record| &record.value.id == reservation);
            let was = found.ok_or_else(|| InfraError::missing("reservation", reservation))?;
            let Some(hold) = &was.value.hold else {
                return Err(InfraError::Conflict {
                    what: "reservation",
                    id: reservation.to_string(),
                    why: "nothing holds it".to_owned(),
                    version: Some(was.version),
                });
            };
            let mut is = was.value.clone();
            if hold.why == HoldReason::MassDeadline && is_end_past(&was.value, self.core.now()) {
                // Lifting this one confirms the end that was held. One that was extended meanwhile goes on.
                is.desired.present = false;
                is.desired.change += 1;
                is.end_cause = Some(EndCause::Deadline);
            }
            let event = Event::Lifted { reservation: reservation.clone(), why: hold.detail.clone() };
            is.hold = None;
            is.recent_creates.clear();
            is.request_id.clone_from(&self.actor.request_id);
            let mut txn = self.core.repo.txn();
            txn.update(&was, &is);
            let (now, nth) = (self.core.now(), was.version.0);
            txn.insert(&rows::event(&is.tenant, reservation, "lifted", nth, now, event, &self.actor));
            txn.check(Installation::place(), Expect::Version(installation.version));
            Ok(Step::Commit(txn, ()))
        });
        settled.await.map(drop)
    }

    /// Allows a mass ending in one lane for a while: somebody looked, and it is meant. For as long a listing that lost
    /// much is believed there, too: somebody ended all of that outside.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`lane`), [`InfraError::Busy`].
    pub async fn allow_mass(&self, lane: &LaneId, for_: Duration) -> Result<(), InfraError> {
        let settled = self.core.settle("the lane", || async {
            let all: Vec<Versioned<LaneRecord>> = self.core.repo.list_lane(lane, None).await?;
            let was = all.into_iter().next().ok_or_else(|| InfraError::missing("lane", lane))?;
            let until = Some(later(self.core.now(), for_));
            let mut txn = self.core.repo.txn();
            txn.update(&was, &LaneRecord { mass_allowed_until: until, ..was.value.clone() });
            Ok(Step::Commit(txn, ()))
        });
        settled.await.map(drop)
    }

    /// Changes one user's record in one commit; never while the store is frozen. Races with reservations, which count
    /// their machines on the same record, and then decides anew.
    async fn change_user(
        &self,
        name: &UserId,
        once: Option<&Once>,
        change: impl Fn(&mut User) + Sync,
    ) -> Result<User, InfraError> {
        let settled = self.core.settle_under(once.is_some(), "the user", || async {
            if let Some(user) = once::answered(&self.core, once).await? {
                return Ok(Step::Done(user, Version(0)));
            }
            not_frozen(&self.core.installation().await?.value)?;
            let was = self.core.user(name).await?;
            let mut is = was.value.clone();
            change(&mut is);
            let mut txn = self.core.repo.txn();
            txn.update(&was, &is);
            once::note(&self.core, once, &mut txn, &is);
            Ok(Step::Commit(txn, is))
        });
        Ok(settled.await?.0)
    }

    /// Create calls whose send was written down and whose answer was not: the only ones that may still land once
    /// a switch stands, because the commit that writes a send down checks the switch.
    async fn in_flight(&self, scope: &SwitchScope) -> Result<Vec<InFlight>, InfraError> {
        let rows: Vec<Versioned<Launch>> = self.core.repo.list_all(ListBy::All, Some(state::OPEN)).await?;
        let covered = |row: &Launch| match scope {
            SwitchScope::Global => true,
            SwitchScope::Lane(lane) => row.lane.id() == *lane,
            SwitchScope::Tenant(tenant) => row.tenant == *tenant,
        };
        let sent = rows
            .into_iter()
            .map(|row| row.value)
            .filter(|row| row.state == LaunchState::Sent && covered(row));
        Ok(sent
            .map(|row| InFlight {
                sent_at: row.last_sent(),
                token: row.token,
                tenant: row.tenant,
                reservation: row.reservation,
                lane: row.lane,
            })
            .collect())
    }
}
