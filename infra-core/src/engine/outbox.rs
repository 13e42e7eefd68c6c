//! Delivers events. The log is the first sink; delivery is recorded, so that no event is told for ever.
//!
//! # Flow
//! Whoever makes something happen writes the event in the same commit where it can; this delivers what is not
//! yet delivered, and deletes what has been kept long enough.
//!
//! # Guarantees
//! * An event that was written is told: delivery begins again after a crash.
//! * One cause is one event: it is the record's key, and written only where there is none. What is about a
//!   reservation stays as long as that does, because it is its history; everything else as long as closed launches.
//! * Delivery moves the record's version and never its place in the history: the number of the commit that wrote it
//!   first is kept.
//!
//! # Caveats
//! A crash between telling and recording tells again: at least once, not exactly once. Sinks hear events of different
//! shards in any order, and events of one reservation in the order of their moments; the history has the exact order.

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
            let Outbox { tenant, cause, actor, event: what, .. } = &event.value;
            let delivered = event.value.sinks.iter().all(|sink| sink.delivered);
            if delivered && !event.value.is_of_a_reservation() {
                // Delivered and kept long enough: its cause can come no more.
                txn.delete(event);
                continue;
            }
            if !delivered {
                let request_id = actor.request_id.as_ref().map(tracing::field::display);
                tracing::info!(%tenant, %cause, by = %actor.by, request_id, event = ?what);
            }
            txn.update(event, &self.told(event));
        }
        match self.parts.repo.commit(txn).await {
            // Another replica told it first.
            Err(error) if error.is_conflict() => Ok(()),
            other => other.map(drop),
        }
    }

    /// The event as it stands once every sink has it.
    fn told(&self, event: &Versioned<Outbox>) -> Outbox {
        let mut told = event.value.clone();
        told.first.get_or_insert(event.version);
        let kept = crate::words::clock::later(self.now(), self.parts.limits.keep_closed_for);
        told.keep_until = (!told.is_of_a_reservation()).then_some(kept);
        for sink in told.sinks.iter_mut().filter(|sink| !sink.delivered) {
            sink.tries += 1;
            sink.delivered = true;
        }
        told
    }
}
