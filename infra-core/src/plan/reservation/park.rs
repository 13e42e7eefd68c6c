//! Off on clouds that bill a machine that is off: its disk is copied, the machine is ended, and the next one is made
//! from the copy.
//!
//! # Flow
//! Off: the machine is stopped by its lane like any other; once it has stopped a snapshot is planned; once that is
//! proven the slot lets go of the machine, which ends. On: the slot waits until the old machine was ordered to end, then
//! gets an attempt from the snapshot, in the snapshot's lane; once that machine runs the snapshot is ended. A wish that
//! turns around earlier starts the machine again and ends the copy.
//!
//! # Guarantees
//! * A machine goes only when a snapshot *of this very machine* is there by id, usable, marked, and in the same lane.
//! * The snapshot stays until a machine made from it has run, or the slot is given up.
//! * A snapshot is a launch row like any other: written before it is made, looked up when its reply is lost, ended
//!   when nothing needs it.
//! * A slot whose snapshot vanished is lost and says so. It is never filled from the first image as if nothing had been.
//!
//! # Caveats
//! What is written between the stop and the snapshot cannot be, because the machine is off. A snapshot that keeps
//! failing leaves the machine off and billed, with the reason shown.

use super::follow::{age, is_hopeless, supersede};
use super::{Draft, Picture, backoff, freeze};
use crate::nouns::cloud::{PowerMode, ThingState};
use crate::nouns::event::Event;
use crate::nouns::launch::{EndCause, Launch, LaunchBody, Thing, Want};
use crate::nouns::reservation::Choice;
use crate::nouns::unit::{Stage, Unit};
use crate::words::clock::later;
use crate::words::ids::{ImageId, LaunchToken, ResourceId};
use crate::words::lane::ResourceKind;
use crate::words::planted::Bug;

/// Parks and unparks every slot whose machine is turned off by being ended, and ends snapshots that nobody needs.
///
/// The slots are taken out of the draft meanwhile, so that a slot and the rows beside it can be changed together.
pub(super) fn all(draft: &mut Draft, picture: &Picture<'_>, draw: &mut dyn FnMut() -> LaunchToken) {
    for (no, mut unit) in std::mem::take(&mut draft.units) {
        match unit.want {
            Want::Gone => forget(&mut unit),
            Want::Off => park(draft, picture, &mut unit, draw),
            Want::On => unpark(draft, picture, &mut unit),
        }
        draft.units.insert(no, unit);
    }
    end_unneeded(draft);
}

/// A slot that wants to be off: copy the stopped machine, then let go of it.
///
/// Each plan goes as far as what was seen allows. A machine whose mark is gone is left as it is: it is not provably
/// ours to end.
fn park(draft: &mut Draft, picture: &Picture<'_>, unit: &mut Unit, draw: &mut dyn FnMut() -> LaunchToken) {
    let Some(row) = unit.current.and_then(|token| draft.launches.get(&token)).cloned() else {
        return watch(draft, picture, unit);
    };
    let machine = row.things.iter().rfind(|thing| thing.unit == Some(unit.no) && thing.alive());
    let Some(machine) = machine.filter(|thing| !thing.mark_lost && parks(&row, picture)) else { return };
    if machine.state != ThingState::Stopped {
        return;
    }
    unit.stage = Stage::Stopping;
    let copy = unit.snapshot.and_then(|token| draft.launches.get(&token));
    let unfinished = picture.planted.is(Bug::C15SnapshotUnproven) && copy.is_some();
    if let Some(proven) = copy.and_then(|copy| proven(copy, &row, &machine.id)) {
        unit.kept = vec![proven.clone()];
    } else if !unfinished {
        return copy_again(draft, picture, unit, &row, &machine.id, draw);
    }
    unit.current = None;
    unit.incarnation += 1;
    unit.reason = None;
}

/// How is a machine of this row turned off: by being ended?
///
/// What the request says comes first, the cloud's own first way after it. A lane that the picture lacks parks nothing
/// by itself.
fn parks(row: &Launch, picture: &Picture<'_>) -> bool {
    let LaunchBody::Machine(body) = &row.frozen.body else { return false };
    let first = picture.lanes.get(&row.lane.id()).and_then(|lane| lane.facts.off_modes.first());
    body.options.off.as_ref().or(first) == Some(&PowerMode::Snapshot)
}

/// The snapshot of exactly this machine, if it is there, usable, ours and in the same lane.
///
/// One that a listing misses proves nothing, even though it was seen before: its machine stays until that is settled.
fn proven<'a>(copy: &'a Launch, row: &Launch, machine: &ResourceId) -> Option<&'a Thing> {
    let of = matches!(&copy.frozen.body, LaunchBody::Snapshot { of } if of == machine);
    let there = |thing: &&Thing| {
        thing.state == ThingState::Running && thing.alive() && thing.missing.is_none() && !thing.mark_lost
    };
    let ours = of && copy.wanted() && copy.lane == row.lane;
    copy.things.iter().rfind(there).filter(|_| ours)
}

/// Plans a snapshot where there is none under way, after a pause when the last one came to nothing.
///
/// One at a time. A copy under way only hands its trouble on to the slot; one of another machine, one that failed and
/// one without hope is given up first. The pause grows with every copy of this machine that is over.
fn copy_again(
    draft: &mut Draft,
    picture: &Picture<'_>,
    unit: &mut Unit,
    row: &Launch,
    machine: &ResourceId,
    draw: &mut dyn FnMut() -> LaunchToken,
) {
    if let Some(copy) = unit.snapshot.and_then(|token| draft.launches.get_mut(&token)) {
        let of_another = !matches!(&copy.frozen.body, LaunchBody::Snapshot { of } if of == machine);
        let failed = copy.things.iter().any(|thing| thing.state == ThingState::Error);
        if !copy.closed() && !copy.superseded && !of_another && !failed && !is_hopeless(copy, picture) {
            unit.reason = copy.retry.as_ref().map(|retry| retry.reason.clone());
            return;
        }
        if !copy.closed() {
            supersede(copy);
        }
        forget(unit);
    }
    let over = |copy: &&Launch| {
        let of_this = matches!(&copy.frozen.body, LaunchBody::Snapshot { of } if of == machine);
        of_this && (copy.closed() || copy.superseded)
    };
    let over: Vec<&Launch> = draft.launches.values().filter(over).collect();
    let times = u32::try_from(over.len()).unwrap_or(u32::MAX);
    if let Some(last) = over.into_iter().max_by_key(|copy| (copy.created_at, copy.token)) {
        unit.reason = Some("no snapshot could be made yet; the machine is off and billed".to_owned());
        let wait = backoff(times, last.token, picture.limits);
        if age(last, picture) < wait {
            draft.look_at(later(last.created_at, wait));
            return;
        }
    }
    let copy = freeze::snapshot(row, machine, draw(), picture.now);
    unit.snapshot = Some(copy.token);
    draft.new_launches.push(copy);
}

/// A slot without a machine: is its snapshot still there?
///
/// Lost is only what had been proven: a copy that was never done is dropped without a word, because it is of no use.
fn watch(draft: &mut Draft, picture: &Picture<'_>, unit: &mut Unit) {
    if unit.kept.is_empty() {
        // Its machine went before the copy was done: the copy is of no use.
        return forget(unit);
    }
    let Some(copy) = unit.snapshot.and_then(|token| draft.launches.get(&token)) else { return };
    let (there, token) = (copy.wanted() && copy.alive().next().is_some(), copy.token);
    if !there && !unit.stage.over() {
        unit.stage = Stage::Lost;
        unit.reason = Some("the snapshot of the machine vanished; it is not replaced without you".to_owned());
        if let Some(thing) = unit.kept.first() {
            let event = Event::Lost { reservation: unit.reservation.clone(), thing: thing.id.clone() };
            draft.tell_of(picture, token, unit.no, "lost", event);
        }
    } else if there && unit.stage != Stage::Lost {
        unit.stage = match (unit.want, ending(draft, unit)) {
            (_, Some(false)) | (Want::Off, Some(true)) => Stage::Stopping,
            (Want::On, _) => Stage::Waiting,
            _ => Stage::Off,
        };
    }
}

/// The slot's former machine: `None` when it is gone, `Some(true)` when it was ordered to end and the cloud took the
/// order, so that it is no capacity any more.
fn ending(draft: &Draft, unit: &Unit) -> Option<bool> {
    let former = draft.launches.values().filter(|row| !row.closed() && row.wants.contains_key(&unit.no));
    let things = former
        .filter(|row| !row.units.is_empty())
        .flat_map(|row| row.alive().filter(|thing| thing.unit == Some(unit.no)));
    things.fold(None, |all, thing| {
        let ordered =
            thing.state == ThingState::Ending || thing.ending.as_ref().is_some_and(|e| e.said.is_none());
        Some(all.unwrap_or(true) && ordered)
    })
}

/// A slot that wants to be on: its snapshot has served once a machine runs.
fn unpark(draft: &mut Draft, picture: &Picture<'_>, unit: &mut Unit) {
    if unit.current.is_none() {
        watch(draft, picture, unit);
    } else if unit.stage == Stage::Ready {
        forget(unit);
    }
}

/// The slot names no copy any more. The copy itself is ended once no slot names it, by `end_unneeded`.
fn forget(unit: &mut Unit) {
    unit.snapshot = None;
    unit.kept.clear();
}

/// Snapshots that no slot holds are ended.
///
/// A copy that was told to go keeps the cause it was told with.
fn end_unneeded(draft: &mut Draft) {
    let held: Vec<LaunchToken> = draft.units.values().filter_map(|unit| unit.snapshot).collect();
    let copies =
        draft.launches.values_mut().filter(|row| row.kind() == ResourceKind::Snapshot && !row.closed());
    for copy in copies.filter(|copy| !held.contains(&copy.token)) {
        if copy.wants.insert(0, Want::Gone) != Some(Want::Gone) {
            copy.cause.get_or_insert(EndCause::Asked);
        }
    }
}

/// What a waiting slot's next attempt is made from: the choice in the lane of its snapshot, with the snapshot as its
/// image. `None` for a slot that was never parked, `Some(None)` when nothing can be made there now.
///
/// The slot's own offer is tried first, then the others in turn: the type may differ, the lane must not.
pub(super) fn parked(draft: &Draft, unit: &Unit) -> Option<Option<Choice>> {
    let copy = draft.launches.get(&unit.snapshot.filter(|_| !unit.kept.is_empty())?)?;
    let choices = &draft.reservation.spec.choices;
    let mut from = choices.iter().cycle().skip(unit.offer).take(choices.len());
    let choice = from.find(|choice| choice.lane == copy.lane);
    let thing = copy.alive().find(|thing| thing.state == ThingState::Running);
    Some(choice.zip(thing).and_then(|(choice, thing)| {
        let image = ImageId::new(thing.id.as_str()).ok()?;
        Some(Choice { image, ..choice.clone() })
    }))
}
