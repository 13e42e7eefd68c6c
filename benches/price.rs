//! Claim: a quote over every type of the real EC2 table takes a fraction of a millisecond, also when nothing fits and
//! the reason is sought. Baseline in the same run: brute force, one pass that keeps the cheapest type and knows
//! nothing of disk, image, zone, ties or what comes next. There is no index yet: the ratio is what one could save.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::BTreeMap;
use std::hint::black_box;

use infra_benches::{Bench, quick};
use infra_core::contracts::pricing::{Prepared, PriceContext, PricedLane, Ranking};
use infra_core::nouns::offering::Offering;
use infra_core::nouns::request::{Arch, Request};
use infra_core::testing::price_world::{PriceWorld, offering};
use infra_core::words::money::Money;
use infra_core::{CheapestFit, PricingEngine};

const TABLE: &str = include_str!("../infra-providers/data/aws_us-east-1_ondemand_2026-07.csv");

fn types() -> Vec<Offering> {
    let mut types: BTreeMap<&str, Offering> = BTreeMap::new();
    for row in TABLE.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let one = types.entry(cells[0]).or_insert_with(|| {
            let milli = |cell: &str| Money::parse_usd(cell).expect("a decimal").nanos / 1_000_000;
            let mib = Money::parse_usd(cells[4]).expect("a decimal").nanos * 1024 / 1_000_000_000;
            Offering {
                vcpus_milli: u32::try_from(milli(cells[3])).expect("few vCPUs"),
                memory_mib: u64::try_from(mib).expect("above zero"),
                arch: if cells[10] == "arm64" { Arch::Arm64 } else { Arch::X86_64 },
                ..offering(cells[0], 1, 1, cells[6])
            }
        });
        one.zones.push(cells[9].parse().expect("a zone"));
    }
    types.into_values().collect()
}

/// The cheapest of one pass, as anybody would write it first.
fn brute_force(offerings: &[Offering], vcpus_milli: u32, memory_mib: u64) -> Option<&Offering> {
    let fits = offerings.iter().filter(|it| it.vcpus_milli >= vcpus_milli && it.memory_mib >= memory_mib);
    fits.filter(|it| it.price.per_hour().is_some()).min_by_key(|it| it.price.per_hour())
}

fn main() {
    let rounds = if quick() { 20 } else { 1_000 };
    let mut bench = Bench::new(rounds);
    let world = PriceWorld::default().with_lane("aws", "us-east-1", types());
    let lane = &world.lanes[0];
    let lanes = [PricedLane {
        lane: &lane.lane,
        credential: &lane.credential,
        catalogue: &lane.catalogue,
        prepared: Prepared::none(),
    }];
    let context = PriceContext {
        lanes: &lanes,
        excluded: &world.excluded,
        overlays: &[],
        now: world.now,
        stale_after: world.stale_after,
        limit: 20,
    };
    let offerings = &lane.catalogue.offerings;
    for (name, vcpus, memory_gib) in
        [("few-fit", 96_u32, 768_u32), ("half-fit", 16, 64), ("all-fit", 1, 0), ("none-fits", 1, 99_999)]
    {
        let mut need = Request::default();
        (need.vcpus, need.memory_gib) = (Some(vcpus.into()), Some(memory_gib.into()));
        let fitting = match CheapestFit.rank(&need, &PriceContext { limit: usize::MAX, ..context }) {
            Ranking::Fits(quotes) => quotes.len(),
            Ranking::Nothing(_) => 0,
        };
        let scan = bench.median_ns(|| {
            black_box(brute_force(black_box(offerings), vcpus * 1000, u64::from(memory_gib) * 1024)).is_some()
        });
        let rank = bench.median_ns(|| CheapestFit.rank(black_box(&need), black_box(&context)));
        println!("COUNT price-{name} types={} quotes={fitting} rounds={rounds}", offerings.len());
        bench.report(&format!("price-rank-{name}"), rank, Some(scan));
    }
}
