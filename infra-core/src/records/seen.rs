//! A list that is read again and again decodes only what was written since.
//!
//! # Flow
//! A worker asks for the same list with every pass. Records come from the store each time; the ones that still carry
//! the commit they carried last time are taken from here instead of being read from JSON once more.
//!
//! # Guarantees
//! The answer is the one that [`Repo::list_all`] gives: what is remembered is used for the very commit that wrote it,
//! and commit ids are never used twice, so that a store which went back in time is not mistaken for itself.
//!
//! # Assumptions
//! One list per memory. It holds what the last answer held and nothing else, so it is as large as the list.

use std::collections::HashMap;
use std::sync::Mutex;

use super::keys::Stored;
use super::repo::{Repo, RepoError, Versioned, decode};
use crate::contracts::store::{Key, ListBy};
use crate::words::ids::CommitId;

/// What a list said last.
#[derive(Debug)]
pub(crate) struct Seen<T>(Mutex<HashMap<Key, (CommitId, Versioned<T>)>>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl Repo {
    /// All records of a kind, as [`Repo::list_all`] tells them. Two readers of one memory at once are both
    /// answered rightly; one of them decodes everything.
    ///
    /// # Errors
    /// [`RepoError`]; the list is then decoded anew the next time.
    pub(crate) async fn list_again<T: Stored + Clone>(
        &self,
        by: ListBy,
        state_max: Option<u8>,
        seen: &Seen<T>,
    ) -> Result<Vec<Versioned<T>>, RepoError> {
        let mut before = std::mem::take(&mut *seen.0.lock().expect("no panic under this lock"));
        let (mut all, mut now) = (Vec::new(), HashMap::with_capacity(before.len()));
        self.each(by, T::KIND, state_max, |record| {
            let known = before.remove(&record.key).filter(|(commit, _)| *commit == record.by);
            let row = match known {
                Some((_, row)) => row,
                None => decode(record)?,
            };
            all.push(row.clone());
            now.insert(record.key.clone(), (record.by, row));
            Ok(())
        })
        .await?;
        *seen.0.lock().expect("no panic under this lock") = now;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::contracts::store::{Index, MockReservationStore, Page, Record, RecordKind, StoreLimits};
    use crate::nouns::installation::Heartbeat;
    use crate::testing::{SeededEntropy, VirtualClock};
    use crate::words::clock::Timestamp;
    use crate::words::ids::BootId;
    use crate::words::lane::Version;
    use crate::words::planted::Planted;

    /// A store whose one list is what the test writes.
    fn over(list: &Arc<Mutex<Vec<Record>>>) -> Repo {
        let (mut store, list) = (MockReservationStore::new(), Arc::clone(list));
        let limits = StoreLimits { changes_max: 24, body_bytes_max: 1 << 20, page_max: 100, exclusive: true };
        store.expect_limits().return_const(limits);
        store
            .expect_list()
            .returning(move |_| Ok(Page { items: list.lock().expect("one thread").clone(), next: None }));
        let clock = VirtualClock::at(Timestamp::UNIX_EPOCH);
        Repo::new(Arc::new(store), Arc::new(clock), Arc::new(SeededEntropy::new(1)), 1, Planted::NONE)
    }

    fn commit(seed: u64) -> CommitId {
        CommitId::draw(Timestamp::UNIX_EPOCH, &SeededEntropy::new(seed))
    }

    fn beat(on: &str, until: i64, by: CommitId) -> Record {
        let entropy = SeededEntropy::new(9);
        let at = Timestamp::UNIX_EPOCH;
        let until = Timestamp::from_second(until).expect("a small number");
        let beat = Heartbeat { on: on.to_owned(), boot: BootId::draw(at, &entropy), until, at };
        let body = serde_json::to_vec(&beat).expect("a heartbeat is JSON");
        Record { key: beat.key(), version: Version(7), by, index: Index::default(), body }
    }

    #[tokio::test]
    async fn what_was_written_since_is_read_and_nothing_else_is() {
        let (list, seen) = (Arc::default(), Seen::<Heartbeat>::default());
        let repo = over(&list);
        let read = async || -> Result<Vec<i64>, RepoError> {
            let all = repo.list_again(ListBy::All, None, &seen).await?;
            Ok(all.iter().map(|row| row.value.until.as_second()).collect())
        };
        let set = |records: &[Record]| *list.lock().expect("one thread") = records.to_vec();
        let (old, other) = (beat("a", 1, commit(1)), beat("b", 2, commit(1)));
        set(&[old.clone(), other.clone()]);
        assert_eq!(read().await.expect("it reads"), [1, 2]);
        // Nobody rewrites a body under its commit: so it shows that the second pass did not look at it.
        let unread = Record { body: b"no JSON".to_vec(), ..other };
        set(&[old.clone(), unread.clone()]);
        assert_eq!(read().await.expect("it was seen"), [1, 2]);
        // A backup was put in the store's place: the same version, by another commit.
        set(&[beat("a", 3, commit(2)), unread.clone()]);
        assert_eq!(read().await.expect("one is new"), [3, 2]);
        set(&[beat("a", 3, commit(2))]);
        assert_eq!(read().await.expect("one is left"), [3]);
        // What left the list is forgotten, and an error forgets everything.
        set(&[old.clone(), unread]);
        assert!(matches!(read().await, Err(RepoError::Unreadable { kind: RecordKind::Heartbeat, .. })));
        set(&[old]);
        assert_eq!(read().await.expect("it reads again"), [1]);
    }
}
