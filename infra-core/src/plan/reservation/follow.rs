//! Each slot follows its attempt.
//!
//! # Flow
//! A slot without an attempt rests, or waits for one. A slot with one shows what its attempt shows: launching
//! while nobody knows, then the state of its own thing. When the attempt is over the slot is over with it, is
//! lost, or is tried again: elsewhere after a lack of capacity, later after anything else.
//!
//! # Guarantees
//! * Unknown is capacity. A slot is freed only by a proof, or, on clouds without tokens, by the end of the
//!   hold, and then its old attempt is watched until it is proven never born. Satellites cost nothing and are
//!   held only until they are proven absent.
//! * A machine that ran and vanished is not bought again unless the reservation says so; one that never ran
//!   was no machine yet, and is.
//! * Nothing is replaced in a lane in trouble, or while so many of a reservation's machines are unhealthy
//!   that replacing would feed an outage.
//! * A machine whose mark is lost is neither replaced nor ended.
//! * Who gives up says why, in the words of the cloud.
//!
//! # Assumptions
//! * The rows are as the lane last wrote them. They may be old; then a slot follows a little later, never to a
//!   state that its attempt was not in.
//! * An attempt has at most one living thing per slot: what comes beyond its slots fills none.
//!
//! # Caveats
//! * Health is what the cloud says of its machine. What runs on it is not looked at here.
//! * A machine that is Suspect (the cloud itself is not sure) is shown as probing and waited for, without limit.
//! * Where the cloud has tokens, an unknown attempt is followed without limit: its replay will tell, or its window
//!   closes and its absence is proven. A lane that nobody reaches proves nothing, and its slots wait.

use std::collections::HashMap;
use std::time::Duration;

use super::{Draft, Picture, backoff};
use crate::contracts::provider::TokenScope;
use crate::nouns::cloud::ThingState;
use crate::nouns::event::Event;
use crate::nouns::launch::{Absence, Closed, EndCause, Launch, LaunchState, Thing, Want};
use crate::nouns::reservation::{Choice, Heal, HoldReason, Try};
use crate::nouns::unit::{Stage, Unit};
use crate::plan::{absence, guard};
use crate::words::clock::{Timestamp, between, later};
use crate::words::fault::FaultKind;
use crate::words::ids::LaunchToken;
use crate::words::planted::Planted;

/// Tries a reservation remembers, the newest. They are for people: nothing is decided by them.
const TRIES_MAX: usize = 50;

/// Lets every slot follow, by number. Whether so many are unhealthy that replacing stops is judged once, before
/// the first of them: the order of the slots must not decide who is still replaced.
pub(super) fn all(draft: &mut Draft, picture: &Picture<'_>) {
    let unhealthy = draft.units.values().filter(|unit| is_unhealthy(draft, picture, unit)).count();
    let replacing_stops = guard::is_unhealthy(unhealthy, draft.units.len(), picture.limits);
    // Rows as they were read: what one slot writes on a row never changes what another slot of it sees, but for
    // its being superseded.
    let rows: HashMap<LaunchToken, &Launch> = picture.launches.iter().map(|row| (row.token, row)).collect();
    for (no, mut unit) in std::mem::take(&mut draft.units) {
        match unit.current.and_then(|token| rows.get(&token)) {
            Some(row) => follow(draft, picture, &mut unit, row, replacing_stops),
            None => rest(&mut unit),
        }
        draft.units.insert(no, unit);
    }
}

/// A slot without attempt. Lost and failed ones rest as they are while anybody wants them: that is what keeps
/// them from being bought again. Everything else is as it is wished, or waits to be.
const fn rest(unit: &mut Unit) {
    if matches!(unit.stage, Stage::Lost | Stage::Failed) && !matches!(unit.want, Want::Gone) {
        return;
    }
    unit.stage = match unit.want {
        Want::Gone => Stage::Gone,
        Want::Off => Stage::Off,
        Want::On => Stage::Waiting,
    };
}

/// One slot and its attempt, state by state.
///
/// * On its way (`Planned`, `Sent`, `Unknown`): the slot is launching, with the reason of the last pause.
/// * There (`Live`, `Ending`): by the newest thing that fills this slot. No thing yet means that a batch has
///   brought fewer so far; `short` says that no more will come.
/// * Closed: never born, or ended. `Evicted` was given away by a person, so the slot is given up with it.
fn follow(draft: &mut Draft, picture: &Picture<'_>, unit: &mut Unit, row: &Launch, replacing_stops: bool) {
    match &row.state {
        LaunchState::Planned | LaunchState::Sent | LaunchState::Unknown => {
            unit.stage = if unit.want == Want::Gone { Stage::Ending } else { Stage::Launching };
            unit.reason = row.retry.as_ref().map(|retry| retry.reason.clone());
            supersede_if_hopeless(draft, picture, unit, row);
        }
        LaunchState::Live | LaunchState::Ending => match row.things.iter().rfind(|t| t.unit == Some(unit.no))
        {
            Some(thing) if thing.alive() => alive(draft, picture, unit, row, thing, replacing_stops),
            Some(thing) => ended(draft, picture, unit, row, Some(thing)),
            None if row.short => {
                retry_elsewhere(draft, picture, unit, row, "fewer machines were made than asked");
            }
            None => unit.stage = if unit.want == Want::Gone { Stage::Ending } else { Stage::Launching },
        },
        LaunchState::Closed(Closed::NeverBorn(absence)) => never_born(draft, picture, unit, row, absence),
        LaunchState::Closed(Closed::Gone(_)) => {
            let thing = row.things.iter().rfind(|thing| thing.unit == Some(unit.no));
            ended(draft, picture, unit, row, thing);
        }
        LaunchState::Closed(Closed::Evicted) => {
            unit.want = Want::Gone;
            unit.stage = Stage::Gone;
        }
    }
}

/// Without a token an unknown attempt is never sent again: its slot is given to a new one after the hold, and
/// it is watched until it is proven never born, or ended when it shows up.
fn supersede_if_hopeless(draft: &mut Draft, picture: &Picture<'_>, unit: &mut Unit, row: &Launch) {
    let unknown = row.state == LaunchState::Unknown && unit.want != Want::Gone;
    if draft.launches.get(&row.token).is_some_and(|row| row.superseded) {
        // Superseded together with another slot of the same attempt.
        release_slot(unit);
    } else if unknown && is_hopeless(row, picture) {
        if let Some(row) = draft.launches.get_mut(&row.token) {
            supersede(row);
        }
        release_slot(unit);
        unit.reason = Some("an attempt's outcome is unknown; trying anew".to_owned());
    } else if unknown && is_tokenless(row, picture) {
        draft.look_at(held_until(row, picture));
    }
}

/// Is nothing gained by waiting for this unknown attempt any longer? Only without a token, after the hold, and
/// not while a person is asked which of several things is its: the answer may be that this one has a machine.
pub(super) fn is_hopeless(row: &Launch, picture: &Picture<'_>) -> bool {
    let unknown = row.state == LaunchState::Unknown && !row.ambiguous;
    let held = held_until(row, picture) > picture.now && !is_spare(row, picture);
    unknown && is_tokenless(row, picture) && !held
}

/// A satellite that was looked for long enough: should its request still sit in a queue, there will be two for a
/// while, which costs nothing, and the late one is ended. A machine would cost, so its slot is held.
fn is_spare(row: &Launch, picture: &Picture<'_>) -> bool {
    let facts = picture.lanes.get(&row.lane.id()).and_then(|lane| lane.facts.kind(row.kind()));
    let absent = |within| absence::proof(row.unseen.as_ref(), within, Planted::NONE).is_some();
    row.units.is_empty() && facts.is_some_and(|facts| absent(facts.visible_within))
}

/// Gives an attempt's slots away; what it made after all is ended when it shows up.
pub(super) const fn supersede(row: &mut Launch) {
    row.superseded = true;
    row.cause = Some(EndCause::LateBirth);
}

/// Has its cloud no idempotency token for this kind? A lane that is not connected counts as one that has: nothing
/// is given up while nobody can ask.
fn is_tokenless(row: &Launch, picture: &Picture<'_>) -> bool {
    let lane = picture.lanes.get(&row.lane.id());
    lane.and_then(|lane| lane.facts.kind(row.kind())).is_some_and(|kind| kind.token == TokenScope::None)
}

/// Until when a tokenless unknown attempt holds its slot: counted from its last send, because that is the last
/// moment at which a request of its may have entered somebody's queue.
/// An unknown attempt holds its slot for the configured hold, and never shorter than the cloud may take to show what it
/// made: a large snapshot takes longer than any machine.
fn held_until(row: &Launch, picture: &Picture<'_>) -> Timestamp {
    let facts = picture.lanes.get(&row.lane.id()).and_then(|lane| lane.facts.kind(row.kind()));
    let shown = facts.map_or(Duration::ZERO, |facts| facts.visible_within);
    later(row.last_sent().unwrap_or(row.created_at), picture.limits.unknown_hold.max(shown))
}

/// The machine is there. It is not wanted any more, or in trouble, or well.
///
/// Trouble is cured by another machine when the reservation heals by itself, or when this one never ran (then
/// nobody has anything on it); when its lane is calm; when not too many are unhealthy at once; and when the mark
/// is there, because what has lost it cannot be ended, and would cost beside its successor.
fn alive(
    draft: &mut Draft,
    picture: &Picture<'_>,
    unit: &mut Unit,
    row: &Launch,
    thing: &Thing,
    replacing_stops: bool,
) {
    let discarded = row.wants.get(&unit.no) == Some(&Want::Gone);
    if unit.want == Want::Gone || discarded {
        unit.stage = Stage::Ending;
        // Ordered to end: it still costs, but it is no capacity, and a stuck ending blocks nobody.
        let ordered =
            thing.state == ThingState::Ending || thing.ending.as_ref().is_some_and(|e| e.said.is_none());
        if unit.want != Want::Gone && ordered {
            retry_elsewhere(draft, picture, unit, row, "the machine could not be used and is replaced");
        }
        return;
    }
    let trouble = trouble(picture, row, thing);
    let curable = draft.reservation.heal == Heal::Replace || !thing.ran;
    let calm = picture.lanes.get(&row.lane.id()).is_some_and(|lane| lane.calm);
    match trouble {
        Some(reason) if curable && calm && !replacing_stops && !thing.mark_lost => {
            discard(draft, unit, row);
            unit.reason = Some(reason);
        }
        Some(reason) => {
            unit.stage = Stage::Probing;
            unit.reason = Some(reason);
        }
        None => healthy(draft, picture, unit, row, thing),
    }
}

/// The slot's stage, from the machine's state and the wish. Readiness forgives earlier failures: ten of them in
/// the life of a machine that has run for a year are no reason to give up at the eleventh.
fn healthy(draft: &mut Draft, picture: &Picture<'_>, unit: &mut Unit, row: &Launch, thing: &Thing) {
    unit.stage = match (thing.state, unit.want) {
        (ThingState::Running, Want::On) => Stage::Ready,
        (ThingState::Running, _) | (ThingState::Stopping, Want::Off | Want::Gone) => Stage::Stopping,
        (ThingState::Stopped, Want::Off) => Stage::Off,
        (ThingState::Ending | ThingState::Ended, _) => Stage::Ending,
        (ThingState::Suspect | ThingState::Error, _) => Stage::Probing,
        _ => Stage::Booting,
    };
    if unit.stage == Stage::Ready {
        unit.failed = 0;
        unit.retry_at = None;
    }
    let lost = thing.mark_lost.then(|| "the machine's mark is gone; confirm that it is yours".to_owned());
    let turning = unit.stage == Stage::Stopping || thing.state == ThingState::Stopped;
    let refused = || thing.power_refused.as_ref().filter(|_| turning).map(|refused| refused.said.clone());
    unit.reason = lost.or_else(refused);
    if unit.stage == Stage::Booting && !thing.ran {
        draft.look_at(build_due(picture, row));
    }
}

/// When a build is given up: `build_deadline` after its last send. A replay restarts the time, because the cloud
/// may have begun only with that one.
fn build_due(picture: &Picture<'_>, row: &Launch) -> Timestamp {
    later(row.last_sent().unwrap_or(row.created_at), picture.limits.build_deadline)
}

/// What is wrong with a machine, in words for the user: the cloud says so, or it builds for too long. A machine
/// that ran once is never late, however long it is `Building` again (some clouds show a restart so).
fn trouble(picture: &Picture<'_>, row: &Launch, thing: &Thing) -> Option<String> {
    let fault = || thing.fault.clone().unwrap_or_else(|| "no reason given".to_owned());
    match thing.state {
        ThingState::Error => Some(format!("the machine is in error: {}", fault())),
        ThingState::Building if !thing.ran && build_due(picture, row) <= picture.now => {
            Some(format!("the machine was not running after {} s", picture.limits.build_deadline.as_secs()))
        }
        _ => None,
    }
}

/// Has this slot a machine that ran, and now is in trouble? A build that fails is no sign of an outage.
fn is_unhealthy(draft: &Draft, picture: &Picture<'_>, unit: &Unit) -> bool {
    let row = unit.current.and_then(|token| draft.launches.get(&token));
    row.is_some_and(|row| {
        let things = row.things.iter().filter(|thing| thing.unit == Some(unit.no) && thing.alive());
        things.into_iter().any(|thing| thing.ran && trouble(picture, row, thing).is_some())
    })
}

/// Its machine is to be ended and the slot filled again. The wish on the attempt changes; the slot's own does
/// not.
fn discard(draft: &mut Draft, unit: &mut Unit, row: &Launch) {
    unit.stage = Stage::Ending;
    if let Some(row) = draft.launches.get_mut(&row.token) {
        row.wants.insert(unit.no, Want::Gone);
        row.cause.get_or_insert(EndCause::Replaced);
    }
}

/// The machine of a slot is over: as wished, or not.
///
/// Discarded, or never usable: the slot is tried again. Vanished after it ran: replaced if the reservation heals
/// by itself, else Lost, told once, and kept so until its owner decides; the slot then counts as held, so growing
/// the reservation is the only way to get another machine beside it.
fn ended(draft: &mut Draft, picture: &Picture<'_>, unit: &mut Unit, row: &Launch, thing: Option<&Thing>) {
    let discarded = row.wants.get(&unit.no) == Some(&Want::Gone);
    if unit.want == Want::Gone {
        unit.stage = Stage::Gone;
    } else if discarded || thing.is_none_or(|thing| !thing.ran) {
        retry_elsewhere(draft, picture, unit, row, "the machine ended before it was usable");
    } else if draft.reservation.heal == Heal::Replace {
        if let Some(thing) = thing {
            let (reservation, slot) = (unit.reservation.clone(), unit.no);
            let event = Event::Replaced { reservation, slot, thing: thing.id.clone() };
            draft.tell_of(picture, row.token, slot, "replaced", event);
        }
        release_slot(unit);
        unit.reason = Some("the machine vanished and is replaced".to_owned());
    } else if unit.stage != Stage::Lost {
        unit.stage = Stage::Lost;
        unit.reason = Some("the machine vanished; it is not replaced without you".to_owned());
        if let Some(thing) = thing {
            let event = Event::Lost { reservation: unit.reservation.clone(), thing: thing.id.clone() };
            draft.tell_of(picture, row.token, unit.no, "lost", event);
        }
    }
}

/// The attempt made nothing, proven. A plan that only grew old costs its slot no pause, no offer and no try: it
/// says something about us (a brake held it), nothing about the cloud.
fn never_born(draft: &mut Draft, picture: &Picture<'_>, unit: &mut Unit, row: &Launch, absence: &Absence) {
    if unit.want == Want::Gone {
        unit.stage = Stage::Gone;
    } else if *absence == Absence::NeverSent {
        // Nothing failed: the plan had merely grown old.
        release_slot(unit);
    } else {
        let said = row.retry.as_ref().map_or("nothing was made", |retry| retry.reason.as_str());
        retry_elsewhere(draft, picture, unit, row, said);
    }
}

/// The attempt came to nothing: the next one waits a little, or takes the next offer.
///
/// What lies in the offer (no capacity, over quota, refused as invalid) is tried at once with the next one; after
/// the last comes the first again, `capacity_memory` later; an attempt that comes after such a time begins at the best
/// offer that was walked past, not where the last one ended. What lies in the moment (throttled, no answer, a
/// failed build) is tried with the same offer after a pause that grows.
///
/// A lack is no failure of the slot: it costs nothing and passes, so nothing is given up because of it. Who asked for
/// a time stops waiting at its end; who did not may release it.
fn retry_elsewhere(draft: &mut Draft, picture: &Picture<'_>, unit: &mut Unit, row: &Launch, said: &str) {
    let kind = row.retry.as_ref().map(|retry| retry.kind);
    let choices = draft.reservation.spec.choices.len().max(1);
    remember(draft, picture, unit, row, said);
    release_slot(unit);
    let lacks = matches!(kind, Some(FaultKind::Capacity | FaultKind::Quota));
    unit.failed += u32::from(!lacks);
    if lacks && row.state == LaunchState::Closed(Closed::NeverBorn(Absence::Refused)) {
        forgive(draft, row);
    }
    unit.reason = Some(said.to_owned());
    let wait = match kind {
        Some(FaultKind::Capacity | FaultKind::Quota | FaultKind::Invalid) => {
            if lacks {
                unit.pass(unit.offer, later(picture.now, picture.limits.capacity_memory));
            }
            unit.offer = (unit.offer + 1) % choices;
            // Once around: what had no capacity may have some again after the memory of it fades.
            if unit.offer == 0 { picture.limits.capacity_memory } else { Duration::ZERO }
        }
        _ => backoff(unit.failed, row.token, picture.limits),
    };
    let at = later(picture.now, wait);
    unit.retry_at = Some(at);
    if lacks {
        if unit.offer == 0 {
            unit.reason = Some(exhausted(choices, Some(said), at));
        }
        return;
    }
    give_up_if_hopeless(draft, picture, unit, kind, choices, said);
}

/// What was refused for want of capacity was not begun: walking down a list of offers is no runaway. Every slot of the
/// attempt takes its own machine off.
fn forgive(draft: &mut Draft, row: &Launch) {
    let begun = draft.reservation.recent_creates.iter_mut().find(|(at, n)| *at == row.created_at && *n > 0);
    if let Some((_, n)) = begun {
        *n -= 1;
    }
}

/// How the reason of a slot begins for which every offer was refused.
pub(super) const EXHAUSTED: &str = "no offer has capacity now";

/// Waits a slot because every offer of its list was refused?
///
/// Told by its reason, which nothing else begins like: a slot that waits for a budget, a lane or a satellite has another,
/// and more offers would not help it.
pub fn is_dry(unit: &Unit) -> bool {
    let waits = unit.current.is_none() && unit.stage == Stage::Waiting && unit.want == Want::On;
    waits && unit.reason.as_ref().is_some_and(|reason| reason.starts_with(EXHAUSTED))
}

/// What the user reads when the list is used up: how long it was, what was said last, and when it is tried again.
pub(super) fn exhausted(offers: usize, said: Option<&str>, at: Timestamp) -> String {
    let said = said.map_or_else(String::new, |said| format!("; the last one said: {said}"));
    let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
    format!("{EXHAUSTED} ({offers} in the list); tried again at {at}{said}")
}

/// Gives up when more tries would be the same: every offer refused it, or it was tried often enough. Before
/// readiness the reservation fails and everything of it is ended; afterwards it is held, or tried slowly.
///
/// Three ways to be hopeless, each counted per slot and forgiven by readiness:
/// * as many failures as there are offers, the last of them Invalid: no offer takes this request;
/// * `retry_steps_max` failures of any kind, or one per offer if there are more of them;
/// * `failed_builds_max` failures, the last of them a machine that was made and never ran: those are paid for.
///
/// Afterwards means that people may be working on the other machines: those are not taken from them because one
/// slot cannot be filled.
fn give_up_if_hopeless(
    draft: &mut Draft,
    picture: &Picture<'_>,
    unit: &mut Unit,
    kind: Option<FaultKind>,
    choices: usize,
    said: &str,
) {
    let failed = unit.failed as usize;
    let refused = kind == Some(FaultKind::Invalid) && failed >= choices;
    let worn_out = failed >= (picture.limits.retry_steps_max as usize).max(choices);
    let builds = kind.is_none() && unit.failed >= picture.limits.failed_builds_max;
    if !(refused || worn_out || builds) {
        return;
    }
    if draft.reservation.ready_at.is_none() {
        draft.fail(picture, said.to_owned());
        unit.want = Want::Gone;
        unit.stage = Stage::Gone;
    } else if builds {
        draft.hold(
            picture,
            HoldReason::BuildsFailing,
            format!("{} builds failed in a row: {said}", unit.failed),
        );
    } else {
        unit.retry_at = Some(later(picture.now, picture.limits.retry_slow));
    }
}

/// The slot is free for another attempt. Its number stays, its incarnation rises.
fn release_slot(unit: &mut Unit) {
    unit.current = None;
    unit.incarnation += 1;
    unit.stage = Stage::Waiting;
}

/// Notes a try, for the user to read: when, which offer as `cloud:region/zone type`, and what was said about it.
fn remember(draft: &mut Draft, picture: &Picture<'_>, unit: &Unit, row: &Launch, said: &str) {
    let offer =
        draft.reservation.spec.choices.get(unit.offer).map_or_else(|| row.lane.to_string(), Choice::offer);
    tell_of_a_try(draft, picture, unit.no, row.token, &offer, said);
    let tries = &mut draft.reservation.tries;
    let new = Try { at: picture.now, offer, said: said.to_owned() };
    // Slots of one attempt fail as one: each of them must not push another try out of the list.
    if tries.last() != Some(&new) {
        tries.push(new);
    }
    let surplus = tries.len().saturating_sub(TRIES_MAX);
    tries.drain(..surplus);
}

/// Tells of a try that came to nothing. Slots of one attempt of which the same was said are one entry: a batch fails as
/// one.
fn tell_of_a_try(
    draft: &mut Draft,
    picture: &Picture<'_>,
    slot: u32,
    token: LaunchToken,
    offer: &str,
    said: &str,
) {
    let same =
        draft.told.iter_mut().filter(|(of, _)| *of == token).find_map(|(_, told)| match &mut told.event {
            Event::Tried { slots, offer: one, said: other, .. } if one == offer && other == said => {
                Some(slots)
            }
            _ => None,
        });
    if let Some(slots) = same {
        let row = draft.launches.get_mut(&token);
        if row.is_some_and(|row| row.told.insert(slot)) {
            slots.push(slot);
        }
        return;
    }
    let (reservation, offer, said) = (picture.reservation.id.clone(), offer.to_owned(), said.to_owned());
    let event = Event::Tried { reservation, slots: vec![slot], offer, said };
    draft.tell_of(picture, token, slot, "tried", event);
}

/// Of these attempts at one satellite: how many were never born, and the latest of them with its token, which
/// seeds the jitter of the next pause. `None` when none failed. Satellites have no slot on which failures could be
/// counted, so they are counted on the rows, for as long as those are kept.
pub(super) fn failures_of<'a>(
    rows: impl Iterator<Item = &'a Launch>,
) -> Option<(u32, LaunchToken, &'a Launch)> {
    let failed: Vec<&Launch> =
        rows.filter(|row| matches!(row.state, LaunchState::Closed(Closed::NeverBorn(_)))).collect();
    let last = failed.iter().max_by_key(|row| (row.created_at, row.token))?;
    Some((u32::try_from(failed.len()).unwrap_or(u32::MAX), last.token, last))
}

/// How long ago a row was written down.
pub(super) fn age(row: &Launch, picture: &Picture<'_>) -> Duration {
    between(row.created_at, picture.now)
}
