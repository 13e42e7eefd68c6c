//! Fixed rates of exchange, as an operator wrote them down.
//!
//! The installation reckons in US dollars. A table in another currency is converted by a rate that somebody answers for,
//! or its prices are Unknown: rates that move by themselves would make two equal requests cost differently, and no source
//! of them is trusted here.

use std::collections::BTreeMap;

use infra_core::words::money::Money;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::amount::{Amount, CurrencyCode};

/// US dollars that one unit of a currency comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// A decimal above zero, like `"1.0842"`.
    pub usd: String,
    /// The day it was true.
    pub as_of: Date,
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
    fn a_rate_that_is_none_is_refused() {
        for (code, usd) in
            [("EUR", "0"), ("EUR", "-1"), ("EUR", "1,1"), ("EUR", ""), ("eur", "1"), ("USD", "1")]
        {
            assert!(Rates::new([(code, &rate(usd))]).is_err(), "{code} {usd}");
        }
    }
}
