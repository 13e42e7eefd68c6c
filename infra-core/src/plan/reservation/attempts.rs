//! New attempts for slots without one, within every limit.
//!
//! # Flow
//! Slots that wait are grouped by the offer they try next, the satellites of that offer come first, and each
//! run of neighbouring slots becomes one attempt. What was begun lately is counted, and too much of it holds
//! the reservation.
//!
//! # Guarantees
//! * No attempt while the reservation is held, ends, or waits for another; none in a lane that is in trouble.
//! * What is planned and not sent yet uses up the budget of a cycle: planning again does not plan more.
//! * A satellite is launched once per lane and reservation, and machines wait until it runs.
//! * An attempt, its reference, its slots and every check fit one commit.
//!
//! # Assumptions
//! Every slot's `offer` is a place in the list of choices; a list that became shorter leaves such slots waiting.
//! Facts of a lane do not change while attempts of it are open.
//!
//! # Caveats
//! * Of a request's public keys the first becomes the key pair.
//! * Slots whose numbers are not neighbours are different attempts, although one call could make them.
//! * Satellites are of one reservation: a hundred small ones have a hundred firewalls, which some clouds limit.
//! * Slots that differ in their offer wait for different satellites, each in its own lane.

use std::collections::BTreeMap;

use super::follow::{EXHAUSTED, age, exhausted, failures_of, is_hopeless, supersede};
use super::freeze::{self, Satellites};
use super::{Draft, Picture, afford, backoff, park};
use crate::nouns::budget::Each;
use crate::nouns::cloud::ThingState;
use crate::nouns::launch::{Launch, LaunchState, Want};
use crate::nouns::reservation::{Choice, HoldReason};
use crate::nouns::unit::Stage;
use crate::plan::budget::Shortage;
use crate::plan::guard;
use crate::words::clock::{Timestamp, between, later};
use crate::words::fault::FaultKind;
use crate::words::ids::{LaunchToken, ResourceId};
use crate::words::lane::ResourceKind;

/// Slots one attempt fills at most: its row, its reference, the slots and the checks must fit one commit of 24
/// changes. A cloud's own batch may be smaller, and then is what counts.
const BATCH_MAX: u16 = 12;

/// Plans attempts for all slots that wait and may. Slots are taken by number until the cycle's budget is used up;
/// the brake is asked afterwards, so that the attempts of this very plan count: what is too much is held before
/// its second helping, not before its first.
pub(super) fn plan(draft: &mut Draft, picture: &Picture<'_>, draw: &mut dyn FnMut() -> LaunchToken) {
    let may = draft.reservation.desired.present && draft.reservation.hold.is_none() && picture.needs_met;
    if !may {
        return;
    }
    let (ready, budget) = (waiting(draft, picture), budget(draft, picture));
    for no in &ready {
        // The list is ranked, but what a slot walked past may have capacity by now.
        draft.units.get_mut(no).into_iter().for_each(|unit| unit.return_to_best(picture.now));
    }
    let mut by_offer: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    let mut parked = Vec::new();
    for unit in ready.into_iter().take(budget).filter_map(|no| draft.units.get(&no)) {
        match park::parked(draft, unit) {
            Some(from) => parked.push((unit.no, from)),
            None => by_offer.entry(unit.offer).or_default().push(unit.no),
        }
    }
    for (no, parked) in parked {
        match parked {
            Some(choice) => match afford::raise(draft, picture, &choice) {
                Ok(None) => attempt(draft, picture, &choice, &[no], draw),
                Ok(Some(each)) => afford::count_as(draft, picture, each),
                Err(shortage) => explain(draft, &[no], &shortage.to_string()),
            },
            None => explain(draft, &[no], "where its snapshot is cannot be used now"),
        }
    }
    for (offer, slots) in by_offer {
        match pick(draft, picture, offer) {
            Pick::Offer { at, passed } => {
                let Some(choice) = draft.reservation.spec.choices.get(at).cloned() else { continue };
                for (_, unit) in draft.units.iter_mut().filter(|(no, _)| slots.contains(no)) {
                    passed.iter().for_each(|(from, until)| unit.pass(*from, *until));
                    unit.offer = at;
                }
                attempt(draft, picture, &choice, &slots, draw);
            }
            Pick::NotBefore(until) => wait_for_capacity(draft, &slots, until),
            Pick::Raise(each) => afford::count_as(draft, picture, each),
            Pick::TooDear { shortage, cheaper } => wait_for_means(draft, &slots, &shortage, cheaper),
            Pick::Nothing => {}
        }
    }
    brake_runaway(draft, picture);
}

/// What becomes of slots that look for an offer.
enum Pick {
    /// This one of the list.
    Offer {
        /// Its place.
        at: usize,
        /// The best that was skipped because it was refused lately, and until when.
        passed: Option<(usize, Timestamp)>,
    },
    /// A dearer one than the reservation counts for: that first.
    Raise(Each),
    /// None of them before this moment.
    NotBefore(Timestamp),
    /// What has capacity is dearer than a budget allows.
    TooDear {
        /// By which budget, of the best of them.
        shortage: Box<Shortage>,
        /// When what a budget allows may have capacity again; `None` when it allows nothing of the list.
        cheaper: Option<Timestamp>,
    },
    /// There is no list.
    Nothing,
}

/// The first offer from this place on that was not refused lately and that the budgets allow, around the end of the
/// list.
fn pick(draft: &Draft, picture: &Picture<'_>, from: usize) -> Pick {
    let choices = &draft.reservation.spec.choices;
    let (mut too_dear, mut passed) = (None, None::<(usize, Timestamp)>);
    // When the first of what was refused may be had again: of all, and of what a budget allows.
    let (mut first, mut cheaper) = (None::<Timestamp>, None::<Timestamp>);
    for at in (0..choices.len()).map(|step| (from + step) % choices.len()) {
        let affordable = afford::raise(draft, picture, &choices[at]);
        if let Some(until) = picture.memory.until(&choices[at]) {
            let sooner = |first: Option<Timestamp>| Some(first.map_or(until, |first| first.min(until)));
            first = sooner(first);
            cheaper = if affordable.is_ok() { sooner(cheaper) } else { cheaper };
            passed = Some(passed.map_or((at, until), |best| best.min((at, until))));
            continue;
        }
        match affordable {
            Ok(None) => return Pick::Offer { at, passed },
            Ok(Some(each)) => return Pick::Raise(each),
            Err(shortage) => too_dear = too_dear.or(Some(shortage)),
        }
    }
    match too_dear {
        Some(shortage) => Pick::TooDear { shortage, cheaper },
        None => first.map_or(Pick::Nothing, Pick::NotBefore),
    }
}

/// What has capacity is dearer than a budget allows: the user reads which budget, and when a cheaper offer is tried again.
/// The slots may be tried before that, since a budget may have room again at any moment.
fn wait_for_means(draft: &mut Draft, slots: &[u32], shortage: &Shortage, cheaper: Option<Timestamp>) {
    let Some(until) = cheaper else { return explain(draft, slots, &shortage.to_string()) };
    draft.look_at(until);
    let at = Timestamp::from_second(until.as_second()).unwrap_or(until);
    let why =
        format!("what a budget allows has no capacity now, tried again at {at}; of the rest, {shortage}");
    explain(draft, slots, &why);
}

/// Every offer was refused lately: nothing is asked for until the first of them may have some again, and the user reads
/// when that is.
fn wait_for_capacity(draft: &mut Draft, slots: &[u32], until: Timestamp) {
    let offers = draft.reservation.spec.choices.len();
    for (_, unit) in draft.units.iter_mut().filter(|(no, _)| slots.contains(no)) {
        unit.retry_at = Some(until);
        let last = unit.reason.take().filter(|reason| !reason.starts_with(EXHAUSTED));
        unit.reason = Some(exhausted(offers, last.as_deref(), until));
    }
    draft.look_at(until);
}

/// Slots that may be tried now, by number; for the others the moment is noted at which they may. A slot that is
/// to be off is not filled: there is nothing to turn off.
fn waiting(draft: &mut Draft, picture: &Picture<'_>) -> Vec<u32> {
    let wants = |stage, want| stage == Stage::Waiting && want == Want::On;
    let slots: Vec<_> = draft
        .units
        .values()
        .filter(|unit| unit.current.is_none() && wants(unit.stage, unit.want))
        .map(|unit| (unit.no, unit.retry_at))
        .collect();
    let (now, later): (Vec<_>, Vec<_>) =
        slots.into_iter().partition(|(_, at)| at.is_none_or(|at| at <= picture.now));
    later.into_iter().filter_map(|(_, at)| at).for_each(|at| draft.look_at(at));
    now.into_iter().map(|(no, _)| no).collect()
}

/// Slots that may get an attempt in this cycle: `creates_per_cycle`, or half of what is wanted if that is more,
/// less what is planned and not sent yet. So a lane that is braked stops the planning, too, and no pile of rows
/// grows old behind it.
fn budget(draft: &Draft, picture: &Picture<'_>) -> usize {
    let per_cycle = picture.limits.creates_per_cycle.max(draft.reservation.desired.count / 2) as usize;
    let unsent = draft.launches.values().filter(|row| row.state == LaunchState::Planned);
    per_cycle.saturating_sub(unsent.map(|row| row.units.len()).sum())
}

/// Attempts for these slots at one choice, or the reason why there is none, which is what the user reads. The
/// reason is written on the slots: no lane, a lane in trouble, or satellites that are not there yet.
fn attempt(
    draft: &mut Draft,
    picture: &Picture<'_>,
    choice: &Choice,
    slots: &[u32],
    draw: &mut dyn FnMut() -> LaunchToken,
) {
    let Some(lane) = picture.lanes.get(&choice.lane.id()) else {
        return explain(draft, slots, &format!("{} cannot be reached yet", choice.lane));
    };
    if !lane.calm {
        return explain(draft, slots, &format!("{} is in trouble; waiting", choice.lane));
    }
    let Some(satellites) = satellites(draft, picture, choice, draw) else {
        let why = without_satellites(draft, choice);
        return explain(draft, slots, &why);
    };
    let batch = lane.facts.kind(ResourceKind::Machine).map_or(1, |kind| kind.max_batch.clamp(1, BATCH_MAX));
    for run in runs(slots, usize::from(batch)) {
        let row = freeze::machines(&draft.reservation, choice, run.clone(), &satellites, draw(), picture.now);
        for unit in run.clone().filter_map(|no| draft.units.get_mut(&no).map(|_| no)).collect::<Vec<_>>() {
            let Some(unit) = draft.units.get_mut(&unit) else { continue };
            unit.current = Some(row.token);
            unit.stage = Stage::Launching;
            unit.reason = None;
        }
        let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
        draft.reservation.recent_creates.push((picture.now, count));
        draft.new_launches.push(row);
    }
}

/// Says to the user why these slots wait.
fn explain(draft: &mut Draft, slots: &[u32], why: &str) {
    for no in slots {
        if let Some(unit) = draft.units.get_mut(no) {
            unit.reason = Some(why.to_owned());
        }
    }
}

/// Why machines wait for what has to be there before them: with the cloud's own words, when it refused the last try.
///
/// A satellite fills no slot, so no slot's history tells of it; the newest of this lane speaks for all of them.
fn without_satellites(draft: &Draft, choice: &Choice) -> String {
    let rows = draft.launches.values().filter(|row| row.units.is_empty() && row.lane == choice.lane);
    let newest = rows.max_by_key(|row| row.last_sent().unwrap_or(row.created_at));
    let said = newest.and_then(|row| {
        let paused = row.retry.as_ref().map(|retry| retry.reason.clone());
        paused.or_else(|| row.sends.last().and_then(|send| send.said.clone()))
    });
    said.map_or_else(
        || "its firewall is being made".to_owned(),
        |said| format!("its firewall is being made; the last try was refused: {said}"),
    )
}

/// Cuts sorted slot numbers into runs without gaps, none longer than `max` (at least 1). A row names its slots as
/// a range, so a gap would claim slots that another attempt has.
fn runs(slots: &[u32], max: usize) -> Vec<std::ops::Range<u32>> {
    let mut runs: Vec<std::ops::Range<u32>> = Vec::new();
    for &no in slots {
        match runs.last_mut() {
            Some(run) if run.end == no && run.len() < max => run.end += 1,
            _ => runs.push(no..no + 1),
        }
    }
    runs
}

/// Everything machines of this choice need beside them; `None` while something is still missing (and planned). A
/// cloud that does not have a kind at all needs none of it. Firewall and key pair are planned in the same turn:
/// they do not wait for each other.
fn satellites(
    draft: &mut Draft,
    picture: &Picture<'_>,
    choice: &Choice,
    draw: &mut dyn FnMut() -> LaunchToken,
) -> Option<Satellites> {
    let facts = &picture.lanes.get(&choice.lane.id())?.facts;
    let mut ready = Satellites::default();
    let mut missing = false;
    if facts.kind(ResourceKind::Firewall).is_some() {
        let found = satellite(draft, picture, choice, ResourceKind::Firewall, draw);
        missing |= found.is_none();
        ready.firewall = found.map(|(id, _)| id);
    }
    if facts.kind(ResourceKind::KeyPair).is_some() && !draft.reservation.ssh_public_keys().is_empty() {
        let found = satellite(draft, picture, choice, ResourceKind::KeyPair, draw);
        missing |= found.is_none();
        ready.key_pair = found.map(|(_, name)| name);
    }
    (!missing).then_some(ready)
}

/// The satellite of a kind that runs here, with its name; `None` while it is being made or waits for its next
/// try. One that can never be made fails the reservation: without its firewall a machine would be open or
/// unreachable.
///
/// An attempt whose outcome nobody knows is given up for another like a machine's, see `is_hopeless`; the next
/// try waits for the pause that its failed ones earned, counted from when the last of them was written down.
fn satellite(
    draft: &mut Draft,
    picture: &Picture<'_>,
    choice: &Choice,
    kind: ResourceKind,
    draw: &mut dyn FnMut() -> LaunchToken,
) -> Option<(ResourceId, String)> {
    let here = |row: &&Launch| row.units.is_empty() && row.kind() == kind && row.lane == choice.lane;
    let planned = draft.new_launches.iter().any(|row| here(&row));
    let open =
        draft.launches.values_mut().filter(|row| here(&&**row)).find(|row| !row.closed() && row.wanted());
    match open {
        Some(row) if is_hopeless(row, picture) => supersede(row),
        Some(row) => {
            let thing = row.alive().find(|thing| thing.state == ThingState::Running)?;
            return Some((thing.id.clone(), row.frozen.name.clone()));
        }
        None => {}
    }
    if planned {
        return None;
    }
    if let Some((times, token, last)) = failures_of(draft.launches.values().filter(here)) {
        let said = last.retry.as_ref();
        if said.is_some_and(|retry| retry.kind == FaultKind::Invalid)
            || times >= picture.limits.retry_steps_max
        {
            let reason =
                said.map_or_else(|| format!("no {kind} could be made"), |retry| retry.reason.clone());
            draft.fail(picture, reason);
            return None;
        }
        let wait = backoff(times, token, picture.limits);
        if age(last, picture) < wait {
            draft.look_at(later(last.created_at, wait));
            return None;
        }
    }
    let row = freeze::satellite(&draft.reservation, choice, kind, draw(), picture.now)?;
    draft.new_launches.push(row);
    None
}

/// Holds the reservation when it began more than its wish explains: a wish that flaps, or machines that die
/// as fast as they are made, would be a bill. Counted are machines of attempts written down within
/// `runaway_window`, whatever became of them; the list is part of the record, so a crash forgets nothing of it.
fn brake_runaway(draft: &mut Draft, picture: &Picture<'_>) {
    let window = picture.limits.runaway_window;
    let recent = &mut draft.reservation.recent_creates;
    recent.retain(|(at, _)| between(*at, picture.now) < window);
    let created = recent.iter().map(|(_, n)| n).sum();
    let desired = draft.reservation.desired.count;
    if guard::is_runaway(created, desired, picture.limits) {
        let detail = format!("{created} machines were begun in {} s for {desired} wanted", window.as_secs());
        draft.hold(picture, HoldReason::Runaway, detail);
    }
}
