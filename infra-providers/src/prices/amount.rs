//! The one place that decides what a price is.

use std::fmt;
use std::str::FromStr;

use infra_core::words::money::Money;
use serde::{Deserialize, Serialize};

/// An ISO 4217 code: three capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CurrencyCode([u8; 3]);

impl CurrencyCode {
    /// What this installation reckons in.
    pub const USD: Self = Self(*b"USD");
    /// What AWS asks in China.
    pub const CNY: Self = Self(*b"CNY");
}

impl FromStr for CurrencyCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code: Option<[u8; 3]> = text.as_bytes().try_into().ok();
        code.filter(|code| code.iter().all(u8::is_ascii_uppercase))
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no currency: three capital letters are, like USD"))
    }
}

impl TryFrom<String> for CurrencyCode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<CurrencyCode> for String {
    fn from(code: CurrencyCode) -> Self {
        code.to_string()
    }
}

impl fmt::Display for CurrencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

/// US dollars per hour from which on a price is taken for something else (a size, an id, a month's sum): the dearest single
/// machine that any cloud lists is below a thousand. What is said in another currency is held against it once it is converted.
pub const PER_HOUR_MAX: i64 = 10_000;

const NANOS: i64 = 1_000_000_000;

/// What one machine costs for one hour: above zero and, in US dollars, below [`PER_HOUR_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount {
    nanos: i64,
    currency: CurrencyCode,
}

impl Amount {
    /// Reads a decimal like `0.0416`: no exponent, no separators, no blanks, no sign but `-`, which is refused. What is
    /// below a billionth is rounded up.
    ///
    /// # Errors
    /// The reason why it is no price, for people.
    pub fn read(text: &str, currency: CurrencyCode) -> Result<Self, String> {
        let read = Money::parse_usd(text).ok_or_else(|| format!("{:?} is not a decimal", shortened(text)))?;
        let beyond = text.split_once('.').and_then(|(_, fraction)| fraction.get(9..));
        let cut = beyond.is_some_and(|rest| rest.bytes().any(|digit| digit != b'0'));
        // A minus in front of less than a billionth is gone once it is read.
        if text.starts_with('-') || read.nanos < 0 || (read.nanos == 0 && !cut) {
            return Err(format!("{} is not above zero", shortened(text)));
        }
        Self::of_nanos(read.nanos.saturating_add(i64::from(cut)), currency)
    }

    /// Billionths of a unit.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of_nanos(nanos: i64, currency: CurrencyCode) -> Result<Self, String> {
        match nanos {
            ..=0 => Err(format!("{} is not above zero", Money::usd_nanos(nanos))),
            _ if currency == CurrencyCode::USD && nanos >= PER_HOUR_MAX * NANOS => Err(format!(
                "{} is no price of an hour: {PER_HOUR_MAX} USD and more are taken for something else",
                Money::usd_nanos(nanos)
            )),
            _ => Ok(Self { nanos, currency }),
        }
    }

    /// Billionths of a unit; always above zero.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.nanos
    }

    /// Of which currency.
    #[must_use]
    pub const fn currency(self) -> CurrencyCode {
        self.currency
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Money::usd_nanos(self.nanos), self.currency)
    }
}

/// A reason is shown to people: what somebody put in a price's place may be a page long.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 24;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_price_is_none_whatever_it_looks_like() {
        for text in [
            "0",
            "0.0",
            "-0",
            "-0.0000000001",
            "0.0000000000",
            "-1",
            "",
            " 1",
            "1 ",
            "+1",
            "1e3",
            "1,5",
            "NaN",
            "nan",
            "inf",
            "Infinity",
            "$1",
            "0x10",
            "1_000",
            "--1",
            "10000",
            "99999999999999999999",
            "m5.large",
            ".",
            "１",
        ] {
            assert!(Amount::read(text, CurrencyCode::USD).is_err(), "{text:?}");
        }
    }

    #[test]
    fn nobody_is_quoted_less_than_the_digits_say() {
        for (text, nanos) in [
            ("0.0960000000", 96_000_000),
            ("0.0000000001", 1),
            ("0.12345678901", 123_456_790),
            ("9999.999999999", 9_999_999_999_999),
            (".25", 250_000_000),
            ("3", 3_000_000_000),
        ] {
            assert_eq!(Amount::read(text, CurrencyCode::USD).map(Amount::nanos), Ok(nanos), "{text}");
        }
        assert!(Amount::read("9999.9999999991", CurrencyCode::USD).is_err(), "rounded up it is too much");
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!("CNY".parse(), Ok(CurrencyCode::CNY));
        for wrong in ["usd", "US", "USDT", "", "U$D", "ЕUR"] {
            assert!(wrong.parse::<CurrencyCode>().is_err(), "{wrong}");
        }
    }
}
