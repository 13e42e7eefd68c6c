//! The founding grid, vCPU 1..64 by memory 1..256 GiB, over a generated table shaped like a real one: families by
//! memory per vCPU, generations that undercut each other, and sizes that do not scale evenly.

use infra_core::CheapestFit;
use infra_core::PricingEngine;
use infra_core::contracts::pricing::{Prepared, Quote, Ranking};
use infra_core::nouns::offering::Offering;
use infra_core::nouns::request::Request;
use infra_core::testing::SeededEntropy;
use infra_core::testing::price_world::{PriceWorld, offering};
use infra_core::words::entropy::Entropy;
use infra_core::words::ids::Zone;
use infra_core::words::money::Money;

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

/// What is taken, at which price.
type Taken = Option<(i64, String)>;

/// How often a way to ask does not say the cheapest, over the whole grid, and how often it was asked.
fn wrong_answers(world: &PriceWorld, ask: impl Fn(&Request) -> Taken) -> (usize, usize) {
    let (mut wrong, mut asked) = (0, 0);
    for vcpus in 1..=64_u32 {
        for memory in 1..=256_u32 {
            let mut need = Request::default();
            (need.vcpus, need.memory_gib) = (Some(vcpus.into()), Some(memory.into()));
            asked += 1;
            wrong += usize::from(ask(&need) != cheapest(world, vcpus * 1000, memory * 1024));
        }
    }
    (wrong, asked)
}

fn first(ranking: Ranking) -> Taken {
    let Ranking::Fits(quotes) = ranking else { return None };
    quotes.first().map(|it| (it.choice.per_hour.nanos, it.choice.offering.type_name.to_string()))
}

/// The grid asked of an engine's index: by its ranking and by its pick.
fn wrong_with_prepared(world: &PriceWorld, prepared: &[Prepared]) -> [usize; 2] {
    world.with_context(prepared, |context| {
        let picked = |need: &Request| {
            let pick = CheapestFit.pick(need, context)?;
            Some((pick.machine_per_hour.nanos, pick.offering.type_name.to_string()))
        };
        let ranked = |need: &Request| first(CheapestFit.rank(need, context));
        [wrong_answers(world, ranked).0, wrong_answers(world, picked).0]
    })
}

#[test]
fn the_founding_grid_never_gets_a_dearer_type_than_another_that_fits() {
    let world = table();
    let (wrong, asked) = wrong_answers(&world, |need| first(world.rank(&CheapestFit, need)));
    let by_size = Mutant(Defect::FirstBySize);
    let (founding, _) = wrong_answers(&world, |need| first(world.rank(&by_size, need)));
    let [ranked, picked] = wrong_with_prepared(&world, &world.prepare(&CheapestFit));
    println!(
        "COUNT price-grid asked={asked} wrong={wrong} prepared-wrong={ranked} picked-wrong={picked} first-by-size-wrong={founding}"
    );
    assert_eq!([wrong, ranked, picked], [0; 3]);
    assert!(founding > 0, "the grid would not notice the founding service's mistake");
}

#[test]
fn the_grid_asks_no_index_although_one_was_prepared() {
    let world = table();
    let mut turned = world.clone();
    // As many rows in another order: an index of these points to the wrong ones.
    turned.last().offerings.reverse();
    let wrong = wrong_with_prepared(&world, &turned.prepare(&CheapestFit));
    assert!(wrong.iter().all(|it| *it > 0), "an index of another list changes nothing: {wrong:?}");
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

/// What is taken of these types, each with so much disk of its own, for an image that needs 30 GiB: type and disk bought.
fn for_a_large_image(own: &[(&str, u32)], gib_hour: i64, asked: Option<f64>) -> Option<(String, u32)> {
    let offers = own.iter().enumerate().map(|(nth, (name, gib))| {
        let one = offering(name, 1, 1, &format!("0.{:02}", nth + 1));
        Offering { disk_gib: *gib, ..one }
    });
    let mut world = PriceWorld::default().with_lane("cloud", "here", offers.collect());
    let catalogue = world.last();
    catalogue.disk_gib_hour = Money::usd_nanos(gib_hour);
    catalogue.images.iter_mut().for_each(|image| image.min_disk_gib = 30);
    let mut need = Request::default();
    need.disk_gib = asked;
    match world.rank(&CheapestFit, &need) {
        Ranking::Fits(quotes) => {
            let best = &quotes.first()?.choice;
            Some((best.offering.type_name.to_string(), best.disk_gib))
        }
        Ranking::Nothing(_) => None,
    }
}

#[test]
fn a_machine_is_quoted_with_a_disk_that_its_image_does_not_fit_on() {
    let best = |own: &[(&str, u32)], gib_hour, asked| for_a_large_image(own, gib_hour, asked);
    let is = |name: &str, gib| Some((name.to_owned(), gib));
    assert_eq!(best(&[("bare", 0)], 1, None), is("bare", 30), "the root disk that is bought holds the image");
    assert_eq!(best(&[("bare", 0)], 1, Some(50.0)), is("bare", 50), "what was asked, when that is more");
    assert_eq!(
        best(&[("small", 20), ("large", 40)], 0, None),
        is("large", 0),
        "no disk is sold to make up for it"
    );
    assert_eq!(best(&[("small", 20)], 0, None), None);
    assert_eq!(best(&[("bare", 0)], 0, None), is("bare", 0), "its disk is as large as the image");
    assert_eq!(best(&[("local", 50)], 1, Some(52.0)), is("local", 30), "a root disk beside local ones");
}
