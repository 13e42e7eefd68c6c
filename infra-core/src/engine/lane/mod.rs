//! Lane reconcile: the only place from which a cloud is changed.
//!
//! One tick: settle sends that were interrupted, list when a listing is due, look at what is in motion, then
//! send, look up and act, each within every brake. All knowledge goes into the rows at once; nothing is
//! remembered here that a crash may not forget.
//!
//! # Guarantees
//! * Without the claim of this lane nothing is even read. With it, every commit that precedes a call checks
//!   it again.
//! * Nothing is changed before the identity is right and one complete listing has shown that the store is not
//!   older than the cloud.
//! * Only what was seen in this very tick is acted upon: a proof needs an observation, and an old one is
//!   none.
//! * All steps of one attempt are taken one after the other; different attempts go side by side, so many at
//!   once as the lane may have calls open.
//!
//! # Assumptions
//! One tick of a lane at a time, and every call it begins it also awaits: so a row that says Sent at the
//! beginning of a tick was left behind by a crash.
//!
//! # Caveats
//! An attempt that conflicts is left to the next tick. A lane with very many rows reads them again after
//! every phase that may have written what it learned: up to three times per tick.
//!
//! # Cancel safety
//! A tick may be dropped at any await. A call that was on its way then may have happened: its row says Sent, and the
//! next tick makes that Unknown before it does anything else.
//!
//! # Errors
//! Only the store's end a tick. What a cloud says is written on the row that it is about.

mod act;
mod births;
mod listing;
mod look;
mod observe;
mod send;
mod state;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

pub(super) use state::LaneWorker;

use super::claims::Ownership;
use super::world::Engine;
use crate::contracts::provider::{CloudProvider, KindFacts};
use crate::contracts::store::ListBy;
use crate::nouns::cloud::{Observed, PowerMode};
use crate::nouns::installation::Installation;
use crate::nouns::launch::{EndCause, Launch, LaunchBody, LaunchState, Thing, Want};
use crate::plan::fair::in_turns;
use crate::plan::guard;
use crate::plan::resolve::{Context, Step, steps};
use crate::records::{RepoError, Versioned, state as index_state};
use crate::words::clock::Timestamp;
use crate::words::ids::ResourceId;
use crate::words::lane::Lane;
use listing::Droppings;
use state::Switches;
use tracing::Instrument;

/// Everything that is done for one attempt is logged under this, down to the clouds' calls: with the id of the request
/// that asked for it.
fn span(row: &Launch) -> tracing::Span {
    let Launch { token, reservation, lane, request_id, .. } = row;
    let request_id = request_id.as_ref().map(tracing::field::display);
    tracing::info_span!("attempt", request_id, %reservation, %token, %lane)
}

/// A listing is for everybody, and so for nobody's request.
fn listing_span(lane: &Lane) -> tracing::Span {
    tracing::debug_span!(target: "infra_trace", "listing", %lane)
}

/// Things seen in this very tick: only they can be proven.
type Fresh = BTreeMap<ResourceId, (Observed, Duration)>;

/// Everything one tick of a lane works with.
struct Tick<'a> {
    engine: &'a Engine,
    worker: &'a LaneWorker,
    installation: &'a Versioned<Installation>,
    ownership: Ownership,
    provider: Arc<dyn CloudProvider>,
    switches: Switches,
    droppings: Mutex<Droppings>,
}

impl LaneWorker {
    /// One pass over this lane. Answers how many steps were taken.
    ///
    /// Nothing, and no call, when another replica holds the lane, when no row is open and no listing is due, or when
    /// the lane cannot be connected.
    pub(super) async fn tick(
        &self,
        engine: &Engine,
        installation: &Versioned<Installation>,
    ) -> Result<usize, RepoError> {
        let Some(ownership) = self.hold(engine, installation).await? else { return Ok(0) };
        let rows = self.rows(engine).await?;
        let listing_due = self.listing_due(engine, &rows);
        if rows.is_empty() && !listing_due {
            return Ok(0);
        }
        let Some(provider) = self.provider(engine).await else { return Ok(0) };
        let switches = Switches::read(engine, &self.lane, &rows).await?;
        let droppings = Mutex::default();
        let tick = Tick { engine, worker: self, installation, ownership, provider, switches, droppings };
        tick.run(rows, listing_due).await
    }

    /// The claim on this lane, renewed when that is due; `None` while another replica has it.
    async fn hold(
        &self,
        engine: &Engine,
        installation: &Versioned<Installation>,
    ) -> Result<Option<Ownership>, RepoError> {
        engine.hold(installation.value.epoch, &format!("lane:{}", self.lane.id())).await
    }

    /// The open rows of this lane, of every tenant: the one place where tenants are read together, and
    /// nothing of it leaves the lane.
    ///
    /// Closed rows are not among them, however many there are: a late birth finds its row by its token.
    async fn rows(&self, engine: &Engine) -> Result<Vec<Versioned<Launch>>, RepoError> {
        let here = ListBy::Lane(self.lane.id());
        engine.parts.repo.list_again(here, Some(index_state::OPEN), &self.rows_seen).await
    }
}

impl Tick<'_> {
    /// Settles, lists, looks, then works. Answers how many steps were taken, so that whoever drives knows
    /// whether to go on at once.
    ///
    /// Rows are read again after whatever may have written them, because steps are taken upon the version that was
    /// read. Tenants take turns: one with a thousand attempts holds nobody else up.
    async fn run(&self, rows: Vec<Versioned<Launch>>, listing_due: bool) -> Result<usize, RepoError> {
        let mut done = self.settle_interrupted(&rows).await?;
        if listing_due && !self.list(&rows).instrument(listing_span(&self.worker.lane)).await? {
            return Ok(done);
        }
        let rows = if done > 0 || listing_due { self.worker.rows(self.engine).await? } else { rows };
        // Nothing is changed before one complete listing has shown that the store is not older than the cloud.
        if !self.worker.is_identity_right() || !self.worker.is_witnessed() {
            return Ok(done);
        }
        let (fresh, looked) = self.look(&rows).await?;
        let rows = if looked { self.worker.rows(self.engine).await? } else { rows };
        let mass = self.is_mass(&rows);
        let rows = in_turns(rows, self.worker.next_turn(), |row| row.value.tenant.clone());
        let mut jobs: Vec<BoxFuture<'_, Result<usize, RepoError>>> = Vec::with_capacity(rows.len());
        for row in &rows {
            jobs.push(self.work(row, &fresh, mass).boxed());
        }
        let width = self.engine.parts.limits.open_creates_max.max(1) as usize;
        let mut jobs = stream::iter(jobs).buffer_unordered(width);
        while let Some(result) = jobs.next().await {
            match result {
                Ok(steps) => done += steps,
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// A send that nobody has in hand any more was interrupted: it may have happened.
    ///
    /// The number of sends is compared, too: a row that was sent once more since it was read is in somebody's hand.
    /// Nothing is sent here; what becomes of the row is resolved like that of any other that is Unknown.
    async fn settle_interrupted(&self, rows: &[Versioned<Launch>]) -> Result<usize, RepoError> {
        let mut settled = 0;
        for row in rows.iter().filter(|row| row.value.state == LaunchState::Sent) {
            let sends = row.value.sends.len();
            let unknown = |row: &mut Launch| {
                if row.state == LaunchState::Sent && row.sends.len() == sends {
                    row.state = LaunchState::Unknown;
                }
            };
            self.engine.record(&row.value, unknown).await?;
            settled += 1;
        }
        Ok(settled)
    }

    /// All steps of one row, one after the other.
    ///
    /// They follow from the row as it was read. When an earlier one has written it, a later one may conflict, and
    /// comes again with the next tick.
    async fn work(&self, row: &Versioned<Launch>, fresh: &Fresh, mass: bool) -> Result<usize, RepoError> {
        let Some(context) = self.context(&row.value) else { return Ok(0) };
        let steps = steps(&row.value, &context);
        // Most attempts rest in most ticks: a span for each would bury those of the others.
        if steps.iter().all(|step| matches!(step, Step::Look(_))) {
            return Ok(0);
        }
        let work = async {
            let mut done = 0;
            for step in &steps {
                done += usize::from(self.step(row, step, fresh, mass).await?);
            }
            Ok(done)
        };
        work.instrument(span(&row.value)).await
    }

    /// Takes one step. Answers whether anything was done: a brake that says no is no error, the step comes
    /// again.
    ///
    /// While a mass ending is held, ends that were asked for go on, those that undo what is all or nothing, and those
    /// of late births. `Look` is nothing to do here: everything that needs one was looked at before the first step.
    async fn step(
        &self,
        row: &Versioned<Launch>,
        step: &Step,
        fresh: &Fresh,
        mass: bool,
    ) -> Result<bool, RepoError> {
        match step {
            Step::Close(how) => self.close(row, how).await,
            Step::Send => self.send(row).await,
            Step::LookUp => self.look_up(row).await,
            Step::MarkShort => self.engine.record(&row.value, |row| row.short = true).await.map(|_| true),
            Step::Look(_) => Ok(false),
            Step::End(id) => {
                let asked = matches!(row.value.cause, None | Some(EndCause::Asked | EndCause::Compensation));
                let late = row.value.things.iter().any(|thing| thing.id == *id && thing.late);
                if mass && !asked && !late {
                    return Ok(false);
                }
                self.end(row, id, fresh).await
            }
            Step::Power(id, mode) => self.power(row, id, *mode, fresh).await,
            Step::Remark(id) => self.remark(row, id, fresh).await,
        }
    }

    /// Would this tick end more of the lane at once than anybody plausibly meant? What people asked for by
    /// name does not count, and neither do late births, which nobody ever had: after an outage they come by the dozen.
    ///
    /// What was ordered to end already does not count either, or a large ending would hold itself up half-way.
    fn is_mass(&self, rows: &[Versioned<Launch>]) -> bool {
        let things = |row: &Versioned<Launch>| row.value.alive().count();
        let total: usize = rows.iter().map(things).sum();
        let automatic = |row: &&Versioned<Launch>| {
            matches!(row.value.cause, Some(EndCause::Deadline | EndCause::Replaced | EndCause::LateBirth))
        };
        let ending: usize = rows
            .iter()
            .filter(automatic)
            .map(|row| {
                let row = &row.value;
                let unwanted = |thing: &&Thing| row.want_of(thing) == Want::Gone && thing.ending.is_none();
                row.alive().filter(unwanted).filter(|thing| !thing.late).count()
            })
            .sum();
        let mass = guard::is_mass(ending, total, &self.engine.parts.limits);
        if mass {
            tracing::warn!(lane = %self.worker.lane, ending, total, "mass ending is held: confirm it");
        }
        mass && !self.worker.is_mass_allowed(self.now())
    }

    /// What resolving needs to know. `None` for a kind that this cloud cannot make (any more): its rows rest
    /// until it can.
    fn context(&self, row: &Launch) -> Option<Context<'_>> {
        let facts: &KindFacts = self.provider.facts().kind(row.kind())?;
        let asked = match &row.frozen.body {
            LaunchBody::Machine(body) => body.options.off,
            _ => None,
        };
        let off_mode = asked.or_else(|| self.provider.facts().off_modes.first().copied());
        // Before its disk is copied a machine is stopped: the planner copies only what stands still.
        let off_mode = off_mode.filter(|mode| *mode != PowerMode::Snapshot).unwrap_or(PowerMode::Stop);
        let limits = &self.engine.parts.limits;
        Some(Context { now: self.now(), limits, facts, off_mode, planted: self.engine.parts.planted })
    }

    /// Until when the claim is held, by the monotonic clock; renewed when that is due. A tick may take longer than a
    /// claim lives: a large listing alone does, and what is sent after it must not count from before it.
    async fn held_until(&self) -> Result<Option<Duration>, RepoError> {
        Ok(self.worker.hold(self.engine, self.installation).await?.map(|ownership| ownership.until))
    }

    /// What the wall says.
    ///
    /// A wall that has jumped does not get past the clock guard.
    fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// What the monotonic clock says: brakes and proofs are measured by it.
    fn mono(&self) -> Duration {
        self.engine.parts.clock.mono()
    }
}
