//! Own hardware: what an hour of it costs, from the inventory that lists it.
//!
//! ```toml
//! as_of = "2026-11-01"
//! currency = "EUR"
//!
//! [[pools]]
//! name = "rack-7"
//! price_per_hour = "0.35"
//!
//! [[pools.devices]]
//! name = "rack-7-gpu"
//! price_per_hour = "1.90"
//! ```
//!
//! For whoever brings a provider of own hardware (`CloudProvider`) to this library: it hands this source to a
//! [`PriceFeed`](super::PriceFeed) of the installation's [`PriceBook`](super::PriceBook) in its `catalogue`, and prices its
//! offerings by the table, as DigitalOcean and EC2 do by theirs. No cloud that comes along is of own hardware and no
//! setting of the server leads here: there, `[clouds.NAME] prices` takes a price file for any cloud.
//!
//! ```
//! # async fn of(book: &infra_providers::prices::PriceBook) {
//! use infra_providers::prices::{InventorySource, PriceOf, Scope};
//!
//! let feed = book.list_feed(&"lab".parse().expect("a name"), "list");
//! let scope = Scope { region: "rack-7".parse().expect("a name"), account: None };
//! let source = std::sync::Arc::new(InventorySource::new("inventory.toml".into()));
//! if let Some(table) = feed.known(&scope, source).await {
//!     let price = table.price(PriceOf::on_demand("rack-7-gpu"), &book.rates());
//! # drop(price);
//! }
//! # }
//! ```
//!
//! A pool's price is each of its devices' price, unless a device says its own. The rows of the table are pools and
//! devices under their names, at the list price, so that whatever offers them finds its price where clouds find theirs.
//! A pool that names no price has none: own hardware is not free, and what is Unknown is never chosen.

use std::path::PathBuf;

use async_trait::async_trait;
use infra_core::words::clock::Timestamp;
use serde::Deserialize;

use super::PriceSource;
use super::amount::{Amount, CurrencyCode};
use super::error::PriceError;
use super::table::{PriceOf, PriceTable};

/// An inventory file, read anew at every refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventorySource {
    path: PathBuf,
}

#[derive(Deserialize)]
struct Inventory {
    as_of: jiff::civil::Date,
    currency: CurrencyCode,
    #[serde(default)]
    pools: Vec<Pool>,
}

/// What an inventory says beside prices is not this source's business: further keys are read by others.
#[derive(Deserialize)]
struct Pool {
    name: String,
    price_per_hour: Option<String>,
    #[serde(default)]
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Device {
    name: String,
    price_per_hour: Option<String>,
}

impl InventorySource {
    /// Of this file.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Reads an inventory's text. `shown` is what it is called in errors and as the prices' source.
    ///
    /// # Errors
    /// [`PriceError::Malformed`].
    pub fn parse(shown: &str, text: &str) -> Result<PriceTable, PriceError> {
        let inventory: Inventory = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map(|span| text.get(..span.start).unwrap_or(text).matches('\n').count() + 1);
            let why = error.message().lines().collect::<Vec<_>>().join(", ");
            PriceError::Malformed {
                what: shown.to_owned(),
                line: line.and_then(|line| u64::try_from(line).ok()),
                why,
            }
        })?;
        let day = inventory.as_of.to_zoned(jiff::tz::TimeZone::UTC);
        let as_of = day.map_or(Timestamp::UNIX_EPOCH, |day| day.timestamp());
        let mut table = PriceTable::new(shown, as_of, false);
        let says = |price: Option<&String>, place: &str| match price {
            Some(text) => Amount::read(text, inventory.currency).map_err(|why| format!("{place}: {why}")),
            None => Err(format!("{place} names no price")),
        };
        for pool in &inventory.pools {
            table.add(PriceOf::on_demand(&pool.name), says(pool.price_per_hour.as_ref(), &pool.name));
            for device in &pool.devices {
                let price = device.price_per_hour.as_ref().or(pool.price_per_hour.as_ref());
                table.add(PriceOf::on_demand(&device.name), says(price, &device.name));
            }
        }
        Ok(table)
    }
}

#[async_trait]
impl PriceSource for InventorySource {
    async fn read(&self) -> Result<PriceTable, PriceError> {
        let shown = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let text = match read {
            Ok(read) => read.map_err(|error| error.to_string()),
            Err(broken) => Err(broken.to_string()),
        };
        let text = text.map_err(|why| PriceError::File { file: shown.clone(), why })?;
        Self::parse(&shown, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_hardware_is_not_free() {
        let text = "as_of = \"2026-11-01\"\ncurrency = \"EUR\"\n\
            [[pools]]\nname = \"rack\"\nprice_per_hour = \"0.35\"\nssh_user = \"lab\"\n\
            [[pools.devices]]\nname = \"gpu\"\nprice_per_hour = \"1.90\"\n\
            [[pools.devices]]\nname = \"plain\"\n\
            [[pools.devices]]\nname = \"gift\"\nprice_per_hour = \"0\"\n\
            [[pools]]\nname = \"shelf\"\n";
        let table = InventorySource::parse("inventory.toml", text).expect("well written");
        let amount = |name| table.amount(PriceOf::on_demand(name)).map(|amount| amount.to_string());
        assert_eq!(amount("rack").as_deref(), Some("0.35 EUR"));
        assert_eq!(amount("plain").as_deref(), Some("0.35 EUR"));
        assert_eq!(amount("gpu").as_deref(), Some("1.90 EUR"));
        assert_eq!((amount("gift"), amount("shelf")), (None, None));
        let error =
            InventorySource::parse("inventory.toml", &text.replace("EUR", "euro")).expect_err("no currency");
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
