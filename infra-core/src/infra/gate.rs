//! What stands in the way of a change: frozen store, suspended user, thrown switches. Read before deciding, and
//! checked again inside the commit.
//!
//! # Guarantees
//! * A change that was decided upon one state of these is not written upon another: the installation is checked by
//!   every commit, switches by those that ask for more.
//! * Who asks for less is stopped by a frozen store alone. A release needs no permission.
//!
//! # Caveats
//! Suspension is read, not checked, where the commit does not write the user: what was decided a moment before may
//! still land.
//!
//! # Errors
//! [`InfraError::Frozen`], [`InfraError::Suspended`], [`InfraError::Paused`] with the switch that stands, and
//! [`InfraError::Busy`] when so many write the same records that [`ROUNDS`] decisions were overtaken.

use std::time::Duration;

use super::core::Core;
use super::error::InfraError;
use crate::budgets::Budgets;
use crate::contracts::store::{Expect, Key};
use crate::nouns::account::User;
use crate::nouns::installation::Installation;
use crate::nouns::switch::{Switch, SwitchScope};
use crate::records::{Txn, Versioned};
use crate::words::clock::Timestamp;
use crate::words::ids::{TenantId, UserId};
use crate::words::lane::Version;

/// How often a change is decided anew when others write the same records. Thirty writers of one record need about
/// as many rounds in the worst case.
const ROUNDS: u32 = 64;

/// Longest pause between two rounds, milliseconds.
const ROUND_PAUSE_MS_MAX: u64 = 32;

/// A user and what stands in its way.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) user: Versioned<User>,
    pub(super) installation: Versioned<Installation>,
    /// Of everything, and of the user's tenant; `None` where none was ever thrown.
    switches: [(Key, Option<Versioned<Switch>>); 2],
}

impl Gate {
    pub(super) fn tenant(&self) -> &TenantId {
        &self.user.value.tenant
    }

    /// May the user change anything?
    pub(super) fn may_change(&self) -> Result<(), InfraError> {
        not_frozen(&self.installation.value)?;
        if self.user.value.suspended {
            return Err(InfraError::Suspended { user: self.user.value.id.clone() });
        }
        Ok(())
    }

    /// May the user ask for more than there is?
    pub(super) fn may_create(&self, now: Timestamp) -> Result<(), InfraError> {
        self.may_change()?;
        let thrown = self.switches.iter().filter_map(|(_, switch)| switch.as_ref()).map(|found| &found.value);
        thrown.into_iter().try_for_each(|switch| open_for_creates(switch, now))
    }

    /// Fails the commit when the store was frozen meanwhile.
    pub(super) fn check(&self, txn: &mut Txn) {
        txn.check(Installation::place(), Expect::Version(self.installation.version));
    }

    /// Fails the commit when a switch was thrown meanwhile.
    pub(super) fn check_switches(&self, txn: &mut Txn) {
        for (key, switch) in &self.switches {
            let expect = switch.as_ref().map_or(Expect::Absent, |found| Expect::Version(found.version));
            txn.check(key.clone(), expect);
        }
    }
}

/// Whatever froze it: only `recover` thaws, and until then everything is readable.
pub(super) fn not_frozen(installation: &Installation) -> Result<(), InfraError> {
    installation.frozen.clone().map_or(Ok(()), |frozen| Err(InfraError::Frozen { frozen }))
}

pub(super) fn open_for_creates(switch: &Switch, now: Timestamp) -> Result<(), InfraError> {
    let value = switch.value_at(now);
    if value.allows_create() {
        return Ok(());
    }
    Err(InfraError::Paused { scope: switch.scope.clone(), value, why: switch.why.clone() })
}

impl Core {
    pub(super) async fn user(&self, id: &UserId) -> Result<Versioned<User>, InfraError> {
        let found = self.repo.get::<User>(User::place(id)).await?;
        found.ok_or_else(|| InfraError::missing("user", id))
    }

    pub(super) async fn installation(&self) -> Result<Versioned<Installation>, InfraError> {
        let found = self.repo.get::<Installation>(Installation::place()).await?;
        found.ok_or_else(lost_installation)
    }

    /// Reads everything that may stand in the way of one user, the user first. Lane switches are not among it: which
    /// lanes are meant is known only after ranking, which leaves closed lanes out.
    pub(super) async fn gate(&self, id: &UserId) -> Result<Gate, InfraError> {
        let (user, installation) =
            self.repo.get_both::<User, Installation>(User::place(id), Installation::place()).await?;
        let user = user.ok_or_else(|| InfraError::missing("user", id))?;
        let installation = installation.ok_or_else(lost_installation)?;
        let tenant = SwitchScope::Tenant(user.value.tenant.clone());
        let keys = [Switch::place(&SwitchScope::Global.id()), Switch::place(&tenant.id())];
        let mut found = self.repo.get_all::<Switch>(&keys).await?.into_iter();
        let switches = keys.map(|key| (key, found.next().flatten()));
        Ok(Gate { user, installation, switches })
    }

    /// The budgets that a reservation of this owner counts against.
    pub(super) async fn budgets(
        &self,
        installation: &Installation,
        owner: &UserId,
        tenant: &TenantId,
    ) -> Result<Budgets, InfraError> {
        Ok(Budgets::read(&self.repo, installation, (owner, tenant), self.now()).await?)
    }

    /// Reads, decides and commits until nobody else wrote in between.
    ///
    /// # Errors
    /// What `decide` answers; [`InfraError::Busy`] after [`ROUNDS`] lost races.
    pub(super) async fn settle<T, F>(
        &self,
        what: &str,
        decide: impl Fn() -> F,
    ) -> Result<(T, Version), InfraError>
    where
        F: Future<Output = Result<Step<T>, InfraError>>,
    {
        self.settle_under(false, what, decide).await
    }

    /// As [`Self::settle`], for a call that may have an idempotency key, which `decide` looks up before all else. Under a
    /// key a refusal is decided once more: the same call, asked at the same time, may have been answered since the key
    /// was looked up, and what it made may be what is in the way.
    ///
    /// # Errors
    /// As [`Self::settle`].
    pub(super) async fn settle_under<T, F>(
        &self,
        keyed: bool,
        what: &str,
        decide: impl Fn() -> F,
    ) -> Result<(T, Version), InfraError>
    where
        F: Future<Output = Result<Step<T>, InfraError>>,
    {
        for round in 0..ROUNDS {
            let step = match decide().await {
                // Boxed: every caller's future would hold a second decision that is seldom made.
                Err(_) if keyed => Box::pin(decide()).await?,
                step => step?,
            };
            let (txn, answer) = match step {
                Step::Done(answer, version) => return Ok((answer, version)),
                Step::Commit(txn, answer) => (txn, answer),
            };
            match self.repo.commit(txn).await {
                Ok(version) => return Ok((answer, version)),
                Err(error) if error.is_conflict() => self.back_off(round).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(InfraError::Busy { what: what.to_owned() })
    }

    /// A pause of random length, longer with every lost race: those who collided once would collide again.
    async fn back_off(&self, round: u32) {
        let most = (1_u64 << round.min(5)).min(ROUND_PAUSE_MS_MAX);
        self.clock.sleep(Duration::from_millis(1 + self.entropy.below(most))).await;
    }
}

fn lost_installation() -> InfraError {
    InfraError::Internal { why: "the store lost its installation record".to_owned() }
}

/// What one round decided.
#[derive(Debug)]
pub(super) enum Step<T> {
    /// Nothing to write: the answer, and the version it was read at.
    Done(T, Version),
    /// Write this, then answer so.
    Commit(Txn, T),
}
