//! The tables that pricing is measured on: two real ones, grown by a seeded generator.
//!
//! # Flow
//! All types of the EC2 table, with accelerators from a small table, in ten pseudo-regions with
//! fixed price factors, on demand and as spot at a seeded share of that; and DigitalOcean's sizes in the same regions.
//! Each type stands there two or three times, at seeded prices, as licences and tenancies make it; in the larger table
//! twenty-four times.
//!
//! # Caveats
//! It has the shape of what clouds sell, not their prices: nothing here says what is cheap.

use std::collections::BTreeMap;

use infra_core::nouns::offering::{Billing, Offering, Price};
use infra_core::nouns::policy::Burstable;
use infra_core::nouns::request::{Arch, Market, MarketWish, Request};
use infra_core::testing::SeededEntropy;
use infra_core::testing::price_world::{PRICED_AT, PriceWorld, offering};
use infra_core::words::entropy::Entropy as _;
use infra_core::words::money::Money;

const EC2: &str = include_str!("../infra-providers/data/aws_us-east-1_ondemand_2026-07.csv");
const DROPLETS: &str = include_str!("../infra-providers/data/do_sizes_2025-08.tsv");

/// Regions, and what they ask in percent of the table.
const REGIONS: [(&str, i64); 10] = [
    ("r0", 100),
    ("r1", 100),
    ("r2", 104),
    ("r3", 108),
    ("r4", 111),
    ("r5", 115),
    ("r6", 119),
    ("r7", 124),
    ("r8", 132),
    ("r9", 158),
];

/// Families with accelerators: model, MiB of each, how many virtual processors come with one.
const ACCELERATORS: [(&str, &str, u64, u32); 6] = [
    ("g4dn", "t4", 16_384, 16),
    ("g5", "a10g", 24_576, 24),
    ("g6", "l4", 24_576, 24),
    ("p3", "v100", 16_384, 8),
    ("p4d", "a100", 40_960, 12),
    ("p5", "h100", 81_920, 24),
];

/// How many offers: 64 thousand as real lists have them, or ten times that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// About 64,000.
    Usual,
    /// About 640,000.
    Tenfold,
}

fn family(name: &str) -> (String, Option<u32>, bool) {
    let family = name.split('.').next().unwrap_or(name);
    let digits: String =
        family.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    (family.to_owned(), digits.parse().ok(), family.starts_with('t') && !family.starts_with("trn"))
}

/// Every type of the EC2 table with all its zones.
fn ec2() -> Vec<Offering> {
    let mut types: BTreeMap<&str, Offering> = BTreeMap::new();
    for row in EC2.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let one = types.entry(cells[0]).or_insert_with(|| {
            let nanos = |cell: &str| Money::parse_usd(cell).expect("a decimal").nanos;
            let vcpus = u32::try_from(nanos(cells[3]) / 1_000_000_000).expect("few vCPUs");
            let (family, generation, burstable) = family(cells[0]);
            let gpu = ACCELERATORS.iter().find(|(name, ..)| *name == family);
            Offering {
                vcpus_milli: vcpus * 1000,
                memory_mib: u64::try_from(nanos(cells[4]) * 1024 / 1_000_000_000).expect("above zero"),
                arch: if cells[10] == "arm64" { Arch::Arm64 } else { Arch::X86_64 },
                gpus: gpu.map_or(0, |(.., per)| (vcpus / per).max(1)),
                gpu_model: gpu.map(|(_, model, ..)| (*model).to_owned()),
                gpu_memory_mib: gpu.map_or(0, |(_, _, mib, _)| *mib),
                family,
                generation,
                burstable,
                ..offering(cells[0], 1, 1, cells[6])
            }
        });
        one.zones.push(cells[9].parse().expect("a zone"));
    }
    types.into_values().collect()
}

fn droplets() -> Vec<Offering> {
    let rows = DROPLETS.lines().skip(1).map(|row| row.split('\t').collect::<Vec<_>>());
    rows.map(|cells| Offering {
        memory_mib: cells[1].parse().expect("a number"),
        disk_gib: cells[3].parse().expect("a number"),
        family: cells[0].split('-').next().unwrap_or_default().to_owned(),
        burstable: cells[0].starts_with("s-"),
        ..offering(cells[0], cells[2].parse().expect("a number"), 1, cells[4])
    })
    .collect()
}

/// A type at a share of its price.
fn at(one: &Offering, name: &str, market: Market, parts: i64, of: i64) -> Offering {
    let list = one.price.per_hour().expect("the tables have prices only").nanos;
    let per_hour = Money::usd_nanos((list * parts / of).max(1));
    let price = Price::Known { per_hour, as_of: PRICED_AT, source: "generated".to_owned(), live: false };
    Offering { type_name: name.parse().expect("a short name"), market, price, ..one.clone() }
}

/// The world of a size: a lane per cloud and region.
#[must_use]
pub fn world(size: Size) -> PriceWorld {
    let chance = SeededEntropy::new(64);
    let (machines, droplets) = (ec2(), droplets());
    let mut world = PriceWorld { limit: 20, ..PriceWorld::default() };
    for (region, percent) in REGIONS {
        let mut offers = Vec::new();
        for (nth, one) in machines.iter().enumerate() {
            let variants = if size == Size::Usual { 2 + usize::from(nth % 8 < 3) } else { 24 };
            for variant in 0..variants {
                let name = if variant == 0 {
                    one.type_name.to_string()
                } else {
                    format!("{}.v{variant}", one.type_name)
                };
                let drift = 100 + if variant == 0 { 0 } else { i64::try_from(chance.below(40)).unwrap_or(0) };
                let base = at(one, &name, Market::OnDemand, percent * drift, 10_000);
                let share = 25 + i64::try_from(chance.below(45)).unwrap_or(0);
                offers.push(at(&base, &name, Market::Spot, share, 100));
                offers.push(base);
            }
        }
        world = world.with_lane("aws", region, offers);
        let catalogue = world.last();
        catalogue.disk_gib_hour = Money::usd_nanos(109_590);
        catalogue.ipv4_hour = Money::usd_nanos(5_000_000);
        let sizes =
            droplets.iter().map(|one| at(one, one.type_name.as_str(), Market::OnDemand, percent, 100));
        world = world.with_lane("digitalocean", region, sizes.collect());
        let min_charge = Money::usd_nanos(10_000_000);
        world.last().billing = Billing::PerSecond { min_s: 60, min_charge, month_hours_max: Some(672) };
    }
    world
}

/// Offers per (region, architecture, market), as one line each.
#[must_use]
pub fn shape(world: &PriceWorld) -> Vec<String> {
    let mut counts: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for lane in &world.lanes {
        for one in &lane.catalogue.offerings {
            let key = (lane.lane.region.to_string(), format!("{:?}", one.arch), format!("{:?}", one.market));
            *counts.entry(key).or_default() += 1;
        }
    }
    let line = |((region, arch, market), offers)| {
        format!("region={region} arch={arch} market={market} offers={offers}")
    };
    counts.into_iter().map(line).collect()
}

/// How many offers a world has.
#[must_use]
pub fn offers(world: &PriceWorld) -> usize {
    world.lanes.iter().map(|lane| lane.catalogue.offerings.len()).sum()
}

/// A need of sizes alone, in one region and architecture.
#[must_use]
pub fn sized(vcpus: f64, memory_gib: f64) -> Request {
    let mut need = Request::default();
    (need.vcpus, need.memory_gib, need.arch) = (Some(vcpus), Some(memory_gib), Some(Arch::X86_64));
    (need.region, need.provider) = ("r3".parse().ok(), "aws".parse().ok());
    need
}

/// Four accelerators on the spot market, nothing burstable, some families denied, under a cap in dollars.
#[must_use]
pub fn ruled(cap: f64) -> Request {
    let mut need = Request::default();
    (need.gpus, need.gpu_model, need.market) = (Some(4), Some("t4".to_owned()), Some(MarketWish::Spot));
    need.max_price_per_hour = Some(cap);
    need.policy.families.deny = ["p3", "m5", "c5", "r5"].map(str::to_owned).to_vec();
    need.policy.burstable = Burstable::Deny;
    need
}
