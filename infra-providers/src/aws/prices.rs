//! What EC2 costs: today's list, today's spot market, and a dated table where nobody answers.
//!
//! # Flow
//! A catalogue asks for [`Today`]: the list of the region (the same for every account, so it is kept once) and the
//! account's spot market. Where the list was never had (no permission, no answer) the table
//! `data/aws_us-east-1_ondemand_2026-07.csv` stands in, marked as what it is, in the one region it is true of.
//!
//! # Guarantees
//! A list that was had and does not name a type leaves it without a price: the table stands in for silence, never for an
//! answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use futures_util::future::join;
use infra_core::nouns::offering::{Offering, Price};
use infra_core::nouns::request::Market;
use infra_core::nouns::system::System;
use infra_core::words::clock::{Clock, Timestamp};
use infra_core::words::fault::Fault;
use infra_core::words::ids::CloudName;
use infra_core::words::lane::Lane;
use infra_core::words::money::Money;
#[cfg(test)]
use infra_core::{nouns::request::Arch, words::ids::TypeName, words::ids::Zone};

use super::api::{Answer, ApiFailure, Ec2Api, Page};
use super::price_list::PriceListSource;
use super::provider::looked;
use super::spot::{SHARE_MIN, SpotSource};
use crate::prices::{
    Amount, CurrencyCode, PriceBook, PriceError, PriceFeed, PriceOf, PriceTable, Rates, Scope, priced,
};

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
/// A catalogue has one figure here and no Unknown.
const DISK_GIB_HOUR: Money = Money::usd_nanos(80_000_000_i64.div_euclid(730) + 1);

/// A public IPv4 address in use, since 2024-02-01, in every region
/// (<https://aws.amazon.com/blogs/aws/new-aws-public-ipv4-address-charge-public-ip-insights/>).
pub(super) const IPV4_HOUR: Money = Money::usd_nanos(5_000_000);

/// Where nobody says what a disk costs: no region asks more than twice as much (São Paulo 0.152 US dollars).
const DISK_GIB_HOUR_ELSEWHERE: Money = DISK_GIB_HOUR.times(2);

/// A call for prices failed.
fn unanswered(action: &'static str, failure: ApiFailure) -> PriceError {
    let code = failure.said.code.clone();
    let error = looked(failure);
    PriceError::Call { action, kind: error.kind(), code, retry_after: error.retry_after() }
}

/// Pages that one reading of prices may have: a region has about a thousand types, a page of the list a hundred, one of
/// the spot market a thousand rows.
const PAGES_MAX: usize = 200;

/// What came is no price table.
pub(super) fn malformed(source: &str, why: &str) -> PriceError {
    PriceError::Malformed { what: source.to_owned(), line: None, why: why.to_owned() }
}

/// All pages of an answer, and when the first of them came. A page that fails or comes round again fails the reading: half
/// a list would take prices away.
pub(super) async fn all_pages<T, F: Future<Output = Answer<Page<T>>>>(
    source: &str,
    action: &'static str,
    ask: impl Fn(Option<String>) -> F,
) -> Result<(Vec<T>, Option<Timestamp>), PriceError> {
    let (mut all, mut page, mut as_of) = (Vec::new(), None, None);
    for _ in 0..PAGES_MAX {
        let answer = ask(page.clone()).await.map_err(|failure| unanswered(action, failure))?;
        all.extend(answer.items);
        as_of = as_of.or(answer.as_of);
        if answer.next.is_none() {
            return Ok((all, as_of));
        }
        if answer.next == page {
            return Err(malformed(source, "a page points to itself"));
        }
        page = answer.next;
    }
    Err(malformed(source, &format!("more than {PAGES_MAX} pages")))
}

/// Prices of one installation's AWS: the list for everybody, the spot market for each account.
#[derive(Debug)]
pub struct AwsPrices {
    list: Arc<PriceFeed>,
    spot: Arc<PriceFeed>,
    rates: Arc<Rates>,
    /// Is AWS asked at all?
    live: bool,
}

/// What is known when a catalogue is read.
#[derive(Debug)]
pub(super) struct Today {
    list: Result<Arc<PriceTable>, String>,
    spot: Result<Arc<PriceTable>, String>,
    rates: Arc<Rates>,
}

impl AwsPrices {
    /// Feeds of a cloud in an installation's book. Without `live` only the table that comes along is used.
    #[must_use]
    pub fn new(book: &PriceBook, cloud: &CloudName, live: bool) -> Self {
        let (list, spot) = (book.list_feed(cloud, "list"), book.spot_feed(cloud));
        Self { list, spot, rates: book.rates(), live }
    }

    /// What is known by now; asks with a key of the lane's account where it is time.
    pub(super) async fn today(
        &self,
        api: &Arc<dyn Ec2Api>,
        lane: &Lane,
        clock: &Arc<dyn Clock>,
        systems: BTreeSet<System>,
    ) -> Today {
        let shipped = |why: String| match lane.region.as_str() {
            REGION => Ok(Arc::clone(shipped())),
            other => Err(format!("{why}; the table that comes along is of {REGION}, not of {other}")),
        };
        let rates = Arc::clone(&self.rates);
        if !self.live {
            let why = "AWS is not asked for prices here (price_source)".to_owned();
            return Today { list: shipped(why.clone()), spot: Err(why), rates };
        }
        // The list is the same for everybody; zones of the spot market have each account's own names.
        let everybody = Scope { region: lane.region.clone(), account: None };
        let own = Scope { account: Some(lane.account.clone()), ..everybody.clone() };
        let (api, region, clock) = (Arc::clone(api), lane.region.clone(), Arc::clone(clock));
        let market = Arc::new(SpotSource {
            api: Arc::clone(&api),
            region: region.clone(),
            clock: Arc::clone(&clock),
            systems: systems.clone(),
        });
        // Side by side: where both hang, the catalogue waits for one of them.
        let list = self.list.known(&everybody, Arc::new(PriceListSource { api, region, clock, systems }));
        let (list, spot) = join(list, self.spot.known(&own, market)).await;
        let why =
            |feed: &PriceFeed, scope| feed.last_error(scope).unwrap_or_else(|| "not read yet".to_owned());
        Today {
            list: list.map_or_else(|| shipped(why(&self.list, &everybody)), Ok),
            spot: spot.ok_or_else(|| why(&self.spot, &own)),
            rates,
        }
    }
}

impl Today {
    /// What a GiB of disk costs for an hour; rather more than less where nobody says.
    pub(super) fn disk_gib_hour(&self, region: &str) -> Money {
        let said = self.list.as_ref().ok().and_then(|list| list.disk_gib_hour(&self.rates));
        said.unwrap_or(if region == REGION { DISK_GIB_HOUR } else { DISK_GIB_HOUR_ELSEWHERE })
    }

    /// An offering with its prices, split by zone where zones differ.
    pub(super) fn of(&self, offering: Offering) -> Vec<Offering> {
        let table = if offering.market == Market::Spot { &self.spot } else { &self.list };
        match table {
            Ok(table) => {
                let split = priced(&offering, table, &self.rates);
                split.into_iter().map(|one| self.plausible(one)).collect()
            }
            Err(why) => {
                vec![Offering { price: Price::Unknown { reason: format!("no price: {why}") }, ..offering }]
            }
        }
    }

    /// A spot price that is next to nothing beside the list price, both with the same system, is something else.
    fn plausible(&self, offering: Offering) -> Offering {
        let list = self.list.as_ref().ok().filter(|_| offering.market == Market::Spot);
        let os = offering.system.word();
        let of = PriceOf { os, ..PriceOf::on_demand(offering.type_name.as_str()) };
        let list = list.map(|list| list.price(of, &self.rates));
        let (Some(list), Some(spot)) = (list.and_then(|list| list.per_hour()), offering.price.per_hour())
        else {
            return offering;
        };
        if spot.nanos.saturating_mul(SHARE_MIN) >= list.nanos {
            return offering;
        }
        let reason = format!("spot price {spot} beside a list price of {list}: nobody sells so cheaply");
        Offering { price: Price::Unknown { reason }, ..offering }
    }
}

/// The table that comes along, as what it is: dated, and not live.
fn shipped() -> &'static Arc<PriceTable> {
    static TABLE: OnceLock<Arc<PriceTable>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let as_of = Timestamp::from_second(AS_OF_S).expect("a second within range");
        let mut table = PriceTable::new(SOURCE, as_of, false);
        for row in rows() {
            table.add(PriceOf::on_demand(&row.type_name), Amount::read(&row.price, CurrencyCode::USD));
        }
        Arc::new(table)
    })
}

struct Row {
    type_name: String,
    price: String,
}

fn rows() -> impl Iterator<Item = Row> {
    csv::Reader::from_reader(TABLE).into_deserialize().map(|row| {
        let mut row: BTreeMap<String, String> = row.expect("the embedded table is whole");
        let mut take = |name| row.remove(name).expect("the embedded table has this column");
        Row { price: take("Price"), type_name: take("InstanceType") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_costs_the_same_in_every_zone_of_the_table() {
        assert_eq!((rows().count(), shipped().counts(&Rates::default())), (6306, (1340, 0)));
    }

    fn offering(name: &str, market: Market) -> Offering {
        let zones = ["a", "b", "c"].map(|zone| Zone::new(zone).expect("a name")).to_vec();
        Offering { zones, ..Offering::new(TypeName::new(name).expect("a name"), Arch::X86_64, market) }
    }

    #[test]
    fn the_table_is_believed_of_its_own_market_and_as_what_it_is() {
        let today =
            Today { list: Ok(Arc::clone(shipped())), spot: Err("silent".into()), rates: Arc::default() };
        let known = today.of(offering("t3.micro", Market::OnDemand)).remove(0).price;
        assert_eq!(known.per_hour(), Money::parse_usd("0.0104"));
        assert!(matches!(known, Price::Known { live: false, .. }));
        for (name, market) in [("t3.micro", Market::Spot), ("t99.micro", Market::OnDemand)] {
            let price = today.of(offering(name, market)).remove(0).price;
            assert!(matches!(price, Price::Unknown { .. }), "{name}");
        }
    }

    #[test]
    fn nobody_is_quoted_one_zone_and_put_into_another() {
        let mut spot = PriceTable::new("market", Timestamp::UNIX_EPOCH, true);
        for (zone, price) in [("a", "0.004"), ("b", "0.005")] {
            spot.add(PriceOf::spot("t3.micro", zone), Amount::read(price, CurrencyCode::USD));
        }
        spot.add(PriceOf::spot("t3.small", "a"), Amount::read("0.00001", CurrencyCode::USD));
        let today =
            Today { list: Ok(Arc::clone(shipped())), spot: Ok(Arc::new(spot)), rates: Arc::default() };
        let split = today.of(offering("t3.micro", Market::Spot));
        let shown: Vec<_> = split
            .iter()
            .map(|one| {
                (one.zones.len(), one.zones[0].as_str(), one.price.per_hour().map(|price| price.nanos))
            })
            .collect();
        assert_eq!(shown, [(1, "a", Some(4_000_000)), (1, "b", Some(5_000_000)), (1, "c", None)]);
        let cheap = today.of(offering("t3.small", Market::Spot));
        assert!(cheap.iter().all(|one| one.price.per_hour().is_none()), "{cheap:?}");
    }

    #[test]
    fn the_dates_in_words_and_in_seconds_agree() {
        let at = Timestamp::from_second(AS_OF_S).expect("a second within range");
        assert!(SOURCE.ends_with(&at.to_string()[..10]), "{at}");
        assert_eq!(DISK_GIB_HOUR.to_string(), "0.00010959");
    }
}
