//! What flavors cost, as an operator wrote it down: OpenStack itself has no prices. Names are whole, without wildcards: one
//! price of flavors of different sizes would be wrong for most. Other currencies and forms: [`crate::prices`].
//!
//! ```toml
//! as_of = "2026-01-31T00:00:00Z"
//! currency = "USD"
//!
//! [per_hour]
//! "m1.small" = "0.021"
//! ```

use std::collections::BTreeMap;

use infra_core::nouns::offering::Price;
use infra_core::words::clock::Timestamp;
use infra_core::words::money::{Currency, Money};
use serde::Deserialize;

/// The name of the source, shown with every price.
const SOURCE: &str = "price sheet";

/// Flavors and what one machine of each costs per hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceSheet {
    as_of: Timestamp,
    per_hour: BTreeMap<String, Money>,
}

/// Why a price sheet cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceSheetError {
    /// No TOML, or not of this form.
    #[error("price sheet cannot be read: {why}")]
    Unreadable {
        /// Where and why, in one line.
        why: String,
    },
    /// A currency that is not reckoned in here.
    #[error("price sheet is in {currency:?}; USD is known")]
    Currency {
        /// What it says.
        currency: String,
    },
    /// An amount that is no decimal above zero.
    #[error("price sheet says {amount:?} for {flavor}: an amount is a decimal above zero like \"0.021\"")]
    Amount {
        /// Of which flavor.
        flavor: String,
        /// What it says.
        amount: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    as_of: Timestamp,
    currency: String,
    per_hour: BTreeMap<String, String>,
}

impl PriceSheet {
    /// Reads a sheet.
    ///
    /// # Errors
    /// [`PriceSheetError`].
    pub fn from_toml(text: &str) -> Result<Self, PriceSheetError> {
        let unreadable = |error: toml::de::Error| PriceSheetError::Unreadable {
            why: error.message().lines().collect::<Vec<_>>().join(", "),
        };
        let Sheet { as_of, currency, per_hour } = toml::from_str(text).map_err(unreadable)?;
        if currency != Currency::Usd.code() {
            return Err(PriceSheetError::Currency { currency });
        }
        let amount = |(flavor, amount): (String, String)| match Money::parse_usd(&amount) {
            Some(money) if money.nanos > 0 => Ok((flavor, money)),
            _ => Err(PriceSheetError::Amount { flavor, amount }),
        };
        Ok(Self { as_of, per_hour: per_hour.into_iter().map(amount).collect::<Result<_, _>>()? })
    }
}

/// What a flavor costs.
pub(super) fn price(sheet: Option<&PriceSheet>, flavor: &str) -> Price {
    match sheet {
        Some(sheet) => match sheet.per_hour.get(flavor) {
            Some(price) => Price::from_table(Some(*price), sheet.as_of, SOURCE),
            None => Price::Unknown { reason: format!("{SOURCE} names no price of {flavor}") },
        },
        None => Price::Unknown { reason: "there is no price sheet for this cloud".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHEET: &str =
        "as_of = \"2026-01-31T00:00:00Z\"\ncurrency = \"USD\"\n[per_hour]\n\"m1.small\" = \"0.021\"\n";

    #[test]
    fn what_no_sheet_names_has_no_price() {
        let sheet = PriceSheet::from_toml(SHEET).expect("a sheet");
        assert_eq!(price(Some(&sheet), "m1.small").per_hour(), Money::parse_usd("0.021"));
        assert_eq!(price(Some(&sheet), "m1.large").per_hour(), None);
        assert_eq!(price(None, "m1.small").per_hour(), None);
    }

    #[test]
    fn a_sheet_that_could_be_misread_is_refused() {
        for (from, to, said) in [
            ("USD", "EUR", "USD is known"),
            ("0.021", "0", "above zero"),
            ("0.021", "-1", "above zero"),
            ("0.021", "cheap", "above zero"),
            ("as_of", "of", "unknown field"),
            ("[per_hour]", "[per_day]", "unknown field"),
        ] {
            let error = PriceSheet::from_toml(&SHEET.replace(from, to)).expect_err("it is wrong");
            assert!(error.to_string().contains(said), "{to}: {error}");
        }
    }
}
