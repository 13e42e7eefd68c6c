//! Why the handle did not do it: each variant is one answer that a front end gives.

use std::time::Duration;

use crate::contracts::pricing::{FailedLimit, Quote};
use crate::contracts::store::StoreError;
use crate::nouns::installation::Frozen;
use crate::nouns::reservation::Phase;
use crate::nouns::switch::{SwitchScope, SwitchValue};
use crate::plan::budget::Shortage;
use crate::records::RepoError;
use crate::words::fault::{Effect, Fault, FaultKind};
use crate::words::ids::{CloudName, ReservationId, UserId};
use crate::words::lane::Version;

/// One field that cannot be accepted as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The request's field, by its wire name; list items as `ssh_public_keys[2]`.
    pub field: String,
    /// What is wrong, readable by a person. Never repeats a secret.
    pub message: String,
    /// The limit that was passed, in the field's unit, where there is one.
    pub limit: Option<String>,
}

/// Why the handle did not do it.
///
/// Whatever the variant, nothing of the call was stored or launched, except where [`Fault::effect`] says
/// `Unknown` (only [`InfraError::Store`] can): then the same call may be repeated, under the same idempotency
/// key where it creates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InfraError {
    /// Fields are wrong, missing or beyond a limit. HTTP: 400 `out-of-range`.
    #[error("{} of the request cannot be accepted: {}", fields.first().map_or("a field", |f| f.field.as_str()), fields.first().map_or("", |f| f.message.as_str()))]
    OutOfRange {
        /// All of them; never empty.
        fields: Vec<FieldError>,
    },
    /// A field that nobody reads. HTTP: 400 `unknown-field`.
    #[error("{field} {message}")]
    UnknownField {
        /// The field.
        field: String,
        /// Of what it is none, and which ones are known.
        message: String,
    },
    /// Well formed, but nothing here can do it. HTTP: 422 `unfulfillable`.
    #[error("{field} cannot be fulfilled: {why}")]
    Unfulfillable {
        /// The field.
        field: &'static str,
        /// Why.
        why: String,
    },
    /// No offer fits. HTTP: 422 `no-fit`.
    #[error("nothing fits: {} {}", failed.field, failed.detail)]
    NoFit {
        /// The limit whose relaxing helps most.
        failed: Box<FailedLimit>,
        /// Offers that miss by the least, best first.
        nearest: Vec<Quote>,
    },
    /// No lane in the region, or at the cloud, that was asked for. HTTP: 422 `unknown-region`.
    #[error("unknown region: {}", failed.detail)]
    UnknownRegion {
        /// What was asked, and what there is.
        failed: Box<FailedLimit>,
        /// Offers elsewhere.
        nearest: Vec<Quote>,
    },
    /// No such image where it could be used. HTTP: 422 `unknown-image`.
    #[error("unknown image: {}", failed.detail)]
    UnknownImage {
        /// What was asked, and what there is.
        failed: Box<FailedLimit>,
        /// Offers with other images.
        nearest: Vec<Quote>,
    },
    /// No key of the user reaches any cloud. HTTP: 422 `no-credentials`.
    #[error("no key is saved that reaches a cloud")]
    NoCredentials,
    /// The cloud said that the key is wrong; nothing was stored. HTTP: 422 `invalid-credentials`.
    #[error("{provider} refuses the key: {said}")]
    InvalidCredentials {
        /// Which cloud.
        provider: CloudName,
        /// What it said.
        said: String,
    },
    /// The cloud could not be asked about the key; nothing was stored. HTTP: 503 `unverified`.
    #[error("{provider} could not check the key: {said}")]
    Unverified {
        /// Which cloud.
        provider: CloudName,
        /// What happened.
        said: String,
        /// When it may work.
        retry_after: Option<Duration>,
    },
    /// No such thing, or somebody else's. HTTP: 404 `not-found`.
    #[error("no {what} {id}")]
    NotFound {
        /// What kind: `user`, `team`, `reservation`, `template`, `key`, `token`, `unit`, `share`.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// It is there, and the caller may see it, but not do that with it. HTTP: 403 `forbidden`.
    #[error("{what} {id} is shared as {role}: {why}")]
    NotAllowed {
        /// What kind.
        what: &'static str,
        /// Which.
        id: String,
        /// What the caller's role is.
        role: &'static str,
        /// Whose business it is.
        why: String,
    },
    /// Not as the caller expects it (`if_match`), or it exists already. HTTP: 409 `conflict`.
    #[error("{what} {id} is not as expected: {why}")]
    Conflict {
        /// What kind.
        what: &'static str,
        /// Which.
        id: String,
        /// What it is instead.
        why: String,
        /// Its version now, where the call was about one.
        version: Option<Version>,
    },
    /// Machines, reservations or keys still hang on it. HTTP: 409 `in-use`.
    #[error("{what} {id} is in use by {}", by.join(", "))]
    InUse {
        /// What kind.
        what: &'static str,
        /// Which.
        id: String,
        /// By what: ids, at most 50.
        by: Vec<String>,
    },
    /// It is ending: a release always wins. HTTP: 409 `gone`.
    #[error("reservation {id} is ending")]
    Gone {
        /// Which.
        id: ReservationId,
    },
    /// It is over. HTTP: 410 `released`.
    #[error("reservation {id} is over")]
    Released {
        /// Which.
        id: ReservationId,
        /// `Released` or `Failed`.
        phase: Phase,
    },
    /// The user would hold more machines than it may. HTTP: 403 `over-budget`, naming `machines_max`.
    #[error("{asked} more would exceed machines_max = {max}: {held} are held")]
    OverLimit {
        /// How many more were asked for.
        asked: u32,
        /// How many are held.
        held: u32,
        /// How many may be held.
        max: u32,
    },
    /// A budget of the user or of its team would be passed. HTTP: 403 `over-budget`, naming which and what is left.
    #[error("{shortage}")]
    OverBudget {
        /// Whose, which limit, and what is left of it.
        shortage: Box<Shortage>,
    },
    /// The idempotency key came before with another body. HTTP: 422 `idempotency-mismatch`.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// Others write the same records all the time: try again. HTTP: 409 `busy`.
    #[error("{what} is being changed by others, try again")]
    Busy {
        /// What.
        what: String,
    },
    /// A switch forbids it. HTTP: 403 `paused`.
    #[error("paused by switch {}: {why}", scope.id())]
    Paused {
        /// Whose switch.
        scope: SwitchScope,
        /// What it forbids.
        value: SwitchValue,
        /// Why it was thrown.
        why: String,
    },
    /// The user may release and look, nothing else. HTTP: 403 `suspended`.
    #[error("user {user} is suspended")]
    Suspended {
        /// Who.
        user: UserId,
    },
    /// The store is frozen until a person says what happened. HTTP: 403 `paused` (say `frozen` in the detail).
    #[error("frozen until somebody recovers it: {}", say(frozen))]
    Frozen {
        /// Why.
        frozen: Frozen,
    },
    /// Clouds that would have to be asked do not answer. HTTP: 503 `provider-unavailable`.
    #[error("{what} does not answer: {said}")]
    ProviderUnavailable {
        /// Which lane or cloud.
        what: String,
        /// What happened.
        said: String,
        /// When it may work.
        retry_after: Option<Duration>,
    },
    /// The builder lacks a part, or two parts do not fit. Only [`super::InfraBuilder::build`] says so.
    #[error("cannot be built: {why}")]
    Misconfigured {
        /// What is missing or wrong.
        why: String,
    },
    /// The store did not do it. HTTP: 503 when its kind is `Unavailable`, 500 otherwise.
    #[error("store: {0}")]
    Store(#[source] RepoError),
    /// A defect of ours. HTTP: 500.
    #[error("internal: {why}")]
    Internal {
        /// What was found.
        why: String,
    },
}

fn say(frozen: &Frozen) -> String {
    match frozen {
        Frozen::Elsewhere { opened_at } => format!("it was opened at {opened_at}, where it does not live"),
        Frozen::OlderThanCloud { lane, seen, newest } => {
            format!("{lane} shows mark {seen}, the store's newest is {newest}")
        }
    }
}

impl From<RepoError> for InfraError {
    fn from(error: RepoError) -> Self {
        Self::Store(error)
    }
}

impl From<Box<Shortage>> for InfraError {
    fn from(shortage: Box<Shortage>) -> Self {
        Self::OverBudget { shortage }
    }
}

impl From<StoreError> for InfraError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl InfraError {
    /// One wrong field.
    #[must_use]
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::OutOfRange {
            fields: vec![FieldError { field: field.to_owned(), message: message.into(), limit: None }],
        }
    }

    #[allow(clippy::needless_pass_by_value, reason = "callers hand over ids and references alike")]
    pub(crate) fn missing(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }
}

impl Fault for InfraError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::OutOfRange { .. }
            | Self::UnknownField { .. }
            | Self::Unfulfillable { .. }
            | Self::NoFit { .. }
            | Self::UnknownRegion { .. }
            | Self::UnknownImage { .. }
            | Self::NoCredentials
            | Self::IdempotencyMismatch
            | Self::Misconfigured { .. } => FaultKind::Invalid,
            Self::InvalidCredentials { .. } => FaultKind::Unauthorized,
            Self::NotFound { .. } | Self::Released { .. } => FaultKind::NotFound,
            Self::Conflict { .. } => FaultKind::Conflict,
            Self::InUse { .. } | Self::Gone { .. } | Self::Busy { .. } => FaultKind::Busy,
            Self::OverLimit { .. } | Self::OverBudget { .. } => FaultKind::Quota,
            Self::NotAllowed { .. } | Self::Paused { .. } | Self::Suspended { .. } | Self::Frozen { .. } => {
                FaultKind::Blocked
            }
            Self::Unverified { .. } | Self::ProviderUnavailable { .. } => FaultKind::Unavailable,
            Self::Store(error) => error.kind(),
            Self::Internal { .. } => FaultKind::Internal,
        }
    }

    fn effect(&self) -> Effect {
        match self {
            Self::Store(error) => error.effect(),
            _ => Effect::NotApplied,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unverified { retry_after, .. } | Self::ProviderUnavailable { retry_after, .. } => {
                *retry_after
            }
            Self::Busy { .. } => Some(Duration::from_secs(1)),
            Self::Store(error) => error.retry_after(),
            _ => None,
        }
    }
}
