//! Money: integers of nano-units, never a float.
//!
//! # Guarantees
//! * Billionths, because clouds price a GiB of disk per hour: in millionths that would already be off by half a
//!   percent. The largest amount is about 9.2 billion US dollars.
//! * Sums stop at the largest amount instead of wrapping: what is absurdly dear stays so, and is never chosen.
//! * What is billed by time is rounded once, at the end, and up.
//!
//! # Caveats
//! One currency. A second one needs rates, and a decision what a budget in the other means.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Currency {
    /// US dollars.
    #[default]
    Usd,
}

impl Currency {
    /// The ISO 4217 code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
        }
    }
}

/// An amount in billionths of its currency's unit. On the wire `{"amount": "0.0416", "currency": "USD"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money {
    /// Billionths of a unit.
    pub nanos: i64,
    /// Of which currency.
    pub currency: Currency,
}

const NANOS_PER_UNIT: i64 = 1_000_000_000;

impl Money {
    /// US dollars, in billionths.
    #[must_use]
    pub const fn usd_nanos(nanos: i64) -> Self {
        Self { nanos, currency: Currency::Usd }
    }

    /// Reads a decimal like `0.0416`, `3`, `.25` or `-1.5`: no exponent, no separators, no blanks, no `+`. What is
    /// below a billionth is cut off, towards zero. `None` for anything else, and for what no amount can say.
    #[must_use]
    pub fn parse_usd(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !plain(whole) || !plain(fraction) {
            return None;
        }
        // Digits past the ninth are below a billionth; price lists print up to ten.
        let kept = &fraction[..fraction.len().min(9)];
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let nanos: i64 = format!("{kept:0<9}").parse().ok()?;
        Some(Self::usd_nanos(sign * whole.checked_mul(NANOS_PER_UNIT)?.checked_add(nanos)?))
    }

    /// `self * n`, stopping at the largest amount.
    #[must_use]
    pub const fn times(self, n: i64) -> Self {
        Self { nanos: self.nanos.saturating_mul(n), currency: self.currency }
    }

    /// `self + other`; both must be of one currency, which the type's only value makes sure of today.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_add(other.nanos), currency: self.currency }
    }

    /// What an hourly price comes to over a time, rounded up to a billionth.
    #[must_use]
    pub fn per_hour_for(self, time: Duration) -> Self {
        let micros = i128::try_from(time.as_micros()).unwrap_or(i128::MAX);
        let exact = i128::from(self.nanos).saturating_mul(micros);
        let hour = 3_600_000_000_i128;
        let nanos = exact.div_euclid(hour) + i128::from(exact.rem_euclid(hour) != 0);
        Self { nanos: i64::try_from(nanos).unwrap_or(i64::MAX), currency: self.currency }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nanos < 0 { "-" } else { "" };
        let nanos = self.nanos.unsigned_abs();
        let unit = NANOS_PER_UNIT.unsigned_abs();
        let fraction = format!("{:09}", nanos % unit);
        let trimmed = fraction.trim_end_matches('0');
        // At least two decimals: "0.50" reads as money, "0.5" as a number.
        let fraction = if trimmed.len() < 2 { &fraction[..2] } else { trimmed };
        write!(f, "{sign}{}.{fraction}", nanos / unit)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an amount of money like {\"amount\": \"0.5\", \"currency\": \"USD\"}"
)]
struct Wire {
    amount: String,
    currency: String,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Wire { amount: self.to_string(), currency: self.currency.code().to_owned() }.serialize(to)
    }
}

#[cfg(feature = "utoipa")]
impl utoipa::PartialSchema for Money {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        super::schema::money()
    }
}

#[cfg(feature = "utoipa")]
impl utoipa::ToSchema for Money {}

impl<'de> Deserialize<'de> for Money {
    /// Reads what [`Serialize`] writes; what is below a billionth is cut off, towards zero, unless nothing would be left.
    ///
    /// # Errors
    /// Each in words that say what to mend: another currency, an amount that is no decimal, one that comes to nothing, and
    /// one beyond what can be counted. The last of them names both ends: whoever typed a figure too many must not look for
    /// a wrong sign in it.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(from)?;
        if wire.currency != "USD" {
            return Err(D::Error::custom(format!("currency {:?} is not known; USD is", wire.currency)));
        }
        let read = Self::parse_usd(&wire.amount);
        if read.is_some_and(|read| read.nanos == 0)
            && wire.amount.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0')
        {
            let text = wire.amount;
            return Err(D::Error::custom(format!(
                "amount {text:?} is less than a billionth, the smallest there is"
            )));
        }
        read.ok_or_else(|| {
            let text = wire.amount;
            // With a small whole part it can be read where only its size is wrong.
            let whole = text.strip_prefix('-').unwrap_or(&text).split('.').next().unwrap_or_default();
            let is_decimal = whole.len() > 1 && Self::parse_usd(&text.replacen(whole, "0", 1)).is_some();
            if is_decimal && whole.bytes().all(|byte| byte.is_ascii_digit()) {
                let most = i64::MAX / NANOS_PER_UNIT;
                return D::Error::custom(format!("amount {text:?} is not between -{most} and {most}"));
            }
            D::Error::custom(format!("amount {text:?} is not a decimal"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_survive_the_round_trip() {
        for (text, shown) in [
            ("0.0416", "0.0416"),
            ("3", "3.00"),
            ("0.5", "0.50"),
            (".25", "0.25"),
            ("-1.000000001", "-1.000000001"),
        ] {
            assert_eq!(Money::parse_usd(text).map(|m| m.to_string()).as_deref(), Some(shown));
        }
        for bad in ["", ".", "1e3", "1,5", "NaN", "--1", "9223372036854775807"] {
            assert_eq!(Money::parse_usd(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_amount_beyond_the_largest_is_called_no_number() {
        let read = |amount: &str| {
            let wire = format!("{{\"amount\": {amount:?}, \"currency\": \"USD\"}}");
            serde_json::from_str::<Money>(&wire).map_err(|error| error.to_string())
        };
        for beyond in ["99999999999", "-99999999999.5", "9999999999999999999999"] {
            let why = read(beyond).expect_err(beyond);
            assert!(why.contains("is not between -9223372036 and 9223372036"), "{beyond}: {why}");
        }
        for wrong in ["12x4", "1e12", "--12", "12.5.1", ""] {
            assert!(read(wrong).expect_err(wrong).contains("is not a decimal"), "{wrong}");
        }
        for (nothing, says) in
            [("0.0000000001", "less than a billionth"), ("-0.0000000009", "less than a billionth")]
        {
            assert!(read(nothing).expect_err(nothing).contains(says), "{nothing}");
        }
        for (cut, nanos) in [("0", 0), ("0.0000000000", 0), ("0.0000000019", 1)] {
            assert_eq!(read(cut).map(|money| money.nanos), Ok(nanos), "{cut}");
        }
        assert_eq!(read("9223372036").map(|money| money.nanos), Ok(9_223_372_036_000_000_000));
    }

    #[test]
    fn a_part_of_an_hour_is_rounded_up() {
        let hourly = Money::usd_nanos(1);
        assert_eq!(hourly.per_hour_for(Duration::from_secs(1)).nanos, 1);
        assert_eq!(Money::usd_nanos(3600).per_hour_for(Duration::from_secs(2)).nanos, 2);
    }
}
