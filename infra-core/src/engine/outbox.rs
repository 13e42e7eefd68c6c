//! Delivers events. The log is the first sink; delivery is recorded, so each event is told once per sink.

use super::world::Engine;
use crate::nouns::event::Outbox;
use crate::records::{RepoError, Versioned};

/// Events delivered per shard and pass.
const PER_PASS: usize = 64;
/// Deliveries recorded per commit.
const PER_COMMIT: usize = 16;

impl Engine {
    /// Tells the log what happened.
    pub(super) async fn deliver_outbox(&self) -> Result<(), RepoError> {
        for shard in 0..self.parts.repo.shards() {
            let due: Vec<Versioned<Outbox>> = self.parts.repo.due(shard, self.now(), PER_PASS).await?;
            for chunk in due.chunks(PER_COMMIT) {
                self.deliver(chunk).await?;
            }
        }
        Ok(())
    }

    async fn deliver(&self, events: &[Versioned<Outbox>]) -> Result<(), RepoError> {
        let mut txn = self.parts.repo.txn();
        for event in events {
            if event.value.sinks.iter().all(|sink| sink.delivered) {
                // Delivered and kept long enough: its cause can come no more.
                txn.delete(event);
                continue;
            }
            tracing::info!(tenant = %event.value.tenant, cause = %event.value.cause, event = ?event.value.event);
            let mut told = event.value.clone();
            told.keep_until = Some(crate::words::clock::later(self.now(), self.parts.limits.keep_closed_for));
            told.sinks.iter_mut().for_each(|sink| {
                sink.tries += 1;
                sink.delivered = true;
            });
            txn.update(event, &told);
        }
        match self.parts.repo.commit(txn).await {
            // Another replica told it first.
            Err(error) if error.is_conflict() => Ok(()),
            other => other.map(drop),
        }
    }
}
