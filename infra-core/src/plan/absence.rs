//! When is something not there? A single "not found" means little on any cloud.
//!
//! # Guarantees
//! An absence is believed only when the thing was not found twice at least `visible_within` apart, and a
//! *complete* listing between the two did not show it either. Callers look only through a connection whose
//! identity is the lane's. Anything seen alive in between starts over.

use std::time::Duration;

use crate::nouns::launch::{Absence, Missing};
use crate::words::clock::{Timestamp, between};
use crate::words::planted::{Bug, Planted};

/// The thing was looked for by its strongest key, and not found.
pub fn not_found(missing: &mut Option<Missing>, now: Timestamp) {
    match missing {
        Some(seen) => seen.last = now,
        None => *missing = Some(Missing { first: now, last: now, list_as_of: None }),
    }
}

/// A complete listing, begun at `at`, did not show it.
pub const fn not_listed(missing: &mut Option<Missing>, at: Timestamp) {
    if let Some(seen) = missing {
        // The first complete listing after the first miss is the one that must lie between; a later one would
        // push the proof away for ever.
        if seen.list_as_of.is_none() {
            seen.list_as_of = Some(at);
        }
    }
}

/// The proof, once it is one.
#[must_use]
pub fn proof(missing: Option<&Missing>, visible_within: Duration, planted: Planted) -> Option<Absence> {
    let Missing { first, last, list_as_of } = missing?;
    if planted.is(Bug::C11NotFoundIsGone) {
        return Some(Absence::NotFound { first: *first, last: *last, list_as_of: *last });
    }
    let list_as_of = (*list_as_of)?;
    let between_looks = *first <= list_as_of && list_as_of <= *last;
    let far_apart = between(*first, *last) >= visible_within;
    (between_looks && far_apart).then_some(Absence::NotFound { first: *first, last: *last, list_as_of })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: i64) -> Timestamp {
        Timestamp::from_second(n).expect("in range")
    }

    #[test]
    fn absence_needs_two_looks_apart_and_a_complete_listing_between() {
        let within = Duration::from_secs(60);
        let ask = |missing: &Option<Missing>| proof(missing.as_ref(), within, Planted::NONE);
        let mut missing = None;
        not_listed(&mut missing, at(5));
        assert_eq!(ask(&missing), None, "a listing alone proves nothing");
        not_found(&mut missing, at(10));
        not_found(&mut missing, at(80));
        assert_eq!(ask(&missing), None, "no listing between");
        not_listed(&mut missing, at(90));
        assert_eq!(ask(&missing), None, "the listing came after the last look");
        not_found(&mut missing, at(91));
        assert!(ask(&missing).is_some());
    }
}
