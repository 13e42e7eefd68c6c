//! What an observation says about a thing on a row: pure.

use std::time::Duration;

use crate::nouns::cloud::{Observed, ThingState};
use crate::nouns::launch::{Absence, Launch, LaunchState, Thing, Want};
use crate::plan::absence;
use crate::words::clock::{Timestamp, between};
use crate::words::planted::{Bug, Planted};

/// A sighting alone does not rewrite a row more often than this.
const SEEN_EVERY: Duration = Duration::from_secs(600);

/// The thing was seen.
pub(super) fn seen(row: &mut Launch, observed: &Observed, now: Timestamp, planted: Planted) {
    let mark = row.frozen.mark;
    let Some(thing) = row.things.iter_mut().find(|thing| thing.id == observed.id) else { return };
    if between(thing.seen_at, now) > SEEN_EVERY || thing.missing.is_some() {
        thing.seen_at = now;
    }
    thing.missing = None;
    thing.state = observed.state;
    thing.ran |= observed.state == ThingState::Running;
    thing.fault.clone_from(&observed.fault);
    thing.zone.clone_from(&observed.zone);
    thing.public_address.clone_from(&observed.public_address);
    thing.private_address.clone_from(&observed.private_address);
    if observed.state == ThingState::Ended {
        // Ended is ended, whatever its tags say: clouds drop the tags of what has ended.
        thing.end = Some(Absence::EndSeen);
        return;
    }
    let agrees = observed
        .mark
        .is_some_and(|found| found.token == mark.token && found.installation == mark.installation);
    if planted.is(Bug::C12LostMarkReplaced) && !agrees {
        thing.end = Some(Absence::EndSeen);
        return;
    }
    thing.mark_lost = !agrees;
    if agrees {
        thing.confirmed = false;
    }
}

/// The thing was asked for by id and not found.
pub(super) fn not_found(row: &mut Launch, id: &crate::words::ids::ResourceId, at: Looked) {
    let Some(thing) = row.things.iter_mut().find(|thing| &thing.id == id && thing.alive()) else { return };
    absence::not_found(&mut thing.missing, at.now);
    if let Some(proof) = absence::proof(thing.missing.as_ref(), at.visible_within, at.planted) {
        thing.end = Some(proof);
        thing.state = ThingState::Ended;
    }
}

/// When and under which rules something was looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looked {
    pub(super) now: Timestamp,
    pub(super) visible_within: Duration,
    pub(super) planted: Planted,
}

/// Puts things on a row: each takes a free slot, or none when there is none.
pub(super) fn adopt(row: &mut Launch, births: &[Observed], now: Timestamp, planted: Planted) {
    for observed in births {
        if row.things.iter().any(|thing| thing.id == observed.id) {
            continue;
        }
        let taken = |no: &u32| row.things.iter().any(|thing| thing.unit == Some(*no));
        let unit = row.units.clone().find(|no| !taken(no));
        row.things.push(thing(observed, unit, now));
    }
    row.unseen = None;
    row.ambiguous = false;
    if matches!(row.state, LaunchState::Planned | LaunchState::Sent | LaunchState::Unknown) {
        row.state = LaunchState::Live;
        row.retry = None;
    }
    for observed in births {
        seen(row, observed, now, planted);
    }
    settle_state(row);
}

/// Live or Ending, by what is still wanted of it.
pub(super) fn settle_state(row: &mut Launch) {
    if !matches!(row.state, LaunchState::Live | LaunchState::Ending) {
        return;
    }
    let wanted = row.alive().any(|thing| row.want_of(thing) != Want::Gone);
    row.state = if wanted { LaunchState::Live } else { LaunchState::Ending };
}

fn thing(observed: &Observed, unit: Option<u32>, now: Timestamp) -> Thing {
    Thing {
        id: observed.id.clone(),
        unit,
        state: observed.state,
        seen_at: now,
        public_address: None,
        private_address: None,
        zone: None,
        mark_lost: false,
        confirmed: false,
        ran: false,
        missing: None,
        ending: None,
        power: None,
        end: None,
        fault: None,
    }
}
