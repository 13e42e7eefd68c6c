//! The store: versioned records, compare-and-swap commits, and nothing about what they mean.
//!
//! # Flow
//! Readers `get` or `list`; a writer sends one [`Commit`] of at most [`StoreLimits::changes_max`] changes, each
//! with what it expects to find. All of them happen or none.
//!
//! # Guarantees asked of implementers
//! * An acknowledged commit survives the crash of the process (and of the machine, for durable stores).
//! * [`Version`]s rise with every commit and are never given twice, deletions included.
//! * The same [`Commit::id`] again answers the same version and changes nothing, as long as one of its records
//!   still carries it or for at least an hour: this is how a writer learns the fate of a lost reply.
//! * `get` answers from one snapshot.
//!
//! # Errors
//! [`StoreError`] says by [`Fault::effect`] whether the commit may have happened. `Unknown` is answered by
//! sending the *same* commit again, never by going on.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::words::clock::Timestamp;
use crate::words::fault::{Effect, Fault, FaultKind};
use crate::words::ids::{CommitId, TenantId, UserId};
use crate::words::lane::{LaneId, Version};

/// What a record is. The number is its place in durable stores: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RecordKind {
    /// The installation, one per store.
    Installation = 0,
    /// A reservation.
    Reservation = 1,
    /// A unit; id `reservation/no`.
    Unit = 2,
    /// A launch; id `reservation/token`.
    Launch = 3,
    /// From a token to its launch's key.
    TokenRef = 4,
    /// An event to deliver.
    Outbox = 5,
    /// A claim.
    Claim = 6,
    /// A claim's heartbeat.
    Heartbeat = 7,
    /// A sealed key.
    Credential = 8,
    /// A user.
    User = 9,
    /// An access token.
    AccessToken = 10,
    /// An idempotency key.
    Idempotency = 11,
    /// A kill switch.
    Switch = 12,
    /// A lane ever used.
    Lane = 13,
    /// Kept by a front end for itself.
    FrontEnd = 14,
    /// A template: its name, and which versions of it there are.
    Template = 15,
    /// A user's profile.
    Profile = 16,
    /// A team.
    Team = 17,
    /// One version of a template; id `owner/name/version`.
    TemplateVersion = 18,
    /// When a reservation that is over may be forgotten; id as the reservation's.
    Retention = 20,
    /// What a team pays less than the lists say.
    Overlays = 21,
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [Self; 21] = [
        Self::Installation,
        Self::Reservation,
        Self::Unit,
        Self::Launch,
        Self::TokenRef,
        Self::Outbox,
        Self::Claim,
        Self::Heartbeat,
        Self::Credential,
        Self::User,
        Self::AccessToken,
        Self::Idempotency,
        Self::Switch,
        Self::Lane,
        Self::FrontEnd,
        Self::Template,
        Self::Profile,
        Self::Team,
        Self::TemplateVersion,
        Self::Retention,
        Self::Overlays,
    ];
}

/// Where a record stands: no look-up is without a tenant. Children stand under `parent/child`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Whose.
    pub tenant: TenantId,
    /// What.
    pub kind: RecordKind,
    /// Which.
    pub id: String,
}

/// What a record can be found by, besides its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Index {
    /// Its owner.
    pub owner: Option<UserId>,
    /// Shard of tenants, for `due`.
    pub shard: u16,
    /// Its lane.
    pub lane: Option<LaneId>,
    /// Somebody must look at it then.
    pub due_at: Option<Timestamp>,
    /// A small number the engine filters by: what is over sorts above what is open.
    pub state: u8,
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where.
    pub key: Key,
    /// Number of the commit that wrote it.
    pub version: Version,
    /// The commit that wrote it.
    pub by: CommitId,
    /// What it is found by.
    pub index: Index,
    /// What it says.
    pub body: Vec<u8>,
}

/// What a change expects to find. There is no "any".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expect {
    /// No such record.
    Absent,
    /// This version of it.
    Version(Version),
}

/// One change of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Write a record whole.
    Put {
        /// Where.
        key: Key,
        /// What must be there now.
        expect: Expect,
        /// What it is found by from now on.
        index: Index,
        /// What it says from now on.
        body: Vec<u8>,
    },
    /// Remove a record.
    Delete {
        /// Where.
        key: Key,
        /// What must be there now.
        expect: Expect,
    },
    /// Change nothing, but fail the commit unless this holds: carries fences and switches.
    Check {
        /// Where.
        key: Key,
        /// What must be there now.
        expect: Expect,
    },
}

impl Change {
    /// The key it is about.
    #[must_use]
    pub const fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } | Self::Check { key, .. } => key,
        }
    }

    /// What it expects.
    #[must_use]
    pub const fn expect(&self) -> Expect {
        match self {
            Self::Put { expect, .. } | Self::Delete { expect, .. } | Self::Check { expect, .. } => *expect,
        }
    }
}

/// Several changes, all or none. A key stands in it at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its identity: the same id again is the same commit again.
    pub id: CommitId,
    /// What changes; never empty.
    pub changes: Vec<Change>,
}

/// What a store can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// Changes per commit; at least 24.
    pub changes_max: usize,
    /// Bytes per body.
    pub body_bytes_max: usize,
    /// Records per page.
    pub page_max: usize,
    /// Can only one process have this store open at a time? Then every claim of another start is a dead one's.
    pub exclusive: bool,
}

/// Which records to list. Ordered by key; a page begins after `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// By what.
    pub by: ListBy,
    /// Only this kind.
    pub kind: RecordKind,
    /// Only records whose `index.state` is at most this.
    pub state_max: Option<u8>,
    /// Begin after this key.
    pub after: Option<Key>,
    /// At most so many, cut to [`StoreLimits::page_max`]; 0 counts as 1, so that pages always lead on.
    pub limit: usize,
}

/// What a list is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListBy {
    /// A tenant's records whose id begins so; all of them for the empty prefix.
    Tenant {
        /// Whose.
        tenant: TenantId,
        /// Beginning of the id.
        prefix: String,
    },
    /// What a user owns within a tenant.
    Owner {
        /// Whose.
        tenant: TenantId,
        /// Which user.
        owner: UserId,
    },
    /// What belongs to a lane, of every tenant: for the lane's own reconciler only.
    Lane(LaneId),
    /// Every record of the kind, of every tenant: for operators and sweeps only.
    All,
}

/// Which records are due: `index.due_at <= at`, earliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueQuery {
    /// In which shard.
    pub shard: u16,
    /// Only this kind.
    pub kind: RecordKind,
    /// Due by then.
    pub at: Timestamp,
    /// At most so many.
    pub limit: usize,
}

/// A page, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, N = Key> {
    /// What is on it.
    pub items: Vec<T>,
    /// Pass as `after` for the next page; `None` on the last.
    pub next: Option<N>,
}

/// What changed since a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Keys written since, oldest change first; deleted ones may be missing.
    pub keys: Vec<Key>,
    /// Pass this as `after` next time.
    pub upto: Version,
    /// The store's newest commit, as of this answer.
    pub newest: Version,
}

/// The store.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ReservationStore: Send + Sync + Debug {
    /// What it can take.
    fn limits(&self) -> StoreLimits;

    /// Reads records by key, from one snapshot, in the order asked.
    ///
    /// # Errors
    /// [`StoreError`], effect NotApplied.
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError>;

    /// Does all changes or none, and answers the commit's number.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an expectation fails; others with their effect.
    async fn commit(&self, commit: &Commit) -> Result<Version, StoreError>;

    /// Lists records, ordered by key. A record that exists throughout all pages is on exactly one of them.
    ///
    /// # Errors
    /// [`StoreError`], effect NotApplied.
    async fn list(&self, query: &ListQuery) -> Result<Page<Record>, StoreError>;

    /// Records that somebody must look at, earliest first.
    ///
    /// # Errors
    /// [`StoreError`], effect NotApplied.
    async fn due(&self, query: &DueQuery) -> Result<Vec<Record>, StoreError>;

    /// Keys written after a version. Waits up to `wait` for the first one; polling is legal.
    ///
    /// # Errors
    /// [`StoreError`], effect NotApplied.
    async fn changes(&self, after: Version, wait: Duration) -> Result<Changes, StoreError>;
}

/// Why a store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An expectation failed: somebody wrote first.
    #[error("{kind:?} {id} is not what the commit expected")]
    Conflict {
        /// Whose.
        tenant: TenantId,
        /// What.
        kind: RecordKind,
        /// Which.
        id: String,
    },
    /// More or larger than the store takes.
    #[error("{what} is {value}, the store takes {limit}")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// How large.
        value: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The commit is not well formed: empty, or one key twice.
    #[error("malformed commit: {why}")]
    Malformed {
        /// Why.
        why: &'static str,
    },
    /// The store did not answer, or not in time.
    #[error("store does not answer: {why}")]
    Unavailable {
        /// What happened.
        why: String,
        /// May the commit have happened?
        effect: Effect,
    },
    /// Another process holds the store.
    #[error("data is in use by another process: {path}")]
    InUse {
        /// Where.
        path: String,
    },
    /// What is stored cannot be read.
    #[error("record cannot be read: {why}")]
    Corrupt {
        /// What is wrong.
        why: String,
    },
}

impl Fault for StoreError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Conflict { .. } => FaultKind::Conflict,
            Self::TooLarge { .. } | Self::Malformed { .. } => FaultKind::Invalid,
            Self::Unavailable { .. } | Self::InUse { .. } => FaultKind::Unavailable,
            Self::Corrupt { .. } => FaultKind::Internal,
        }
    }

    fn effect(&self) -> Effect {
        match self {
            Self::Unavailable { effect, .. } => *effect,
            _ => Effect::NotApplied,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }
}
