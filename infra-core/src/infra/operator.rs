//! For those who run the installation.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::error::InfraError;
use super::views::{InFlight, Principal, Status};
use crate::nouns::account::{AccessToken, TokenRole, User};
use crate::nouns::installation::Recovery;
use crate::nouns::switch::{Switch, SwitchScope, SwitchValue};
use crate::words::clock::Timestamp;
use crate::words::ids::{ReservationId, TenantId, UserId};
use crate::words::secret::Secret;

/// Everything a person may do who runs the installation. Cheap to clone.
///
/// Every call may answer [`InfraError::Store`]. Users and limits are not changed while the store is frozen
/// ([`InfraError::Frozen`]); switches, revocations and [`Self::recover`] always work.
#[derive(Clone, Debug)]
pub struct Operator {
    pub(super) core: Arc<Core>,
}

impl Operator {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Adds a user to a team, or as a team of one (whose tenant is `user:<name>`).
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for names beginning with `_` and teams beginning with `user:`;
    /// [`InfraError::Conflict`] when the user exists.
    pub async fn add_user(&self, name: &UserId, team: Option<&TenantId>) -> Result<User, InfraError> {
        let _ = (name, team);
        Err(later())
    }

    /// All users, by name. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn users(&self) -> Result<Vec<User>, InfraError> {
        Err(later())
    }

    /// One user. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`].
    pub async fn get_user(&self, name: &UserId) -> Result<User, InfraError> {
        let _ = name;
        Err(later())
    }

    /// Removes a user with its tokens and, when it is the last of its team, the team's keys.
    ///
    /// Cancel safety: several commits; repeating finishes them.
    ///
    /// # Errors
    /// [`InfraError::NotFound`]; [`InfraError::InUse`] while the user holds anything, with the reservations.
    pub async fn remove_user(&self, name: &UserId) -> Result<(), InfraError> {
        let _ = name;
        Err(later())
    }

    /// Sets how many machines a user may hold; `None` for the installation's limit. What is held already stays.
    ///
    /// # Errors
    /// [`InfraError::NotFound`], [`InfraError::Busy`].
    pub async fn set_machines_max(&self, name: &UserId, max: Option<u32>) -> Result<User, InfraError> {
        let _ = (name, max);
        Err(later())
    }

    /// Suspends a user, or lifts it: suspended users may release and look, nothing else.
    ///
    /// # Errors
    /// [`InfraError::NotFound`], [`InfraError::Busy`].
    pub async fn set_suspended(&self, name: &UserId, suspended: bool) -> Result<User, InfraError> {
        let _ = (name, suspended);
        Err(later())
    }

    /// Issues an access token. The secret is answered once and kept nowhere; only its digest is.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`user`); [`InfraError::OutOfRange`] for a label of more than 100 characters, a
    /// life of zero, or more than 100 tokens.
    pub async fn issue_token(
        &self,
        user: &UserId,
        label: &str,
        role: TokenRole,
        expires_in: Option<Duration>,
    ) -> Result<(AccessToken, Secret), InfraError> {
        let _ = (user, label, role, expires_in);
        Err(later())
    }

    /// A user's tokens, expired ones included, without secrets. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`user`).
    pub async fn tokens(&self, user: &UserId) -> Result<Vec<AccessToken>, InfraError> {
        let _ = user;
        Err(later())
    }

    /// Revokes a token by its public id, at once.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`token`).
    pub async fn revoke_token(&self, user: &UserId, id: &str) -> Result<(), InfraError> {
        let _ = (user, id);
        Err(later())
    }

    /// Who shows this secret? `None` when nobody's, revoked or expired. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones: a store that does not answer is not a wrong token.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<Principal>, InfraError> {
        let _ = secret;
        Err(later())
    }

    /// All switches ever thrown. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn switches(&self) -> Result<Vec<Switch>, InfraError> {
        Err(later())
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
        let _ = (scope, value, by, why, until);
        Err(later())
    }

    /// Says what happened to a frozen store, and thaws it.
    ///
    /// Cancel safety: the store stays frozen until the last of several commits; repeating finishes them.
    ///
    /// # Errors
    /// [`InfraError::Conflict`] when the answer does not fit: `Moved` fits a store opened elsewhere, `Clone` any
    /// frozen store, `Restored` always.
    pub async fn recover(&self, what: Recovery) -> Result<Status, InfraError> {
        let _ = what;
        Err(later())
    }

    /// The installation at a glance. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn status(&self) -> Result<Status, InfraError> {
        Err(later())
    }

    /// Lifts the brake that holds a reservation, of any user.
    ///
    /// # Errors
    /// [`InfraError::NotFound`]; [`InfraError::Conflict`] when nothing holds it.
    pub async fn lift_hold(&self, reservation: &ReservationId) -> Result<(), InfraError> {
        let _ = reservation;
        Err(later())
    }
}

fn later() -> InfraError {
    InfraError::Internal { why: "signatures only".to_owned() }
}
