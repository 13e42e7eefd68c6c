//! `kill -9` at random moments: whatever was acknowledged is there, and every commit is there whole or not at all.
//!
//! The child is this test binary again, running [`child_that_commits`] alone with the folder in its environment.
#![cfg(feature = "sqlite")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::{Folder, commit, key};
use infra_core::contracts::store::{Change, Commit, Expect, Index, Key, ReservationStore, StoreError};
use infra_core::testing::SeededEntropy;
use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::entropy::Entropy;
use infra_core::words::lane::Version;
use infra_store::SqliteStore;

const FOLDER: &str = "INFRA_STORE_CRASH_FOLDER";
const ROUND: &str = "INFRA_STORE_CRASH_ROUND";
const ROUNDS: u64 = 14;
const WRITERS: u64 = 16;

/// The two records that commit `no` of a writer makes together.
fn pair(round: u64, writer: u64, no: u64) -> [Key; 2] {
    ["left", "right"].map(|side| key(&format!("{round}/{writer}/{no}/{side}")))
}

fn pair_commit(round: u64, writer: u64, no: u64) -> Commit {
    let id = (u128::from(round) << 96) | (u128::from(writer) << 64) | u128::from(no);
    let changes = pair(round, writer, no).into_iter().map(|key| {
        let body = format!("{round} {writer} {no} {}", "x".repeat(400)).into_bytes();
        Change::Put { key, expect: Expect::Absent, index: Index::default(), body }
    });
    commit(id, changes.collect())
}

/// Not a test of its own: without the environment it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_commits() {
    let (Ok(folder), Ok(round)) = (std::env::var(FOLDER), std::env::var(ROUND)) else { return };
    let round: u64 = round.parse().expect("the parent passes a number");
    let store = Arc::new(SqliteStore::open(folder).expect("the last child's lock died with it"));
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&store), round, writer))).collect();
    for writer in writers {
        writer.await.expect("goes on until it is killed");
    }
}

#[allow(clippy::print_stdout, reason = "this is how the child acknowledges")]
async fn write(store: Arc<SqliteStore>, round: u64, writer: u64) {
    for no in 0.. {
        let version = store.commit(&pair_commit(round, writer, no)).await.expect("commits");
        println!("ack {writer} {no} {version}");
    }
}

fn spawn(folder: &Path, round: u64) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["child_that_commits", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    let output = BufReader::new(child.stdout.take().expect("is piped"));
    (child, output)
}

/// What a line acknowledges: writer, number and version.
fn ack(line: &str) -> Option<(u64, u64, Version)> {
    // The test harness prints its own words before the first one.
    let (_, ack) = line.split_once("ack ")?;
    let mut numbers = ack.trim_end().split(' ').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, Version(numbers.next()?.ok()?)))
}

/// Lets a child write, kills it, and answers what it had acknowledged.
async fn killed_round(folder: &Path, round: u64, chance: &SeededEntropy) -> BTreeMap<(u64, u64), Version> {
    let (mut child, mut output) = spawn(folder, round);
    let mut lines = Vec::new();
    if round.is_multiple_of(4) {
        // At any moment, often while it opens the store and reads the last one's log.
        SystemClock.sleep(Duration::from_millis(chance.below(60))).await;
    } else {
        let wanted = 1 + chance.below(600);
        for read in 0.. {
            if lines.len() as u64 == wanted {
                break;
            }
            assert!(read < 2 * wanted + 10, "the child says other things than acknowledgements");
            let mut line = String::new();
            assert!(output.read_line(&mut line).expect("reads") > 0, "the child ended by itself");
            lines.extend(ack(&line));
        }
        let second = SqliteStore::open(folder);
        assert!(matches!(second, Err(StoreError::InUse { .. })), "beside a living child: {second:?}");
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("is gone");
    // What it said before it died counts, except for a line that was cut off.
    let rest: Vec<String> =
        output.split(b'\n').filter_map(|line| String::from_utf8(line.ok()?).ok()).collect();
    lines.extend(rest.iter().filter_map(|line| ack(line)));
    lines.into_iter().map(|(writer, no, version)| ((writer, no), version)).collect()
}

/// What was found after a round.
#[derive(Debug, Default)]
struct Found {
    acknowledged: usize,
    lost: usize,
    torn: usize,
    unacknowledged: usize,
    sent_again: usize,
}

async fn look(store: &SqliteStore, round: u64, acks: &BTreeMap<(u64, u64), Version>, found: &mut Found) {
    found.acknowledged += acks.len();
    for ((writer, no), version) in acks {
        let records = store.get(&pair(round, *writer, *no)).await.expect("reads");
        let there = records.iter().all(|record| record.as_ref().is_some_and(|one| one.version == *version));
        found.lost += usize::from(!there);
    }
    for writer in 0..WRITERS {
        let acknowledged = acks.keys().filter(|(by, _)| *by == writer).count() as u64;
        // The one in flight, and one that was never sent.
        for no in [acknowledged, acknowledged + 1] {
            let records = store.get(&pair(round, writer, no)).await.expect("reads");
            let there = records.iter().flatten().count();
            found.torn += usize::from(there == 1);
            found.unacknowledged += usize::from(there == 2);
            // Its writer would send it again, and learn its fate without doing it twice.
            let version = store.commit(&pair_commit(round, writer, no)).await.expect("its fate is known");
            if let Some(record) = &records[0] {
                assert_eq!(record.version, version);
                found.sent_again += 1;
            }
        }
    }
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the figures are what this test is run for")]
async fn an_acknowledged_commit_is_lost_by_kill_9() {
    let folder = Folder::new("crash");
    let data = folder.join("data");
    let chance = SeededEntropy::new(u64::from(std::process::id()));
    let (mut found, mut newest) = (Found::default(), Version(0));
    for round in 0..ROUNDS {
        let acks = killed_round(&data, round, &chance).await;
        let store = SqliteStore::open(&data).expect("the lock died with its holder");
        look(&store, round, &acks, &mut found).await;
        let now = store.changes(Version(u64::MAX), Duration::ZERO).await.expect("reads").newest;
        let versions: std::collections::BTreeSet<_> = acks.values().collect();
        assert_eq!(versions.len(), acks.len(), "a number was given twice");
        assert!(
            versions.first().is_none_or(|first| **first > newest),
            "a number of an earlier round came again"
        );
        assert!(versions.last().is_none_or(|last| **last <= now), "numbers went back");
        newest = now;
        // Half of the rounds leave the log to the next child, as a crash does.
        if round.is_multiple_of(2) {
            store.close().await;
        }
    }
    let Found { acknowledged, lost, torn, unacknowledged, sent_again } = found;
    println!(
        "COUNT sqlite_kill9 rounds={ROUNDS} acknowledged={acknowledged} lost={lost} torn={torn} \
         done_unacknowledged={unacknowledged} answered_again={sent_again}"
    );
    assert_eq!((lost, torn), (0, 0));
    assert!(acknowledged > 500, "too few commits to mean anything: {acknowledged}");
}
