//! What the memory store promises beyond the laws.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::store::{Change, Commit, Expect, Index, Key, RecordKind, ReservationStore};
use infra_core::testing::VirtualClock;
use infra_core::words::clock::{Clock, Timestamp};
use infra_core::words::ids::{CommitId, TenantId};
use infra_core::words::lane::Version;
use infra_store::MemoryStore;

fn key(id: &str) -> Key {
    Key { tenant: TenantId::new("t").expect("legal"), kind: RecordKind::Unit, id: id.to_owned() }
}

fn put(id: u128, key: &Key, expect: Expect) -> Commit {
    let change =
        Change::Put { key: key.clone(), expect, index: Index::default(), body: id.to_be_bytes().to_vec() };
    Commit { id: CommitId(uuid::Uuid::from_u128(id)), changes: vec![change] }
}

/// A clock whose waiting is a defect of the caller.
#[derive(Debug)]
struct NoWaiting;

#[async_trait]
impl Clock for NoWaiting {
    fn wall(&self) -> Timestamp {
        panic!("the memory store asked for the time")
    }
    fn mono(&self) -> Duration {
        panic!("the memory store asked for the time")
    }
    async fn sleep(&self, _: Duration) {
        panic!("the memory store waited")
    }
}

#[tokio::test]
async fn a_look_without_waiting_touches_a_timer() {
    let store = MemoryStore::with_clock(Arc::new(NoWaiting));
    store.commit(&put(1, &key("a"), Expect::Absent)).await.expect("commits");
    let changes = store.changes(Version(1), Duration::ZERO).await.expect("answers");
    assert_eq!((changes.keys, changes.upto, changes.newest), (vec![], Version(1), Version(1)));
}

#[tokio::test]
async fn a_wait_under_a_virtual_clock_takes_real_time() {
    let clock = Arc::new(VirtualClock::default());
    let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let before = clock.mono();
    let changes = store.changes(Version(0), Duration::from_secs(3600)).await.expect("answers");
    assert!(changes.keys.is_empty());
    assert_eq!(clock.mono() - before, Duration::from_secs(3600));
}

#[tokio::test]
async fn a_backup_shares_records_with_its_original() {
    let store = MemoryStore::new();
    let first = store.commit(&put(1, &key("a"), Expect::Absent)).await.expect("commits");
    let backup = store.snapshot();
    store.commit(&put(2, &key("a"), Expect::Version(first))).await.expect("commits");
    backup.commit(&put(3, &key("b"), Expect::Absent)).await.expect("commits");
    let in_backup = backup.get(&[key("a"), key("b")]).await.expect("reads");
    assert_eq!(in_backup[0].as_ref().map(|record| record.version), Some(first));
    assert_eq!(in_backup[1].as_ref().map(|record| record.version), Some(Version(2)));
    assert!(store.get(&[key("b")]).await.expect("reads")[0].is_none());
    // The copy still knows what was done before it was made.
    assert_eq!(backup.commit(&put(1, &key("a"), Expect::Absent)).await.expect("is known"), first);
}

#[tokio::test]
async fn an_old_commit_is_done_twice_because_its_id_was_forgotten() {
    let store = MemoryStore::new();
    let created = store.commit(&put(1, &key("a"), Expect::Absent)).await.expect("commits");
    let id = CommitId(uuid::Uuid::from_u128(2));
    let expect = Expect::Version(created);
    let removal = Commit { id, changes: vec![Change::Delete { key: key("a"), expect }] };
    let removed = store.commit(&removal).await.expect("commits");
    let kept = store.commit(&put(3, &key("kept"), Expect::Absent)).await.expect("commits");
    let mut last = store.commit(&put(4, &key("n"), Expect::Absent)).await.expect("commits");
    for n in 5..10_000 {
        last = store.commit(&put(n, &key("n"), Expect::Version(last))).await.expect("commits");
    }
    assert_eq!(store.commit(&removal).await.expect("is among the last 10,000"), removed);
    for n in 10_000..20_000 {
        last = store.commit(&put(n, &key("n"), Expect::Version(last))).await.expect("commits");
    }
    // Far beyond the remembered ones, but the record itself still says who wrote it.
    assert_eq!(store.commit(&put(3, &key("kept"), Expect::Absent)).await.expect("is carried"), kept);
}
