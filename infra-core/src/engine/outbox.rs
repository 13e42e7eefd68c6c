//! Delivers events. The log is the first sink; delivery is recorded, so that no event is told for ever.
//!
//! # Flow
//! Whoever makes something happen writes the event in the same commit where it can; this delivers what is not
//! yet delivered, and deletes what has been kept long enough.
//!
//! # Guarantees
//! * An event that was written is told: delivery begins again after a crash.
//! * One cause is one event: it is the record's key, and written only where there is none. A cause is kept as
//!   long as closed launches are, so that it cannot come again under the same name.
//!
//! # Caveats
//! A crash between telling and recording tells again: at least once, not exactly once. Events of different
//! shards come in any order; events of one reservation in the order of their moments.

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

    /// Tells a few events and records it in one commit. When that commit conflicts another replica has told
    /// them.
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
