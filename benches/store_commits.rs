//! Claim: the embedded store acknowledges more durable commits per second than one writer could sync by itself,
//! as soon as several wait: they share a sync. Baseline in the same run and on the same disk: appending 512 bytes
//! and syncing them, over and over, which is the least that durability costs.
//!
//! Disks that acknowledge a sync before it is done flatter every figure here; the ratios are what can be compared.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use infra_benches::{quick, report};
use infra_core::contracts::store::{Change, Commit, Expect, Index, Key, RecordKind};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{CommitId, TenantId, UserId};
use infra_core::words::lane::LaneId;
use infra_core::{Clock, ReservationStore, SystemClock};
use infra_store::{MemoryStore, SqliteStore};

/// Bytes per body, and per record of the baseline.
const RECORD_BYTES: usize = 512;

fn main() {
    let for_ = if quick() { Duration::from_millis(300) } else { Duration::from_secs(5) };
    let folder = Folder::beside_this_binary();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads start");
    for writers in [1, 64] {
        let before = synced_appends(&folder.0.join("raw"), for_);
        let path = folder.0.join(format!("sqlite-{writers}"));
        let store = Arc::new(SqliteStore::open(path).expect("the folder can be written to"));
        let sqlite = runtime.block_on(commits(Arc::clone(&store) as _, writers, for_));
        runtime.block_on(store.close());
        // The disk's mood changes within a run: the baseline is taken on both sides.
        let raw = f64::midpoint(before, synced_appends(&folder.0.join("raw"), for_));
        let memory = runtime.block_on(commits(Arc::new(MemoryStore::new()), writers, for_));
        report(&format!("raw_append_fdatasync_{writers}"), raw, "appends/s", None);
        report(&format!("store_commits_sqlite_{writers}_writers"), sqlite, "commits/s", Some(raw));
        report(&format!("store_commits_memory_{writers}_writers"), memory, "commits/s", Some(raw));
    }
}

/// A folder on the disk that the build is on: the temporary one is often memory.
struct Folder(PathBuf);

impl Folder {
    fn beside_this_binary() -> Self {
        let binary = std::env::current_exe().expect("this binary has a path");
        let path = binary.with_file_name(format!("bench-store-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the build folder can be written to");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = fs::remove_dir_all(&self.0);
    }
}

/// Appends per second, each on disk before the next.
fn synced_appends(path: &Path, for_: Duration) -> f64 {
    let mut file = File::options().append(true).create(true).open(path).expect("opens");
    let record = [b'x'; RECORD_BYTES];
    let (began, mut count) = (SystemClock.mono(), 0_u32);
    loop {
        file.write_all(&record).expect("appends");
        file.sync_data().expect("syncs");
        count += 1;
        let took = SystemClock.mono().saturating_sub(began);
        if took >= for_ {
            return f64::from(count) / took.as_secs_f64();
        }
    }
}

/// Acknowledged commits per second of so many writers, each rewriting 100 records of its own.
async fn commits(store: Arc<dyn ReservationStore>, writers: u32, for_: Duration) -> f64 {
    let began = SystemClock.mono();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut versions = vec![Expect::Absent; 100];
                let mut count = 0_u32;
                while SystemClock.mono().saturating_sub(began) < for_ {
                    let slot = count as usize % versions.len();
                    let commit = write(writer, count, slot, versions[slot]);
                    versions[slot] =
                        Expect::Version(store.commit(&commit).await.expect("nobody else writes"));
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut total = 0;
    for task in tasks {
        total += task.await.expect("writers do not panic");
    }
    f64::from(total) / SystemClock.mono().saturating_sub(began).as_secs_f64()
}

/// One record of a typical size, found by everything a record can be found by.
fn write(writer: u32, count: u32, slot: usize, expect: Expect) -> Commit {
    let tenant = TenantId::new("bench").expect("a legal name");
    let key = Key { tenant, kind: RecordKind::Launch, id: format!("rsv_{writer}/{slot:06}") };
    let index = Index {
        owner: Some(UserId::new(format!("user{writer}")).expect("a legal name")),
        shard: 7,
        lane: Some(LaneId("sim||account|region".to_owned())),
        due_at: Some(Timestamp::from_second(1_767_225_600 + i64::from(count)).expect("in range")),
        state: 0,
    };
    let id = CommitId(uuid::Uuid::from_u128((u128::from(writer) << 64) | u128::from(count)));
    Commit { id, changes: vec![Change::Put { key, expect, index, body: vec![b'x'; RECORD_BYTES] }] }
}
