//! Why a connection could not be had.

use std::time::Duration;

use crate::contracts::provider::ProviderError;
use crate::records::RepoError;
use crate::words::fault::{Effect, Fault, FaultKind};
use crate::words::ids::{CloudName, CredentialId, TenantId};
use crate::words::lane::{Endpoint, Lane};
use crate::words::secret::SealError;

/// Why a connection could not be had. None of it says anything about what exists in the cloud.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Two drivers of one name were registered.
    #[error("two drivers are named {cloud}")]
    SameName {
        /// The name.
        cloud: CloudName,
    },
    /// The cloud is not configured here.
    #[error("no driver is named {cloud}")]
    NoDriver {
        /// The name.
        cloud: CloudName,
    },
    /// The cloud is configured with another endpoint than the lane has: another lane.
    #[error("{lane} is at {:?}, but its driver is configured for {:?}", lane.endpoint.0, configured.0)]
    OtherEndpoint {
        /// The lane.
        lane: Lane,
        /// What is configured.
        configured: Endpoint,
    },
    /// No key of the tenant reaches the lane's account any more.
    #[error("{tenant} has no key for {lane}")]
    NoKey {
        /// Whose.
        tenant: TenantId,
        /// Where.
        lane: Lane,
    },
    /// The sealed key does not open.
    #[error("key {credential} does not open")]
    Sealed {
        /// Which.
        credential: CredentialId,
        /// Why.
        #[source]
        source: SealError,
    },
    /// The store is not opened, or the opened key is not what was sealed.
    #[error("internal: {why}")]
    Internal {
        /// What was found.
        why: String,
    },
    /// The driver or the cloud said no.
    #[error("{lane}: {source}")]
    Provider {
        /// Where.
        lane: Box<Lane>,
        /// What it said.
        #[source]
        source: Box<ProviderError>,
    },
    /// The store did not answer.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

impl Fault for ConnectError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::SameName { .. } | Self::NoDriver { .. } | Self::OtherEndpoint { .. } => FaultKind::Invalid,
            Self::NoKey { .. } | Self::Sealed { .. } => FaultKind::Unauthorized,
            Self::Internal { .. } => FaultKind::Internal,
            Self::Provider { source, .. } => source.kind(),
            Self::Repo(error) => error.kind(),
        }
    }

    fn effect(&self) -> Effect {
        match self {
            Self::Repo(error) => error.effect(),
            _ => Effect::NotApplied,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Provider { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}
