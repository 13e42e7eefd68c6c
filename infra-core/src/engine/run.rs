//! Runs by itself: one loop over shards, one task per lane, all ended by one signal.

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
    /// Works until `stop` says `true`, then finishes what is in hand and returns. Needs a tokio runtime; lanes
    /// run as tasks of their own, so that a slow cloud holds nobody else up.
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

    async fn shards_turn(
        self: &Arc<Self>,
        changed: &Arc<Notify>,
        lanes: &mut JoinSet<()>,
        known: &mut BTreeSet<LaneId>,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), RepoError> {
        let mut stopping = stop.clone();
        if let Some(installation) = self.installation().await? {
            self.shards_pass(&installation).await?;
            self.deliver_outbox().await?;
            for worker in self.workers().await? {
                if known.insert(worker.id()) {
                    let engine = Arc::clone(self);
                    lanes.spawn(engine.run_lane(worker, Arc::clone(changed), stop.clone()));
                }
            }
            changed.notify_waiters();
        }
        tokio::select! {
            any = self.take_changes(WAIT_FOR_CHANGES) => any.map(drop),
            _ = stopping.changed() => Ok(()),
        }
    }

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
