//! One user's view: every call touches only what is that user's.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::error::InfraError;
use super::views::{
    IdempotencyKey, KeyView, LaneOfferings, ListOptions, NewKey, ReleaseOutcome, ReservationView, Reserved,
    ViewPage,
};
use crate::contracts::pricing::Quote;
use crate::nouns::request::Request;
use crate::words::clock::Timestamp;
use crate::words::ids::{CloudName, ReservationId, UserId};
use crate::words::lane::Version;
use std::collections::BTreeMap;

/// One user's view of an installation. Cheap to clone.
///
/// Besides what each call says, every call may answer [`InfraError::NotFound`] (`user`) when the user does not
/// exist and [`InfraError::Store`]; every change may answer [`InfraError::Frozen`], [`InfraError::Suspended`]
/// (all but releases) and [`InfraError::Busy`]. `if_match` is the version that the caller last saw: when the
/// record has moved since, the answer is [`InfraError::Conflict`] and nothing is changed.
#[derive(Clone, Debug)]
pub struct UserHandle {
    pub(super) core: Arc<Core>,
    pub(super) id: UserId,
}

impl UserHandle {
    pub(super) fn new(core: Arc<Core>, id: UserId) -> Self {
        Self { core, id }
    }

    /// Whose view this is.
    #[must_use]
    pub const fn id(&self) -> &UserId {
        &self.id
    }

    /// The cheapest ways to fulfil a request, cheapest first, over all clouds that the team's keys reach.
    ///
    /// Reads catalogues (some minutes old at most, unless a cloud does not answer) and changes nothing.
    /// Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`], [`InfraError::Unfulfillable`], [`InfraError::NoCredentials`],
    /// [`InfraError::NoFit`], [`InfraError::UnknownRegion`], [`InfraError::UnknownImage`],
    /// [`InfraError::ProviderUnavailable`] when nothing fits and some cloud did not answer,
    /// [`InfraError::Paused`] when switches rule everything out.
    pub async fn quote(&self, request: &Request) -> Result<Vec<Quote>, InfraError> {
        let _ = request;
        Err(later())
    }

    /// Accepts a reservation in one commit: the record, the count against `machines_max`, the idempotency key and
    /// the event stand together or not at all.
    ///
    /// Cancel safety: dropped, it may have been accepted; the same call under the same idempotency key answers
    /// the same reservation.
    ///
    /// # Errors
    /// As [`Self::quote`]; and [`InfraError::OverLimit`], [`InfraError::IdempotencyMismatch`],
    /// [`InfraError::Paused`], [`InfraError::Released`] when the key's reservation is no longer readable.
    pub async fn reserve(
        &self,
        request: &Request,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<Reserved, InfraError> {
        let _ = (request, idempotency);
        Err(later())
    }

    /// One reservation with all its slots. Readable for 90 days after its end. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`], also for somebody else's.
    pub async fn get(&self, id: &ReservationId) -> Result<ReservationView, InfraError> {
        let _ = id;
        Err(later())
    }

    /// A page of the user's reservations, oldest first. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for a limit outside 1..=200.
    pub async fn list(&self, options: &ListOptions) -> Result<ViewPage, InfraError> {
        let _ = options;
        Err(later())
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
        let _ = (id, ends_at, if_match);
        Err(later())
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
        let _ = (id, if_match);
        Err(later())
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
        let _ = (id, if_match);
        Err(later())
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
        let _ = (id, tags, if_match);
        Err(later())
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
        let _ = (id, count, if_match);
        Err(later())
    }

    /// Ends it for good: nothing undoes a release. Repeating is fine, also after a lost answer.
    ///
    /// # Errors
    /// [`InfraError::NotFound`].
    pub async fn release(&self, id: &ReservationId) -> Result<ReleaseOutcome, InfraError> {
        let _ = id;
        Err(later())
    }

    /// The owner says that the machine in a slot is theirs although its mark is gone: the engine may mark it
    /// again. Only machines that the ledger knows by id can be confirmed.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`unit`) when that slot has no machine that lost its mark.
    pub async fn confirm_mark(&self, id: &ReservationId, unit: u32) -> Result<(), InfraError> {
        let _ = (id, unit);
        Err(later())
    }

    /// Waits until it is as desired (ready, or stopped when turned off), over, or the time is over, and answers
    /// how it is then. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`].
    pub async fn wait(&self, id: &ReservationId, for_: Duration) -> Result<ReservationView, InfraError> {
        let _ = (id, for_);
        Err(later())
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
        let _ = key;
        Err(later())
    }

    /// The team's keys, without their secrets. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn keys(&self) -> Result<Vec<KeyView>, InfraError> {
        Err(later())
    }

    /// Removes a key and whatever it retired under the same label.
    ///
    /// Cancel safety: several commits; dropped, the key may be left retired. Repeating finishes it.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`key`); [`InfraError::InUse`] with the reservations whose launches are open,
    /// unless another active key reaches the same account.
    pub async fn remove_key(&self, provider: &CloudName, label: &str) -> Result<(), InfraError> {
        let _ = (provider, label);
        Err(later())
    }

    /// What every lane offers that the team's keys reach; lanes that do not answer are left out. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NoCredentials`]; [`InfraError::ProviderUnavailable`] when no lane answers.
    pub async fn offerings(&self) -> Result<Vec<LaneOfferings>, InfraError> {
        Err(later())
    }
}

fn later() -> InfraError {
    InfraError::Internal { why: "signatures only".to_owned() }
}
