//! A sheet of flavors in TOML: what each costs and, where the cloud has no words for it, what it is.
//!
//! ```toml
//! as_of = "2026-11-01"
//! currency = "USD"
//!
//! [per_hour]
//! "m1.small" = "0.021"
//!
//! [flavors."m1.small"]
//! family = "m1"
//! generation = 1
//! burstable = true
//! ```
//!
//! What is said of a flavor counts instead of what the cloud says; what is not said is the cloud's. Names are whole,
//! without wildcards: one price of flavors of different sizes would be wrong for most.
//!
//! # Errors
//! A flavor that is told of and has no price is a slip of the pen: it would never be chosen.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Deserialize;
use toml::Spanned;

use super::error::PriceError;
use super::file::{CsvRow, Said, malformed};
use super::table::TypeWords;

/// Characters of a family's name, and the highest generation, that a request can ask for.
const FAMILY_LEN_MAX: usize = 100;
const GENERATION_MAX: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    as_of: toml::Value,
    currency: String,
    per_hour: BTreeMap<String, Spanned<toml::Value>>,
    #[serde(default)]
    flavors: BTreeMap<String, Spanned<Flavor>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flavor {
    family: Option<String>,
    generation: Option<u32>,
    burstable: Option<bool>,
}

/// Rows, each with its line, and what types are.
pub(super) type Read = (Vec<(Option<u64>, Said)>, BTreeMap<String, TypeWords>);

/// Reads a sheet's text.
///
/// # Errors
/// [`PriceError::Malformed`] with the line.
pub(super) fn read(shown: &str, bytes: &[u8]) -> Result<Read, PriceError> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(shown, None, "not UTF-8"))?;
    let line = |at: usize| {
        let before = text.get(..at).unwrap_or(text).matches('\n').count();
        u64::try_from(before + 1).ok()
    };
    let sheet: Sheet = toml::from_str(text).map_err(|error| {
        let why = error.message().lines().collect::<Vec<_>>().join(", ");
        malformed(shown, error.span().and_then(|span| line(span.start)), why)
    })?;
    let Sheet { as_of, currency, per_hour, flavors } = sheet;
    let mut words = BTreeMap::new();
    for (name, flavor) in flavors {
        let wrong = |why: &dyn Display| malformed(shown, line(flavor.span().start), format!("{name}: {why}"));
        if !per_hour.contains_key(&name) {
            return Err(wrong(&"is told of and has no price in [per_hour]"));
        }
        let said = type_words(flavor.get_ref()).map_err(|why| wrong(&why))?;
        words.insert(name, said);
    }
    // A date of TOML's own, or a text. What is neither is told with the first flavor.
    let as_of = as_of.as_str().map_or_else(|| as_of.to_string(), str::to_owned);
    let rows = per_hour.into_iter().map(|(flavor, price)| {
        let at = line(price.span().start);
        let price = price.into_inner();
        let row = CsvRow {
            r#type: flavor.clone(),
            price_per_hour: price.as_str().map_or_else(|| price.to_string(), str::to_owned),
            currency: currency.clone(),
            as_of: as_of.clone(),
            ..CsvRow::default()
        };
        let place = at.map_or(flavor, |at| format!("line {at}"));
        (at, Said { place, row })
    });
    Ok((rows.collect(), words))
}

/// What a flavor is, once it is nothing that no request could ask for.
fn type_words(said: &Flavor) -> Result<TypeWords, String> {
    let family = said.family.as_ref().map(|family| family.to_lowercase());
    let bad = |name: &String| {
        name.is_empty() || name.chars().count() > FAMILY_LEN_MAX || name.chars().any(char::is_control)
    };
    if family.as_ref().is_some_and(bad) {
        return Err(format!("family must be a printable text of 1 to {FAMILY_LEN_MAX} characters"));
    }
    if said.generation.is_some_and(|it| !(1..=GENERATION_MAX).contains(&it)) {
        return Err(format!("generation must be from 1 to {GENERATION_MAX}"));
    }
    Ok(TypeWords { family, generation: said.generation, burstable: said.burstable })
}
