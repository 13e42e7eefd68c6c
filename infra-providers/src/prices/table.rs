//! Prices of one region, as one source gave them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use infra_core::nouns::offering::{Offering, Price};
use infra_core::nouns::request::Market;
use infra_core::nouns::system::System;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{Region, Zone};
use infra_core::words::money::Money;

use super::amount::Amount;
use super::rates::Rates;

/// The operating system whose price is meant where nobody says another one.
pub const LINUX: &str = "linux";

/// What a price is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PriceOf<'a> {
    /// The cloud's name for the type.
    pub type_name: &'a str,
    /// How it is bought.
    pub market: Market,
    /// With which operating system, a word of [`System`]: clouds add licences to the price.
    pub os: &'a str,
    /// In which zone alone; `None` for the whole region.
    pub zone: Option<&'a str>,
}

impl<'a> PriceOf<'a> {
    /// A type with Linux at the list price, anywhere in the region.
    #[must_use]
    pub const fn on_demand(type_name: &'a str) -> Self {
        Self { type_name, market: Market::OnDemand, os: LINUX, zone: None }
    }

    /// A type with Linux at a zone's spot price.
    #[must_use]
    pub const fn spot(type_name: &'a str, zone: &'a str) -> Self {
        Self { type_name, market: Market::Spot, os: LINUX, zone: Some(zone) }
    }
}

/// What a source says in vain, as people name it (`spot m5.large in us-east-1a`, `region us-esat-1`), each with its number
/// of rows.
pub type Unused = BTreeMap<String, usize>;

/// What an operator says a type is, where its cloud has no words for it. What is not said stays the cloud's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypeWords {
    /// What types belong together, lower case.
    pub family: Option<String>,
    /// Which generation of its family, from 1.
    pub generation: Option<u32>,
    /// May its processors be used fully only for a time?
    pub burstable: Option<bool>,
}

type Key = (String, Market, String);
/// A price, or the reason why it is none.
pub type Row = Result<Amount, String>;

/// Prices of one region. Rows may name a zone; a row without one is for all zones that have no row of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceTable {
    source: String,
    as_of: Timestamp,
    live: bool,
    rows: BTreeMap<Key, BTreeMap<Option<String>, Row>>,
    /// When rows were true that say so themselves.
    moments: BTreeMap<Key, BTreeMap<Option<String>, Timestamp>>,
    disk: Option<Row>,
    /// How many rows each region that is named has.
    regions: BTreeMap<String, usize>,
    words: BTreeMap<String, TypeWords>,
}

impl PriceTable {
    /// An empty table of a source, true at a moment. Live tables age; one that an operator named does not.
    #[must_use]
    pub fn new(source: impl Into<String>, as_of: Timestamp, live: bool) -> Self {
        Self {
            source: source.into(),
            as_of,
            live,
            rows: BTreeMap::new(),
            moments: BTreeMap::new(),
            disk: None,
            regions: BTreeMap::new(),
            words: BTreeMap::new(),
        }
    }

    /// Who says so, shown with every price.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// When it was true.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Notes which regions the source names, once for each row.
    pub fn name_regions<'a>(&mut self, regions: impl IntoIterator<Item = &'a str>) {
        for region in regions {
            *self.regions.entry(region.to_owned()).or_default() += 1;
        }
    }

    /// Regions that the source names, in alphabetical order, those of other tables than this one among them; none where it
    /// speaks of any.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.regions.keys().map(String::as_str)
    }

    /// What is said in vain: rows that no offer takes its price from, and rows of regions that are not among `regions`.
    /// `offers` are the cloud's own, before this table's prices.
    #[must_use]
    pub fn unused(&self, offers: &[Offering], regions: &[Region]) -> Unused {
        let mut sold = BTreeMap::<(&str, Market), BTreeSet<&str>>::new();
        for offer in offers.iter().filter(|offer| offer.system.is_linux()) {
            let zones = sold.entry((offer.type_name.as_str(), offer.market)).or_default();
            zones.extend(offer.zones.iter().map(Zone::as_str));
        }
        let mut unused = Unused::new();
        for ((type_name, market, os), rows) in &self.rows {
            let zones = sold.get(&(type_name.as_str(), *market));
            for zone in rows.keys().map(Option::as_deref) {
                if zones.is_none_or(|zones| zone.is_some_and(|zone| !zones.contains(zone))) {
                    unused.insert(named(PriceOf { type_name, market: *market, os, zone }), 1);
                }
            }
        }
        let elsewhere = |name: &str| !regions.iter().any(|region| region.as_str() == name);
        let elsewhere = self.regions.iter().filter(|(name, _)| elsewhere(name));
        unused.extend(elsewhere.map(|(name, rows)| (format!("region {name}"), *rows)));
        unused
    }

    /// When the newest of its rows was true that says so itself.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.moments.values().flat_map(BTreeMap::values).max().copied()
    }

    /// Was it asked live?
    #[must_use]
    pub const fn live(&self) -> bool {
        self.live
    }

    /// Adds what a source says. Two rows of one thing that disagree leave it without a price: nobody knows which of them
    /// is paid.
    pub fn add(&mut self, of: PriceOf<'_>, says: Row) {
        let key = (of.type_name.to_owned(), of.market, of.os.to_owned());
        match self.rows.entry(key).or_default().entry(of.zone.map(str::to_owned)) {
            Entry::Vacant(place) => {
                place.insert(says);
            }
            Entry::Occupied(mut row) if *row.get() != says => {
                let shown = |row: &Row| row.as_ref().map_or_else(Clone::clone, ToString::to_string);
                let why = format!("two prices, {} and {}", shown(row.get()), shown(&says));
                *row.get_mut() = Err(why);
            }
            Entry::Occupied(_) => {}
        }
    }

    /// Adds what a source says with a moment of its own; of the same row said twice the older one counts.
    pub fn add_at(&mut self, of: PriceOf<'_>, as_of: Timestamp, says: Row) {
        let key = (of.type_name.to_owned(), of.market, of.os.to_owned());
        let moment = self.moments.entry(key).or_default().entry(of.zone.map(str::to_owned)).or_insert(as_of);
        *moment = as_of.min(*moment);
        self.add(of, says);
    }

    /// The same table, with what a GiB of disk costs for an hour where disks are bought apart.
    #[must_use]
    pub fn with_disk(self, says: Row) -> Self {
        Self { disk: Some(says), ..self }
    }

    /// The same table, with what types are.
    #[must_use]
    pub fn with_words(self, words: BTreeMap<String, TypeWords>) -> Self {
        Self { words, ..self }
    }

    /// An offering, as the source says what its type is.
    #[must_use]
    pub fn described(&self, one: Offering) -> Offering {
        let Some(said) = self.words.get(one.type_name.as_str()) else { return one };
        Offering {
            family: said.family.clone().unwrap_or(one.family),
            generation: said.generation.or(one.generation),
            burstable: said.burstable.unwrap_or(one.burstable),
            ..one
        }
    }

    /// What a GiB of disk costs for an hour, in the installation's currency; `None` when nobody says.
    #[must_use]
    pub fn disk_gib_hour(&self, rates: &Rates) -> Option<Money> {
        let amount = self.disk.as_ref()?.as_ref().ok()?;
        rates.in_usd(*amount).ok().map(|(money, _)| money)
    }

    /// Whether there is a row for exactly this, with a price or without.
    #[must_use]
    pub fn has(&self, of: PriceOf<'_>) -> bool {
        self.row(of).is_some()
    }

    /// Whether anything is said of a type with a system, in whatever zone.
    #[must_use]
    pub fn names(&self, type_name: &str, market: Market, system: System) -> bool {
        self.rows.contains_key(&(type_name.to_owned(), market, system.word().to_owned()))
    }

    /// Rows with a price, and rows without.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let rows = self.rows.values().flat_map(BTreeMap::values);
        rows.fold((0, 0), |(known, unknown), row| match row {
            Ok(_) => (known + 1, unknown),
            Err(_) => (known, unknown + 1),
        })
    }

    /// Why rows have no price under these rates, each with what it is of.
    #[must_use]
    pub fn without_price(&self, rates: &Rates) -> Vec<String> {
        let mut all = Vec::new();
        for ((type_name, market, os), zones) in &self.rows {
            for (zone, row) in zones {
                let of = PriceOf { type_name, market: *market, os, zone: zone.as_deref() };
                let why = match row {
                    Ok(amount) => rates.in_usd(*amount).err(),
                    Err(why) => Some(why.clone()),
                };
                all.extend(why.map(|why| format!("{}: {why}", named(of))));
            }
        }
        all
    }

    /// What a source says, in its own currency.
    #[must_use]
    pub fn amount(&self, of: PriceOf<'_>) -> Option<Amount> {
        self.row(of).and_then(|row| row.as_ref().ok().copied())
    }

    /// What it costs, in the installation's currency.
    #[must_use]
    pub fn price(&self, of: PriceOf<'_>, rates: &Rates) -> Price {
        let source = &self.source;
        let unknown = |why: &str| Price::Unknown { reason: format!("{source}: {why}") };
        let amount = match self.row(of) {
            Some(Ok(amount)) => *amount,
            Some(Err(why)) => return unknown(why),
            None => return unknown(&format!("no price of {}", named(of))),
        };
        match rates.in_usd(amount) {
            Ok((per_hour, note)) => Price::Known {
                per_hour,
                as_of: self.moment(of),
                source: note.map_or_else(|| source.clone(), |note| format!("{source}, {note}")),
                live: self.live,
            },
            Err(why) => unknown(&why),
        }
    }

    /// When what is said of this was true: by its own row, where that says so.
    fn moment(&self, of: PriceOf<'_>) -> Timestamp {
        let key = (of.type_name.to_owned(), of.market, of.os.to_owned());
        let zone = of.zone.map(str::to_owned);
        let own = self.rows.get(&key).is_some_and(|zones| zones.contains_key(&zone));
        let zone = if own { zone } else { None };
        self.moments.get(&key).and_then(|zones| zones.get(&zone)).copied().unwrap_or(self.as_of)
    }

    fn row(&self, of: PriceOf<'_>) -> Option<&Row> {
        let zones = self.rows.get(&(of.type_name.to_owned(), of.market, of.os.to_owned()))?;
        let own = of.zone.and_then(|zone| zones.get(&Some(zone.to_owned())));
        own.or_else(|| zones.get(&None))
    }
}

fn named(of: PriceOf<'_>) -> String {
    let market = if of.market == Market::Spot { "spot " } else { "" };
    let os = if of.os == LINUX { String::new() } else { format!(" with {}", of.os) };
    let zone = of.zone.map(|zone| format!(" in {zone}")).unwrap_or_default();
    format!("{market}{}{os}{zone}", of.type_name)
}

#[cfg(test)]
mod tests {
    use super::super::amount::CurrencyCode;
    use super::*;

    fn amount(text: &str) -> Row {
        Amount::read(text, CurrencyCode::USD)
    }

    #[test]
    fn a_zones_price_is_that_zones_and_another_zone_has_none() {
        let mut table = PriceTable::new("test", Timestamp::UNIX_EPOCH, true);
        table.add(PriceOf::spot("m5.large", "a"), amount("0.03"));
        table.add(PriceOf::on_demand("m5.large"), amount("0.1"));
        let rates = Rates::default();
        let price = |of| table.price(of, &rates).per_hour().map(|money| money.nanos);
        assert_eq!(price(PriceOf::spot("m5.large", "a")), Some(30_000_000));
        assert_eq!(price(PriceOf::spot("m5.large", "b")), None);
        assert_eq!(price(PriceOf { market: Market::Spot, ..PriceOf::on_demand("m5.large") }), None);
        assert_eq!(price(PriceOf { zone: Some("b"), ..PriceOf::on_demand("m5.large") }), Some(100_000_000));
        assert_eq!(price(PriceOf { os: "windows", ..PriceOf::on_demand("m5.large") }), None);
    }

    #[test]
    fn of_two_prices_none_is_believed() {
        for (first, second) in [("0.1", "0.2"), ("0.1", "0"), ("0", "0.1")] {
            let mut table = PriceTable::new("test", Timestamp::UNIX_EPOCH, true);
            table.add(PriceOf::on_demand("t"), amount(first));
            table.add(PriceOf::on_demand("t"), amount(second));
            table.add(PriceOf::on_demand("t"), amount(first));
            assert_eq!(table.price(PriceOf::on_demand("t"), &Rates::default()).per_hour(), None);
        }
        let mut table = PriceTable::new("test", Timestamp::UNIX_EPOCH, true);
        table.add(PriceOf::on_demand("t"), amount("0.1"));
        table.add(PriceOf::on_demand("t"), amount("0.10"));
        assert_eq!(table.counts(), (1, 0), "said twice is said");
    }
}
