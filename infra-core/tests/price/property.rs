//! On random worlds and requests the engine says what brute force says, in any order of the input. The same
//! property is run on the broken engines, and must catch them.

use std::sync::atomic::{AtomicUsize, Ordering};

use infra_core::CheapestFit;
use infra_core::PricingEngine;
use infra_core::contracts::pricing::{Excluded, NoFit, NoFitReason, Prepared, PriceContext, Ranking};
use infra_core::nouns::offering::{Billing, Catalogue, Image, Offering, Price};
use infra_core::nouns::overlay::{Off, Overlay};
use infra_core::nouns::policy::{Among, Burstable, Policy};
use infra_core::nouns::request::{Arch, Market, MarketWish, Request};
use infra_core::nouns::system::System;
use infra_core::testing::price_world::{PRICED_AT, PriceWorld, offering};
use infra_core::words::money::Money;
use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::mutants::{Defect, Mutant};
use crate::oracle::{Row, rows, shown};

/// Requests asked of each random world.
const ASKED: usize = 10;
const WORLDS: u32 = 10_000;
/// Broken engines are found out long before.
const WORLDS_OF_A_MUTANT: u32 = 2_500;

const CLOUDS: [&str; 2] = ["aws", "hut"];
const REGIONS: [&str; 2] = ["east", "west"];
const TYPES: [&str; 4] = ["a", "b", "c", "d"];
const ZONES: [&str; 6] = ["z1", "z2", "z3", "z4", "z5", "z6"];
const MODELS: [&str; 2] = ["t4", "a100"];
const OSES: [&str; 2] = ["ubuntu 24.04", "debian 13"];
const FAMILIES: [&str; 4] = ["m5", "t3", "c6", ""];
const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Arm64];
const MARKETS: [Market; 2] = [Market::OnDemand, Market::Spot];
const WISHES: [MarketWish; 4] =
    [MarketWish::OnDemand, MarketWish::Spot, MarketWish::SpotThenOnDemand, MarketWish::SpotThenOnDemand];

fn named<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str) -> T {
    name.parse().expect("a legal name")
}

fn price() -> impl Strategy<Value = Price> {
    let nanos = select(vec![-10_000_000, 0, 1, 10_000_000, 20_000_000, 20_000_001, 36_000_000_000]);
    (nanos, any::<bool>(), select(vec![0_i64, 29, 31, 400]), 0..10).prop_map(|(nanos, live, days, known)| {
        if known == 0 {
            return Price::Unknown { reason: "random".to_owned() };
        }
        let as_of = PRICED_AT - SignedDuration::from_hours(24 * days);
        Price::Known { per_hour: Money::usd_nanos(nanos), as_of, source: "random".to_owned(), live }
    })
}

fn an_offering() -> impl Strategy<Value = Offering> {
    let size = (select(vec![500_u32, 1000, 2000, 4000]), select(vec![512_u64, 1024, 2048, 4096]));
    // Also more zones than a list is long.
    let zones =
        prop_oneof![vec(select(ZONES.to_vec()), 0..3), subsequence(ZONES.to_vec(), 3..=6).prop_shuffle()];
    let gpus = (0..3_u32, select(MODELS.to_vec()));
    let kind = (select(ARCHES.to_vec()), select(MARKETS.to_vec()), select(vec![0_u32, 0, 10, 50]));
    let family = (
        select(FAMILIES.to_vec()),
        proptest::option::weighted(0.8, 1..8_u32),
        proptest::bool::weighted(0.3),
        select(vec![0_i64, 0, 0, 0, 0, 0, 5_000_000, -1]),
        system(),
    );
    (select(TYPES.to_vec()), size, gpus, kind, zones, price(), family).prop_map(
        |(
            name,
            (vcpus_milli, memory_mib),
            (gpus, model),
            (arch, market, disk_gib),
            zones,
            price,
            (family, generation, burstable, fee, system),
        )| Offering {
            system,
            family: family.to_owned(),
            generation,
            burstable,
            fee_per_hour: Money::usd_nanos(fee),
            vcpus_milli,
            memory_mib,
            disk_gib,
            gpus,
            gpu_model: (gpus > 0).then(|| model.to_owned()),
            arch,
            market,
            zones: zones.into_iter().map(named).collect(),
            price,
            ..offering(name, 1, 1, "1")
        },
    )
}

/// Mostly what costs nothing.
fn system() -> impl Strategy<Value = System> {
    prop_oneof![6 => Just(System::Linux), 1 => Just(System::Windows)]
}

fn images() -> impl Strategy<Value = Vec<Image>> {
    // Memory that some images need: half of the types have less than the one, all but the largest less than the other.
    let least = select(vec![0_u64, 0, 0, 1024, 4096]);
    let one = (select(OSES.to_vec()), select(ARCHES.to_vec()), 0..3_i64, system(), least);
    vec(one, 0..5).prop_map(|all| {
        let image = |(nth, (os, arch, age, system, least)): (usize, (&str, Arch, i64, System, u64))| Image {
            id: named(&format!("i{nth}")),
            name: os.to_owned(),
            os: os.to_owned(),
            arch,
            created_at: PRICED_AT - SignedDuration::from_secs(age),
            system,
            min_disk_gib: 0,
            min_memory_mib: least,
        };
        all.into_iter().enumerate().map(image).collect()
    })
}

fn overlay() -> impl Strategy<Value = Overlay> {
    let off = select(vec![
        Off::Percent(28.5),
        Off::Percent(60.0),
        Off::PerHour(Money::usd_nanos(9_000_000)),
        Off::PerHour(Money::usd_nanos(50_000_000)),
    ]);
    let half = |names: [&'static str; 2]| proptest::option::weighted(0.4, select(names.to_vec()));
    let kind = (
        proptest::option::weighted(0.5, select(vec!["m5", "T3", "c6"])),
        proptest::option::weighted(0.3, select(MARKETS.to_vec())),
    );
    (half(CLOUDS), half(REGIONS), kind, off).prop_map(|(cloud, region, (family, market), off)| Overlay {
        name: "random".to_owned(),
        provider: cloud.map(named),
        region: region.map(named),
        family: family.map(str::to_owned),
        market,
        off,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    fn among<T: Clone + std::fmt::Debug + std::str::FromStr<Err: std::fmt::Debug>>(
        names: &'static [&'static str],
    ) -> impl Strategy<Value = Among<T>> {
        let list = || prop_oneof![4 => vec(select(names), 0..1), 1 => vec(select(names), 1..3)];
        (list(), list()).prop_map(|(allow, deny)| Among {
            allow: allow.into_iter().map(named).collect(),
            deny: deny.into_iter().map(named).collect(),
        })
    }
    let least = proptest::option::weighted(0.2, 1..8_u32);
    let families = among::<String>(&["m5", "T3", "c6"]);
    (proptest::bool::weighted(0.2), least, among(&REGIONS), families, among(&CLOUDS)).prop_map(
        |(steady, least, regions, families, providers)| {
            let mut policy = Policy::default();
            policy.burstable = if steady { Burstable::Deny } else { Burstable::Allow };
            (policy.min_generation, policy.regions) = (least, regions);
            (policy.families, policy.providers) = (families, providers);
            policy
        },
    )
}

pub(crate) fn world() -> impl Strategy<Value = PriceWorld> {
    let cent = Money::usd_nanos(10_000_000);
    let billing = select(vec![
        Billing::PerHour,
        Billing::default(),
        Billing::PerSecond { min_s: 0, min_charge: Money::default(), month_hours_max: None },
        Billing::PerSecond { min_s: 60, min_charge: cent, month_hours_max: Some(672) },
    ]);
    let disk = select(vec![0_i64, 100_000, 300_000, -5]);
    let place = (select(CLOUDS.to_vec()), select(REGIONS.to_vec()));
    // What is paid for beside the machine may be billed by a rule of its own.
    let licensed = proptest::option::weighted(0.5, billing.clone());
    let money = (disk, select(vec![0_i64, 0, 5_000_000]), (billing, licensed));
    let lane = (place, vec(an_offering(), 0..12), images(), money);
    let overlays = prop_oneof![2 => vec(overlay(), 0..1), 1 => vec(overlay(), 1..4)];
    let excluded =
        (select(CLOUDS.to_vec()), select(TYPES.to_vec()), 0..=ZONES.len(), select(MARKETS.to_vec()));
    let excluded = prop_oneof![1 => vec(excluded.clone(), 0..1), 1 => vec(excluded, 0..4)];
    (vec(lane, 0..5), excluded, select(vec![1_usize, 3, 9, 1000]), overlays).prop_map(
        |(lanes, excluded, limit, overlays)| {
            let mut world = PriceWorld { limit, overlays, ..PriceWorld::default() };
            for (nth, ((cloud, region), offerings, images, (disk, ipv4, (billing, licensed)))) in
                lanes.into_iter().enumerate()
            {
                world = world.with_lane(cloud, region, offerings);
                world.lanes[nth].credential = named(&format!("key{nth}"));
                let catalogue = world.last();
                catalogue.images.extend(images);
                catalogue.images.drain(..2 - nth % 2);
                catalogue.disk_gib_hour = Money::usd_nanos(disk);
                catalogue.billing = billing;
                catalogue.billing_by_system = licensed.map(|it| (System::Windows, it)).into_iter().collect();
                catalogue.ipv4_hour = Money::usd_nanos(ipv4);
            }
            for (cloud, name, zone, market) in excluded {
                let lane =
                    world.lanes.iter().find(|it| it.lane.cloud.as_str() == cloud).map(|it| it.lane.id());
                let zone = ZONES.get(zone).map(|zone| named(zone));
                world.excluded.extend(lane.map(|lane| Excluded {
                    lane,
                    type_name: named(name),
                    zone,
                    market,
                }));
            }
            world
        },
    )
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let size = || {
        let usual = select(vec![0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 5.0]);
        let odd = select(vec![f64::NAN, -1.0, f64::INFINITY, f64::MAX]);
        proptest::option::weighted(0.5, prop_oneof![30 => usual, 1 => odd])
    };
    let disk =
        proptest::option::weighted(0.3, select(vec![0.0, 4.0, 8.0, 10.0, 10.5, 60.0, 2000.0, f64::NAN]));
    let cap = proptest::option::weighted(
        0.2,
        select(vec![0.0, 0.01, 0.02, 0.0208, 0.05, 40.0, 40.0, f64::NAN, -1.0]),
    );
    let rare = 0.1;
    let kind = (
        proptest::option::weighted(rare, 0..4_u32),
        proptest::option::weighted(rare, select(MODELS.to_vec())),
        proptest::option::weighted(rare, select(ARCHES.to_vec())),
        proptest::option::weighted(0.4, select(WISHES.to_vec())),
    );
    let place = (
        proptest::option::weighted(rare, select(CLOUDS.to_vec())),
        proptest::option::weighted(rare, select(REGIONS.to_vec())),
        proptest::option::weighted(rare, select(OSES.to_vec())),
        proptest::option::weighted(rare, select(vec!["i0", "i1", "ubuntu-arm"])),
    );
    let time = proptest::option::weighted(
        0.6,
        select(vec![0_u64, 1, 59, 60, 61, 600, 3599, 3600, 3601, 86_400, 2_419_201, 2_592_000, 3_888_000]),
    );
    let count = proptest::option::weighted(0.5, select(vec![0_u32, 1, 1, 2, 2, 3, 3, 40]));
    let rules = (prop_oneof![2 => Just(Policy::default()), 1 => policy()], any::<bool>());
    ((size(), size(), disk, cap), kind, place, (time, count), rules).prop_map(
        |(
            (vcpus, memory, disk, cap),
            (gpus, model, arch, market),
            (cloud, region, os, image),
            (time, count),
            (policy, private_only),
        )| {
            let mut need = Request::default();
            (need.vcpus, need.memory_gib, need.disk_gib, need.max_price_per_hour) =
                (vcpus, memory, disk, cap);
            (need.gpus, need.gpu_model, need.arch, need.market) =
                (gpus, model.map(str::to_owned), arch, market);
            (need.provider, need.region) = (cloud.map(named), region.map(named));
            (need.os, need.image) = (os.map(str::to_owned), image.map(named));
            (need.duration_s, need.count) = (time, count);
            (need.policy, need.private_only) = (policy, private_only);
            need
        },
    )
}

/// The property: what is said is what brute force says.
fn agrees(engine: &dyn PricingEngine, world: &PriceWorld, need: &Request) -> Result<(), TestCaseError> {
    let right = rows(world, need);
    let said = match world.rank(engine, need) {
        Ranking::Nothing(why) => {
            let unpriced = why
                .nearest
                .iter()
                .any(|it| it.choice.offering.price.per_hour().is_none_or(|price| price.nanos <= 0));
            prop_assert!(!unpriced && why.nearest.len() <= 5, "nearest: {:?}", why.nearest);
            explains(&why, world, need)?;
            Vec::new()
        }
        Ranking::Fits(quotes) => {
            prop_assert!(!quotes.is_empty(), "it fits, and nothing is quoted");
            for quote in &quotes {
                prop_assert_eq!(quote.parts_per_hour.sum(), quote.per_hour);
                prop_assert_eq!(quote.parts_total.map(|it| it.sum()), quote.total);
            }
            let timed = quotes.iter().all(|it| it.total.is_some() == need.duration_s.is_some());
            prop_assert!(timed, "a total without a duration, or none with one");
            quotes.iter().map(|it| Row::of(it, need)).collect::<Vec<_>>()
        }
    };
    let shown = &shown(&right, need, world.limit)[..];
    prop_assert_eq!(
        said.iter().map(Row::rank).collect::<Vec<_>>(),
        shown.iter().map(Row::rank).collect::<Vec<_>>()
    );
    if shown.len() == right.len() {
        let mut said = said;
        said.sort();
        prop_assert_eq!(&said[..], shown);
    }
    Ok(())
}

/// The property: what was prepared, of this world and of another that offers the same, changes nothing, refusals and
/// their reasons included, and a pick is the first.
fn prepared_agrees(
    world: &PriceWorld,
    need: &Request,
    prepared: &[Vec<Prepared>; 2],
) -> Result<(), TestCaseError> {
    let slow = world.rank(&CheapestFit, need);
    for prepared in prepared {
        prop_assert_eq!(&world.with_context(prepared, |context| CheapestFit.rank(need, context)), &slow);
    }
    let picked = |prepared: &[Prepared]| {
        world.with_context(prepared, |context| {
            CheapestFit.pick(need, context).map(|it| {
                let place = (it.lane.lane.clone(), it.lane.credential.clone(), it.zone.cloned());
                (place, it.offering.clone(), it.image.id.clone(), it.disk_gib, (it.machine_per_hour, it.cost))
            })
        })
    };
    let first = match slow {
        Ranking::Fits(quotes) => quotes.into_iter().next().map(|it| {
            let place = (it.choice.lane, it.choice.credential, it.choice.zone);
            let cost = (it.choice.per_hour, it.total.unwrap_or(it.per_hour));
            (place, it.choice.offering, it.choice.image, it.choice.disk_gib, cost)
        }),
        Ranking::Nothing(_) => None,
    };
    for prepared in prepared {
        prop_assert_eq!(&picked(prepared), &first);
    }
    prop_assert_eq!(&picked(&vec![Prepared::none().clone(); world.lanes.len()]), &first);
    Ok(())
}

/// A request without one of its limits.
pub(crate) fn without(need: &Request, field: &str) -> Request {
    let mut need = need.clone();
    match field {
        "max_price_per_hour" => need.max_price_per_hour = None,
        "memory_gib" => need.memory_gib = None,
        "vcpus" => need.vcpus = None,
        "disk_gib" => need.disk_gib = None,
        "gpus" => need.gpus = None,
        "gpu_model" => need.gpu_model = None,
        "arch" => need.arch = None,
        "region" => need.region = None,
        "provider" => need.provider = None,
        "policy.burstable" => need.policy.burstable = Burstable::Allow,
        "policy.min_generation" => need.policy.min_generation = None,
        "policy.families" => need.policy.families = Among::default(),
        "policy.regions" => need.policy.regions = Among::default(),
        "policy.providers" => need.policy.providers = Among::default(),
        _ => {}
    }
    need
}

/// The property: where dropping one limit lets something in, the named one does, and its named best does too.
fn explains(why: &NoFit, world: &PriceWorld, need: &Request) -> Result<(), TestCaseError> {
    let sizes = [need.vcpus, need.memory_gib, need.disk_gib, need.max_price_per_hour];
    let sound = sizes.into_iter().flatten().all(|it| it.is_finite() && it >= 0.0) && need.count != Some(0);
    let named = why.failed.field.as_str();
    if !sound || why.reason != NoFitReason::TooDemanding || ["market", "os", "image"].contains(&named) {
        return Ok(());
    }
    let fields = [
        "max_price_per_hour",
        "memory_gib",
        "vcpus",
        "disk_gib",
        "gpus",
        "gpu_model",
        "arch",
        "region",
        "provider",
        "policy.burstable",
        "policy.min_generation",
        "policy.families",
        "policy.regions",
        "policy.providers",
    ];
    let lets_in = |field: &str| rows(world, &without(need, field)).len();
    let free = PriceWorld { excluded: std::collections::BTreeSet::new(), ..world.clone() };
    let helps = if named == "capacity" { rows(&free, need).len() } else { lets_in(named) };
    let most = fields.into_iter().map(lets_in).max().unwrap_or(0);
    prop_assert!(helps > 0 || most == 0, "{named} is named, which lets in nothing; others do: {why:?}");
    let mut asked = without(need, named);
    let number = why.failed.limit.as_deref().and_then(|it| it.parse::<f64>().ok());
    match (named, number) {
        ("max_price_per_hour", best @ Some(_)) => asked.max_price_per_hour = best,
        ("memory_gib", best @ Some(_)) => asked.memory_gib = best,
        ("vcpus", best @ Some(_)) => asked.vcpus = best,
        ("disk_gib", best @ Some(_)) => asked.disk_gib = best,
        _ => return Ok(()),
    }
    prop_assert!(helps == 0 || !rows(world, &asked).is_empty(), "the named best does not fit: {why:?}");
    Ok(())
}

/// The property: the input's order does not matter.
fn order_does_not_matter(
    engine: &dyn PricingEngine,
    world: &PriceWorld,
    need: &Request,
) -> Result<(), TestCaseError> {
    let mut turned = world.clone();
    turned.lanes.reverse();
    for (nth, lane) in turned.lanes.iter_mut().enumerate() {
        let catalogue = &mut lane.catalogue;
        let half = catalogue.offerings.len() / 2;
        catalogue.offerings.rotate_left(half);
        catalogue.images.reverse();
        if nth == 0 {
            catalogue.offerings.reverse();
            catalogue.offerings.iter_mut().for_each(|it| it.zones.reverse());
        }
    }
    // Zones are part of an offering as the cloud named it: compare what they stand for.
    let in_order = |ranking| match ranking {
        Ranking::Fits(mut quotes) => {
            quotes.iter_mut().for_each(|it| it.choice.offering.zones.sort());
            Ranking::Fits(quotes)
        }
        Ranking::Nothing(mut why) => {
            why.nearest.iter_mut().for_each(|it| it.choice.offering.zones.sort());
            Ranking::Nothing(why)
        }
    };
    prop_assert_eq!(in_order(world.rank(engine, need)), in_order(turned.rank(engine, need)));
    Ok(())
}

type Found = Box<TestError<(PriceWorld, Vec<Request>)>>;

fn run(engine: &dyn PricingEngine, worlds: u32, prepared: bool) -> Result<(), Found> {
    let config =
        Config { cases: worlds, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let found = runner.run(&(world(), vec(request(), ASKED)), |(world, needs)| {
        let made = [&world, &world.same_offers()]
            .map(|it| if prepared { it.prepare(&CheapestFit) } else { Vec::new() });
        for (nth, need) in needs.iter().enumerate() {
            agrees(engine, &world, need)?;
            if prepared {
                prepared_agrees(&world, need, &made)?;
            }
            if nth % 4 == 0 {
                order_does_not_matter(engine, &world, need)?;
            }
        }
        Ok(())
    });
    found.map_err(Box::new)
}

/// The engine, counting how often something fits: a property over nothing but refusals would hold for anyone.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl PricingEngine for Counting {
    fn rank<'a>(&self, need: &Request, context: &PriceContext<'a>) -> Ranking {
        let ranking = CheapestFit.rank(need, context);
        self.0.fetch_add(usize::from(matches!(ranking, Ranking::Fits(_))), Ordering::Relaxed);
        ranking
    }

    fn prepare(&self, catalogue: &Catalogue) -> Prepared {
        CheapestFit.prepare(catalogue)
    }
}

#[test]
fn a_cheaper_offer_is_never_missed_on_random_worlds() {
    let counting = Counting::default();
    // More worlds, for whoever has an hour: INFRA_PRICE_WORLDS=1000000.
    let worlds = std::env::var("INFRA_PRICE_WORLDS").ok().and_then(|it| it.parse().ok()).unwrap_or(WORLDS);
    if let Err(found) = run(&counting, worlds, true) {
        panic!("{found}");
    }
    let (requests, fits) = (worlds as usize * ASKED, counting.0.load(Ordering::Relaxed));
    println!("COUNT price-equals-brute-force worlds={worlds} requests={requests} fits={fits}");
    assert!(fits > requests / 5, "too few requests fit to say anything");
}

#[test]
fn the_property_catches_every_engine_that_ranks_wrongly() {
    // What says a right ranking badly, and what only shows in what is prepared: the laws catch it.
    let unseen = [
        Defect::NamesNothingNear,
        Defect::PromisesWhatDoesNotHelp,
        Defect::HidesDiskInCompute,
        Defect::SaysNoReason,
        Defect::PreparesTheDominant,
        Defect::KeepsZones,
        Defect::KeepsImages,
        Defect::KeepsMoments,
        Defect::KeepsSources,
    ];
    let survivors: Vec<Defect> = Defect::ALL
        .into_iter()
        .filter(|it| !unseen.contains(it) && run(&Mutant(*it), WORLDS_OF_A_MUTANT, false).is_ok())
        .collect();
    let seen = Defect::ALL.len() - unseen.len();
    println!("COUNT price-property-mutants planted={seen} caught={}", seen - survivors.len());
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}
