//! From a failed call to the contract's error: the part that is the same for every cloud.
//!
//! # Flow
//! The transport says how far a call got ([`Reached`]); the cloud's own table says what its code means ([`Class`]);
//! [`provider_error`] puts the two together. Each cloud keeps *one* table and nothing else of this.
//!
//! # Guarantees
//! * The code decides before the status: clouds send refusals with status 500 and outages with 4xx.
//! * Only what certainly did nothing says so. A code that no table knows falls back on its status; an error answer
//!   without any code came from something in between, and is a puzzle rather than a refusal.
//! * A look-up changes nothing, whatever became of it.

use std::time::Duration;

use infra_core::contracts::provider::{ProviderError, Said};
use infra_core::words::clock::{Timestamp, between};
use infra_core::words::fault::{Effect, Fault};
use infra_core::words::ids::LaunchToken;

/// How far a call got before it failed. Decided where the transport is, and only there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Certainly nothing left this machine: not built, not connected, refused.
    Nothing,
    /// The request may have left; no answer came.
    Maybe,
    /// An error answer came, with this HTTP status.
    Answered(u16),
    /// A success came whose content cannot be read.
    Unreadable,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct ApiFailure {
    /// How far it got.
    pub reached: Reached,
    /// The cloud's code (empty when none came), message and request id.
    pub said: Said,
    /// From the `Retry-After` header.
    pub retry_after: Option<Duration>,
}

/// The answer to one call.
pub type Answer<T> = Result<T, ApiFailure>;

/// What kind of call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Only looks.
    Look,
    /// Creates, changes or ends something.
    Change,
}

/// What a cloud's code asks of the caller; the words are those of [`ProviderError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The key is wrong, expired or lacks a permission.
    Unauthorized,
    /// A quota is used up.
    Quota,
    /// No capacity of this type in this place.
    Capacity,
    /// Asked too often.
    Throttled,
    /// Not in a state for this verb.
    Busy,
    /// No such thing.
    NotFound,
    /// The token was used with another body.
    TokenMismatch,
    /// The token's thing has ended already.
    TokenEnded,
    /// Can never work as asked.
    Invalid,
    /// Down; a changing call may have been done.
    Unavailable,
}

/// The contract's error. `class_of` is the cloud's table: status and words of an *error answer* to what it means, or
/// `None` where the table knows nothing.
#[must_use]
pub fn provider_error(
    verb: Verb,
    failure: ApiFailure,
    class_of: impl FnOnce(u16, &Said) -> Option<Class>,
) -> ProviderError {
    let ApiFailure { reached, said, retry_after } = failure;
    // Where it cannot be known whether a changing call was done, it may have been.
    let open = if verb == Verb::Look { Effect::NotApplied } else { Effect::Unknown };
    let unavailable = |said, effect| ProviderError::Unavailable { said, effect, retry_after };
    let status = match reached {
        Reached::Nothing => return unavailable(said, Effect::NotApplied),
        Reached::Maybe => return unavailable(said, open),
        Reached::Unreadable => return ProviderError::Garbled { said },
        Reached::Answered(status) => status,
    };
    match class_of(status, &said) {
        Some(Class::Unauthorized) => ProviderError::Unauthorized { said },
        Some(Class::Quota) => ProviderError::Quota { said },
        Some(Class::Capacity) => ProviderError::Capacity { said },
        Some(Class::Throttled) => ProviderError::Throttled { said, retry_after },
        Some(Class::Busy) => ProviderError::Busy { said },
        Some(Class::NotFound) => ProviderError::NotFound { said },
        Some(Class::TokenMismatch) => ProviderError::TokenMismatch { said },
        Some(Class::TokenEnded) => ProviderError::TokenEnded { said },
        Some(Class::Invalid) => ProviderError::Invalid { said },
        Some(Class::Unavailable) => unavailable(said, open),
        None if status == 429 => ProviderError::Throttled { said, retry_after },
        // A refusal in the cloud's own words did nothing.
        None if (400..500).contains(&status) && !said.code.is_empty() => ProviderError::Invalid { said },
        None if status >= 500 => unavailable(said, open),
        None => ProviderError::Garbled { said },
    }
}

/// Matches a code against a pattern of a table: the whole code, where one `*` stands for any text.
#[must_use]
pub fn matches(pattern: &str, code: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == code,
        Some((head, tail)) => {
            code.len() >= head.len() + tail.len() && code.starts_with(head) && code.ends_with(tail)
        }
    }
}

/// A later call of a create failed after an earlier one had made the thing: whatever the error says about its own
/// call, the attempt as a whole has had an effect.
#[must_use]
pub fn half_done(error: ProviderError) -> ProviderError {
    let retry_after = error.retry_after();
    let said = match error {
        ProviderError::Invalid { said }
        | ProviderError::Unauthorized { said }
        | ProviderError::Quota { said }
        | ProviderError::Capacity { said }
        | ProviderError::Throttled { said, .. }
        | ProviderError::Busy { said }
        | ProviderError::NotFound { said }
        | ProviderError::TokenMismatch { said }
        | ProviderError::TokenEnded { said }
        | ProviderError::Unavailable { said, .. }
        | ProviderError::Garbled { said } => said,
        other => own("half-done", other.to_string()),
    };
    ProviderError::Unavailable { said, effect: Effect::Unknown, retry_after }
}

/// What the body of an attempt names was not found. It may have been made moments before the attempt: until it must show
/// everywhere, not finding it is a reason to wait, and only then one to give up.
#[must_use]
pub fn not_yet(
    error: ProviderError,
    attempt: LaunchToken,
    now: Timestamp,
    visible_within: Duration,
) -> ProviderError {
    let ProviderError::NotFound { said } = error else { return error };
    let age = drawn_at(attempt).map(|drawn| between(drawn, now));
    if age.is_some_and(|age| age < visible_within) {
        ProviderError::Busy { said }
    } else {
        ProviderError::Invalid { said }
    }
}

/// The moment inside a time-ordered token.
#[must_use]
pub fn drawn_at(token: LaunchToken) -> Option<Timestamp> {
    let (seconds, nanos) = token.0.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
}

/// Something this crate says itself, in the cloud's place.
#[must_use]
pub fn own(code: &str, message: impl Into<String>) -> Said {
    Said { code: code.to_owned(), message: message.into(), request_id: None }
}

/// A refusal before anything was sent.
#[must_use]
pub fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::Invalid { said: own("invalid", message) }
}

/// An answer that makes no sense.
#[must_use]
pub fn garbled(message: impl Into<String>) -> ProviderError {
    ProviderError::Garbled { said: own("garbled", message) }
}

/// How long a create call may still take; an error when it may not leave any more. Asked just before the call, on the
/// clock that also counts suspended time.
///
/// # Errors
/// [`ProviderError::NotSent`] when nothing is left.
pub fn time_left(
    now: Duration,
    deadline: Duration,
    call_timeout: Duration,
) -> Result<Duration, ProviderError> {
    let left = deadline.saturating_sub(now);
    if left.is_zero() {
        return Err(ProviderError::NotSent { why: "the deadline for sending has passed".to_owned() });
    }
    Ok(left.min(call_timeout))
}
