//! What an observation says about a thing on a row: pure.
//!
//! # Guarantees
//! * An end that was seen is final, whatever the tags of the thing say: clouds drop the tags of what has
//!   ended.
//! * A known id without its mark still counts as capacity. It is flagged, not replaced, and not ended.
//! * A slot is filled by one thing of an attempt; what comes beyond the slots fills none, and so is not
//!   wanted.
//! * A sighting that says nothing new rewrites its row every ten minutes at most.
//!
//! # Assumptions
//! Whoever calls has found the row by the thing's own id or by its mark, and has judged what is new to it.
//!
//! # Caveats
//! `ran` is for ever: a machine that was Running once is never a failed build again. Addresses, zone and fault are
//! as last seen, and stay on a thing that has ended.

use std::time::Duration;

use crate::nouns::cloud::{Observed, ThingState};
use crate::nouns::launch::{Absence, Launch, LaunchState, Thing, Want};
use crate::plan::absence;
use crate::words::clock::{Timestamp, between};
use crate::words::planted::{Bug, Planted};

/// A sighting alone does not rewrite a row more often than this.
const SEEN_EVERY: Duration = Duration::from_secs(600);

/// The thing was seen: state, addresses and mark are as observed, and whatever spoke for its absence is void. Does
/// nothing for a thing that is not on the row. A mark that is back again takes the person's word back, too: it
/// was given for one loss.
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

/// The thing was asked for by id and not found: with a listing between two such answers, far enough apart, that is
/// its end. What has ended already is left as it is.
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
    /// By the wall, as it goes into the row.
    pub(super) now: Timestamp,
    /// How far apart two looks must be, of this kind at this cloud.
    pub(super) visible_within: Duration,
    pub(super) planted: Planted,
}

/// Puts things on a row: each takes a free slot, or none when there is none. Which thing fills which slot of a batch
/// is ours to say, since the cloud numbers nothing; it is written once and never moved. A row that was on its way
/// is Live from now on. Known things are seen, not put on twice.
pub(super) fn adopt(row: &mut Launch, births: &[Observed], now: Timestamp, planted: Planted) {
    for observed in births {
        if row.things.iter().any(|thing| thing.id == observed.id) {
            continue;
        }
        let taken = |no: &u32| row.things.iter().any(|thing| thing.unit == Some(*no));
        let unit = row.units.clone().find(|no| !taken(no)).filter(|_| !row.superseded);
        row.things.push(Thing { late: row.superseded, ..thing(observed, unit, now) });
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

/// Live or Ending, by what is still wanted of it. Goes both ways: a reopened row is Ending, and one whose last wanted
/// thing ended is, too, until it is closed. Rows that are on their way or closed are none of its business.
pub(super) fn settle_state(row: &mut Launch) {
    if !matches!(row.state, LaunchState::Live | LaunchState::Ending) {
        return;
    }
    let wanted = row.alive().any(|thing| row.want_of(thing) != Want::Gone);
    row.state = if wanted { LaunchState::Live } else { LaunchState::Ending };
}

/// A thing as it stands on its row before anything of it was read: [`seen`] fills it in.
fn thing(observed: &Observed, unit: Option<u32>, now: Timestamp) -> Thing {
    Thing {
        id: observed.id.clone(),
        unit,
        late: false,
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
        power_refused: None,
        end: None,
        fault: None,
    }
}
