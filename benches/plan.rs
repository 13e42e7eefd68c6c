//! Claim: planning a reservation of 1,000 units is a matter of milliseconds, so one replica plans many groups.
//! Baseline in the same run: copying the same records once, which no planner that returns a draft can beat.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::BTreeMap;
use std::hint::black_box;

use infra_benches::{Bench, quick};
use infra_core::Limits;
use infra_core::nouns::cloud::ThingState;
use infra_core::nouns::launch::{Launch, LaunchState, Thing};
use infra_core::nouns::reservation::{Heal, Reservation};
use infra_core::nouns::unit::Unit;
use infra_core::plan::reservation::{LaneView, Picture, plan};
use infra_core::testing::{SeededEntropy, fixtures};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::LaunchToken;
use infra_core::words::lane::{LaneId, Version};
use infra_core::words::planted::Planted;

const UNITS: u32 = 1_000;

struct Group {
    reservation: Reservation,
    units: Vec<Unit>,
    launches: Vec<Launch>,
    lanes: BTreeMap<LaneId, LaneView>,
    limits: Limits,
    now: Timestamp,
    entropy: SeededEntropy,
}

impl Group {
    fn picture(&self) -> Picture<'_> {
        Picture {
            reservation: &self.reservation,
            version: Version(1),
            units: &self.units,
            launches: &self.launches,
            lanes: &self.lanes,
            now: self.now,
            limits: &self.limits,
            deadlines_held: None,
            mass_deadline: false,
            needs_met: true,
            planted: Planted::NONE,
        }
    }

    fn plan(&self) -> infra_core::plan::reservation::Draft {
        plan(&self.picture(), &mut || LaunchToken::draw(self.now, &self.entropy))
    }

    /// Plans and lets the cloud make everything at once, until all units are ready.
    fn grown() -> Self {
        let now = Timestamp::from_second(1_767_225_600).expect("in range");
        let view = LaneView { facts: fixtures::facts(10, true), calm: true };
        let mut limits = Limits::default();
        limits.runaway_slack = 1_000_000;
        let mut group = Self {
            reservation: fixtures::reservation(UNITS, Heal::Replace, None, now),
            units: Vec::new(),
            launches: Vec::new(),
            lanes: [(fixtures::lane().id(), view)].into(),
            limits,
            now,
            entropy: SeededEntropy::new(1),
        };
        while group.reservation.summary.ready < UNITS {
            let draft = group.plan();
            group.reservation = draft.reservation;
            group.units = draft.units.into_values().collect();
            group.launches = draft.launches.into_values().chain(draft.new_launches).collect();
            group
                .launches
                .iter_mut()
                .filter(|row| row.state == LaunchState::Planned)
                .for_each(|row| born(row, now));
        }
        group
    }
}

fn born(row: &mut Launch, now: Timestamp) {
    row.state = LaunchState::Live;
    let things = row.units.clone().map(|no| Thing {
        id: format!("m-{no}").parse().expect("a legal id"),
        unit: Some(no),
        state: ThingState::Running,
        seen_at: now,
        public_address: None,
        private_address: None,
        zone: None,
        late: false,
        mark_lost: false,
        confirmed: false,
        ran: true,
        missing: None,
        ending: None,
        power: None,
        power_refused: None,
        end: None,
        fault: None,
    });
    row.things.extend(things);
}

fn main() {
    let group = Group::grown();
    let mut half = Group::grown();
    half.reservation.desired.count = UNITS / 2;
    let rounds = if quick() { 20 } else { 400 };
    let mut bench = Bench::new(rounds);
    let copy = || (group.reservation.clone(), group.units.clone(), group.launches.clone());
    let base = bench.median_ns(|| black_box(copy()));
    let steady = bench.median_ns(|| black_box(group.plan()));
    let shrink = bench.median_ns(|| black_box(half.plan()));
    bench.report("plan_1000_units_steady", steady, Some(base));
    bench.report("plan_1000_units_shrink_by_half", shrink, Some(base));
}
