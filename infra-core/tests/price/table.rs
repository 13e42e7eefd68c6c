//! The founding grid, vCPU 1..64 by memory 1..256 GiB, over a generated table shaped like a real one: families by
//! memory per vCPU, generations that undercut each other, and sizes that do not scale evenly.

use infra_core::CheapestFit;
use infra_core::PricingEngine;
use infra_core::contracts::pricing::{Quote, Ranking};
use infra_core::nouns::offering::Offering;
use infra_core::nouns::request::Request;
use infra_core::testing::SeededEntropy;
use infra_core::testing::price_world::{PriceWorld, offering};
use infra_core::words::entropy::Entropy;
use infra_core::words::ids::Zone;

use crate::mutants::{Defect, Mutant};

fn table() -> PriceWorld {
    let chance = SeededEntropy::new(7);
    let mut offers: Vec<Offering> = Vec::new();
    for (family, gib_per_vcpu) in [("c", 2_u64), ("m", 4), ("r", 8)] {
        for generation in 4..8 {
            for vcpus in [1_u32, 2, 4, 8, 16, 32, 48, 64, 96] {
                let cents = u64::from(vcpus) * (4 + gib_per_vcpu / 2);
                let mills = cents * (85 + chance.below(40)) / 10;
                let usd = format!("{}.{:03}", mills / 1000, mills % 1000);
                let name = format!("{family}{generation}.{vcpus}");
                offers.push(offering(&name, vcpus, u64::from(vcpus) * gib_per_vcpu, &usd));
            }
        }
    }
    PriceWorld { limit: 1, ..PriceWorld::default() }.with_lane("cloud", "here", offers)
}

/// The cheapest of all that fit, with the ties of the contract.
fn cheapest(world: &PriceWorld, vcpus_milli: u32, memory_mib: u32) -> Option<(i64, String)> {
    let all = world.lanes[0].catalogue.offerings.iter();
    let fits = all.filter(|it| it.vcpus_milli >= vcpus_milli && it.memory_mib >= memory_mib.into());
    let best =
        fits.min_by_key(|it| (it.price.per_hour(), it.vcpus_milli, it.memory_mib, it.type_name.as_str()))?;
    Some((best.price.per_hour()?.nanos, best.type_name.to_string()))
}

/// How often an engine does not say the cheapest, over the whole grid, and how often it was asked.
fn wrong_answers(engine: &dyn PricingEngine) -> (usize, usize) {
    let world = table();
    let (mut wrong, mut asked) = (0, 0);
    for vcpus in 1..=64_u32 {
        for memory in 1..=256_u32 {
            let mut need = Request::default();
            (need.vcpus, need.memory_gib) = (Some(vcpus.into()), Some(memory.into()));
            let right = cheapest(&world, vcpus * 1000, memory * 1024);
            let said = match world.rank(engine, &need) {
                Ranking::Fits(quotes) => quotes
                    .first()
                    .map(|it| (it.choice.per_hour.nanos, it.choice.offering.type_name.to_string())),
                Ranking::Nothing(_) => None,
            };
            asked += 1;
            wrong += usize::from(said != right);
        }
    }
    (wrong, asked)
}

#[test]
fn the_founding_grid_never_gets_a_dearer_type_than_another_that_fits() {
    let (wrong, asked) = wrong_answers(&CheapestFit);
    let (founding, _) = wrong_answers(&Mutant(Defect::FirstBySize));
    println!("COUNT price-grid asked={asked} wrong={wrong} first-by-size-wrong={founding}");
    assert_eq!(wrong, 0);
    assert!(founding > 0, "the grid would not notice the founding service's mistake");
}

/// `types` types in six zones each, each dearer than the one before.
fn in_six_zones(types: usize, limit: usize) -> Vec<(String, String)> {
    let zones: Vec<_> = ["a", "b", "c", "d", "e", "f"].iter().filter_map(|it| it.parse().ok()).collect();
    let offers = (1..=types).map(|nth| {
        let one = offering(&format!("t{nth:02}"), 1, 1, &format!("0.{nth:02}"));
        Offering { zones: zones.clone(), ..one }
    });
    let world = PriceWorld { limit, ..PriceWorld::default() }.with_lane("cloud", "here", offers.collect());
    let Ranking::Fits(quotes) = world.rank(&CheapestFit, &Request::default()) else { return Vec::new() };
    let zone = |zone: &Option<Zone>| zone.as_ref().map(ToString::to_string);
    let place =
        |it: &Quote| (it.choice.offering.type_name.to_string(), zone(&it.choice.zone).unwrap_or_default());
    quotes.iter().map(place).collect()
}

#[test]
fn an_open_zone_of_the_cheapest_stands_behind_a_dearer_type() {
    let list = in_six_zones(40, 25);
    assert!(list.len() == 25 && list.is_sorted(), "by price, and then by zone: {list:?}");
    assert_eq!(list[24], ("t05".to_owned(), "a".to_owned()), "four types in all their zones, then the fifth");
    assert_eq!(in_six_zones(2, 25).len(), 12, "all zones of both");
    assert_eq!(in_six_zones(40, 8)[..], list[..8], "a shorter list is the beginning of a longer one");
}
