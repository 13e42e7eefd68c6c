//! What the shards of this process hold, in numbers: kept by planning, so that counting reads nothing.
//!
//! # Guarantees
//! * A shard that is taken over is planned whole, so its numbers are complete after its first pass. A shard that is lost
//!   takes its numbers with it: over all replicas every reservation is counted once.
//!
//! # Caveats
//! A plan that could not be written counts as if it had been, until the next one. What is over is not counted.

use std::collections::{BTreeMap, HashMap};

use crate::contracts::observer::Tally;
use crate::nouns::launch::Want;
use crate::nouns::reservation::Phase;
use crate::nouns::unit::{Stage, Unit};
use crate::plan::reservation::Draft;
use crate::words::clock::Timestamp;
use crate::words::ids::ReservationId;

/// One reservation in numbers.
#[derive(Debug, Clone, Copy)]
struct Counted {
    shard: u16,
    phase: Phase,
    want: u64,
    have: u64,
    building: u64,
    diverged_at: Option<Timestamp>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    counted: HashMap<ReservationId, Counted>,
}

impl Tallies {
    /// A reservation as it was just planned.
    pub(super) fn note(&mut self, shard: u16, draft: &Draft) {
        let reservation = &draft.reservation;
        if reservation.over_at.is_some() {
            return self.forget(&reservation.id);
        }
        let count =
            |fits: &dyn Fn(&Unit) -> bool| draft.units.values().filter(|unit| fits(unit)).count() as u64;
        let have = |unit: &Unit| {
            let as_wanted = [(Stage::Ready, Want::On), (Stage::Off, Want::Off)];
            as_wanted.contains(&(unit.stage, unit.want))
        };
        let building = |unit: &Unit| unit.current.is_some() && !unit.stage.over() && !have(unit);
        let present = reservation.desired.present;
        let counted = Counted {
            shard,
            phase: reservation.summary.phase,
            want: if present { u64::from(reservation.desired.count) } else { 0 },
            have: count(&have),
            building: count(&|unit| building(unit) && unit.want != Want::Gone),
            diverged_at: reservation.diverged_at,
        };
        self.counted.insert(reservation.id.clone(), counted);
    }

    /// A reservation is over, or gone.
    pub(super) fn forget(&mut self, id: &ReservationId) {
        self.counted.remove(id);
    }

    /// A shard is somebody else's.
    pub(super) fn lose(&mut self, shard: u16) {
        self.counted.retain(|_, counted| counted.shard != shard);
    }

    /// Everything together.
    pub(super) fn tally(&self) -> Tally {
        let mut phases: BTreeMap<String, (Phase, u64)> = BTreeMap::new();
        let mut tally = Tally::default();
        for counted in self.counted.values() {
            phases.entry(format!("{:?}", counted.phase)).or_insert((counted.phase, 0)).1 += 1;
            tally.want += counted.want;
            tally.have += counted.have;
            tally.building += counted.building;
        }
        tally.diverged_at = self.counted.values().filter_map(|counted| counted.diverged_at).min();
        tally.reservations = phases.into_values().collect();
        tally
    }
}
