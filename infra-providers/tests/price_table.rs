//! Pricing over the real EC2 table: on the founding grid, vCPU 1..64 by memory 1..256 GiB, nobody gets a dearer
//! type than another that fits.

use std::collections::BTreeMap;

use infra_core::CheapestFit;
use infra_core::contracts::pricing::Ranking;
use infra_core::nouns::offering::Offering;
use infra_core::nouns::request::{Arch, Request};
use infra_core::testing::price_world::{PriceWorld, offering};

const TABLE: &str = include_str!("../data/aws_us-east-1_ondemand_2026-07.csv");

/// Every type of the table with all its zones.
fn types() -> Vec<Offering> {
    let mut types: BTreeMap<String, Offering> = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(TABLE.as_bytes());
    for row in reader.records() {
        let row = row.expect("the table is well formed");
        let number = |at: usize| row[at].parse::<f64>().expect("a number");
        let whole = |value: f64| format!("{value:.0}").parse::<u64>().expect("a whole number");
        let one = types.entry(row[0].to_owned()).or_insert_with(|| Offering {
            vcpus_milli: u32::try_from(whole(number(3) * 1000.0)).expect("few vCPUs"),
            memory_mib: whole(number(4) * 1024.0),
            arch: if &row[10] == "arm64" { Arch::Arm64 } else { Arch::X86_64 },
            ..offering(&row[0], 1, 1, &row[6])
        });
        one.zones.push(row[9].parse().expect("a zone"));
    }
    types.into_values().collect()
}

fn answer(offering: &Offering) -> (i64, &str) {
    let price = offering.price.per_hour().expect("the table has prices only");
    (price.nanos, offering.type_name.as_str())
}

#[test]
fn no_point_of_the_founding_grid_gets_a_dearer_type_of_the_real_table() {
    let offerings = types();
    let world =
        PriceWorld { limit: 1, ..PriceWorld::default() }.with_lane("aws", "us-east-1", offerings.clone());
    let (mut asked, mut wrong, mut founding) = (0, 0, 0);
    for vcpus in 1..=64_u32 {
        for memory in 1..=256_u32 {
            let mut need = Request::default();
            (need.vcpus, need.memory_gib) = (Some(vcpus.into()), Some(memory.into()));
            let fits = || {
                let enough = |it: &&Offering| {
                    it.vcpus_milli >= vcpus * 1000 && it.memory_mib >= u64::from(memory) * 1024
                };
                offerings.iter().filter(enough)
            };
            let size = |it: &&Offering| (it.vcpus_milli, it.memory_mib, it.type_name.clone());
            let best = fits().min_by_key(|it| (answer(it).0, size(it))).map(answer);
            let first_by_size = fits().min_by_key(size).map(answer);
            let quotes = match world.rank(&CheapestFit, &need) {
                Ranking::Fits(quotes) => quotes,
                Ranking::Nothing(_) => Vec::new(),
            };
            asked += 1;
            wrong += usize::from(quotes.first().map(|it| answer(&it.choice.offering)) != best);
            founding += usize::from(first_by_size.map(|it| it.0) != best.map(|it| it.0));
        }
    }
    let types = offerings.len();
    println!(
        "COUNT price-real-grid types={types} asked={asked} wrong={wrong} first-by-size-wrong={founding}"
    );
    assert_eq!(types, 1340);
    assert_eq!(wrong, 0);
    assert!(founding > 0, "the grid would not notice the founding service's mistake");
}
