//! Laws about many at once. They count how many really were.
//!
//! # Caveats
//! A run in which nobody met anybody proves nothing, and says "skipped". Give them a runtime of several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Barrier;

use super::{Desk, Kept, Subject, Unmet, key, put};
use crate::contracts::store::{Expect, Key, StoreError};

const WRITERS: usize = 8;
const INCREMENTS: usize = 25;
/// Commits beside a reader: at least, and at most while it sees too little.
const ROUNDS_MIN: usize = 300;
const ROUNDS_MAX: usize = 20_000;
/// Different states that the reader must have seen.
const STATES_MIN: usize = 20;

/// How many are at work, and how many were at most.
#[derive(Default)]
struct AtOnce {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl AtOnce {
    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Many read, add one and write, again on a conflict: the sum is right, and every number was somebody's. An increment
/// lost is a fence, a slot or a budget given out twice. A store that looks first and writes afterwards passes every
/// law that takes turns; so all start each round together, and collisions are counted.
pub(super) async fn concurrent_counters_lose_nothing(store: Subject) -> Kept {
    let (desk, counter) = (Desk::at(store), key("counter"));
    desk.commit(vec![put(&counter, Expect::Absent, "0")]).await?;
    let (at_once, conflicts) = (Arc::new(AtOnce::default()), Arc::new(AtomicUsize::new(0)));
    // Every round begins together: a fast store would be done with one writer before the next one starts.
    let round = Arc::new(Barrier::new(WRITERS));
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (desk, counter) = (desk.clone(), counter.clone());
        let (at_once, conflicts, round) = (Arc::clone(&at_once), Arc::clone(&conflicts), Arc::clone(&round));
        writers.push(tokio::spawn(async move {
            for _ in 0..INCREMENTS {
                round.wait().await;
                while !increment(&desk, &counter, &at_once).await? {
                    conflicts.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok::<(), Unmet>(())
        }));
    }
    for writer in writers {
        writer.await??;
    }
    same!(desk.body(&counter).await?, Some((WRITERS * INCREMENTS).to_string()), "the counter");
    let (most, collided) = (at_once.most.load(Ordering::SeqCst), conflicts.load(Ordering::Relaxed));
    if most < 2 || collided == 0 {
        return Err(Unmet::Skipped(format!("{most} writers at once collided {collided} times: no race")));
    }
    Ok(())
}

/// Reads, adds one and writes; `false` on a conflict.
async fn increment(desk: &Desk, counter: &Key, at_once: &AtOnce) -> Result<bool, Unmet> {
    at_once.enter();
    let outcome = async {
        let record = desk.one(counter).await?.ok_or(Unmet::Broken("the counter is gone".to_owned()))?;
        // Between reading and writing others get their turn, on any runtime.
        tokio::task::yield_now().await;
        let sum: usize = String::from_utf8_lossy(&record.body).parse()?;
        let change = put(counter, Expect::Version(record.version), &(sum + 1).to_string());
        match desk.commit(vec![change]).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    };
    let outcome = outcome.await;
    at_once.leave();
    outcome
}

/// While one commit after the other rewrites two records together, no reader sees one old and one new. A reservation
/// from before a commit beside units from after it looks like a machine too many, and machines too many are ended.
/// Stores that read key by key fail only while somebody writes.
pub(super) async fn get_is_one_snapshot(store: Subject) -> Kept {
    let desk = Desk::at(store);
    let pair = [key("left"), key("right")];
    let mut version = desk.commit(pair.iter().map(|key| put(key, Expect::Absent, "0")).collect()).await?;
    let (done, states) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let reader = {
        let (desk, pair, done, states) = (desk.clone(), pair.clone(), Arc::clone(&done), Arc::clone(&states));
        tokio::spawn(async move {
            let mut seen = std::collections::BTreeSet::new();
            while !done.load(Ordering::Acquire) {
                let found = desk.store.get(&pair).await?;
                let versions: Vec<_> = found.iter().flatten().map(|record| record.version).collect();
                hold!(versions.len() == 2, "only {} of two records was there", versions.len());
                same!(versions[0], versions[1], "versions of a pair written together");
                seen.insert(versions[0]);
                states.store(seen.len(), Ordering::Release);
                tokio::task::yield_now().await;
            }
            Ok::<(), Unmet>(())
        })
    };
    for round in 1..=ROUNDS_MAX {
        let body = round.to_string();
        let changes = pair.iter().map(|key| put(key, Expect::Version(version), &body)).collect();
        version = desk.commit(changes).await?;
        tokio::task::yield_now().await;
        // Goes on until the reader was at work beside it for a while, or found something.
        if reader.is_finished() || (round >= ROUNDS_MIN && states.load(Ordering::Acquire) >= STATES_MIN) {
            break;
        }
    }
    done.store(true, Ordering::Release);
    reader.await??;
    let states = states.load(Ordering::Acquire);
    if states < STATES_MIN {
        return Err(Unmet::Skipped(format!(
            "the reader saw {states} states: it hardly ran beside the writer"
        )));
    }
    Ok(())
}
