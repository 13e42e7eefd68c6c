//! Clouds: a driver connects a tenant's key to a region; a provider is one such connection.
//!
//! # Flow
//! `launch` sends one frozen body under one token. Whatever the answer, `find` asks later what became of the
//! token; `list_owned` shows everything with our mark; `get` asks for single ids; `act` does one thing to one
//! proven handle.
//!
//! # Guarantees asked of implementers
//! * `launch` sends exactly the frozen body: nothing is resolved, drawn or looked up at send time, the mark goes
//!   *in the create call itself*, and it never retries by itself.
//! * Nothing but `act` changes or ends a thing that exists, and `act` takes only [`OwnedHandle`]s.
//! * An absence is a value ([`Sighting::Absent`]), never an error; an authorisation failure is never an absence.
//! * Every call has a timeout; a call whose future is dropped may still have happened.
//!
//! # Errors
//! [`ProviderError`]: `effect` is decided once, where the transport knows whether the request may have left.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::nouns::cloud::{Accepted, Act, Cursor, Observed, OwnedPage, PowerMode, Sighting};
use crate::nouns::credential::Credential;
use crate::nouns::launch::FrozenLaunch;
use crate::nouns::offering::Catalogue;
use crate::words::clock::Timestamp;
use crate::words::fault::{Effect, Fault, FaultKind};
use crate::words::ids::{AccountId, CloudName, InstallationId, LaunchToken, Region, ResourceId};
use crate::words::lane::{Endpoint, Lane, Mark, ResourceKind};
use crate::words::limits::Rate;
use crate::words::secret::Secret;

/// Does the cloud have an idempotency token for creating this kind?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
    /// No: an unknown outcome is never re-sent.
    None,
    /// Yes: the same token and body answers the same thing, and whatever was made under a token bears it as its
    /// stamp: what bears none is not taken for ours.
    Token {
        /// How long the cloud remembers a token after its thing ended.
        valid_after_end: Duration,
        /// Is the token's scope the zone when one is named?
        per_zone: bool,
    },
}

/// What is true of one kind in one cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindFacts {
    /// Which kind.
    pub kind: ResourceKind,
    /// Its idempotency token.
    pub token: TokenScope,
    /// Things one call can make.
    pub max_batch: u16,
    /// What was created is shown, by id and in listings, at the latest after this.
    pub visible_within: Duration,
    /// An ended thing is still shown as ended for this long; zero when it vanishes at once.
    pub gone_shown_for: Duration,
    /// Is it shown only to whoever made it, as Nova's key pairs are? Then no other key of the account is asked about it:
    /// an absence told to another one proves nothing.
    pub of_maker: bool,
}

/// Capabilities as data, never a downcast.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Kinds it can make.
    pub kinds: Vec<KindFacts>,
    /// Ways to turn a machine off; the first is the default.
    pub off_modes: Vec<PowerMode>,
    /// Documented rate of create calls.
    pub create_rate: Rate,
    /// Documented rate of terminate calls.
    pub terminate_rate: Rate,
    /// Create calls in flight at once.
    pub open_creates_max: u32,
    /// How seldom it wants to be looked at.
    pub reads: ReadPace,
    /// Is what runs here real money? Shown to users as `simulated` when not.
    pub simulated: bool,
    /// Whom its images let in.
    pub login: LoginScheme,
}

/// The least time between reads of one lane, for clouds that count every request of an account: what looking takes is
/// missing for creating and ending. An installation's own intervals hold where they are longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadPace {
    /// Between two looks at what is in motion; zero where the cloud does not mind.
    pub look_every: Duration,
    /// Between two listings; zero likewise.
    pub list_every: Duration,
}

/// Whom a cloud's public images let in with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginScheme {
    /// `root`, whatever the image.
    Root,
    /// The image's own user, as its makers chose it: `ubuntu`, `debian`, ...
    ByImage,
    /// As on EC2: the image's own user, `admin` on Debian, `ec2-user` on what Amazon made.
    Ec2,
}

impl LoginScheme {
    /// The user to log in as, on an image of this operating system (`ubuntu 24.04`). `None` when nobody knows: an image
    /// by its id may let in anybody.
    #[must_use]
    pub fn user(self, os: Option<&str>) -> Option<&'static str> {
        if self == Self::Root {
            return Some("root");
        }
        let maker = os?.split(' ').next().unwrap_or_default().to_ascii_lowercase();
        Some(match (maker.as_str(), self) {
            ("ubuntu", _) => "ubuntu",
            ("debian", Self::Ec2) => "admin",
            ("debian", _) => "debian",
            ("fedora", _) => "fedora",
            ("rocky", _) => "rocky",
            ("cirros", _) => "cirros",
            ("almalinux" | "alma", Self::ByImage) => "almalinux",
            ("centos" | "rhel", Self::ByImage) => "cloud-user",
            ("opensuse", Self::ByImage) => "opensuse",
            ("arch", _) => "arch",
            ("amazon" | "al2023" | "almalinux" | "alma" | "centos" | "rhel" | "suse" | "sles", Self::Ec2) => {
                "ec2-user"
            }
            _ => return None,
        })
    }
}

impl Facts {
    /// What is true of a kind here; `None` when it cannot be made here.
    #[must_use]
    pub fn kind(&self, kind: ResourceKind) -> Option<&KindFacts> {
        self.kinds.iter().find(|facts| facts.kind == kind)
    }
}

/// Who a key is, as the cloud says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who pays.
    pub account: AccountId,
    /// Who acts: an ARN, a team, a project.
    pub principal: String,
}

/// What an attempt may be looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindQuery {
    /// The attempt.
    pub token: LaunchToken,
    /// What it makes.
    pub kind: ResourceKind,
    /// Its unique name.
    pub name: String,
    /// Not made before this moment.
    pub since: Timestamp,
}

/// What a holder of a handle may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Authority {
    /// Turn on and off and mark; adopted things get no more.
    Power,
    /// End it, too.
    PowerAndTerminate,
}

/// A freshly proven thing of ours: its id stands in the ledger *and* its mark agrees.
///
/// Only the ledger's proof makes one, so "terminate something that is not ours" cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedHandle {
    pub(crate) id: ResourceId,
    pub(crate) kind: ResourceKind,
    pub(crate) lane: Lane,
    pub(crate) mark: Mark,
    pub(crate) may: Authority,
    pub(crate) seen_at: Duration,
}

impl OwnedHandle {
    /// The cloud's id.
    #[must_use]
    pub const fn id(&self) -> &ResourceId {
        &self.id
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> ResourceKind {
        self.kind
    }

    /// Where it is.
    #[must_use]
    pub const fn lane(&self) -> &Lane {
        &self.lane
    }

    /// The mark it was proven by.
    #[must_use]
    pub const fn mark(&self) -> &Mark {
        &self.mark
    }

    /// What may be done to it.
    #[must_use]
    pub const fn may(&self) -> Authority {
        self.may
    }

    /// When it was seen, by the monotonic clock of the replica that proved it.
    #[must_use]
    pub const fn seen_at(&self) -> Duration {
        self.seen_at
    }

    /// A handle without proof, for laws of implementers.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn unproven(id: ResourceId, kind: ResourceKind, lane: Lane, mark: Mark) -> Self {
        Self { id, kind, lane, mark, may: Authority::PowerAndTerminate, seen_at: Duration::ZERO }
    }
}

/// May a connection to `lane` do this to what the handle proves? Every implementer asks it at the head of `act`, before
/// anything is looked up or sent.
///
/// # Errors
/// [`ProviderError::NotSent`] for a handle of another lane, where the same id may be somebody else's, and for ending
/// what may only be turned on and off.
pub fn allowed(on: &OwnedHandle, lane: &Lane, act: Act) -> Result<(), ProviderError> {
    if on.lane() != lane {
        let why = format!("{} is in lane {}, this is {lane}", on.id(), on.lane());
        return Err(ProviderError::NotSent { why });
    }
    if act == Act::Terminate && on.may() != Authority::PowerAndTerminate {
        return Err(ProviderError::NotSent { why: format!("{} may not be ended", on.id()) });
    }
    Ok(())
}

/// A metric to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricQuery {
    /// Which: `cpu_percent`, `net_bytes`.
    pub metric: String,
    /// From.
    pub from: Timestamp,
    /// To.
    pub to: Timestamp,
}

/// Points of one thing. No points means nobody knows, never zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Of which thing.
    pub id: ResourceId,
    /// When and how much.
    pub points: Vec<(Timestamp, f64)>,
}

/// What a create call is made with, besides the frozen body.
#[derive(Debug, Clone)]
pub struct Send {
    /// First-boot data, opened from the body's seal just before the call.
    pub user_data: Option<Secret>,
    /// Files for the first boot: a JSON object of path and text, opened likewise.
    pub files: Option<Secret>,
    /// The call must not leave after this moment of the caller's monotonic clock.
    pub deadline: Duration,
}

/// Makes providers for tenants. Registered once; [`CloudDriver::connect`] runs whenever a key is used.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait CloudDriver: std::marker::Send + Sync + Debug {
    /// Its configured name.
    fn name(&self) -> CloudName;

    /// Where its API is.
    fn endpoint(&self) -> Endpoint;

    /// The regions it is configured for.
    fn regions(&self) -> Vec<Region>;

    /// Fields that a key of this kind may have, by their wire names; `None` for a kind that is not known here, or when the
    /// driver does not say. Asked before anything of a key leaves: a field that nobody reads is a mistake of whoever saves it.
    fn key_fields(&self, _kind: &str) -> Option<Vec<&'static str>> {
        None
    }

    /// Who is this key? Asked before it is saved.
    ///
    /// # Errors
    /// [`ProviderError::Unauthorized`] when the cloud says no; anything else means unverified.
    async fn identify(&self, credential: &Credential) -> Result<Identity, ProviderError>;

    /// Connects a key to one lane. Does no I/O that changes anything.
    ///
    /// # Errors
    /// [`ProviderError`] when the key's form is wrong or the region unknown.
    async fn connect(
        &self,
        credential: &Credential,
        lane: &Lane,
        installation: InstallationId,
    ) -> Result<Arc<dyn CloudProvider>, ProviderError>;
}

/// One key in one lane: the minimum for implementers, one verb set for machines and everything else.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait CloudProvider: std::marker::Send + Sync + Debug {
    /// Capabilities as data.
    fn facts(&self) -> &Facts;

    /// Who is this key, now? Asked before any absence is believed.
    ///
    /// # Errors
    /// [`ProviderError`].
    async fn identify(&self) -> Result<Identity, ProviderError>;

    /// Types, zones, prices, images.
    ///
    /// # Errors
    /// [`ProviderError`].
    async fn catalogue(&self) -> Result<Catalogue, ProviderError>;

    /// Sends one attempt: exactly these bytes, once. Answers `frozen.count` things.
    ///
    /// # Errors
    /// [`ProviderError`] with the effect of *this* send.
    async fn launch(&self, frozen: &FrozenLaunch, send: &Send) -> Result<Vec<Observed>, ProviderError>;

    /// What did an attempt make? By the strongest key this cloud has; empty means not seen, not absent.
    ///
    /// # Errors
    /// [`ProviderError`].
    async fn find(&self, query: &FindQuery) -> Result<Vec<Observed>, ProviderError>;

    /// Looks at single things of one kind, in any state, in the order asked.
    ///
    /// # Errors
    /// [`ProviderError`].
    async fn get(&self, kind: ResourceKind, ids: &[ResourceId]) -> Result<Vec<Sighting>, ProviderError>;

    /// Everything that carries this installation's mark, of every kind, page by page.
    ///
    /// # Errors
    /// [`ProviderError`].
    async fn list_owned(&self, after: Option<Cursor>) -> Result<OwnedPage, ProviderError>;

    /// Does one thing to one proven thing. Ending something that has already ended is accepted.
    ///
    /// # Errors
    /// [`ProviderError`] with its effect.
    async fn act(&self, on: &OwnedHandle, act: Act) -> Result<Accepted, ProviderError>;

    /// Reads a metric.
    ///
    /// # Errors
    /// [`ProviderError`]; [`ProviderError::Invalid`] for a metric this cloud does not have.
    async fn measure(&self, ids: &[ResourceId], query: &MetricQuery) -> Result<Vec<Series>, ProviderError>;
}

/// What a cloud said, in one line, with its own code and request id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// The provider's code.
    pub code: String,
    /// The provider's message.
    pub message: String,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        self.request_id.as_ref().map_or(Ok(()), |id| write!(f, " (request {id})"))
    }
}

/// Why a cloud did not do it. Each variant fixes its [`FaultKind`]; `effect` stands where it can differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// Can never work as asked.
    #[error("refused: {said}")]
    Invalid {
        /// What the cloud said.
        said: Said,
    },
    /// The key is wrong, expired or lacks a permission.
    #[error("not authorised: {said}")]
    Unauthorized {
        /// What the cloud said.
        said: Said,
    },
    /// A quota is used up.
    #[error("quota reached: {said}")]
    Quota {
        /// What the cloud said.
        said: Said,
    },
    /// No capacity of this type in this zone.
    #[error("no capacity: {said}")]
    Capacity {
        /// What the cloud said.
        said: Said,
    },
    /// Asked too often.
    #[error("throttled: {said}")]
    Throttled {
        /// What the cloud said.
        said: Said,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Not in a state for this verb.
    #[error("busy: {said}")]
    Busy {
        /// What the cloud said.
        said: Said,
    },
    /// No such thing. A look-up answers [`Sighting::Absent`] instead.
    #[error("not found: {said}")]
    NotFound {
        /// What the cloud said.
        said: Said,
    },
    /// The token was used with another body: something may exist.
    #[error("token used with another body: {said}")]
    TokenMismatch {
        /// What the cloud said.
        said: Said,
    },
    /// The token's thing has ended already.
    #[error("token's machine has ended: {said}")]
    TokenEnded {
        /// What the cloud said.
        said: Said,
    },
    /// Down, slow, lost.
    #[error("provider unavailable: {said}")]
    Unavailable {
        /// What happened.
        said: Said,
        /// May the call have been done?
        effect: Effect,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// An answer that cannot be read.
    #[error("unreadable answer: {said}")]
    Garbled {
        /// What was wrong.
        said: Said,
    },
    /// Not sent: too late, or not proven.
    #[error("not sent: {why}")]
    NotSent {
        /// Why.
        why: String,
    },
}

impl Fault for ProviderError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Invalid { .. } => FaultKind::Invalid,
            Self::Unauthorized { .. } => FaultKind::Unauthorized,
            Self::Quota { .. } => FaultKind::Quota,
            Self::Capacity { .. } => FaultKind::Capacity,
            Self::Throttled { .. } => FaultKind::Throttled,
            Self::Busy { .. } => FaultKind::Busy,
            Self::NotFound { .. } => FaultKind::NotFound,
            Self::TokenMismatch { .. } => FaultKind::TokenMismatch,
            Self::TokenEnded { .. } => FaultKind::TokenEnded,
            Self::Unavailable { .. } | Self::NotSent { .. } => FaultKind::Unavailable,
            Self::Garbled { .. } => FaultKind::Internal,
        }
    }

    fn effect(&self) -> Effect {
        match self {
            Self::Unavailable { effect, .. } => *effect,
            Self::TokenMismatch { .. } | Self::Garbled { .. } => Effect::Unknown,
            _ => Effect::NotApplied,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
