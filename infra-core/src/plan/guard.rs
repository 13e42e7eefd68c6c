//! Guards against doing much harm at once: mass endings, and listings that lie.
//!
//! # Guarantees
//! Every guard needs both a share and a number: small installations are not held by shares, large ones not by
//! numbers. None of them undoes anything; they hold, say so, and wait for a person.
//!
//! # Assumptions
//! Whoever judges a listing knows how long the cloud may take to show what it made.
//!
//! # Caveats
//! A guard counts what is about to happen in one look. What happens slowly enough passes, and should: that is
//! what people do.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::nouns::launch::{Launch, Thing};
use crate::words::clock::{Timestamp, between};
use crate::words::ids::ResourceId;
use crate::words::lane::ResourceKind;
use crate::words::limits::Limits;

/// Is ending `ending` of `total` at once more than anybody plausibly meant?
#[must_use]
pub fn is_mass(ending: usize, total: usize, limits: &Limits) -> bool {
    over_share(ending, total, limits.mass_share) && ending > limits.mass_min as usize
}

/// Did a complete listing lose so many known things that it is a lie?
#[must_use]
pub fn is_short(shown: &Shown, limits: &Limits) -> bool {
    over_share(shown.missing, shown.known, limits.short_listing_share)
        && shown.missing > limits.mass_min as usize
}

/// How much of what a listing surely should show it did not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Things that it should show.
    pub known: usize,
    /// Those of them that it did not show.
    pub missing: usize,
}

/// Counts what a listing, begun at `began`, should show of open rows, and what of it is missing.
///
/// What was made less than `visible_within` ago may be missing from any listing. What was ordered to end is
/// expected to go: some clouds show no end, things of theirs are just not there any more. Counting those would
/// make every listing after a large release a lie, and as nothing is concluded from a lie, the release would
/// never be over.
#[must_use]
pub fn shown<'a>(
    rows: impl Iterator<Item = &'a Launch>,
    listed: &BTreeSet<&ResourceId>,
    began: Timestamp,
    visible_within: impl Fn(ResourceKind) -> Duration,
) -> Shown {
    let settled =
        |row: &&Launch| row.last_sent().is_some_and(|sent| between(sent, began) > visible_within(row.kind()));
    let stays = |thing: &&Thing| thing.ending.is_none();
    let (mut known, mut missing) = (0, 0);
    for thing in rows.filter(settled).flat_map(Launch::alive).filter(stays) {
        known += 1;
        missing += usize::from(!listed.contains(&thing.id));
    }
    Shown { known, missing }
}

/// Are so many of a reservation's units unhealthy that replacing them would feed an outage?
#[must_use]
pub fn is_unhealthy(unhealthy: usize, units: usize, limits: &Limits) -> bool {
    over_share(unhealthy, units, limits.unhealthy_share) && unhealthy >= limits.unhealthy_min.max(1) as usize
}

/// Did one reservation create more than its wish explains?
#[must_use]
pub fn is_runaway(created_lately: u32, desired: u32, limits: &Limits) -> bool {
    created_lately > desired.saturating_mul(2).max(desired.saturating_add(limits.runaway_slack))
}

/// Did a lane create more in an hour than its wishes explain?
#[must_use]
pub fn is_lane_runaway(created_in_hour: u32, wanted: u32, limits: &Limits) -> bool {
    created_in_hour > wanted.saturating_mul(3).max(limits.lane_creates_per_hour)
}

/// Is a part more than this share of the whole? Nothing of nothing is not.
#[allow(clippy::cast_precision_loss, reason = "counts of machines are far below 2^52")]
fn over_share(part: usize, whole: usize, share: f64) -> bool {
    part as f64 > whole as f64 * share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nouns::launch::{Ending, SendRecord};
    use crate::testing::fixtures;
    use crate::words::ids::BootId;

    #[test]
    fn few_are_never_a_mass_and_a_fifth_of_many_is_not_either() {
        let limits = Limits::default();
        assert!(!is_mass(5, 5, &limits));
        assert!(is_mass(6, 6, &limits));
        assert!(!is_mass(20, 100, &limits));
        assert!(is_mass(21, 100, &limits));
    }

    #[test]
    fn a_runaway_is_more_than_twice_the_wish_and_more_than_ten_beyond_it() {
        let limits = Limits::default();
        assert!(!is_runaway(11, 1, &limits));
        assert!(is_runaway(12, 1, &limits));
        assert!(!is_runaway(200, 100, &limits));
        assert!(is_runaway(201, 100, &limits));
    }

    const BEGAN: i64 = 1000;

    /// One live attempt that made one thing a while ago.
    fn row(no: u64, sent: i64) -> Launch {
        let at = |seconds| Timestamp::from_second(seconds).expect("in range");
        let mut row = fixtures::launch(no);
        let by = BootId(uuid::Uuid::nil());
        row.sends.push(SendRecord { at: at(sent), by, effect: None, said: None });
        row.things.push(fixtures::thing(&format!("i-{no}"), at(sent)));
        row
    }

    /// What an empty listing says of these rows.
    fn empty(rows: &[Launch]) -> Shown {
        let began = Timestamp::from_second(BEGAN).expect("in range");
        shown(rows.iter(), &BTreeSet::new(), began, |_| Duration::from_secs(60))
    }

    #[test]
    fn a_listing_that_lost_what_nobody_ended_is_a_lie() {
        let rows: Vec<_> = (0..6).map(|no| row(no, 0)).collect();
        assert_eq!(empty(&rows), Shown { known: 6, missing: 6 });
        assert!(is_short(&empty(&rows), &Limits::default()));
        assert!(!is_short(&empty(&rows[..5]), &Limits::default()), "few may go at once");
        let listed: BTreeSet<_> = rows[..4].iter().map(|row| &row.things[0].id).collect();
        let began = Timestamp::from_second(BEGAN).expect("in range");
        let most = shown(rows.iter(), &listed, began, |_| Duration::from_secs(60));
        assert_eq!(most, Shown { known: 6, missing: 2 });
    }

    #[test]
    fn what_is_too_new_or_was_ordered_to_end_is_no_sign_of_a_lie() {
        let young: Vec<_> = (0..6).map(|no| row(no, BEGAN - 60)).collect();
        assert_eq!(empty(&young), Shown { known: 0, missing: 0 });
        let mut ending: Vec<_> = (0..6).map(|no| row(no, 0)).collect();
        for row in &mut ending[..5] {
            let since = Timestamp::from_second(BEGAN - 1).expect("in range");
            row.things[0].ending = Some(Ending { since, tries: 1, retry_at: since, said: None, told: false });
        }
        assert_eq!(empty(&ending), Shown { known: 1, missing: 1 });
    }
}
