//! The writer, made to fail; and ids growing old.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::store::{
    Change, Commit, Expect, Index, Key, RecordKind, ReservationStore, StoreError,
};
use infra_core::testing::VirtualClock;
use infra_core::words::clock::Clock;
use infra_core::words::fault::{Effect, Fault};
use infra_core::words::ids::{CommitId, TenantId};
use infra_core::words::lane::Version;

use super::writer::{FailAt, Job};
use super::{SqliteStore, files};

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("infra-store-unit-{}-{name}", std::process::id()));
        Self(path)
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.0).expect("opens")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

fn key(id: &str) -> Key {
    Key { tenant: TenantId::new("t").expect("legal"), kind: RecordKind::Unit, id: id.to_owned() }
}

fn commit(id: u128, changes: Vec<Change>) -> Commit {
    Commit { id: CommitId(uuid::Uuid::from_u128(id)), changes }
}

fn put(id: u128, name: &str, expect: Expect) -> Commit {
    let change = Change::Put { key: key(name), expect, index: Index::default(), body: vec![7] };
    commit(id, vec![change])
}

async fn fail(store: &SqliteStore, at: FailAt) {
    store.queue().send(Job::Fail(at)).await.expect("the writer lives");
}

/// Sends a commit to a writer that fails, and answers what the caller is told.
async fn told(store: &SqliteStore, at: FailAt, commit: &Commit) -> StoreError {
    fail(store, at).await;
    store.commit(commit).await.expect_err("the writer failed")
}

#[tokio::test]
async fn a_dead_writer_is_taken_for_a_refusal() {
    for (at, applied) in [(FailAt::DieBeforeCommit, false), (FailAt::DieAfterCommit, true)] {
        let folder = Folder::new(&format!("dead-{at:?}"));
        let store = folder.open();
        let commit = put(1, "a", Expect::Absent);
        assert_eq!(told(&store, at, &commit).await.effect(), Effect::Unknown, "{at:?}");
        // It may be the answer to the first sending: a later refusal must not say that nothing happened.
        let again = store.commit(&commit).await.expect_err("the writer is dead");
        assert_eq!(again.effect(), Effect::Unknown, "{at:?}");
        drop(store);
        let store = folder.open();
        let there = store.get(&[key("a")]).await.expect("reads")[0].is_some();
        assert_eq!(there, applied, "{at:?}");
        assert_eq!(store.commit(&commit).await.expect("its fate is settled"), Version(1), "{at:?}");
    }
}

#[tokio::test]
async fn a_failed_commit_that_happened_is_done_twice() {
    for at in [FailAt::CommitReportsError, FailAt::CommitFails] {
        let folder = Folder::new(&format!("doubt-{at:?}"));
        let store = folder.open();
        let commit = put(1, "a", Expect::Absent);
        assert_eq!(told(&store, at, &commit).await.effect(), Effect::Unknown, "{at:?}");
        assert_eq!(store.commit(&commit).await.expect("its fate is settled"), Version(1), "{at:?}");
        let next = store.commit(&put(2, "b", Expect::Absent)).await.expect("the writer goes on");
        assert_eq!(next, Version(2), "{at:?}");
    }
}

#[tokio::test]
async fn a_dropped_future_takes_a_queued_commit_back_or_its_reply_is_believed_lost() {
    let folder = Folder::new("dropped");
    let store = folder.open();
    for n in 0..50 {
        let commit = put(n, &format!("n{n}"), Expect::Absent);
        {
            let mut sending = std::pin::pin!(store.commit(&commit));
            // Polled once: queued, perhaps done, never answered.
            assert!(
                std::future::poll_fn(|cx| { std::task::Poll::Ready(sending.as_mut().poll(cx).is_pending()) })
                    .await
            );
        }
    }
    store.close().await;
    drop(store);
    let store = folder.open();
    for n in 0..50 {
        assert!(store.get(&[key(&format!("n{n}"))]).await.expect("reads")[0].is_some(), "n{n}");
        let again = store.commit(&put(n, &format!("n{n}"), Expect::Absent)).await;
        assert_eq!(again.expect("answers as the first time"), Version(u64::try_from(n).expect("small") + 1));
    }
}

#[tokio::test]
async fn a_closed_store_still_works_or_keeps_the_folder() {
    let folder = Folder::new("closed");
    let store = folder.open();
    store.commit(&put(1, "a", Expect::Absent)).await.expect("commits");
    store.close().await;
    store.close().await;
    let refused = store.commit(&put(2, "b", Expect::Absent)).await.expect_err("is closed");
    assert_eq!(refused.effect(), Effect::NotApplied);
    assert!(store.get(&[key("a")]).await.is_err());
    assert!(!folder.0.join("store.sqlite-wal").exists(), "the log is folded into the file");
    let again = folder.open();
    assert!(again.get(&[key("a")]).await.expect("reads")[0].is_some());
}

#[tokio::test]
async fn a_commit_id_is_forgotten_within_the_hour_or_never() {
    let folder = Folder::new("ids");
    let clock = Arc::new(VirtualClock::default());
    let store = SqliteStore::open_with_clock(&folder.0, Arc::clone(&clock) as Arc<dyn Clock>).expect("opens");
    let remembered = |store: &SqliteStore| {
        let connection = super::schema::open_reader(&folder.0.join(files::DATA)).expect("opens");
        let newest = super::rows::newest(&connection).expect("reads");
        assert_eq!(newest, *store.newest.borrow());
        let sql = "SELECT count(*) FROM commit_log";
        connection.query_row(sql, (), |row| row.get::<_, i64>(0)).expect("reads")
    };
    let created = store.commit(&put(1, "a", Expect::Absent)).await.expect("commits");
    let expect = Expect::Version(created);
    let removal = commit(2, vec![Change::Delete { key: key("a"), expect }]);
    let removed = store.commit(&removal).await.expect("commits");
    let mut id = 10;
    for _ in 0..59 {
        clock.advance(Duration::from_secs(60));
        // A wall clock gone wild must not shorten what is remembered.
        clock.set_wall(clock.wall() + Duration::from_secs(365 * 86_400));
        id += 1;
        store.commit(&put(id, &format!("n{id}"), Expect::Absent)).await.expect("commits");
    }
    assert_eq!(store.commit(&removal).await.expect("within the hour"), removed);
    for _ in 0..10 {
        clock.advance(Duration::from_secs(60));
        id += 1;
        store.commit(&put(id, &format!("n{id}"), Expect::Absent)).await.expect("commits");
    }
    let left = remembered(&store);
    assert!((60..=63).contains(&left), "an hour's worth of ids is left: {left}");
}

#[tokio::test]
async fn the_planner_sorts_or_scans_whole_tables() {
    let folder = Folder::new("plans");
    let store = folder.open();
    drop(store);
    let connection = super::schema::open_reader(&folder.0.join(files::DATA)).expect("opens");
    let plan = |condition: &str| {
        let sql = format!("EXPLAIN QUERY PLAN SELECT body FROM record WHERE {condition}");
        let mut statement = connection.prepare(&sql).expect("prepares");
        let rows = statement.query_map((), |row| row.get::<_, String>(3)).expect("explains");
        rows.collect::<rusqlite::Result<Vec<_>>>().expect("reads").join("; ")
    };
    let fixed = "kind = 1 AND state <= 9";
    for (condition, index) in [
        (format!("{fixed} AND (tenant, id) > ('a', 'b') ORDER BY tenant, id"), "sqlite_autoindex_record_1"),
        (format!("{fixed} AND tenant = 'a' AND owner = 'b' AND id > '' ORDER BY id"), "record_by_owner"),
        (format!("{fixed} AND lane = 'a' AND (tenant, id) > ('', '') ORDER BY tenant, id"), "record_by_lane"),
        (
            "kind = 1 AND shard = 1 AND due_s IS NOT NULL AND (due_s, due_ns) <= (1, 2)
             ORDER BY due_s, due_ns, tenant, id LIMIT 5"
                .to_owned(),
            "record_by_due",
        ),
        ("version > 7 ORDER BY version, rowid".to_owned(), "record_by_version"),
    ] {
        let plan = plan(&condition);
        assert!(plan.contains(index) && !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
