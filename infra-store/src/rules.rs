//! What every store of this crate asks of a commit before it looks at a single record.

use std::collections::BTreeSet;

use infra_core::contracts::store::{Change, Commit, Key, StoreError, StoreLimits};

/// What the stores of this crate take. 24 changes is what every store is promised to take, so nothing that works
/// here fails on a networked store later.
pub(crate) const LIMITS: StoreLimits =
    StoreLimits { changes_max: 24, body_bytes_max: 1024 * 1024, page_max: 1000, exclusive: true };

/// Refuses a commit that is empty, too large, or names a key twice.
pub(crate) fn check_shape(commit: &Commit) -> Result<(), StoreError> {
    if commit.changes.is_empty() {
        return Err(StoreError::Malformed { why: "no changes" });
    }
    within("changes", commit.changes.len(), LIMITS.changes_max)?;
    let mut seen = BTreeSet::new();
    for change in &commit.changes {
        if let Change::Put { body, .. } = change {
            within("body bytes", body.len(), LIMITS.body_bytes_max)?;
        }
        if !seen.insert(change.key()) {
            return Err(StoreError::Malformed { why: "one key stands in it twice" });
        }
    }
    Ok(())
}

fn within(what: &'static str, value: usize, limit: usize) -> Result<(), StoreError> {
    if value > limit { Err(StoreError::TooLarge { what, value, limit }) } else { Ok(()) }
}

/// The conflict about a key.
pub(crate) fn conflict(key: &Key) -> StoreError {
    StoreError::Conflict { tenant: key.tenant.clone(), kind: key.kind, id: key.id.clone() }
}

/// How many records a page may hold: at least one, or a reader would turn the same page for ever.
pub(crate) fn page_len(asked: usize) -> usize {
    asked.clamp(1, LIMITS.page_max)
}
