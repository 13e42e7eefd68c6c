//! What client side and cloud side say to each other; plain data, so that it goes through a socket as well.

use std::fmt;
#[cfg(any(feature = "sim-server", feature = "sim-remote"))]
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::{ProviderError, Said};
use infra_core::nouns::cloud::{Act, Cursor, Observed};
use infra_core::nouns::launch::FrozenLaunch;
use infra_core::nouns::offering::Catalogue;
use infra_core::words::clock::Timestamp;
use infra_core::words::fault::Effect;
#[cfg(any(feature = "sim-server", feature = "sim-remote"))]
use infra_core::words::fault::{Fault, FaultKind};
use infra_core::words::ids::{AccountId, InstallationId, LaunchToken, Region, ResourceId};
use infra_core::words::lane::{Mark, ResourceKind};
#[cfg(any(feature = "sim-server", feature = "sim-remote"))]
use infra_core::words::{ids::CloudName, lane::Endpoint};
use serde::{Deserialize, Serialize};

/// The way from a client to its cloud.
#[async_trait]
pub(crate) trait Port: Send + Sync + fmt::Debug {
    async fn call(&self, asked: Asked) -> Result<Answer, ProviderError>;
}

/// One call.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// The key's secret.
    pub(crate) key: String,
    pub(crate) region: Region,
    pub(crate) call: Call,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} in {}]", self.call.op(), self.region)
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    Identify,
    Catalogue,
    Launch {
        frozen: Box<FrozenLaunch>,
        user_data: Option<String>,
    },
    Find {
        token: LaunchToken,
        kind: ResourceKind,
        name: String,
        since: Timestamp,
    },
    Get {
        kind: ResourceKind,
        ids: Vec<ResourceId>,
    },
    ListOwned {
        installation: InstallationId,
        after: Option<Cursor>,
    },
    /// Every thing of a kind in the account, whoever made it: what the clouds' own listings show.
    List {
        kind: ResourceKind,
        after: Option<Cursor>,
    },
    Act {
        id: ResourceId,
        kind: ResourceKind,
        mark: Mark,
        act: Act,
    },
    Measure {
        ids: Vec<ResourceId>,
        metric: String,
        from: Timestamp,
        to: Timestamp,
    },
}

impl Call {
    /// The operation's word in rules, counts and paths.
    pub(super) const fn op(&self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Catalogue => "catalogue",
            Self::Launch { .. } => "launch",
            Self::Find { .. } => "find",
            Self::Get { .. } => "get",
            Self::ListOwned { .. } | Self::List { .. } => "list_owned",
            Self::Act { act, .. } => act.word(),
            Self::Measure { .. } => "measure",
        }
    }
}

/// One answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Identity {
        account: AccountId,
        principal: String,
    },
    Catalogue(Box<Catalogue>),
    /// Of launch and find.
    Things(Vec<Observed>),
    /// Of get: in the order asked.
    Sightings(Vec<Option<Observed>>),
    Page {
        items: Vec<Observed>,
        next: Option<Cursor>,
        complete: bool,
        as_of: Timestamp,
    },
    Accepted,
    Series(Vec<(ResourceId, Vec<(Timestamp, f64)>)>),
}

pub(super) fn said(code: &str, message: impl Into<String>) -> Said {
    Said { code: code.to_owned(), message: message.into(), request_id: None }
}

pub(super) fn invalid(code: &str, message: impl Into<String>) -> ProviderError {
    ProviderError::Invalid { said: said(code, message) }
}

pub(super) fn not_found(id: &ResourceId) -> ProviderError {
    ProviderError::NotFound { said: said("NotFound", format!("{id} is not known")) }
}

pub(super) fn lost(code: &str, message: &str) -> ProviderError {
    ProviderError::Unavailable { said: said(code, message), effect: Effect::Unknown, retry_after: None }
}

/// What a client must know of a sim before it can be used.
#[cfg(any(feature = "sim-server", feature = "sim-remote"))]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) cloud: CloudName,
    pub(super) endpoint: Endpoint,
    pub(super) regions: Vec<Region>,
    /// How long a token outlives its machine, and whether it is per zone; `None` without tokens.
    pub(super) token: Option<(Duration, bool)>,
    pub(super) max_batch: u16,
    pub(super) visible_within: Duration,
    pub(super) gone_shown_for: Duration,
    /// Per second and burst.
    pub(super) create_rate: (f64, u32),
    pub(super) terminate_rate: (f64, u32),
    pub(super) open_creates_max: u32,
}

/// An error as it goes through a socket.
#[cfg(any(feature = "sim-server", feature = "sim-remote"))]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WireError {
    kind: FaultKind,
    effect: Effect,
    code: String,
    message: String,
    retry_after_ms: Option<u64>,
}

#[cfg(any(feature = "sim-server", feature = "sim-remote"))]
impl From<&ProviderError> for WireError {
    fn from(error: &ProviderError) -> Self {
        let words = match error {
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
            | ProviderError::Garbled { said } => said.clone(),
            other => said("Unavailable", other.to_string()),
        };
        Self {
            kind: error.kind(),
            effect: error.effect(),
            code: words.code,
            message: words.message,
            retry_after_ms: error.retry_after().and_then(|after| u64::try_from(after.as_millis()).ok()),
        }
    }
}

#[cfg(any(feature = "sim-server", feature = "sim-remote"))]
impl From<WireError> for ProviderError {
    fn from(wire: WireError) -> Self {
        let said = said(&wire.code, wire.message);
        let retry_after = wire.retry_after_ms.map(Duration::from_millis);
        match wire.kind {
            FaultKind::Invalid => Self::Invalid { said },
            FaultKind::Unauthorized => Self::Unauthorized { said },
            FaultKind::Quota => Self::Quota { said },
            FaultKind::Capacity => Self::Capacity { said },
            FaultKind::Throttled => Self::Throttled { said, retry_after },
            FaultKind::Busy => Self::Busy { said },
            FaultKind::NotFound => Self::NotFound { said },
            FaultKind::TokenMismatch => Self::TokenMismatch { said },
            FaultKind::TokenEnded => Self::TokenEnded { said },
            FaultKind::Internal => Self::Garbled { said },
            _ => Self::Unavailable { said, effect: wire.effect, retry_after },
        }
    }
}
