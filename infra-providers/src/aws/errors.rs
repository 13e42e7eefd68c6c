//! One table: what EC2 said, and how far the call got, to what the caller must do.
//!
//! # Flow
//! The code decides first, because EC2 sends some refusals with status 500 (no capacity) and 503 (throttled).
//! An unknown code falls back on its status, and only what certainly did nothing says so.
//!
//! Codes: "Error codes for the Amazon EC2 API", developer guide.

use infra_core::contracts::provider::ProviderError;

use crate::failure::{self, ApiFailure, Class, Verb, matches};

/// A pattern matches the whole code; a leading or trailing `*` stands for any text. The first match counts.
const CODES: &[(&str, Class)] = &[
    ("IdempotentParameterMismatch", Class::TokenMismatch),
    ("IdempotentInstanceTerminated", Class::TokenEnded),
    ("RequestLimitExceeded", Class::Throttled),
    ("Throttling*", Class::Throttled),
    ("TooManyRequestsException", Class::Throttled),
    ("BandwidthLimitExceeded", Class::Throttled),
    ("Insufficient*Capacity", Class::Capacity),
    ("InsufficientFreeAddressesInSubnet", Class::Capacity),
    ("SpotMaxPriceTooLow", Class::Capacity),
    ("TagLimitExceeded", Class::Invalid),
    ("*LimitExceeded", Class::Quota),
    ("MaxSpotInstanceCountExceeded", Class::Quota),
    ("PendingVerification", Class::Quota),
    ("AuthFailure", Class::Unauthorized),
    ("AuthorizationHeaderMalformed", Class::Unauthorized),
    ("AccessDenied*", Class::Unauthorized),
    ("UnauthorizedOperation", Class::Unauthorized),
    ("InvalidClientTokenId", Class::Unauthorized),
    ("SignatureDoesNotMatch", Class::Unauthorized),
    ("IncompleteSignature", Class::Unauthorized),
    ("MissingAuthenticationToken", Class::Unauthorized),
    ("OptInRequired", Class::Unauthorized),
    ("Blocked", Class::Unauthorized),
    ("ExpiredToken*", Class::Unauthorized),
    ("RequestExpired", Class::Unauthorized),
    ("IncorrectInstanceState", Class::Busy),
    ("IncorrectState", Class::Busy),
    ("IncorrectSpotRequestState", Class::Busy),
    ("DependencyViolation", Class::Busy),
    ("InvalidGroup.InUse", Class::Busy),
    ("ConcurrentTagAccess", Class::Busy),
    ("ResourceCountExceeded", Class::Quota),
    ("InvalidAMIID.*", Class::Invalid),
    ("InvalidInstanceType.*", Class::Invalid),
    ("InvalidSubnetID.*", Class::Invalid),
    ("*.NotFound", Class::NotFound),
    ("InvalidInstanceID.Malformed", Class::NotFound),
    ("InvalidGroupId.Malformed", Class::NotFound),
    ("InvalidParameter*", Class::Invalid),
    ("Unsupported*", Class::Invalid),
    ("ServiceUnavailable", Class::Unavailable),
    ("Unavailable", Class::Unavailable),
    ("InternalError", Class::Unavailable),
    ("InternalFailure", Class::Unavailable),
    ("Server.InternalError", Class::Unavailable),
];

fn class_of(code: &str) -> Option<Class> {
    CODES.iter().find(|(pattern, _)| matches(pattern, code)).map(|(_, class)| *class)
}

/// Turns a failed call into the contract's error.
#[must_use]
pub fn provider_error(verb: Verb, failure: ApiFailure) -> ProviderError {
    failure::provider_error(verb, failure, |_, said| class_of(&said.code))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use infra_core::contracts::provider::Said;
    use infra_core::words::fault::{Effect, Fault, FaultKind};

    use super::*;
    use crate::failure::{Reached, half_done};

    fn error(verb: Verb, reached: Reached, code: &str) -> ProviderError {
        let said = Said { code: code.into(), message: "why".into(), request_id: Some("req-1".into()) };
        provider_error(verb, ApiFailure { reached, said, retry_after: Some(Duration::from_secs(7)) })
    }

    #[test]
    fn every_code_says_what_the_caller_must_do() {
        use Effect::{NotApplied, Unknown};
        for (status, code, kind, effect) in [
            (500, "InsufficientInstanceCapacity", FaultKind::Capacity, NotApplied),
            (500, "InsufficientHostCapacity", FaultKind::Capacity, NotApplied),
            (400, "InstanceLimitExceeded", FaultKind::Quota, NotApplied),
            (400, "VcpuLimitExceeded", FaultKind::Quota, NotApplied),
            (400, "SecurityGroupLimitExceeded", FaultKind::Quota, NotApplied),
            (400, "TagLimitExceeded", FaultKind::Invalid, NotApplied),
            (503, "RequestLimitExceeded", FaultKind::Throttled, NotApplied),
            (400, "Throttling", FaultKind::Throttled, NotApplied),
            (400, "ThrottlingException", FaultKind::Throttled, NotApplied),
            (401, "AuthFailure", FaultKind::Unauthorized, NotApplied),
            (403, "UnauthorizedOperation", FaultKind::Unauthorized, NotApplied),
            (403, "InvalidClientTokenId", FaultKind::Unauthorized, NotApplied),
            (403, "SignatureDoesNotMatch", FaultKind::Unauthorized, NotApplied),
            (403, "ExpiredToken", FaultKind::Unauthorized, NotApplied),
            (403, "AccessDenied", FaultKind::Unauthorized, NotApplied),
            (400, "IdempotentParameterMismatch", FaultKind::TokenMismatch, Unknown),
            (400, "IdempotentInstanceTerminated", FaultKind::TokenEnded, NotApplied),
            (400, "InvalidInstanceID.NotFound", FaultKind::NotFound, NotApplied),
            (400, "InvalidGroup.NotFound", FaultKind::NotFound, NotApplied),
            (400, "InvalidAMIID.NotFound", FaultKind::Invalid, NotApplied),
            (400, "InvalidAMIID.Malformed", FaultKind::Invalid, NotApplied),
            (400, "InvalidParameterValue", FaultKind::Invalid, NotApplied),
            (400, "InvalidParameterCombination", FaultKind::Invalid, NotApplied),
            (400, "InvalidSubnetID.NotFound", FaultKind::Invalid, NotApplied),
            (400, "UnsupportedHibernationConfiguration", FaultKind::Invalid, NotApplied),
            (400, "Unsupported", FaultKind::Invalid, NotApplied),
            (400, "UnsupportedOperation", FaultKind::Invalid, NotApplied),
            (400, "IncorrectInstanceState", FaultKind::Busy, NotApplied),
            (400, "DependencyViolation", FaultKind::Busy, NotApplied),
            (500, "InternalError", FaultKind::Unavailable, Unknown),
            (503, "Unavailable", FaultKind::Unavailable, Unknown),
            (400, "SomethingNew", FaultKind::Invalid, NotApplied),
            (500, "SomethingNew", FaultKind::Unavailable, Unknown),
            (429, "SomethingNew", FaultKind::Throttled, NotApplied),
            (502, "", FaultKind::Unavailable, Unknown),
            (408, "", FaultKind::Internal, Unknown),
        ] {
            let error = error(Verb::Change, Reached::Answered(status), code);
            assert_eq!((error.kind(), error.effect()), (kind, effect), "{status} {code}");
            assert!(error.to_string().contains("req-1"), "{error}");
        }
    }

    #[test]
    fn a_lost_answer_is_unknown_and_a_call_that_never_left_is_not() {
        for (verb, reached, effect) in [
            (Verb::Change, Reached::Maybe, Effect::Unknown),
            (Verb::Change, Reached::Nothing, Effect::NotApplied),
            (Verb::Look, Reached::Maybe, Effect::NotApplied),
            (Verb::Change, Reached::Unreadable, Effect::Unknown),
        ] {
            assert_eq!(error(verb, reached, "").effect(), effect, "{verb:?} {reached:?}");
        }
    }

    #[test]
    fn a_refusal_after_the_first_half_never_counts_as_refused() {
        let errors = CODES.iter().map(|(code, _)| error(Verb::Change, Reached::Answered(400), code));
        for error in errors.chain([ProviderError::NotSent { why: "late".into() }]) {
            let half = half_done(error.clone());
            assert_eq!(half.effect(), Effect::Unknown, "{error}");
            assert_eq!(half.retry_after(), error.retry_after(), "{error}");
        }
    }

    #[test]
    fn throttling_hands_on_when_to_come_back() {
        let error = error(Verb::Change, Reached::Answered(503), "RequestLimitExceeded");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
}
