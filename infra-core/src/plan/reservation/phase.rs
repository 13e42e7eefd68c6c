//! The summary: derived, cached for lists, never decided upon.
//!
//! # Guarantees
//! * A phase follows from what is desired and from the stages of the slots that are wanted. It is read back
//!   only for its own next word, and by reservations that wait until this one is ready.
//! * Released and failed mean that nothing is left in any cloud, as far as can be proven: every slot is over
//!   *and* every attempt is closed.
//!
//! # Caveats
//! At most twenty places stand in a summary; who wants all of them reads the units.

use super::{Draft, Picture, deadlines};
use crate::nouns::event::Event;
use crate::nouns::launch::{Launch, Want};
use crate::nouns::reservation::{Phase, Power, Summary, UnitView};
use crate::nouns::unit::{Stage, Unit};
use crate::plan::cost::cost;
use crate::price::usage;

/// Units a summary shows.
const PLACES_MAX: usize = 20;

/// Derives phase and counts, and tells when the phase changed.
///
/// What follows from the phase alone is noted here, too: when it was first ready, when it was over and at what cost,
/// and since when it is not as desired.
pub(super) fn summarise(draft: &mut Draft, picture: &Picture<'_>) {
    let phase = phase(draft);
    if phase == Phase::Ready && draft.reservation.ready_at.is_none() {
        draft.reservation.ready_at = Some(picture.now);
        deadlines::start_counting(draft, picture);
    }
    if is_over(draft) {
        draft.reservation.over_at = Some(picture.now);
        let rows: Vec<&Launch> = draft.launches.values().collect();
        draft.reservation.months =
            usage::by_month(&draft.reservation, &rows, picture.now).into_iter().collect();
        draft.reservation.cost = Some(cost(&draft.reservation, draft.launches.values(), picture.now));
    }
    let settled = matches!(phase, Phase::Ready | Phase::Stopped | Phase::Failed | Phase::Released);
    let since = draft.reservation.diverged_at.unwrap_or(picture.now);
    draft.reservation.diverged_at = (!settled).then_some(since);
    let units = || draft.units.values();
    let have = units().filter(|unit| unit.current.is_some() && !unit.stage.over()).count();
    let ready = units().filter(|unit| unit.stage == Stage::Ready).count();
    let reason = reason(draft, picture, phase);
    let places = units()
        .filter(|unit| unit.stage != Stage::Gone)
        .take(PLACES_MAX)
        .map(|unit| view(draft, unit))
        .collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let wanted = draft.reservation.desired.count;
    let (have, ready) = (count(have), count(ready));
    let summary = Summary { phase, wanted, have, ready, reason: reason.clone(), places };
    if phase != picture.reservation.summary.phase {
        let was = Some(picture.reservation.summary.phase);
        let event = Event::Phase { reservation: picture.reservation.id.clone(), was, phase, reason };
        draft.tell(picture, "phase", event);
    }
    draft.reservation.summary = summary;
}

/// Ended, and nothing of it is left in any cloud as far as can be proven.
fn is_over(draft: &Draft) -> bool {
    !draft.reservation.desired.present
        && draft.units.values().all(|unit| unit.stage.over())
        && draft.new_launches.is_empty()
        && draft.launches.values().all(|row| row.closed())
}

/// The wire word. Failed while still desired means that every machine is lost: nothing is bought again
/// without its owner, who may release it.
fn phase(draft: &Draft) -> Phase {
    let reservation = &draft.reservation;
    let was = reservation.summary.phase;
    if !reservation.desired.present {
        return match (is_over(draft), &reservation.failure) {
            (false, _) => Phase::Releasing,
            (true, None) => Phase::Released,
            (true, Some(_)) => Phase::Failed,
        };
    }
    let wanted: Vec<&Unit> = draft.units.values().filter(|unit| unit.want != Want::Gone).collect();
    let all = |stage: Stage| wanted.iter().all(|unit| unit.stage == stage || unit.stage == Stage::Lost);
    let complete = wanted.len() == reservation.desired.count as usize;
    let lost = !wanted.is_empty() && wanted.iter().all(|unit| unit.stage == Stage::Lost);
    if lost {
        return Phase::Failed;
    }
    if reservation.desired.power == Power::Off {
        return if all(Stage::Off) { Phase::Stopped } else { Phase::Stopping };
    }
    if complete && all(Stage::Ready) {
        return Phase::Ready;
    }
    if matches!(was, Phase::Stopped | Phase::Stopping | Phase::Starting) && reservation.ready_at.is_some() {
        return Phase::Starting;
    }
    let begun = wanted.iter().any(|unit| unit.current.is_some()) || was == Phase::Creating;
    if begun || reservation.ready_at.is_some() { Phase::Creating } else { Phase::Pending }
}

/// Why it is not further: the brake that holds it, a deadline that is not believed, or what the first slot in
/// trouble says.
///
/// What has failed for good says that alone: a hold or a deadline means nothing to it any more.
fn reason(draft: &Draft, picture: &Picture<'_>, phase: Phase) -> Option<String> {
    let reservation = &draft.reservation;
    let held = reservation.hold.as_ref().map(|hold| hold.detail.clone());
    let late = || {
        let due = deadlines::is_end_due(reservation, picture.now);
        picture.deadlines_held.filter(|_| due).map(|why| format!("its time is over, but {why}"))
    };
    let unit = || draft.units.values().filter(|unit| unit.want != Want::Gone).find_map(|u| u.reason.clone());
    match phase {
        Phase::Releasing | Phase::Released => reservation.failure.clone(),
        Phase::Failed => reservation.failure.clone().or_else(unit),
        _ => held.or_else(late).or_else(unit),
    }
}

/// One unit as users see it.
///
/// Of several things that filled the slot the last one is shown. A slot without an attempt shows its number and state.
fn view(draft: &Draft, unit: &Unit) -> UnitView {
    let row = unit.current.and_then(|token| {
        draft.launches.get(&token).or_else(|| draft.new_launches.iter().find(|row| row.token == token))
    });
    let thing = row.and_then(|row| row.things.iter().rfind(|thing| thing.unit == Some(unit.no)));
    let type_name = row.and_then(|row| match &row.frozen.body {
        crate::nouns::launch::LaunchBody::Machine(body) => Some(body.type_name.to_string()),
        _ => None,
    });
    let zone =
        thing.and_then(|thing| thing.zone.clone()).or_else(|| row.and_then(|row| row.frozen.zone.clone()));
    UnitView {
        slot: unit.no,
        state: unit.stage,
        provider: row.map(|row| row.lane.cloud.to_string()),
        account: row.map(|row| row.lane.account.to_string()),
        region: row.map(|row| row.lane.region.to_string()),
        zone: zone.map(String::from),
        type_: type_name,
        provider_id: thing.map(|thing| thing.id.to_string()),
        public_address: thing.and_then(|thing| thing.public_address.clone()),
        private_address: thing.and_then(|thing| thing.private_address.clone()),
    }
}
