//! Who watches: counts and durations of what the engine does, for metrics and health.
//!
//! # Guarantees
//! * Nothing is decided upon what an observer says or does: it only hears.
//! * It hears no user, no reservation and no secret: lanes, operations, outcomes, numbers.
//!
//! # Assumptions
//! Every method returns at once. It is called between two steps of the engine, sometimes many times a second.
//!
//! # Caveats
//! What an observer was told may be lost with the process. Who wants to know what happened asks the history.

use std::fmt::{self, Debug};
use std::time::Duration;

use crate::nouns::reservation::Phase;
use crate::words::clock::Timestamp;
use crate::words::fault::FaultKind;
use crate::words::lane::Lane;

/// What a cloud was asked for: the verbs of [`super::provider`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Who is this key?
    Identify,
    /// Types, zones, prices, images.
    Catalogue,
    /// Make something.
    Launch,
    /// What did an attempt make?
    Find,
    /// Look at single things.
    Get,
    /// List everything of ours, one page.
    List,
    /// End, power or mark one thing.
    Act,
    /// Read a metric.
    Measure,
}

impl Op {
    /// The word for logs and labels.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Catalogue => "catalogue",
            Self::Launch => "launch",
            Self::Find => "find",
            Self::Get => "get",
            Self::List => "list",
            Self::Act => "act",
            Self::Measure => "measure",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// It answered well.
    Done,
    /// It answered otherwise, or not.
    Failed(FaultKind),
    /// Nobody waited for its answer any more.
    Abandoned,
}

impl CallOutcome {
    /// The word for logs and labels: `ok`, a kind of failure, or `abandoned`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Failed(kind) => kind.word(),
            Self::Abandoned => "abandoned",
        }
    }
}

/// All open reservations whose shards this process holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many are in each phase; phases without any are left out.
    pub reservations: Vec<(Phase, u64)>,
    /// Machines that are wanted.
    pub want: u64,
    /// Machines that are there as wanted: usable, or off.
    pub have: u64,
    /// Machines that exist or may exist and are not usable yet.
    pub building: u64,
    /// Since when the one that has not been as desired for longest is not; `None` when all are.
    pub diverged_at: Option<Timestamp>,
}

/// Hears what happens. No method may block or panic.
pub trait Observer: Send + Sync + Debug {
    /// A call to a cloud came back, or was given up.
    fn provider_call(&self, lane: &Lane, op: Op, outcome: CallOutcome, took: Duration);

    /// A call may go; it had to wait so long for its lane's rate.
    fn limiter_wait(&self, lane: &Lane, waited: Duration);

    /// A lane's breaker opened or closed; said once per lane before anything else of it.
    fn breaker(&self, lane: &Lane, open: bool);

    /// A lane was listed, or could not be.
    fn listed(&self, lane: &Lane, complete: bool);

    /// Marked things without a row that stand in a lane now.
    fn droppings(&self, lane: &Lane, count: u64);

    /// A commit was answered; `None` for done.
    fn store_commit(&self, failure: Option<FaultKind>, took: Duration);

    /// All shards were looked at once more.
    fn turned(&self, tally: &Tally);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn provider_call(&self, _: &Lane, _: Op, _: CallOutcome, _: Duration) {}
    fn limiter_wait(&self, _: &Lane, _: Duration) {}
    fn breaker(&self, _: &Lane, _: bool) {}
    fn listed(&self, _: &Lane, _: bool) {}
    fn droppings(&self, _: &Lane, _: u64) {}
    fn store_commit(&self, _: Option<FaultKind>, _: Duration) {}
    fn turned(&self, _: &Tally) {}
}
