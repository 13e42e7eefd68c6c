//! A store that breaks one law and keeps the others as well as it can: what proves that a law can fail.
//!
//! The defects are the ones that real stores have: a check before an act that is not one with it, paging by offset,
//! `LIKE`, times cut to microseconds, an index that is not moved along.
//!
//! # Caveats
//! A new law needs a defect of its own here. Without one the correct store answers, the law is content, and the
//! report names it as a survivor.

mod reads;
mod writes;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use super::Subject;
use crate::contracts::store::{
    Changes, Commit, DueQuery, Key, ListQuery, Page, Record, ReservationStore, StoreError, StoreLimits,
};
use crate::words::ids::CommitId;
use crate::words::lane::Version;

/// Breaks a correct store in the point of one law, named as the law.
#[must_use]
pub fn broken(law: &'static str, correct: Subject) -> Subject {
    Arc::new(Broken { inner: correct, law, seen: Mutex::default() })
}

/// Wraps a correct store, and bends only those calls that the law named in `law` is about. The law of that name has
/// to catch it; whether others do is nobody's concern.
#[derive(Debug)]
struct Broken {
    inner: Subject,
    law: &'static str,
    seen: Mutex<Seen>,
}

/// What some defects remember.
#[derive(Debug, Default)]
struct Seen {
    /// Commits that were refused.
    refused: BTreeSet<CommitId>,
    /// Ids given out in place of the caller's.
    replaced: u128,
    /// Number of the newest deletion, until another commit took it again.
    deletion: Option<Version>,
    /// Records that were deleted.
    gone: Vec<Record>,
    /// Records on the pages so far.
    listed: usize,
}

impl Broken {
    fn is(&self, law: &str) -> bool {
        self.law == law
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nothing panics while it remembers")
    }

    /// A record as the correct store has it, for defects that have to know before they act.
    async fn one(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        Ok(self.inner.get(std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// The number of the newest commit, for defects that answer without committing.
    async fn newest(&self) -> Result<Version, StoreError> {
        Ok(self.inner.changes(Version(u64::MAX), Duration::ZERO).await?.newest)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ReservationStore for Broken {
    /// Told one byte smaller than in force: caught by `limits_are_refused_by_name`, whose body, one byte above what
    /// is told, still goes in.
    fn limits(&self) -> StoreLimits {
        let mut limits = self.inner.limits();
        if self.is("limits_are_refused_by_name") {
            limits.body_bytes_max -= 1;
        }
        limits
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.broken_get(keys).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Version, StoreError> {
        self.broken_commit(commit).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Record>, StoreError> {
        self.broken_list(query).await
    }

    async fn due(&self, query: &DueQuery) -> Result<Vec<Record>, StoreError> {
        self.broken_due(query).await
    }

    async fn changes(&self, after: Version, wait: Duration) -> Result<Changes, StoreError> {
        self.broken_changes(after, wait).await
    }
}
