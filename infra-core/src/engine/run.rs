//! Runs by itself: one loop over shards, one task per lane, all ended by one signal.
//!
//! # Flow
//! The shard loop plans what changed, delivers events, starts a task for every lane it has not seen yet, and
//! wakes all lanes when there was something to plan; then it waits for the next change in the store, the end of a
//! reservation's rest, or half a second. A lane's task takes
//! steps as long as there are any, and rests until it is woken or its poll is due.
//!
//! # Guarantees
//! * A slow or hanging cloud holds up its own lane and nothing else.
//! * A store that does not answer stops nothing for good: the loop says so, waits and tries again.
//! * After `stop` nothing new begins; calls in hand are finished and recorded before `run` returns.
//!
//! # Caveats
//! Lanes are never forgotten while the process lives: a lane ever used is swept for ever, and there are as
//! many as accounts times regions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::lane::LaneWorker;
use super::world::Engine;
use crate::records::RepoError;
use crate::words::lane::LaneId;

/// How long the shard loop waits for a change before it looks at what is due.
const WAIT_FOR_CHANGES: Duration = Duration::from_millis(500);
/// A pause after the store failed.
const WAIT_AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Engine {
    /// Works until `stop` says `true`, then finishes what is in hand and returns. Needs a tokio runtime;
    /// lanes run as tasks of their own, so that a slow cloud holds nobody else up.
    ///
    /// Dropping the future is a crash, and as harmless.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let changed = Arc::new(Notify::new());
        let mut lanes = JoinSet::new();
        let mut known = BTreeSet::new();
        while !*stop.borrow_and_update() {
            let failed = self.shards_turn(&changed, &mut lanes, &mut known, &stop).await;
            if let Err(error) = failed {
                tracing::warn!(%error, "the store does not answer; trying again");
                tokio::select! {
                    () = self.parts.clock.sleep(WAIT_AFTER_FAILURE) => {}
                    _ = stop.changed() => {}
                }
            }
        }
        while lanes.join_next().await.is_some() {}
    }

    /// One round of the shard loop, and the wait for the next.
    async fn shards_turn(
        self: &Arc<Self>,
        changed: &Arc<Notify>,
        lanes: &mut JoinSet<()>,
        known: &mut BTreeSet<LaneId>,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), RepoError> {
        let mut stopping = stop.clone();
        if let Some(installation) = self.installation().await? {
            let passed = self.shards_pass(&installation).await?;
            self.deliver_outbox().await?;
            for worker in self.workers().await? {
                if known.insert(worker.id()) {
                    let engine = Arc::clone(self);
                    lanes.spawn(engine.run_lane(worker, Arc::clone(changed), stop.clone()));
                }
            }
            // What the lanes write themselves wakes nobody: they go on by their own step, or their own clock.
            if passed.planned > 0 || passed.elsewhere {
                changed.notify_waiters();
            }
        }
        tokio::select! {
            lanes = self.take_changes(self.wait_for_changes()) => {
                if lanes? {
                    changed.notify_waiters();
                }
                Ok(())
            }
            _ = stopping.changed() => Ok(()),
        }
    }

    /// How long to wait for a change: not beyond the next end of a rest.
    fn wait_for_changes(&self) -> Duration {
        let now = self.parts.clock.mono();
        let next = self.rests.lock().expect("no panic under this lock").next_end(now);
        next.map_or(WAIT_FOR_CHANGES, |next| next.min(WAIT_FOR_CHANGES))
    }

    /// One lane until the end. Its own errors stay its own: they are logged, and the next turn begins from
    /// what the store says.
    async fn run_lane(
        self: Arc<Self>,
        worker: Arc<LaneWorker>,
        changed: Arc<Notify>,
        mut stop: watch::Receiver<bool>,
    ) {
        while !*stop.borrow_and_update() {
            let woken = changed.notified();
            let turn = async {
                match self.installation().await? {
                    Some(installation) => worker.tick(&self, &installation).await,
                    None => Ok(0),
                }
            };
            // A step that changed something usually makes the next one possible: go on at once.
            let pause = match turn.await {
                Ok(0) => self.parts.limits.poll_every,
                Ok(_) => Duration::ZERO,
                Err(error) if error.is_conflict() => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(lane = %worker.id(), %error, "a lane's turn failed; trying again");
                    WAIT_AFTER_FAILURE
                }
            };
            tokio::select! {
                () = self.parts.clock.sleep(pause) => {}
                () = woken => {}
                _ = stop.changed() => {}
            }
        }
    }
}
