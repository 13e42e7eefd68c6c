//! The history tells what became of every attempt and every change of phase: once, in order, whatever crashes.

use std::collections::{BTreeMap, BTreeSet};

use infra_core::nouns::event::{Event, Outbox};
use infra_core::nouns::launch::Launch;
use infra_core::nouns::reservation::{Phase, Reservation};
use infra_core::records::Versioned;
use infra_core::words::ids::{LaunchToken, ReservationId};

use super::world::World;

impl World {
    /// What the records say and the history does not, or the other way round.
    pub fn history_lies(&self, rows: &BTreeMap<LaunchToken, Versioned<Launch>>) -> Option<String> {
        let reservations: BTreeMap<ReservationId, Reservation> =
            self.reservations().into_iter().map(|record| (record.value.id.clone(), record.value)).collect();
        let mut entries: Vec<Versioned<Outbox>> = self.all();
        entries.retain(|entry| entry.value.is_of_a_reservation());
        entries.sort_by_key(|entry| entry.value.place(entry.version));
        forgotten(rows, &reservations)
            .or_else(|| untold(rows, &entries))
            .or_else(|| reservations.values().find_map(|reservation| phases_differ(reservation, &entries)))
    }
}

/// A row outlives its reservation: what is born late of it would be nobody's.
fn forgotten(
    rows: &BTreeMap<LaunchToken, Versioned<Launch>>,
    reservations: &BTreeMap<ReservationId, Reservation>,
) -> Option<String> {
    let alone = rows.values().find(|row| !reservations.contains_key(&row.value.reservation));
    alone.map(|row| format!("{} is kept and its reservation is forgotten", row.value.token))
}

/// A row says that it was told what became of a slot, and nobody was told; or somebody was told twice.
fn untold(rows: &BTreeMap<LaunchToken, Versioned<Launch>>, entries: &[Versioned<Outbox>]) -> Option<String> {
    let mut told: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for entry in entries.iter().map(|entry| &entry.value) {
        let mut parts = entry.cause.split('/').skip(2);
        let (token, slot) = (parts.next().unwrap_or_default(), parts.next());
        let slots = match &entry.event {
            Event::Tried { slots, .. } => slots.clone(),
            Event::Lost { .. } | Event::Replaced { .. } => {
                slot.and_then(|no| no.parse().ok()).into_iter().collect()
            }
            _ => continue,
        };
        told.entry(token.to_owned()).or_default().extend(slots);
    }
    rows.values().find_map(|row| {
        let said = told.get(&row.value.token.to_string()).cloned().unwrap_or_default();
        let once: BTreeSet<u32> = said.iter().copied().collect();
        let wrong = once != row.value.told || once.len() != said.len();
        wrong.then(|| format!("{} says {:?} was told, the history {said:?}", row.value.token, row.value.told))
    })
}

/// Each change of phase begins where the one before ended, and the last one ended where the reservation is.
fn phases_differ(reservation: &Reservation, entries: &[Versioned<Outbox>]) -> Option<String> {
    let mut at = Phase::Pending;
    for entry in entries.iter().map(|entry| &entry.value) {
        let Event::Phase { reservation: of, was, phase, .. } = &entry.event else { continue };
        if *of != reservation.id {
            continue;
        }
        if *was != Some(at) {
            return Some(format!("{of} came from {was:?} and was told to be {at:?}"));
        }
        at = *phase;
    }
    let is = reservation.summary.phase;
    (at != is).then(|| format!("{} is {is:?} and was told to be {at:?}", reservation.id))
}
