//! What EC2 costs, from a dated table: `data/aws_us-east-1_ondemand_2026-07.csv` (see `data/SOURCES.md`).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use infra_core::nouns::offering::Price;
use infra_core::nouns::request::Market;
use infra_core::words::clock::Timestamp;
use infra_core::words::money::Money;

const TABLE: &[u8] = include_bytes!("../../data/aws_us-east-1_ondemand_2026-07.csv");

/// The only region the table is true of.
const REGION: &str = "us-east-1";

/// Where the table comes from.
const SOURCE: &str = "on-demand table of us-east-1, 2026-07-20";

/// 2026-07-20, midnight UTC.
const AS_OF_S: i64 = 1_784_505_600;

/// gp3 in us-east-1: 0.08 US dollars per GB and month (AWS News Blog, "New: Amazon EBS gp3 Volume", 2020-12-01; not
/// read live), by a month of 730 hours, rounded up to a billionth.
///
/// A catalogue has one figure here and no Unknown. Other regions ask up to twice as much, but there the machines'
/// prices are Unknown and nothing is chosen by this figure.
pub(super) const DISK_GIB_HOUR: Money = Money::usd_nanos(80_000_000_i64.div_euclid(730) + 1);

/// A public IPv4 address in use, since 2024-02-01, in every region
/// (<https://aws.amazon.com/blogs/aws/new-aws-public-ipv4-address-charge-public-ip-insights/>).
pub(super) const IPV4_HOUR: Money = Money::usd_nanos(5_000_000);

/// What a type costs in a region, per hour.
pub(super) fn price(region: &str, type_name: &str, market: Market) -> Price {
    if market == Market::Spot {
        return Price::Unknown { reason: "spot prices are not read yet".to_owned() };
    }
    if region != REGION {
        return Price::Unknown { reason: format!("the price table is of {REGION}, not of {region}") };
    }
    let as_of = Timestamp::from_second(AS_OF_S).expect("a second within range");
    Price::from_table(table().get(type_name).copied(), as_of, SOURCE)
}

fn table() -> &'static BTreeMap<String, Money> {
    static PRICES: OnceLock<BTreeMap<String, Money>> = OnceLock::new();
    PRICES.get_or_init(|| {
        rows()
            .map(|row| (row.type_name, row.price))
            .filter_map(|(name, price)| Some((name, price?)))
            .collect()
    })
}

struct Row {
    type_name: String,
    price: Option<Money>,
}

fn rows() -> impl Iterator<Item = Row> {
    csv::Reader::from_reader(TABLE).into_deserialize().map(|row| {
        let row: BTreeMap<String, String> = row.expect("the embedded table is whole");
        Row { price: Money::parse_usd(&row["Price"]), type_name: row["InstanceType"].clone() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_costs_the_same_in_every_zone_of_the_table() {
        let mut count = 0;
        for row in rows() {
            count += 1;
            assert_eq!(table().get(&row.type_name).copied(), row.price, "{}", row.type_name);
        }
        assert_eq!((count, table().len()), (6306, 1340));
    }

    #[test]
    fn the_table_is_believed_in_its_own_region_and_market_only() {
        let known = price("us-east-1", "t3.micro", Market::OnDemand);
        assert_eq!(known.per_hour(), Money::parse_usd("0.0104"));
        assert!(matches!(known, Price::Known { live: false, .. }));
        for (region, name, market) in [
            ("eu-west-1", "t3.micro", Market::OnDemand),
            ("us-east-1", "t3.micro", Market::Spot),
            ("us-east-1", "t99.micro", Market::OnDemand),
        ] {
            assert!(matches!(price(region, name, market), Price::Unknown { .. }), "{region} {name}");
        }
    }

    #[test]
    fn the_dates_in_words_and_in_seconds_agree() {
        let at = Timestamp::from_second(AS_OF_S).expect("a second within range");
        assert!(SOURCE.ends_with(&at.to_string()[..10]), "{at}");
        assert_eq!(DISK_GIB_HOUR.to_string(), "0.00010959");
    }
}
