//! A commit under construction: typed writes, each with what it expects.
//!
//! # Guarantees
//! * Each change says what it expects; there is no way to write blindly.
//! * Writing a key twice keeps the first expectation: it is what was read.
//! * A check of a key that is also written adds nothing, and is left out.
//!
//! # Caveats
//! Nobody counts here: a transaction with more changes than the store takes is refused by the store, by name.

use crate::contracts::store::{Change, Commit, Expect, Key};
use crate::words::ids::CommitId;

use super::keys::Stored;
use super::repo::Versioned;

/// Collects the changes of one commit. A key stands in it once: a later write to the same key replaces the
/// body and keeps the first expectation.
#[derive(Debug, Clone, Default)]
pub struct Txn {
    shards: u16,
    changes: Vec<Change>,
}

impl Txn {
    /// An empty transaction for a store with so many shards.
    #[must_use]
    pub const fn new(shards: u16) -> Self {
        Self { shards, changes: Vec::new() }
    }

    /// How many changes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.changes.len()
    }

    /// Is there nothing to do?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| matches!(change, Change::Check { .. }))
    }

    /// Writes a record that must not be there yet.
    pub fn insert<T: Stored>(&mut self, value: &T) {
        self.put(value, Expect::Absent);
    }

    /// Writes a record that must still be as it was read.
    pub fn update<T: Stored>(&mut self, was: &Versioned<T>, value: &T) {
        self.put(value, Expect::Version(was.version));
    }

    /// Writes a record with an explicit expectation.
    pub fn put<T: Stored>(&mut self, value: &T, expect: Expect) {
        let key = value.key();
        let body =
            serde_json::to_vec(value).expect("records serialise: string keys, no floats that are not finite");
        let index = value.index(self.shards);
        let expect = self.take(&key).unwrap_or(expect);
        self.changes.push(Change::Put { key, expect, index, body });
    }

    /// Removes a record that must still be as it was read.
    pub fn delete<T: Stored>(&mut self, was: &Versioned<T>) {
        let key = was.value.key();
        let expect = self.take(&key).unwrap_or(Expect::Version(was.version));
        self.changes.push(Change::Delete { key, expect });
    }

    /// Fails the commit unless this still holds; a write to the same key already says so.
    pub fn check(&mut self, key: Key, expect: Expect) {
        if !self.changes.iter().any(|change| change.key() == &key) {
            self.changes.push(Change::Check { key, expect });
        }
    }

    /// The commit.
    #[must_use]
    pub fn into_commit(self, id: CommitId) -> Commit {
        Commit { id, changes: self.changes }
    }

    /// Takes out an earlier change of the same key and says what it expected.
    fn take(&mut self, key: &Key) -> Option<Expect> {
        let at = self.changes.iter().position(|change| change.key() == key)?;
        Some(self.changes.remove(at).expect())
    }
}
