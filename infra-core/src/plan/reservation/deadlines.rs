//! What time does to a reservation.
//!
//! # Guarantees
//! * An end is decided once: it sets `present` to false for good, and raises `change`, so that whoever
//!   extends it meanwhile conflicts.
//! * Suspiciously many ends of a tenant at once are held for a while, so that somebody may object by extending; then they
//!   come true: what is held for ever costs for ever.
//! * While the clock is in doubt, or the store was restored lately, nothing ends by itself. The user is told
//!   why.
//! * The time that was asked for counts from readiness, never beyond what it would have been with the longest
//!   build. An extension made before that stands.
//!
//! # Caveats
//! The next look is written with the record itself: there is no timer anywhere, and nothing that a crash
//! could lose.

use std::time::Duration;

use super::{Draft, Picture};
use crate::nouns::event::Event;
use crate::nouns::launch::EndCause;
use crate::nouns::reservation::{DeadlineKind, HoldReason, Reservation};
use crate::words::clock::{Timestamp, later};

/// Ends what is over, if the clock is believed and it is not one of suspiciously many.
pub(super) fn apply(draft: &mut Draft, picture: &Picture<'_>) {
    if waits_for_a_person(&draft.reservation) {
        return confirm_or_wait(draft, picture);
    }
    if !is_end_due(&draft.reservation, picture.now) || picture.deadlines_held.is_some() {
        return;
    }
    if picture.mass_deadline {
        let detail = format!(
            "more of the team's reservations end at once than is plausible; ends in {} s unless it is extended",
            picture.limits.mass_patience.as_secs()
        );
        draft.hold(picture, HoldReason::MassDeadline, detail);
        draft.look_at(later(picture.now, picture.limits.mass_patience));
        return;
    }
    end(draft, picture);
}

/// Held as one of many: an end that was moved away lifts the hold, and one that nobody objected to comes true. A wall
/// that jumped would be in doubt by then, so what still stands after the pause was meant, and costs money.
fn confirm_or_wait(draft: &mut Draft, picture: &Picture<'_>) {
    let Some(since) = draft.reservation.hold.as_ref().map(|hold| hold.since) else { return };
    let over = later(since, picture.limits.mass_patience);
    if !is_end_past(&draft.reservation, picture.now) {
        draft.lift(picture);
    } else if over > picture.now {
        draft.look_at(over);
    } else if picture.deadlines_held.is_none() {
        draft.lift(picture);
        end(draft, picture);
    }
}

fn end(draft: &mut Draft, picture: &Picture<'_>) {
    let desired = &mut draft.reservation.desired;
    desired.present = false;
    desired.change += 1;
    draft.reservation.end_cause = Some(EndCause::Deadline);
    let event = Event::Ended { reservation: picture.reservation.id.clone() };
    draft.decide(picture, "ended", event);
}

/// Is its end due, and not yet decided?
#[must_use]
pub fn is_end_due(reservation: &Reservation, now: Timestamp) -> bool {
    is_end_past(reservation, now) && !waits_for_a_person(reservation)
}

/// Has its time run out, whatever holds it?
#[must_use]
pub fn is_end_past(reservation: &Reservation, now: Timestamp) -> bool {
    let ends = [DeadlineKind::Ends, DeadlineKind::MaxLife]
        .iter()
        .filter_map(|kind| reservation.deadlines.0.get(kind))
        .any(|at| *at <= now);
    reservation.desired.present && ends
}

/// Is it held as one of suspiciously many ends?
fn waits_for_a_person(reservation: &Reservation) -> bool {
    reservation.hold.as_ref().is_some_and(|hold| hold.why == HoldReason::MassDeadline)
}

/// The end that stands while nothing is ready yet: asked + duration + the time a build may take.
#[must_use]
pub fn provisional_end(created_at: Timestamp, duration: Duration, build_deadline: Duration) -> Timestamp {
    later(later(created_at, duration), build_deadline)
}

/// Readiness starts the time that was asked for, unless somebody moved the end meanwhile.
pub(super) fn start_counting(draft: &mut Draft, picture: &Picture<'_>) {
    let reservation = &mut draft.reservation;
    let Some(seconds) = reservation.spec.request.duration_s else { return };
    let duration = Duration::from_secs(seconds);
    let provisional = provisional_end(reservation.created_at, duration, picture.limits.build_deadline);
    let ends = reservation.deadlines.0.get_mut(&DeadlineKind::Ends);
    if let Some(ends) = ends.filter(|ends| **ends == provisional) {
        *ends = later(picture.now, duration).min(provisional);
    }
}

/// Writes down when to look again, rewriting the record only when that moment moved closer or has passed.
pub(super) fn schedule(draft: &mut Draft, picture: &Picture<'_>) {
    let next = draft.next_look;
    let deadlines = &mut draft.reservation.deadlines.0;
    if draft.reservation.over_at.is_some() {
        // Nothing falls due any more: what is over and due would be read in every pass, in place of the living.
        deadlines.clear();
        return;
    }
    let standing = deadlines.get(&DeadlineKind::Retry).copied();
    if standing.is_none_or(|at| at <= picture.now || next < at) {
        deadlines.insert(DeadlineKind::Retry, next);
    }
}
