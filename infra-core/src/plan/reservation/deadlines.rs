//! What time does to a reservation.
//!
//! # Guarantees
//! * An end is decided once: it sets `present` to false for good, and raises `change`, so that whoever
//!   extends it meanwhile conflicts.
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
    let due = is_end_due(&draft.reservation, picture.now);
    let held = picture.deadlines_held.is_some();
    if !due || held {
        return;
    }
    if picture.mass_deadline {
        let detail =
            "more of the team's reservations end at once than is plausible; confirm to end it".to_owned();
        draft.hold(picture, HoldReason::MassDeadline, detail);
        return;
    }
    let desired = &mut draft.reservation.desired;
    desired.present = false;
    desired.change += 1;
    draft.reservation.end_cause = Some(EndCause::Deadline);
    let event = Event::Ended { reservation: picture.reservation.id.clone() };
    draft.tell(picture, "ended", event);
}

/// Is its end due, and not yet decided?
#[must_use]
pub fn is_end_due(reservation: &Reservation, now: Timestamp) -> bool {
    let waiting = reservation.hold.as_ref().is_some_and(|hold| hold.why == HoldReason::MassDeadline);
    let ends = [DeadlineKind::Ends, DeadlineKind::MaxLife]
        .iter()
        .filter_map(|kind| reservation.deadlines.0.get(kind))
        .any(|at| *at <= now);
    reservation.desired.present && ends && !waiting
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
