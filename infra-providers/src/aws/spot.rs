//! What the spot market asks now, by type, zone and system.
//!
//! # Flow
//! EC2 keeps a history for each of its products, a system on a network. What the images here boot is asked for, product by
//! product, Linux always; a catalogue that boots Linux alone costs the one question that it always did. A region has some
//! six thousand rows of a product, a thousand on a page.
//!
//! # Guarantees
//! * A zone's price is that zone's price: a type has one offering for each price that its zones have, so nobody is
//!   quoted one zone and put into another.
//! * The newest row of a type and zone counts. A row from the future, one without a date, and one that is older than
//!   anything EC2 keeps are no prices.
//! * A price below a twentieth of the list price is taken for something else: AWS sells at most 90 % below it
//!   (<https://aws.amazon.com/ec2/spot/>).
//!
//! # Caveats
//! Zone names are the account's own, so what one account is told is true of that account alone. The history names no
//! currency: in China it is the yuan, elsewhere the dollar.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::nouns::request::Market;
use infra_core::nouns::system::System;
use infra_core::words::clock::{Clock, Timestamp, between, later};
use infra_core::words::ids::Region;

use super::api::{Ec2Api, SpotPrice};
use super::prices::all_pages;
use crate::prices::{Amount, CurrencyCode, PriceError, PriceOf, PriceSource, PriceTable};

/// Who says so.
const SOURCE: &str = "EC2 spot price history";

/// EC2's product descriptions by system, as its API reference lists them for the filter `product-description`
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html>).
const PRODUCTS: [(System, &str); 4] = [
    (System::Linux, "Linux/UNIX"),
    (System::Windows, "Windows"),
    (System::Rhel, "Red Hat Enterprise Linux"),
    (System::Suse, "SUSE Linux"),
];

/// What stands behind a product in a VPC. Everything is in one today, and EC2 has both names for it.
const IN_VPC: &str = " (Amazon VPC)";

/// Which system a product is of.
fn system_of(product: &str) -> Option<System> {
    let plain = product.strip_suffix(IN_VPC).unwrap_or(product);
    PRODUCTS.iter().find(|(_, name)| *name == plain).map(|(system, _)| *system)
}

/// The permission that it needs.
const ACTION: &str = "ec2:DescribeSpotPriceHistory";

/// EC2 keeps 90 days (DescribeSpotPriceHistory, API reference).
const KEPT_FOR: Duration = Duration::from_secs(90 * 86_400);

/// Clocks differ.
const AHEAD: Duration = Duration::from_secs(300);

/// The least share of the list price that is believed.
pub(super) const SHARE_MIN: i64 = 20;

/// The market of one region, asked with one key.
pub(super) struct SpotSource {
    pub(super) api: Arc<dyn Ec2Api>,
    pub(super) region: Region,
    pub(super) clock: Arc<dyn Clock>,
    /// What the images here boot; Linux always.
    pub(super) systems: BTreeSet<System>,
}

impl fmt::Debug for SpotSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SOURCE} of {}", self.region)
    }
}

#[async_trait]
impl PriceSource for SpotSource {
    async fn read(&self) -> Result<PriceTable, PriceError> {
        let before = self.clock.wall();
        let (mut rows, mut as_of) = (Vec::new(), None);
        for (_, product) in PRODUCTS.iter().filter(|(system, _)| self.systems.contains(system)) {
            let ask = |page| self.api.spot_prices(product, before, page);
            let (more, at) = all_pages(SOURCE, ACTION, ask).await?;
            rows.extend(more);
            as_of = as_of.or(at);
        }
        Ok(table(&rows, self.region.as_str(), as_of.unwrap_or(before)))
    }
}

/// The newest row of each type, zone and system. Pure.
pub(crate) fn table(rows: &[SpotPrice], region: &str, as_of: Timestamp) -> PriceTable {
    let currency = if region.starts_with("cn-") { CurrencyCode::CNY } else { CurrencyCode::USD };
    let mut newest = BTreeMap::<(&str, &str, System), Vec<&SpotPrice>>::new();
    let priced = rows.iter().filter_map(|row| Some((row, system_of(&row.product)?)));
    // What lies ahead is not paid yet; it hides nothing that is.
    let begun = priced.filter(|(row, _)| row.since.is_none_or(|since| since <= later(as_of, AHEAD)));
    for (row, system) in begun.filter(|(row, _)| !row.type_name.is_empty() && !row.zone.is_empty()) {
        let known = newest.entry((&row.type_name, &row.zone, system)).or_default();
        match known.first().map(|first| first.since) {
            Some(since) if since > row.since => {}
            Some(since) if since == row.since => known.push(row),
            _ => *known = vec![row],
        }
    }
    let mut table = PriceTable::new(SOURCE, as_of, true);
    for ((type_name, zone, system), rows) in newest {
        let of = PriceOf { type_name, market: Market::Spot, os: system.word(), zone: Some(zone) };
        for row in rows {
            let says = match row.since {
                None => Err("a price without a date".to_owned()),
                Some(since) if between(since, as_of) > KEPT_FOR => {
                    Err(format!("a price of {since}, which is older than anything EC2 keeps"))
                }
                Some(_) => Amount::read(&row.price, currency),
            };
            table.add(of, says);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn row(zone: &str, price: &str, since: &str) -> SpotPrice {
        SpotPrice {
            type_name: "m5.large".into(),
            zone: zone.into(),
            product: "Linux/UNIX".into(),
            price: price.into(),
            since: since.parse().ok(),
        }
    }

    fn nanos(rows: &[SpotPrice], zone: &str) -> Option<i64> {
        nanos_with(rows, zone, System::Linux)
    }

    fn nanos_with(rows: &[SpotPrice], zone: &str, system: System) -> Option<i64> {
        let table = table(rows, "us-east-1", NOW.parse().expect("a moment"));
        let of = PriceOf { os: system.word(), ..PriceOf::spot("m5.large", zone) };
        table.amount(of).map(Amount::nanos)
    }

    #[test]
    fn each_zone_has_its_own_newest_price_in_whatever_order_rows_come() {
        let mut rows = vec![
            row("a", "0.041", "2026-11-21T09:00:00Z"),
            row("a", "0.039", "2026-11-20T09:00:00Z"),
            row("b", "0.052", "2026-11-19T09:00:00Z"),
            row("a", "0.001", "2026-12-19T09:00:00Z"),
        ];
        let mut windows = row("a", "0.13", "2026-11-21T11:00:00Z");
        windows.product = "Windows".into();
        rows.push(windows);
        for _ in 0..rows.len() {
            rows.rotate_left(1);
            assert_eq!(nanos(&rows, "a"), Some(41_000_000));
            assert_eq!(nanos(&rows, "b"), Some(52_000_000));
            assert_eq!(nanos(&rows, "c"), None);
        }
    }

    #[test]
    fn windows_is_bought_at_the_spot_price_of_linux() {
        let with = |product: &str, price: &str| {
            let row = row("a", price, "2026-11-21T09:00:00Z");
            SpotPrice { product: product.into(), ..row }
        };
        let rows = [
            with("Linux/UNIX", "0.04"),
            with("Windows (Amazon VPC)", "0.13"),
            with("Red Hat Enterprise Linux", "0.07"),
            with("SUSE Linux", "0.10"),
            with("SUSE Linux (Amazon VPC)", "0.1"),
            // What nobody here boots, and what only sounds like something that somebody does.
            with("Windows with SQL Server Web", "0.01"),
            with("Linux", "0.01"),
        ];
        let cents = |system| nanos_with(&rows, "a", system).map(|nanos| nanos / 10_000_000);
        let all = [System::Linux, System::Windows, System::Rhel, System::Suse, System::Other];
        assert_eq!(all.map(cents), [Some(4), Some(13), Some(7), Some(10), None]);
        assert_eq!(nanos_with(&rows[..1], "a", System::Windows), None, "Linux says nothing about it");
        let torn = [with("Windows", "0.13"), with("Windows (Amazon VPC)", "0.14")];
        assert_eq!(nanos_with(&torn, "a", System::Windows), None, "two prices of one moment");
    }

    #[test]
    fn what_an_emulator_invents_is_no_price() {
        for (price, since) in [
            ("0.00001", "2006-01-02T15:04:05Z"),
            ("0.05", "never"),
            ("0", "2026-11-21T11:00:00Z"),
            ("-0.05", "2026-11-21T11:00:00Z"),
            ("NaN", "2026-11-21T11:00:00Z"),
            ("", "2026-11-21T11:00:00Z"),
        ] {
            assert_eq!(nanos(&[row("a", price, since)], "a"), None, "{price} {since}");
        }
        let two = [row("a", "0.05", "2026-11-21T11:00:00Z"), row("a", "0.06", "2026-11-21T11:00:00Z")];
        assert_eq!(nanos(&two, "a"), None, "two prices of one moment");
        let older = [row("a", "0.05", "2026-11-20T11:00:00Z"), row("a", "0", "2026-11-21T11:00:00Z")];
        assert_eq!(nanos(&older, "a"), None, "yesterday's price is not paid today");
    }
}
