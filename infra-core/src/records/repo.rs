//! Reading and writing typed records; a lost reply to a commit is answered by the same commit again.
//!
//! # Guarantees
//! * A commit is answered, refused, or its fate is said to be unknown after several tries under one id: never
//!   repeated under another, which would do it twice.
//! * Lists are whole: every page is read, and each record that exists throughout stands on exactly one of
//!   them.
//!
//! # Errors
//! A conflict is an answer, and the only one that asks for reading again. Unknown after all tries means that
//! nothing which needs the commit may go on; what it was about is found by the next look at the records.
//!
//! # Caveats
//! Bodies are JSON: a field that an older version does not know is dropped when it rewrites the record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::contracts::observer::{NoObserver, Observer};
use crate::contracts::store::{
    Changes, DueQuery, Key, ListBy, ListQuery, Record, RecordKind, ReservationStore, StoreError,
};
use crate::words::clock::{Clock, Timestamp};
use crate::words::entropy::Entropy;
use crate::words::fault::{Effect, Fault, FaultKind};
use crate::words::ids::{CommitId, TenantId, UserId};
use crate::words::lane::{LaneId, Version};
use crate::words::planted::{Bug, Planted};

use super::keys::Stored;
use super::txn::Txn;

/// A record with the version it was read at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// What it says.
    pub value: T,
    /// Number of the commit that wrote it.
    pub version: Version,
}

/// Why typed access failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A body does not read as what it should be.
    #[error("{kind:?} {id} cannot be read")]
    Unreadable {
        /// What it should be.
        kind: RecordKind,
        /// Which.
        id: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

impl RepoError {
    /// Did somebody else write first?
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind() == FaultKind::Conflict
    }
}

impl Fault for RepoError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Unreadable { .. } => FaultKind::Internal,
        }
    }

    fn effect(&self) -> Effect {
        match self {
            Self::Store(error) => error.effect(),
            Self::Unreadable { .. } => Effect::NotApplied,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// How often the same commit is sent again while its fate is unknown.
const COMMIT_TRIES: u32 = 5;

/// Typed access to a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repo {
    store: Arc<dyn ReservationStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    shards: u16,
    newest_seen: Arc<AtomicU64>,
    planted: Planted,
    observer: Arc<dyn Observer>,
}

impl Repo {
    /// Typed access over a store whose tenants fall into `shards` shards.
    #[must_use]
    pub fn new(
        store: Arc<dyn ReservationStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        shards: u16,
        planted: Planted,
    ) -> Self {
        let (newest_seen, observer) = (Arc::default(), Arc::new(NoObserver));
        Self { store, clock, entropy, shards, newest_seen, planted, observer }
    }

    /// The same, watched: commits, and everything that is done through these records.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Who watches.
    #[must_use]
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.observer)
    }

    /// How many shards tenants fall into.
    #[must_use]
    pub const fn shards(&self) -> u16 {
        self.shards
    }

    /// Can only one process have the store open?
    #[must_use]
    pub fn exclusive(&self) -> bool {
        self.store.limits().exclusive
    }

    /// An empty transaction.
    #[must_use]
    pub const fn txn(&self) -> Txn {
        Txn::new(self.shards)
    }

    /// How many changes fit one commit.
    #[must_use]
    pub fn changes_max(&self) -> usize {
        self.store.limits().changes_max
    }

    /// Reads one record.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn get<T: Stored>(&self, key: Key) -> Result<Option<Versioned<T>>, RepoError> {
        let mut found = self.store.get(&[key]).await?;
        found.pop().flatten().as_ref().map(decode).transpose()
    }

    /// Reads raw records from one snapshot.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn get_raw(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, RepoError> {
        Ok(self.store.get(keys).await?)
    }

    /// Reads a record and another one from one snapshot, with one question to the store.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn get_both<A: Stored, B: Stored>(&self, a: Key, b: Key) -> Result<Both<A, B>, RepoError> {
        let found = self.store.get(&[a, b]).await?;
        let mut found = found.into_iter();
        let (a, b) = (found.next().flatten(), found.next().flatten());
        Ok((a.as_ref().map(decode).transpose()?, b.as_ref().map(decode).transpose()?))
    }

    /// Reads records of one kind from one snapshot, with one question to the store; each in the place of its key.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn get_all<T: Stored>(&self, keys: &[Key]) -> Result<Vec<Option<Versioned<T>>>, RepoError> {
        let found = self.store.get(keys).await?;
        found.iter().map(|record| record.as_ref().map(decode).transpose()).collect()
    }

    /// Sends a commit until its fate is known.
    ///
    /// # Errors
    /// [`RepoError`]; with effect Unknown when the store never gave a definite answer: then nothing that
    /// needs this commit may go on.
    pub async fn commit(&self, txn: Txn) -> Result<Version, RepoError> {
        let commit = txn.into_commit(CommitId::draw(self.clock.wall(), &*self.entropy));
        let mut pause = Duration::from_millis(20);
        for last in [false; COMMIT_TRIES as usize - 1].into_iter().chain([true]) {
            let begun = self.clock.mono();
            let answer = self.store.commit(&commit).await;
            let took = self.clock.mono().saturating_sub(begun);
            self.observer.store_commit(answer.as_ref().err().map(Fault::kind), took);
            match answer {
                Ok(version) => {
                    self.saw(version);
                    return Ok(version);
                }
                Err(error) if error.effect() == Effect::Unknown => {
                    if self.planted.is(Bug::C21UnknownCommitTrusted) {
                        return Ok(Version(self.newest_seen.load(Ordering::Relaxed)));
                    }
                    if last {
                        return Err(error.into());
                    }
                    self.clock.sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("the last try returns")
    }

    /// All records of a kind under a prefix, optionally only the open ones.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn list_prefix<T: Stored>(
        &self,
        tenant: &TenantId,
        prefix: &str,
        state_max: Option<u8>,
    ) -> Result<Vec<Versioned<T>>, RepoError> {
        let by = ListBy::Tenant { tenant: tenant.clone(), prefix: prefix.to_owned() };
        self.list_all(by, state_max).await
    }

    /// All records of a kind in a lane, optionally only the open ones.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn list_lane<T: Stored>(
        &self,
        lane: &LaneId,
        state_max: Option<u8>,
    ) -> Result<Vec<Versioned<T>>, RepoError> {
        self.list_all(ListBy::Lane(lane.clone()), state_max).await
    }

    /// All records of a kind that a user owns within a tenant.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn list_owner<T: Stored>(
        &self,
        tenant: &TenantId,
        owner: &UserId,
        state_max: Option<u8>,
    ) -> Result<Vec<Versioned<T>>, RepoError> {
        self.list_all(ListBy::Owner { tenant: tenant.clone(), owner: owner.clone() }, state_max).await
    }

    /// Every page of a list.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn list_all<T: Stored>(
        &self,
        by: ListBy,
        state_max: Option<u8>,
    ) -> Result<Vec<Versioned<T>>, RepoError> {
        let mut all = Vec::new();
        self.each(by, T::KIND, state_max, |record| {
            all.push(decode(record)?);
            Ok(())
        })
        .await?;
        Ok(all)
    }

    /// Hands every record of a list to `take`, in order, page by page; ends with its first error.
    pub(super) async fn each(
        &self,
        by: ListBy,
        kind: RecordKind,
        state_max: Option<u8>,
        mut take: impl FnMut(&Record) -> Result<(), RepoError> + Send,
    ) -> Result<(), RepoError> {
        let limit = self.store.limits().page_max;
        let mut query = ListQuery { by, kind, state_max, after: None, limit };
        loop {
            let page = self.store.list(&query).await?;
            page.items.iter().try_for_each(&mut take)?;
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// One page of a list, as asked.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn list_page<T: Stored>(
        &self,
        query: &ListQuery,
    ) -> Result<(Vec<Versioned<T>>, Option<Key>), RepoError> {
        let page = self.store.list(query).await?;
        let items = page.items.iter().map(decode).collect::<Result<_, _>>()?;
        Ok((items, page.next))
    }

    /// Records of a kind that are due in a shard.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn due<T: Stored>(
        &self,
        shard: u16,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<Versioned<T>>, RepoError> {
        let query = DueQuery { shard, kind: T::KIND, at, limit };
        self.store.due(&query).await?.iter().map(decode).collect()
    }

    /// What changed after a version.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn changes(&self, after: Version, wait: Duration) -> Result<Changes, RepoError> {
        let changes = self.store.changes(after, wait).await?;
        self.saw(changes.newest);
        Ok(changes)
    }

    /// The store's newest commit, asked now.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn newest(&self) -> Result<Version, RepoError> {
        Ok(self.changes(Version(u64::MAX), Duration::ZERO).await?.newest)
    }

    fn saw(&self, version: Version) {
        self.newest_seen.fetch_max(version.0, Ordering::Relaxed);
    }
}

/// Two records, where they are.
type Both<A, B> = (Option<Versioned<A>>, Option<Versioned<B>>);

pub(super) fn decode<T: Stored>(record: &Record) -> Result<Versioned<T>, RepoError> {
    let value = serde_json::from_slice(&record.body).map_err(|source| RepoError::Unreadable {
        kind: record.key.kind,
        id: record.key.id.clone(),
        source,
    })?;
    Ok(Versioned { value, version: record.version })
}
