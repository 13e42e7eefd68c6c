//! What happened, written in the commit that made it happen, delivered afterwards.

use serde::{Deserialize, Serialize};

use crate::words::clock::Timestamp;
use crate::words::ids::{ReservationId, ResourceId, TenantId, UserId};
use crate::words::lane::LaneId;

/// One event. `cause` is its identity: the same cause is enqueued once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// Whose; the system's own when nobody's.
    pub tenant: TenantId,
    /// `<reservation>/<what>/<change or token>`: enqueued once.
    pub cause: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// How far each sink is.
    pub sinks: Vec<SinkState>,
    /// Delivered everywhere: kept until then, so that the same cause is not enqueued again.
    #[serde(default)]
    pub keep_until: Option<Timestamp>,
}

impl Outbox {
    /// An event for the log.
    #[must_use]
    pub fn new(tenant: TenantId, cause: String, at: Timestamp, event: Event) -> Self {
        let sinks = vec![SinkState { sink: "log".to_owned(), tries: 0, delivered: false }];
        Self { tenant, cause, at, event, sinks, keep_until: None }
    }
}

/// How far a sink is with an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkState {
    /// Which sink.
    pub sink: String,
    /// Tries so far.
    pub tries: u32,
    /// Done.
    pub delivered: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A reservation was accepted.
    Reserved {
        /// Which.
        reservation: ReservationId,
        /// By whom.
        by: UserId,
    },
    /// Its phase changed.
    Phase {
        /// Which.
        reservation: ReservationId,
        /// To what.
        phase: super::reservation::Phase,
        /// Why.
        reason: Option<String>,
    },
    /// Its desired state was changed.
    Desired {
        /// Which.
        reservation: ReservationId,
        /// To what.
        desired: super::reservation::Desired,
    },
    /// It belongs to another team mate now.
    Transferred {
        /// Which.
        reservation: ReservationId,
        /// Whose it was.
        from: UserId,
        /// Whose it is.
        to: UserId,
    },
    /// Its time was over.
    Ended {
        /// Which.
        reservation: ReservationId,
    },
    /// A machine vanished and is not replaced.
    Lost {
        /// Of which reservation.
        reservation: ReservationId,
        /// Which machine.
        thing: ResourceId,
    },
    /// A machine's mark is gone: counted, not touched.
    MarkLost {
        /// Of which reservation.
        reservation: ReservationId,
        /// Which machine.
        thing: ResourceId,
    },
    /// Something was born after its attempt had been closed; it is being ended.
    LateBirth {
        /// Of which reservation.
        reservation: ReservationId,
        /// Which thing.
        thing: ResourceId,
    },
    /// An ending takes too long; it is retried for ever.
    Stuck {
        /// Of which reservation.
        reservation: ReservationId,
        /// Which thing.
        thing: ResourceId,
        /// What the cloud says.
        said: Option<String>,
    },
    /// A thing carries our mark but has no row; nothing is done to it.
    Orphan {
        /// Where.
        lane: LaneId,
        /// Which thing.
        thing: ResourceId,
    },
    /// A brake holds something.
    Held {
        /// What is held: a reservation, a lane, or everything.
        what: String,
        /// Which brake, and its figures.
        why: String,
    },
}
