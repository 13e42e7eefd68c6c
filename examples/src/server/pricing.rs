//! The table `[pricing]`: how often prices are asked for, and what other currencies are worth.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::entropy::Entropy;
use infra_providers::prices::{PriceBook, Rate, Rates};
use infra_providers::registry;
use serde::{Deserialize, Serialize};

use super::config::{Settings, of_clouds};
use super::error::StartError;
use super::file::Source;
use super::span::Span;

/// As written. Everything is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PricingFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_every: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spot_every: Option<Span>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, Rate>,
}

/// In force.
#[derive(Debug, Clone, PartialEq)]
pub struct Pricing {
    /// List prices and price files are read again after this.
    pub list_every: Duration,
    /// Spot prices are asked for again after this.
    pub spot_every: Duration,
    /// US dollars per unit, by ISO code.
    pub rates: BTreeMap<String, Rate>,
}

/// More often than this is a burden for whoever is asked, less often than the other is no refreshing.
const EVERY: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(30 * 86_400);

impl Pricing {
    pub(super) fn of(file: &PricingFile, source: &Source) -> Result<Self, StartError> {
        let every = |key: &str, span: Option<Span>, usual: u64| {
            let span = span.map_or(Duration::from_secs(usual), |span| span.0);
            if EVERY.contains(&span) {
                return Ok(span);
            }
            Err(source.wrong(&["pricing", key], format!("{} is not between 1min and 30d", Span(span))))
        };
        for (code, rate) in &file.rates {
            let wrong = |why: String| source.wrong(&["pricing", "rates", code], why);
            let dated =
                Rates::new([(code.as_str(), rate)]).and_then(|rates| rates.dated_by(SystemClock.wall()));
            dated.map_err(|error| {
                let upper = code.to_uppercase();
                let near = upper != *code && Rates::new([(upper.as_str(), rate)]).is_ok();
                let hint = if near { format!("; did you mean {upper}?") } else { String::new() };
                wrong(format!("{error}{hint}"))
            })?;
        }
        Ok(Self {
            list_every: every("list_every", file.list_every, 6 * 3600)?,
            spot_every: every("spot_every", file.spot_every, 600)?,
            rates: file.rates.clone(),
        })
    }

    pub(super) fn file(&self) -> PricingFile {
        PricingFile {
            list_every: Some(Span(self.list_every)),
            spot_every: Some(Span(self.spot_every)),
            rates: self.rates.clone(),
        }
    }

    /// An empty book with these settings.
    pub(super) fn book(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> PriceBook {
        PriceBook::new(clock, entropy)
            .with_rates(self.rates())
            .with_intervals(self.list_every, self.spot_every)
    }

    /// The rates as prices are converted by them.
    pub(super) fn rates(&self) -> Rates {
        let rates = Rates::new(self.rates.iter().map(|(code, rate)| (code.as_str(), rate)));
        rates.expect("the settings were checked")
    }
}

/// Rows without a price that are named at most for each file.
const ROWS_NAMED_MAX: usize = 10;

/// Reads the price files. What is wrong with one of them is an error; a row without a price is worth a word.
pub(super) fn files(settings: &Settings, book: &PriceBook) -> Result<Vec<String>, StartError> {
    let rates = book.rates();
    let mut notes = Vec::new();
    for (name, cloud) in &settings.clouds {
        let Some(table) = registry::prices(name, cloud, book).map_err(|why| of_clouds(&why))? else {
            continue;
        };
        let (priced, _) = table.counts(&rates);
        let without = table.without_price(&rates);
        notes.push(format!(
            "clouds.{name}.prices: {} of {}, {priced} with a price, {} without",
            table.source(),
            table.as_of().strftime("%Y-%m-%d"),
            without.len()
        ));
        notes.extend(without.iter().take(ROWS_NAMED_MAX).map(|why| format!("  {why}")));
        let more = without.len().saturating_sub(ROWS_NAMED_MAX);
        notes.extend((more > 0).then(|| format!("  and {more} more")));
        // Which regions a cloud has that names none here is the cloud's own to say.
        let known = |region: &&str| cloud.regions.iter().any(|known| known.as_str() == *region);
        let elsewhere: Vec<&str> =
            table.regions().filter(|region| !cloud.regions.is_empty() && !known(region)).collect();
        let regions = elsewhere.join(", ");
        notes.extend((!elsewhere.is_empty()).then(|| format!("  rows of no region in use: {regions}")));
    }
    Ok(notes)
}
