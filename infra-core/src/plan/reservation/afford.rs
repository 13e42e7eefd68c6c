//! Budgets, as plans see them: what was admitted may have waited, and a month may have begun.
//!
//! # Flow
//! Before anything is planned: a budget that is passed holds the reservation, and one that is not any more lets it go.
//! When a slot would take a dearer machine than the reservation counts for, the plan only raises what it counts for; the
//! next plan, made from the record that says so, takes the machine.
//!
//! # Guarantees
//! * Nothing is ever ended because of a budget. What runs goes on, what was asked for waits, and the owner reads which
//!   budget it is: a machine that vanished at midnight on the first would cost its owner more than its price.
//! * A machine dearer than what the reservation counts for is not begun before a commit counted it.

use super::{Draft, Picture};
use crate::nouns::budget::{Charge, Each, Month};
use crate::nouns::reservation::{Choice, HoldReason, Power};
use crate::plan::budget::{Shortage, at_least, charge, each, passed, refused, standing};
use crate::price::usage;

/// Holds the reservation while a budget is passed, and lets it go afterwards.
///
/// What is off or ends asks for nothing, so it is not held.
pub(super) fn apply(draft: &mut Draft, picture: &Picture<'_>) {
    let held = draft.reservation.hold.as_ref().is_some_and(|hold| hold.why == HoldReason::OverBudget);
    let desired = draft.reservation.desired;
    let asks = desired.present && desired.power == Power::On;
    match picture.budgets.iter().find_map(passed).filter(|_| asks) {
        Some(shortage) if !held => {
            let Shortage { scope, kind, max, held, .. } = shortage;
            let detail = format!(
                "budget {kind} of {scope} is passed: {held} of {max}; what runs goes on, nothing new is made"
            );
            draft.hold(picture, HoldReason::OverBudget, detail);
        }
        None if held => draft.lift(picture),
        _ => {}
    }
}

/// May a slot take this choice? `Some` says that the reservation must count for dearer machines first.
///
/// # Errors
/// [`Shortage`] when no budget allows that.
pub(super) fn raise(
    draft: &Draft,
    picture: &Picture<'_>,
    choice: &Choice,
) -> Result<Option<Each>, Box<Shortage>> {
    let was = standing(&draft.reservation);
    let dearer = was.each.max(each(choice));
    if dearer == was.each {
        return Ok(None);
    }
    let mut raised = draft.reservation.clone();
    raised.charge = Some(Charge { each: dearer, ..was.clone() });
    let is = charge(&raised, picture.now);
    let no = picture.budgets.iter().find_map(|budget| refused(budget, Some(&was), &is));
    no.map_or(Ok(Some(dearer)), |shortage| Err(Box::new(shortage)))
}

/// What the reservation counts for after this plan.
pub(super) fn charged(draft: &Draft, picture: &Picture<'_>) -> Charge {
    let (reservation, now) = (&draft.reservation, picture.now);
    let counted = charge(reservation, now);
    if reservation.over_at.is_some() {
        return counted;
    }
    let rows: Vec<_> = draft.launches.values().collect();
    at_least(counted, usage::in_month(reservation, &rows, Month::of(now), now), now)
}

/// Counts for dearer machines from now on.
pub(super) fn count_as(draft: &mut Draft, picture: &Picture<'_>, each: Each) {
    let was = standing(&draft.reservation);
    let each = was.each.max(each);
    draft.reservation.charge = Some(Charge { each, ..was });
    draft.look_at(picture.now);
}
