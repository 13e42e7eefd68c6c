//! What every error of every contract must be able to say.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the caller must do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// Somebody else wrote first: read again and decide again.
    Conflict,
    /// The caller asks for something that can never work as asked.
    Invalid,
    /// No such thing, said about this one question only; never a proof of absence.
    NotFound,
    /// The credential is wrong, expired or lacks a permission. Never a proof of absence.
    Unauthorized,
    /// A quota of the account is used up.
    Quota,
    /// The cloud has no capacity of this type in this zone right now.
    Capacity,
    /// Asked too often: wait as told.
    Throttled,
    /// Down, slow, or broken in between: try again later.
    Unavailable,
    /// The token was used before with another body: find out what it made.
    TokenMismatch,
    /// The token's machine has already ended.
    TokenEnded,
    /// The thing is in a state in which this verb is not possible yet.
    Busy,
    /// The proof of ownership failed: nothing was or will be done.
    NotOwned,
    /// A switch or brake of ours forbids it.
    Blocked,
    /// A defect of ours or an answer we cannot read.
    Internal,
}

impl FaultKind {
    /// The word for logs and labels, as on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Unauthorized => "unauthorized",
            Self::Quota => "quota",
            Self::Capacity => "capacity",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::TokenMismatch => "token_mismatch",
            Self::TokenEnded => "token_ended",
            Self::Busy => "busy",
            Self::NotOwned => "not_owned",
            Self::Blocked => "blocked",
            Self::Internal => "internal",
        }
    }
}

/// May it have happened?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Certainly nothing changed.
    NotApplied,
    /// It may have been done, or may still be done later.
    Unknown,
}

/// Implemented by the error enum of every contract, so that the engine matches once.
pub trait Fault: std::error::Error + Send + Sync {
    /// What must the caller do?
    fn kind(&self) -> FaultKind;
    /// May it have happened?
    fn effect(&self) -> Effect;
    /// When does the other side want to be asked again?
    fn retry_after(&self) -> Option<Duration>;
}
