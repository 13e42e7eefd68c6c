//! Guards against doing much harm at once: mass endings, and listings that lie.

use crate::words::limits::Limits;

/// Is ending `ending` of `total` at once more than anybody plausibly meant?
#[must_use]
pub fn is_mass(ending: usize, total: usize, limits: &Limits) -> bool {
    over_share(ending, total, limits.mass_share) && ending > limits.mass_min as usize
}

/// Did a complete listing lose so many known things that it is a lie?
#[must_use]
pub fn is_short(missing: usize, known: usize, limits: &Limits) -> bool {
    over_share(missing, known, limits.short_listing_share) && missing > limits.mass_min as usize
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

#[allow(clippy::cast_precision_loss, reason = "counts of machines are far below 2^52")]
fn over_share(part: usize, whole: usize, share: f64) -> bool {
    part as f64 > whole as f64 * share
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
