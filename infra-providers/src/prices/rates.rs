//! Fixed rates of exchange, as an operator wrote them down.
//!
//! The installation reckons in US dollars. A table in another currency is converted by a rate that somebody answers for,
//! or its prices are Unknown: rates that move by themselves would make two equal requests cost differently, and no source
//! of them is trusted here.

use std::collections::BTreeMap;

use infra_core::words::clock::{Timestamp, later};
use infra_core::words::money::Money;
use jiff::civil::Date;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::amount::{Amount, CurrencyCode};
use super::file::DAY;

/// US dollars that one unit of a currency comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// A decimal above zero, like `"1.0842"`.
    pub usd: String,
    /// The day it was true; in TOML in quotes or without.
    #[serde(deserialize_with = "day")]
    pub as_of: Date,
}

/// A day as a text, or as a date of TOML's own.
fn day<'de, D: Deserializer<'de>>(from: D) -> Result<Date, D::Error> {
    let said = toml::Value::deserialize(from)?;
    let text = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
    text.parse().map_err(|_| D::Error::custom(format!("as_of {text:?} is no date like 2026-11-01")))
}

/// Why rates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RatesError {
    /// No currency.
    #[error("{why}")]
    Currency {
        /// Why.
        why: String,
    },
    /// No rate.
    #[error("a rate of {currency} is a decimal above zero in quotes, like \"1.0842\": {why}")]
    Rate {
        /// Of which currency.
        currency: CurrencyCode,
        /// Why not.
        why: String,
    },
    /// A day to come.
    #[error("a rate of {currency} as of {as_of} is in the future")]
    Ahead {
        /// Of which currency.
        currency: CurrencyCode,
        /// Of which day.
        as_of: Date,
    },
    /// The dollar is worth a dollar.
    #[error("USD needs no rate: everything is reckoned in it")]
    Base,
}

/// Rates by currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates(BTreeMap<CurrencyCode, (i64, Date)>);

impl Rates {
    /// Takes what an operator wrote, by ISO code.
    ///
    /// # Errors
    /// [`RatesError`].
    pub fn new<'a>(written: impl IntoIterator<Item = (&'a str, &'a Rate)>) -> Result<Self, RatesError> {
        let mut rates = BTreeMap::new();
        for (code, rate) in written {
            let currency: CurrencyCode = code.parse().map_err(|why| RatesError::Currency { why })?;
            if currency == CurrencyCode::USD {
                return Err(RatesError::Base);
            }
            let amount = Amount::read(&rate.usd, CurrencyCode::USD)
                .map_err(|why| RatesError::Rate { currency, why })?;
            rates.insert(currency, (amount.nanos(), rate.as_of));
        }
        Ok(Self(rates))
    }

    /// The same rates, none of which is of a day to come. It is tomorrow somewhere already, so tomorrow is none.
    ///
    /// # Errors
    /// [`RatesError::Ahead`].
    pub fn dated_by(self, now: Timestamp) -> Result<Self, RatesError> {
        let tomorrow = later(now, DAY).to_zoned(jiff::tz::TimeZone::UTC).date();
        match self.0.iter().find(|(_, (_, as_of))| *as_of > tomorrow) {
            Some((currency, (_, as_of))) => Err(RatesError::Ahead { currency: *currency, as_of: *as_of }),
            None => Ok(self),
        }
    }

    /// An amount in US dollars, and what to say about the conversion, if there was one. Rounded up.
    ///
    /// # Errors
    /// The reason why there is no price, for people.
    pub fn in_usd(&self, amount: Amount) -> Result<(Money, Option<String>), String> {
        let usd = self.usd(amount)?;
        let note =
            |(rate, as_of): &(i64, Date)| format!("{amount} at {} of {as_of}", Money::usd_nanos(*rate));
        Ok((usd, self.0.get(&amount.currency()).map(note)))
    }

    /// An amount in US dollars, rounded up.
    ///
    /// # Errors
    /// As [`Self::in_usd`].
    pub fn usd(&self, amount: Amount) -> Result<Money, String> {
        if amount.currency() == CurrencyCode::USD {
            return Ok(Money::usd_nanos(amount.nanos()));
        }
        let (rate, _) = self.0.get(&amount.currency()).ok_or_else(|| {
            format!("priced in {}, for which no rate is configured ([pricing.rates])", amount.currency())
        })?;
        let exact = i128::from(amount.nanos()) * i128::from(*rate);
        let nanos = exact.div_euclid(1_000_000_000) + i128::from(exact.rem_euclid(1_000_000_000) != 0);
        let money = i64::try_from(nanos).unwrap_or(i64::MAX);
        // Only now: what is a month's sum in one currency is an hour's price in another.
        let converted =
            Amount::of_nanos(money, CurrencyCode::USD).map_err(|why| format!("{amount}: {why}"))?;
        Ok(Money::usd_nanos(converted.nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(usd: &str) -> Rate {
        Rate { usd: usd.to_owned(), as_of: jiff::civil::date(2026, 11, 1) }
    }

    #[test]
    fn currencies_are_never_mixed_without_a_rate() {
        let rates = Rates::new([("EUR", &rate("1.1"))]).expect("a rate");
        let of = |text, code: &str| Amount::read(text, code.parse().expect("a code")).expect("a price");
        let (usd, note) = rates.in_usd(of("0.5", "EUR")).expect("there is a rate");
        assert_eq!(usd.nanos, 550_000_000);
        assert_eq!(note.as_deref(), Some("0.50 EUR at 1.10 of 2026-11-01"));
        assert_eq!(rates.in_usd(of("0.5", "USD")).map(|(usd, _)| usd.nanos), Ok(500_000_000));
        let why = rates.in_usd(of("0.5", "CNY")).expect_err("there is none");
        assert!(why.contains("CNY"), "{why}");
        let tiny = rates.in_usd(of("0.000000001", "EUR")).expect("a rate");
        assert_eq!(tiny.0.nanos, 2, "rounded up");
    }

    #[test]
    fn a_price_in_yen_is_taken_for_a_months_sum_and_a_rate_lifts_one_over_the_ceiling() {
        let (yen, dinar) = (rate("0.00645"), rate("3.25"));
        let rates = Rates::new([("JPY", &yen), ("KWD", &dinar)]).expect("rates");
        let of = |text, code: &str| {
            Amount::read(text, code.parse().expect("a code")).and_then(|amount| rates.usd(amount))
        };
        assert_eq!(of("15000", "JPY").map(|usd| usd.nanos), Ok(96_750_000_000));
        assert_eq!(of("3076.92", "KWD").map(|usd| usd.nanos), Ok(9_999_990_000_000));
        for (text, code) in [("3076.93", "KWD"), ("1550388", "JPY"), ("9000000000", "KWD"), ("10000", "USD")]
        {
            let why = of(text, code).expect_err(code);
            assert!(why.contains("is no price of an hour") && why.contains(text), "{why}");
        }
        assert!(Rates::new([("XAU", &rate("10000"))]).is_err(), "no unit of a currency is worth that");
    }

    #[test]
    fn a_date_of_tomls_own_is_no_date_and_one_of_years_to_come_is_believed() {
        for written in ["\"2026-11-01\"", "2026-11-01"] {
            let read: Rate = toml::from_str(&format!("usd = \"1.08\"\nas_of = {written}\n")).expect(written);
            assert_eq!(read, Rate { usd: "1.08".to_owned(), ..rate("1.08") }, "{written}");
            assert_eq!(toml::from_str(&toml::to_string(&read).expect("plain")), Ok(read), "{written}");
        }
        for written in ["\"last week\"", "5", "{}", "2026-13-01", "12:00:00"] {
            let read: Result<Rate, _> = toml::from_str(&format!("usd = \"1.08\"\nas_of = {written}\n"));
            assert!(read.is_err(), "{written}");
        }
        let rates = Rates::new([("EUR", &rate("1.08"))]).expect("a rate");
        let by = |now: &str| rates.clone().dated_by(now.parse().expect("a moment"));
        assert!(by("2026-10-31T01:00:00Z").is_ok(), "it is the first of November somewhere");
        let why = by("2026-10-30T23:00:00Z").expect_err("a day to come").to_string();
        assert_eq!(why, "a rate of EUR as of 2026-11-01 is in the future");
    }

    #[test]
    fn a_rate_that_is_none_is_refused() {
        for (code, usd) in
            [("EUR", "0"), ("EUR", "-1"), ("EUR", "1,1"), ("EUR", ""), ("eur", "1"), ("USD", "1")]
        {
            assert!(Rates::new([(code, &rate(usd))]).is_err(), "{code} {usd}");
        }
    }
}
