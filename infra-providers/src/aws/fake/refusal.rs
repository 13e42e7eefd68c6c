//! The sim's refusals in EC2's words.

use infra_core::contracts::provider::{ProviderError, Said};
use infra_core::words::lane::ResourceKind;

use super::Session;
use crate::failure::{ApiFailure, Reached};

impl Session {
    /// A refusal with this status, code and message.
    pub(super) fn refusal(&self, status: u16, code: &str, message: impl Into<String>) -> ApiFailure {
        self.failure(Reached::Answered(status), code, message.into())
    }

    fn failure(&self, reached: Reached, code: &str, message: String) -> ApiFailure {
        let number = self.ec2.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // Only an answer has a request id.
        let request_id = matches!(reached, Reached::Answered(_)).then(|| format!("fake-{number:08}"));
        let said = Said { code: code.to_owned(), message, request_id };
        ApiFailure { reached, said, retry_after: None }
    }

    /// What the sim said about a thing of this kind, as EC2 says it.
    pub(super) fn refused(&self, kind: ResourceKind, error: ProviderError) -> ApiFailure {
        let answered = |status, code: &str, said: Said| self.refusal(status, code, said.message);
        match error {
            ProviderError::Invalid { said } if said.code == "UnknownRegion" => {
                // There is no such host.
                self.failure(Reached::Nothing, "not-connected", said.message)
            }
            ProviderError::Invalid { said } => {
                self.refusal(400, invalid(kind, &said.code), said.message.clone())
            }
            ProviderError::Unauthorized { said } if said.code == "AuthFailure" => {
                answered(401, "AuthFailure", said)
            }
            ProviderError::Unauthorized { said } => answered(403, "UnauthorizedOperation", said),
            ProviderError::Quota { said } => answered(400, "VcpuLimitExceeded", said),
            ProviderError::Capacity { said } => answered(500, "InsufficientInstanceCapacity", said),
            ProviderError::Throttled { said, .. } => answered(503, "RequestLimitExceeded", said),
            ProviderError::Busy { said } => answered(400, busy(kind), said),
            ProviderError::NotFound { said } => answered(400, missing(kind), said),
            ProviderError::TokenMismatch { said } => answered(400, "IdempotentParameterMismatch", said),
            ProviderError::TokenEnded { said } => answered(400, "IdempotentInstanceTerminated", said),
            ProviderError::Unavailable { said, .. } if said.code == "InternalError" => {
                answered(500, "InternalError", said)
            }
            ProviderError::Unavailable { said, .. } => {
                self.failure(Reached::Maybe, "no-answer", said.message)
            }
            other => self.failure(Reached::Unreadable, "unreadable-answer", other.to_string()),
        }
    }
}

/// EC2's code for a thing that is not there.
pub(super) const fn missing(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Firewall => "InvalidGroup.NotFound",
        ResourceKind::KeyPair => "InvalidKeyPair.NotFound",
        _ => "InvalidInstanceID.NotFound",
    }
}

const fn busy(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Firewall => "DependencyViolation",
        _ => "IncorrectInstanceState",
    }
}

fn invalid(kind: ResourceKind, code: &str) -> &str {
    match (code, kind) {
        ("Duplicate", ResourceKind::KeyPair) => "InvalidKeyPair.Duplicate",
        ("Duplicate", _) => "InvalidGroup.Duplicate",
        ("InvalidImage", _) => "InvalidAMIID.NotFound",
        ("InvalidKey", _) => "InvalidKey.Format",
        ("InvalidGroup.NotFound" | "InvalidKeyPair.NotFound" | "Unsupported" | "UnsupportedOperation", _) => {
            code
        }
        _ => "InvalidParameterValue",
    }
}
