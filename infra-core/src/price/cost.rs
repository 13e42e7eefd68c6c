//! From an hourly price and a time to a charge, and to the parts it is made of.
//!
//! # Guarantees
//! * Sums are exact in 128 bits: the hourly price has 63 bits and the seconds 64. They are cut to what an amount can
//!   show at the very end, so that two absurd totals still compare as they should.
//! * A dearer hour is never a cheaper charge: the order of prices is the order of charges within a lane, but for what
//!   minima and rounding make equal.
//!
//! # Assumptions
//! A month's ceiling counts calendar months of UTC, and the time asked begins now.

use std::time::Duration;

use jiff::ToSpan as _;
use jiff::tz::TimeZone;

use super::fit::Fit;
use super::need::Need;
use crate::contracts::pricing::{CostPart, CostParts};
use crate::nouns::offering::Billing;
use crate::words::clock::{Timestamp, between, later};
use crate::words::money::Money;

/// Prices are per hour, times are in seconds.
const HOUR_S: u64 = 3600;

/// Calendar months that are looked at one by one: a century. What lies beyond is charged whole.
const CEILED_MONTHS_MAX: usize = 1200;

/// What one machine at this hourly price is charged when it runs `from` a moment for this time: begun seconds or
/// hours count whole, the cloud's minimum applies also to a time of zero, hours beyond a month's ceiling are free, and
/// the amount is rounded up to a billionth.
#[must_use]
pub fn charge(billing: Billing, per_hour: Money, from: Timestamp, time: Duration) -> Money {
    shown(Meter::new(billing, from, time).charge(per_hour.nanos))
}

/// How long is paid, and how much at least: the same for all offers of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meter {
    /// Seconds that are paid.
    paid_s: u64,
    /// Billionths that are paid at least.
    min_charge: i64,
}

impl Meter {
    /// One hour, as it is listed: for who named no time.
    pub(super) const HOUR: Self = Self { paid_s: HOUR_S, min_charge: 0 };

    /// What is paid of a time, as a cloud bills it.
    pub(super) fn new(billing: Billing, from: Timestamp, time: Duration) -> Self {
        let begun_s = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
        match billing {
            Billing::PerSecond { min_s, min_charge, month_hours_max } => {
                let most = month_hours_max.map_or(u64::MAX, |hours| u64::from(hours) * HOUR_S);
                // A time no longer than the ceiling cannot pass it in any month: nearly all times need no calendar.
                let under = if begun_s <= most { begun_s } else { capped_by_month(from, begun_s, most) };
                Self { paid_s: under.max(u64::from(min_s)), min_charge: min_charge.nanos }
            }
            Billing::PerHour => {
                Self { paid_s: begun_s.div_ceil(HOUR_S).max(1).saturating_mul(HOUR_S), min_charge: 0 }
            }
        }
    }

    /// What an hourly price comes to, in billionths, rounded up.
    pub(super) fn charge(self, per_hour: i64) -> i128 {
        // 63 + 64 bits: fits 128 with its sign.
        let exact = i128::from(per_hour) * i128::from(self.paid_s);
        let hour = i128::from(HOUR_S);
        let up = exact.div_euclid(hour) + i128::from(exact.rem_euclid(hour) != 0);
        up.max(i128::from(self.min_charge))
    }

    /// A part of what is paid by the hour, in billionths, rounded down.
    fn share(self, per_hour: i64) -> i128 {
        i128::from(per_hour) * i128::from(self.paid_s) / i128::from(HOUR_S)
    }
}

/// Seconds that are paid when no calendar month is paid beyond `most` seconds.
fn capped_by_month(from: Timestamp, begun_s: u64, most: u64) -> u64 {
    let (mut at, mut left, mut paid) = (from, begun_s, 0_u64);
    for _ in 0..CEILED_MONTHS_MAX {
        let Some(next) = next_month(at).filter(|_| left > 0) else { break };
        let month = between(at, next);
        // A month that begins within a second is that second longer: who pays must not be promised less.
        let here = left.min(month.as_secs() + u64::from(month.subsec_nanos() > 0));
        paid = paid.saturating_add(here.min(most));
        (at, left) = (later(at, Duration::from_secs(here)).min(next), left - here);
    }
    paid.saturating_add(left)
}

/// When the next calendar month of UTC begins; `None` at the end of time.
fn next_month(at: Timestamp) -> Option<Timestamp> {
    let first = at.to_zoned(TimeZone::UTC).date().first_of_month();
    let next = first.checked_add(1.month()).ok()?;
    Some(next.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// An amount as money, cut to the largest that can be shown.
pub(super) fn shown(nanos: i128) -> Money {
    Money::usd_nanos(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
}

/// What all machines of a fit cost by the meter, part by part. Disk, addresses and fees are rounded down; compute is
/// the rest, so that the parts add up and minima are where they come from.
pub(super) fn parts(need: &Need<'_>, fit: &Fit<'_, '_>, meter: Meter) -> CostParts {
    let count = i128::from(need.count);
    let part = |per_hour: i64| meter.share(per_hour).saturating_mul(count);
    let all = meter.charge(fit.per_hour).saturating_mul(count);
    let (disk, ipv4, fee) = (part(fit.disk), part(fit.ipv4), part(fit.fee));
    CostParts {
        // Cut first: what is shown must add up to what is shown.
        compute: Money::usd_nanos(shown(all).nanos.saturating_sub(shown(disk + ipv4 + fee).nanos)),
        disk: shown(disk),
        ipv4: shown(ipv4),
        fee: shown(fee),
    }
}

/// The part that makes most of the difference; the first of equals.
pub(super) fn mostly(better: &CostParts, worse: &CostParts) -> CostPart {
    let gain = |of: fn(&CostParts) -> Money| i128::from(of(worse).nanos) - i128::from(of(better).nanos);
    let gains = [
        (gain(|it| it.compute), CostPart::Compute),
        (gain(|it| it.disk), CostPart::Disk),
        (gain(|it| it.ipv4), CostPart::Ipv4),
        (gain(|it| it.fee), CostPart::Fee),
    ];
    // `rev`, because the last of equals wins and the first should.
    gains.into_iter().rev().max_by_key(|(gain, _)| *gain).map_or(CostPart::Compute, |(_, part)| part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JANUARY: Timestamp = Timestamp::constant(1_767_225_600, 0);

    fn cents(billing: Billing, time: Duration) -> String {
        charge(billing, Money::usd_nanos(3_600_000_000), JANUARY, time).to_string()
    }

    #[test]
    fn a_minimum_or_a_begun_unit_is_never_given_away() {
        let second = Billing::default();
        let cent = Money::usd_nanos(10_000_000);
        let droplet = Billing::PerSecond { min_s: 60, min_charge: cent, month_hours_max: None };
        assert_eq!(cents(second, Duration::ZERO), "0.06");
        assert_eq!(cents(second, Duration::from_millis(60_001)), "0.061");
        assert_eq!(cents(droplet, Duration::from_secs(90)), "0.09");
        assert_eq!(charge(droplet, Money::usd_nanos(5_950_000), JANUARY, Duration::from_secs(90)), cent);
        assert_eq!(cents(Billing::PerHour, Duration::ZERO), "3.60");
        assert_eq!(cents(Billing::PerHour, Duration::from_secs(3600)), "3.60");
        assert_eq!(cents(Billing::PerHour, Duration::from_secs(3601)), "7.20");
    }

    #[test]
    fn a_month_is_not_charged_beyond_its_ceiling_nor_two_months_as_one() {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        let capped =
            Billing::PerSecond { min_s: 60, min_charge: Money::default(), month_hours_max: Some(672) };
        let paid_h = |from: Timestamp, time| Meter::new(capped, from, time).paid_s / 3600;
        assert_eq!(paid_h(JANUARY, days(28)), 672);
        assert_eq!(paid_h(JANUARY, days(31)), 672, "three days of January are free");
        assert_eq!(paid_h(JANUARY, days(31 + 28)), 2 * 672);
        assert_eq!(paid_h(JANUARY, days(365)), 12 * 672);
        let middle = later(JANUARY, days(15));
        assert_eq!(paid_h(middle, days(30)), 720, "sixteen days of one month and fourteen of another");
        let past_a_century = Meter::new(capped, JANUARY, Duration::MAX).paid_s;
        assert!(past_a_century > u64::MAX / 2, "{past_a_century}");
    }

    #[test]
    fn an_absurd_time_does_not_overflow() {
        for billing in [Billing::default(), Billing::PerHour] {
            assert_eq!(charge(billing, Money::usd_nanos(i64::MAX), JANUARY, Duration::MAX).nanos, i64::MAX);
        }
    }
}
