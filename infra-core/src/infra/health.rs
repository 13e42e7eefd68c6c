//! Is everything working? Each part for itself, from what was last heard of it and a few cheap reads.
//!
//! # Flow
//! [`Pulse`] stands between the engine and whoever observes it, passes everything on, and remembers when it last heard
//! of the shards and of each lane. [`Operator::health`] puts that together with the store's own answer.
//!
//! # Guarantees
//! * No cloud is asked, and nothing is listed: one read per shard at most, so that asking often storms nobody.
//!
//! # Caveats
//! A lane in trouble makes an installation degraded, not unready: other lanes work, and taking a server out of service
//! mends no cloud.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::InfraError;
use super::operator::Operator;
use crate::contracts::observer::{CallOutcome, Observer, Op, Tally};
use crate::nouns::event::Outbox;
use crate::nouns::installation::Frozen;
use crate::records::Versioned;
use crate::words::clock::{Clock, between};
use crate::words::fault::FaultKind;
use crate::words::lane::Lane;

/// The shards are looked at every half second; later than this something hangs.
const TURN_WITHIN: Duration = Duration::from_secs(60);
/// An event that waits longer than this to be told is overdue.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
/// A lane is listed once a minute at rest; one that was not for so long is in trouble.
const LISTED_WITHIN: Duration = Duration::from_secs(300);

/// How one part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It works.
    Ok,
    /// Something of it does not, and the rest goes on.
    Degraded,
    /// It does not.
    Down,
    /// There is none in this process.
    Absent,
}

/// One part, how it is, and figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Component {
    /// How it is.
    pub condition: Condition,
    /// Why, or how well. Names no tenant and no account.
    pub detail: String,
}

/// Every part of an installation, as this process sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The store answers, and nothing is frozen.
    pub store: Component,
    /// The shards are being looked at.
    pub engine: Component,
    /// The clouds are being listed.
    pub lanes: Component,
    /// What happened is being told.
    pub events: Component,
    /// Why nothing is changed, when nothing is.
    pub frozen: Option<Frozen>,
}

impl Health {
    /// May requests be sent here?
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let parts = [&self.store, &self.engine, &self.lanes, &self.events];
        self.frozen.is_none() && parts.iter().all(|part| part.condition != Condition::Down)
    }
}

/// What was last heard of the engine.
#[derive(Debug)]
pub(super) struct Pulse {
    observer: Arc<dyn Observer>,
    clock: Arc<dyn Clock>,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// When the engine was started, and when its shards were last looked at.
    started: Option<Duration>,
    turned: Option<Duration>,
    lanes: BTreeMap<String, LanePulse>,
}

#[derive(Debug, Default)]
struct LanePulse {
    listed: Option<Duration>,
    failed: bool,
    open: bool,
}

impl Pulse {
    /// Passes everything on to `observer`.
    pub(super) fn new(observer: Arc<dyn Observer>, clock: Arc<dyn Clock>) -> Self {
        Self { observer, clock, heard: Mutex::default() }
    }

    /// An engine runs in this process from now on.
    pub(super) fn started(&self) {
        let now = self.clock.mono();
        self.with(|heard| heard.started = Some(now));
    }

    /// Works on what was heard, under its lock: short, and without calling the observer, who may take its time.
    fn with<T>(&self, work: impl FnOnce(&mut Heard) -> T) -> T {
        work(&mut self.heard.lock().expect("no panic under this lock"))
    }

    /// By the last look at the shards, or by the start when there was none yet: an engine that never turns is found
    /// out, too.
    fn engine(&self) -> Component {
        let now = self.clock.mono();
        self.with(|heard| {
            let Some(started) = heard.started else {
                return part(Condition::Absent, "this process only serves".to_owned());
            };
            let age = now.saturating_sub(heard.turned.unwrap_or(started));
            let condition = if age > TURN_WITHIN { Condition::Down } else { Condition::Ok };
            part(condition, format!("shards were looked at {} s ago", age.as_secs()))
        })
    }

    /// Never down. That a lane was not listed yet since the start is no trouble by itself.
    fn lanes(&self) -> Component {
        let now = self.clock.mono();
        self.with(|heard| {
            if heard.started.is_none() {
                return part(Condition::Absent, "this process only serves".to_owned());
            }
            let sick = |lane: &&LanePulse| {
                lane.open || lane.failed || lane.listed.is_some_and(|at| now > at + LISTED_WITHIN)
            };
            let (all, sick) = (heard.lanes.len(), heard.lanes.values().filter(sick).count());
            let condition = if sick == 0 { Condition::Ok } else { Condition::Degraded };
            part(condition, format!("{sick} of {all} in trouble"))
        })
    }
}

/// Its detail is shown to whoever asks for health: no tenant, no account, no key.
fn part(condition: Condition, detail: String) -> Component {
    Component { condition, detail }
}

#[deny(clippy::missing_trait_methods)]
impl Observer for Pulse {
    fn provider_call(&self, lane: &Lane, op: Op, outcome: CallOutcome, took: Duration) {
        self.observer.provider_call(lane, op, outcome, took);
    }

    fn limiter_wait(&self, lane: &Lane, waited: Duration) {
        self.observer.limiter_wait(lane, waited);
    }

    /// Whether it is open is remembered: health may ask long after it was said.
    fn breaker(&self, lane: &Lane, open: bool) {
        self.with(|heard| heard.lanes.entry(lane.id().0).or_default().open = open);
        self.observer.breaker(lane, open);
    }

    /// A failed one leaves the moment of the last good one: both are signs of trouble, each by itself.
    fn listed(&self, lane: &Lane, complete: bool) {
        let now = self.clock.mono();
        self.with(|heard| {
            let lane = heard.lanes.entry(lane.id().0).or_default();
            lane.failed = !complete;
            if complete {
                lane.listed = Some(now);
            }
        });
        self.observer.listed(lane, complete);
    }

    fn droppings(&self, lane: &Lane, count: u64) {
        self.observer.droppings(lane, count);
    }

    fn store_commit(&self, failure: Option<FaultKind>, took: Duration) {
        self.observer.store_commit(failure, took);
    }

    /// That shards were looked at is the engine's sign of life, whatever there was to plan.
    fn turned(&self, tally: &Tally) {
        let now = self.clock.mono();
        self.with(|heard| heard.turned = Some(now));
        self.observer.turned(tally);
    }
}

impl Operator {
    /// How every part is. Reads the installation, and one event per shard. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones: a store that does not answer has nothing to say about the rest.
    pub async fn health(&self) -> Result<Health, InfraError> {
        let installation = self.core.installation().await?.value;
        let store = match &installation.frozen {
            None => part(Condition::Ok, "it answers".to_owned()),
            Some(_) => part(Condition::Down, "frozen: a person must say what happened".to_owned()),
        };
        let (pulse, frozen) = (&self.core.pulse, installation.frozen);
        let engine = match frozen {
            // A frozen store is looked at by nobody, on purpose.
            Some(_) => part(Condition::Absent, "the store is frozen".to_owned()),
            None => pulse.engine(),
        };
        let events = self.events(engine.condition).await?;
        Ok(Health { store, engine, lanes: pulse.lanes(), events, frozen })
    }

    /// How long the oldest event has waited to be told.
    ///
    /// Only the longest due record of each shard is read. Where no engine runs in this process a late event degrades
    /// and does not take the process out of service: telling it is another one's work.
    async fn events(&self, engine: Condition) -> Result<Component, InfraError> {
        let now = self.core.now();
        let mut oldest = Duration::ZERO;
        for shard in 0..self.core.repo.shards() {
            let due: Vec<Versioned<Outbox>> = self.core.repo.due(shard, now, 1).await?;
            let undelivered = |event: &Outbox| event.sinks.iter().any(|sink| !sink.delivered);
            let waits = due.iter().filter(|event| undelivered(&event.value));
            oldest = waits.map(|event| between(event.value.at, now)).max().unwrap_or_default().max(oldest);
        }
        let late = oldest > TOLD_WITHIN;
        let condition = match (engine, late) {
            (_, false) => Condition::Ok,
            // Somebody else's to tell.
            (Condition::Absent, true) => Condition::Degraded,
            (_, true) => Condition::Down,
        };
        Ok(part(condition, format!("the oldest untold one is {} s old", oldest.as_secs())))
    }
}
