//! What one reservation needs next: a pure function from what is known to what is written down.
//!
//! # Flow
//! Deadlines, then wishes (how many slots, on or off), then each slot follows its attempt, then slots are parked
//! where being off means being ended, then new attempts for slots without one, then the wishes are copied onto the attempts (which is all that lanes read), then
//! the summary. The result is a draft of every record; who writes it compares it with what was read.
//!
//! # Guarantees
//! * Same picture and same tokens, same draft.
//! * Running it again on its own draft changes nothing.
//! * `Want::Gone` on an attempt is for ever: a release always wins.
//!
//! # Assumptions
//! The picture is of one moment, or is checked to be when the draft is written. Closed attempts are in it:
//! they say what was tried.
//!
//! # Caveats
//! The planner knows no prices and no catalogue: choices were ranked at admission, and it walks down the
//! list. When the list is used up it begins again, after the memory of lacking capacity has faded.

mod afford;
mod attempts;
mod deadlines;
mod follow;
mod freeze;
mod park;
mod phase;
mod wishes;

pub use deadlines::{is_end_due, is_end_past, provisional_end};
pub use follow::is_dry;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::contracts::provider::Facts;
use crate::nouns::actor::Actor;
use crate::nouns::budget::Budget;
use crate::nouns::event::{Event, Outbox};
use crate::nouns::launch::Launch;
use crate::nouns::reservation::{Hold, HoldReason, Reservation};
use crate::nouns::unit::Unit;
use crate::plan::cost::cost;
use crate::plan::memory::Memory;
use crate::words::clock::{Timestamp, later};
use crate::words::ids::LaunchToken;
use crate::words::lane::{LaneId, Version};
use crate::words::limits::Limits;
use crate::words::planted::Planted;

/// What planning needs to know of a lane.
#[derive(Debug, Clone)]
pub struct LaneView {
    /// What its cloud can do.
    pub facts: Facts,
    /// Nothing speaks against creating and replacing there: breaker closed, not unhealthy, identity right.
    pub calm: bool,
}

/// Everything a plan depends on.
#[derive(Debug, Clone)]
pub struct Picture<'a> {
    /// The reservation.
    pub reservation: &'a Reservation,
    /// The version it was read at.
    pub version: Version,
    /// All its slots.
    pub units: &'a [Unit],
    /// All its attempts, closed ones included.
    pub launches: &'a [Launch],
    /// Lanes by id; one that is missing is not connected.
    pub lanes: &'a BTreeMap<LaneId, LaneView>,
    /// What those lanes lacked lately.
    pub memory: &'a Memory,
    /// The budgets that it counts against.
    pub budgets: &'a [Budget],
    /// Now.
    pub now: Timestamp,
    /// The limits in force.
    pub limits: &'a Limits,
    /// Why deadlines are not believed now, if they are not.
    pub deadlines_held: Option<&'a str>,
    /// Too many of the tenant's deadlines fell due at once: ask first.
    pub mass_deadline: bool,
    /// Everything this reservation needs from others is ready.
    pub needs_met: bool,
    /// A defect on purpose, if any.
    pub planted: Planted,
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The reservation.
    pub reservation: Reservation,
    /// Its slots.
    pub units: BTreeMap<u32, Unit>,
    /// Its attempts that were there.
    pub launches: BTreeMap<LaunchToken, Launch>,
    /// Its new attempts.
    pub new_launches: Vec<Launch>,
    /// What happened to the reservation: written with it.
    pub events: Vec<Outbox>,
    /// What was decided about what is desired: written with that decision, alone.
    pub decisions: Vec<Outbox>,
    /// What became of slots on an attempt: each written with the attempt's row, which notes that it was told.
    pub told: Vec<(LaunchToken, Outbox)>,
    /// The reservation itself (deadlines, next slot, tries) must be looked at again then.
    pub next_look: Timestamp,
}

/// Plans. `draw` makes a new token for every attempt.
pub fn plan(picture: &Picture<'_>, draw: &mut dyn FnMut() -> LaunchToken) -> Draft {
    let mut draft = Draft {
        reservation: picture.reservation.clone(),
        units: picture.units.iter().map(|unit| (unit.no, unit.clone())).collect(),
        launches: picture.launches.iter().map(|row| (row.token, row.clone())).collect(),
        new_launches: Vec::new(),
        events: Vec::new(),
        decisions: Vec::new(),
        told: Vec::new(),
        next_look: later(picture.now, picture.limits.self_heal_every),
    };
    if draft.reservation.over_at.is_some() {
        // Older versions left a next look on what was over.
        draft.reservation.deadlines.0.clear();
        return draft;
    }
    deadlines::apply(&mut draft, picture);
    afford::apply(&mut draft, picture);
    wishes::assign(&mut draft, picture);
    follow::all(&mut draft, picture);
    park::all(&mut draft, picture, draw);
    attempts::plan(&mut draft, picture, draw);
    wishes::spread(&mut draft);
    phase::summarise(&mut draft, picture);
    draft.reservation.charge = Some(afford::charged(&draft, picture));
    deadlines::schedule(&mut draft, picture);
    draft.count_costs(picture);
    draft
}

/// How often the list of a reservation grows by another one's length when all in it were refused, the first included.
pub const LISTS_MAX: usize = 4;

impl Draft {
    /// Has a slot no offer left that was not refused lately, and may the list still grow?
    pub fn is_dry(&self, limits: &Limits) -> bool {
        let (wanted, kept) = (&self.reservation.desired, &self.reservation.spec.choices);
        let room = kept.len() < limits.offers_kept * LISTS_MAX;
        room && wanted.present && self.reservation.hold.is_none() && self.units.values().any(is_dry)
    }

    /// Something must be looked at again by then.
    fn look_at(&mut self, when: Timestamp) {
        self.next_look = self.next_look.min(when);
    }

    /// Something happened. `what` and the version make the cause: the same transition is enqueued once.
    fn tell(&mut self, picture: &Picture<'_>, what: &str, event: Event) {
        let told = self.entry(picture, &format!("{what}/{}", picture.version), event);
        self.events.push(told);
    }

    /// Something was decided about what is desired; told like everything else, but in the decision's own commit.
    fn decide(&mut self, picture: &Picture<'_>, what: &str, event: Event) {
        let told = self.entry(picture, &format!("{what}/{}", picture.version), event);
        self.decisions.push(told);
    }

    /// Something became of a slot on an attempt. Told once for each: the row notes it in the commit that tells it, so
    /// neither a crash nor a second plan loses or repeats it. Says whether it was new.
    fn tell_of(
        &mut self,
        picture: &Picture<'_>,
        token: LaunchToken,
        slot: u32,
        what: &str,
        event: Event,
    ) -> bool {
        let new = self.launches.get_mut(&token).is_some_and(|row| row.told.insert(slot));
        if new {
            let told = self.entry(picture, &format!("{what}/{token}/{slot}"), event);
            self.told.push((token, told));
        }
        new
    }

    /// An entry of the history, by the engine, on the request that was last.
    fn entry(&self, picture: &Picture<'_>, what: &str, event: Event) -> Outbox {
        let reservation = picture.reservation;
        let cause = format!("{}/{what}", reservation.id);
        let actor = Actor::engine().on(reservation.request_id.clone());
        let nth = self.events.len() + self.decisions.len() + self.told.len();
        let told = Outbox::new(reservation.tenant.clone(), cause, picture.now, event).by(actor);
        Outbox { nth: u32::try_from(nth).unwrap_or(u32::MAX), ..told }
    }

    /// Every entry says what had been spent by then.
    fn count_costs(&mut self, picture: &Picture<'_>) {
        let entries = self.events.iter_mut().chain(&mut self.decisions);
        let mut entries = entries.chain(self.told.iter_mut().map(|(_, told)| told)).peekable();
        if entries.peek().is_some() {
            let cost = cost(&self.reservation, self.launches.values(), picture.now);
            entries.for_each(|entry| entry.cost = Some(cost));
        }
    }

    /// Holds the reservation: nothing new is made for it until somebody lifts the hold.
    fn hold(&mut self, picture: &Picture<'_>, why: HoldReason, detail: String) {
        if self.reservation.hold.is_some() {
            return;
        }
        let event = Event::Held { what: picture.reservation.id.to_string(), why: detail.clone() };
        self.tell(picture, "held", event);
        self.reservation.hold = Some(Hold { why, detail, since: picture.now });
    }

    /// Lifts a hold, and says so.
    fn lift(&mut self, picture: &Picture<'_>) {
        let Some(hold) = self.reservation.hold.take() else { return };
        let event = Event::Lifted { reservation: picture.reservation.id.clone(), why: hold.detail };
        self.tell(picture, "lifted", event);
    }

    /// Gives up: everything is ended, and the reservation ends as failed.
    fn fail(&mut self, picture: &Picture<'_>, reason: String) {
        if self.reservation.desired.present {
            let event = Event::GaveUp { reservation: picture.reservation.id.clone(), why: reason.clone() };
            self.decide(picture, "gave-up", event);
        }
        self.reservation.failure.get_or_insert(reason);
        if self.reservation.desired.present {
            self.reservation.desired.present = false;
            self.reservation.desired.change += 1;
            self.reservation.end_cause = Some(crate::nouns::launch::EndCause::Compensation);
        }
    }
}

/// Exponential pause with full jitter. The jitter comes from the token, so that the plan stays a function.
#[must_use]
pub fn backoff(times: u32, seed: LaunchToken, limits: &Limits) -> Duration {
    let ceiling = limits.retry_min.saturating_mul(1 << times.saturating_sub(1).min(16)).min(limits.retry_max);
    let (_, low) = seed.0.as_u64_pair();
    let share = (low >> 16) % 1000;
    let spread = ceiling.saturating_sub(limits.retry_min);
    limits.retry_min + spread.mul_f64(f64::from(u32::try_from(share).unwrap_or(0)) / 1000.0)
}
