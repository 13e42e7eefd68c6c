//! From an hourly price and a time to a charge.

use std::time::Duration;

use crate::nouns::offering::Billing;
use crate::words::money::Money;

const HOUR_S: u64 = 3600;

/// What one machine at this hourly price is charged for this time: begun seconds or hours count whole, the
/// cloud's minimum applies also to a time of zero, and the amount is rounded up to a billionth.
#[must_use]
pub fn charge(billing: Billing, per_hour: Money, time: Duration) -> Money {
    shown(charge_nanos(billing, per_hour.nanos, time))
}

/// [`charge`] without the ceiling of what an amount can show.
pub(super) fn charge_nanos(billing: Billing, per_hour: i64, time: Duration) -> i128 {
    let begun_s = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    let (billed_s, min_charge) = match billing {
        Billing::PerSecond { min_s, min_charge } => (begun_s.max(u64::from(min_s)), min_charge.nanos),
        Billing::PerHour => (begun_s.div_ceil(HOUR_S).max(1).saturating_mul(HOUR_S), 0),
    };
    // 63 + 64 bits: fits 128 with its sign.
    let exact = i128::from(per_hour) * i128::from(billed_s);
    let hour = i128::from(HOUR_S);
    let up = exact.div_euclid(hour) + i128::from(exact.rem_euclid(hour) != 0);
    up.max(i128::from(min_charge))
}

/// An amount as money, cut to the largest that can be shown.
pub(super) fn shown(nanos: i128) -> Money {
    Money::usd_nanos(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cents(billing: Billing, time: Duration) -> String {
        charge(billing, Money::usd_nanos(3_600_000_000), time).to_string()
    }

    #[test]
    fn a_minimum_or_a_begun_unit_is_never_given_away() {
        let second = Billing::default();
        let cent = Money::usd_nanos(10_000_000);
        let droplet = Billing::PerSecond { min_s: 60, min_charge: cent };
        assert_eq!(cents(second, Duration::ZERO), "0.06");
        assert_eq!(cents(second, Duration::from_millis(60_001)), "0.061");
        assert_eq!(cents(droplet, Duration::from_secs(90)), "0.09");
        assert_eq!(charge(droplet, Money::usd_nanos(5_950_000), Duration::from_secs(90)), cent);
        assert_eq!(cents(Billing::PerHour, Duration::ZERO), "3.60");
        assert_eq!(cents(Billing::PerHour, Duration::from_secs(3600)), "3.60");
        assert_eq!(cents(Billing::PerHour, Duration::from_secs(3601)), "7.20");
    }

    #[test]
    fn an_absurd_time_does_not_overflow() {
        for billing in [Billing::default(), Billing::PerHour] {
            assert_eq!(charge(billing, Money::usd_nanos(i64::MAX), Duration::MAX).nanos, i64::MAX);
        }
    }
}
