//! The laws of [`PricingEngine`].
//!
//! # Flow
//! A law builds a small `PriceWorld`, asks the engine, and compares types, zones or amounts with what a person can
//! work out on paper.
//!
//! # Guarantees
//! No law needs a network, a clock or a runtime: an engine that answers differently when asked again breaks a law.
//!
//! # An engine of one's own
//! It implements the contract, as [`PricingEngine`] tells it, and runs the laws; they take milliseconds. This one never
//! buys in a region that its house has closed, and leaves all else to the engine that is there:
//!
//! ```
//! use std::sync::Arc;
//!
//! use infra_core::contracts::pricing::{Prepared, PriceContext, PricedLane, PricingEngine, Ranking};
//! use infra_core::nouns::offering::Catalogue;
//! use infra_core::nouns::request::Request;
//! use infra_core::testing::laws::pricing::laws;
//! use infra_core::testing::laws::run;
//! use infra_core::CheapestFit;
//!
//! #[derive(Debug)]
//! struct Without(&'static str);
//!
//! impl PricingEngine for Without {
//!     fn rank<'a>(&self, need: &Request, context: &PriceContext<'a>) -> Ranking {
//!         let open = context.lanes.iter().filter(|it| it.lane.region.as_str() != self.0);
//!         let lanes: Vec<PricedLane<'_>> = open.copied().collect();
//!         CheapestFit.rank(need, &PriceContext { lanes: &lanes, ..*context })
//!     }
//!
//!     fn prepare(&self, catalogue: &Catalogue) -> Prepared {
//!         CheapestFit.prepare(catalogue)
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
//! # runtime.block_on(async {
//! let laws = laws();
//! let kept = async |engine: Without| {
//!     let engine: Arc<dyn PricingEngine> = Arc::new(engine);
//!     run("PricingEngine", "Without", "none", &laws, async || Arc::clone(&engine)).await
//! };
//! let report = kept(Without("atlantis")).await;
//! assert!(report.is_kept(), "{:?}", report.failed);
//! // The laws buy in this region, so an engine without it is found out.
//! assert!(!kept(Without("here")).await.is_kept());
//! # });
//! ```
//!
//! # Caveats
//! Prices are invented and small in number. That an engine is fast on a full catalogue is for benches to show.

use std::sync::Arc;
use std::time::Duration;

mod costs;
mod prepared;

use super::{Law, Unmet};
use crate::contracts::pricing::{Excluded, NoFit, NoFitReason, PricingEngine, Quote, Ranking};
use crate::nouns::offering::{Billing, Image, Offering, Price};
use crate::nouns::request::{Arch, Market, MarketWish, Request};
use crate::nouns::system::System;
use crate::testing::price_world::{PRICED_AT, PriceWorld, offering};
use crate::words::clock::later;
use crate::words::ids::Zone;
use crate::words::money::Money;
pub use costs::*;
pub use prepared::*;

/// What a law says of an engine. Nothing here waits: pricing is pure.
pub type Verdict = Result<(), Unmet>;

macro_rules! pure_laws {
    ($($law:ident),* $(,)?) => {
        vec![$(Law {
            name: stringify!($law),
            check: |engine: Arc<dyn PricingEngine>| Box::pin(async move { $law(&*engine) }),
        }),*]
    };
}

/// Every law.
#[must_use]
pub fn laws() -> Vec<Law<Arc<dyn PricingEngine>>> {
    pure_laws![
        the_cheapest_total_comes_first,
        a_quote_meets_every_limit,
        a_price_that_is_not_known_is_never_chosen,
        the_order_of_the_input_changes_nothing,
        ties_go_to_less_waste_then_to_names,
        bought_disk_is_part_of_the_price,
        only_the_missing_disk_is_bought,
        the_billing_minimum_is_part_of_the_total,
        a_begun_hour_is_paid_where_hours_are_billed,
        the_total_counts_every_machine,
        without_a_duration_there_is_no_total,
        the_price_cap_counts_the_disk,
        a_stale_price_ranks_after_its_fresh_equal,
        an_excluded_offer_is_not_offered,
        zones_follow_each_other_directly,
        the_newest_image_of_the_architecture_is_taken,
        spot_is_taken_only_when_asked_for,
        a_size_that_is_no_number_fits_nothing,
        absurd_numbers_do_not_overflow,
        no_fit_names_the_limit_and_the_nearest,
        a_limit_that_does_not_help_alone_is_not_promised_to,
        the_limit_of_quotes_is_kept,
        the_public_address_is_part_of_the_price,
        a_services_fee_is_part_of_the_price,
        the_parts_of_a_cost_add_up,
        the_lowest_overlay_decides,
        every_rule_of_a_policy_is_kept,
        a_month_is_not_charged_beyond_its_ceiling,
        spot_comes_first_and_leaves_room_for_the_fallback,
        each_quote_says_why_it_stands_before_the_next,
        what_was_prepared_changes_no_answer,
        what_was_prepared_serves_all_that_offer_the_same,
        a_price_of_one_system_is_not_anothers,
    ]
}

fn broken<T>(why: String) -> Result<T, Unmet> {
    Err(Unmet::Broken(why))
}

/// The quotes, where something must fit; an empty list of them is no answer.
fn fits(engine: &dyn PricingEngine, world: &PriceWorld, need: &Request) -> Result<Vec<Quote>, Unmet> {
    match world.rank(engine, need) {
        Ranking::Fits(quotes) if quotes.is_empty() => broken("it fits, and nothing is quoted".to_owned()),
        Ranking::Fits(quotes) => Ok(quotes),
        Ranking::Nothing(why) => broken(format!("nothing fits: {}", why.failed.detail)),
    }
}

/// Why nothing fits, where nothing may.
fn nothing(engine: &dyn PricingEngine, world: &PriceWorld, need: &Request) -> Result<NoFit, Unmet> {
    match world.rank(engine, need) {
        Ranking::Fits(quotes) => broken(format!("{:?} were offered", types(&quotes))),
        Ranking::Nothing(why) => Ok(*why),
    }
}

fn types(quotes: &[Quote]) -> Vec<&str> {
    quotes.iter().map(|quote| quote.choice.offering.type_name.as_str()).collect()
}

/// The quoted types in their order: most laws need to see no more of a ranking.
fn expect_types(engine: &dyn PricingEngine, world: &PriceWorld, need: &Request, want: &[&str]) -> Verdict {
    let quotes = fits(engine, world, need)?;
    hold!(types(&quotes) == want, "{:?} instead of {want:?}", types(&quotes));
    Ok(())
}

/// A world of one lane, for laws about single offers.
fn one_lane(offerings: Vec<Offering>) -> PriceWorld {
    PriceWorld::default().with_lane("cloud", "here", offerings)
}

fn usd(text: &str) -> Money {
    Money::parse_usd(text).expect("a decimal")
}

fn sized(vcpus: f64, memory_gib: f64) -> Request {
    Request { vcpus: Some(vcpus), memory_gib: Some(memory_gib), ..Request::default() }
}

/// The founding service took the first that fits when sorted by size, and paid up to 1.29 times as much.
pub fn the_cheapest_total_comes_first(engine: &dyn PricingEngine) -> Verdict {
    let world = one_lane(vec![offering("m3.large", 1, 8, "0.133"), offering("t2.large", 2, 8, "0.104")])
        .with_lane("other", "there", vec![offering("big", 8, 32, "0.11")]);
    expect_types(engine, &world, &sized(1.0, 6.0), &["t2.large", "big", "m3.large"])
}

/// One offer for every limit, cheaper than the one that fits, misses just that limit.
pub fn a_quote_meets_every_limit(engine: &dyn PricingEngine) -> Verdict {
    let base =
        |name: &str| Offering { gpus: 1, gpu_model: Some("t4".to_owned()), ..offering(name, 4, 16, "0.1") };
    let mut world = one_lane(vec![
        Offering { vcpus_milli: 3999, ..base("few-vcpus") },
        Offering { memory_mib: 16 * 1024 - 1, ..base("small-memory") },
        Offering { gpus: 0, ..base("no-gpu") },
        Offering { gpu_model: Some("a100".to_owned()), ..base("other-gpu") },
        Offering { arch: Arch::Arm64, ..base("other-arch") },
        Offering { price: offering("x", 0, 0, "0.5").price, ..base("fits") },
    ])
    .with_lane("cloud", "elsewhere", vec![base("other-region")])
    .with_lane("foreign", "here", vec![base("other-cloud")])
    .with_lane("cloud", "here", vec![base("no-image")]);
    world.last().images.clear();
    let need = Request {
        gpus: Some(1),
        gpu_model: Some("t4".to_owned()),
        arch: Some(Arch::X86_64),
        region: "here".parse().ok(),
        provider: "cloud".parse().ok(),
        ..sized(4.0, 16.0)
    };
    expect_types(engine, &world, &need, &["fits"])
}

/// Unknown, zero, and what claims to be known and is not above zero. Nothing, or less than nothing, is cheaper than
/// everything: one bad row of a price list would win every ranking until the invoice comes. Offers such rows alone,
/// then beside a dear one with a price.
pub fn a_price_that_is_not_known_is_never_chosen(engine: &dyn PricingEngine) -> Verdict {
    let known = |name: &str, nanos| Offering {
        price: Price::Known {
            per_hour: Money::usd_nanos(nanos),
            as_of: PRICED_AT,
            source: String::new(),
            live: true,
        },
        ..offering(name, 4, 16, "1")
    };
    let unknown =
        Offering { price: Price::Unknown { reason: String::new() }, ..offering("unknown", 4, 16, "1") };
    let bad = vec![unknown, known("zero", 0), known("negative", -1), known("least", i64::MIN)];
    let why = nothing(engine, &one_lane(bad.clone()), &sized(1.0, 1.0))?;
    hold!(why.nearest.is_empty(), "{:?} are called near", types(&why.nearest));
    let all = bad.into_iter().chain([offering("priced", 4, 16, "9")]).collect();
    expect_types(engine, &one_lane(all), &sized(1.0, 1.0), &["priced"])
}

/// The founding service alternated between two answers. Two replicas that rank differently each think that the other
/// one's choice is wrong, and an explanation given today does not hold tomorrow. Turns lanes, offerings and images
/// around, and asks twice.
pub fn the_order_of_the_input_changes_nothing(engine: &dyn PricingEngine) -> Verdict {
    let offerings = |names: [&str; 3]| names.map(|name| offering(name, 2, 8, "0.1")).to_vec();
    let one = one_lane(offerings(["c", "a", "b"])).with_lane("other", "there", offerings(["b", "d", "a"]));
    let mut other = one.clone();
    other.lanes.reverse();
    for lane in &mut other.lanes {
        lane.catalogue.offerings.reverse();
        lane.catalogue.images.reverse();
    }
    let (once, again) = (fits(engine, &one, &sized(2.0, 8.0))?, fits(engine, &other, &sized(2.0, 8.0))?);
    hold!(once == again, "{:?}, and in other order {:?}", types(&once), types(&again));
    hold!(once == fits(engine, &one, &sized(2.0, 8.0))?, "asked again it answers otherwise");
    Ok(())
}

/// At the same total: fewer vCPUs beyond the need, then less memory, then the name. Without a rule for ties the
/// answer hangs on chance, and a large machine is taken where a small one costs the same and leaves the large one to
/// others.
pub fn ties_go_to_less_waste_then_to_names(engine: &dyn PricingEngine) -> Verdict {
    let same = |name: &str, vcpus, gib| offering(name, vcpus, gib, "0.1");
    let world = one_lane(vec![
        same("a-wide", 4, 4),
        same("b-deep", 2, 8),
        same("d-snug", 2, 4),
        same("c-snug", 2, 4),
    ]);
    expect_types(engine, &world, &sized(2.0, 4.0), &["c-snug", "d-snug", "b-deep", "a-wide"])
}

/// The type that is cheaper without its disk may be dearer with it. An engine that compares bare machines picks the
/// dearer one whenever disk is bought, and quotes less than what is billed. The winner here changes once its disk is
/// counted.
pub fn bought_disk_is_part_of_the_price(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![offering("bare", 2, 4, "0.10")]).with_lane(
        "included",
        "here",
        vec![Offering { disk_gib: 100, ..offering("with-disk", 2, 4, "0.11") }],
    );
    world.lanes[0].catalogue.disk_gib_hour = usd("0.0002");
    let need = Request { disk_gib: Some(100.0), ..sized(2.0, 4.0) };
    expect_types(engine, &world, &need, &["with-disk", "bare"])?;
    let bare = &fits(engine, &world, &need)?[1];
    hold!(bare.choice.disk_gib == 100, "{} GiB are bought", bare.choice.disk_gib);
    hold!(bare.per_hour == usd("0.12"), "an hour costs {}", bare.per_hour);
    Ok(())
}

/// A type's own disk is not paid for twice, and where none is sold more cannot be had. Buying it all again adds to
/// the bill of everybody with a large request. First no disk is sold and nothing fits; then the missing forty are,
/// and no more.
pub fn only_the_missing_disk_is_bought(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![Offering { disk_gib: 60, ..offering("own", 2, 4, "0.10") }]);
    let need = Request { disk_gib: Some(100.0), ..sized(2.0, 4.0) };
    nothing(engine, &world, &need)?;
    world.last().disk_gib_hour = usd("0.001");
    let quote = &fits(engine, &world, &need)?[0];
    hold!(quote.choice.disk_gib == 40, "{} GiB are bought", quote.choice.disk_gib);
    hold!(quote.per_hour == usd("0.14"), "an hour costs {}", quote.per_hour);
    Ok(())
}

/// Ten seconds cost the minimum, and that may change the winner. Short jobs are the ones that come in thousands, and
/// there the minimum is most of the bill. The same two offers change places between ten seconds and ten minutes.
pub fn the_billing_minimum_is_part_of_the_total(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![offering("cent-at-least", 2, 4, "0.05")]).with_lane(
        "other",
        "here",
        vec![offering("minute-at-least", 2, 4, "0.36")],
    );
    world.lanes[0].catalogue.billing =
        Billing::PerSecond { min_s: 60, min_charge: usd("0.01"), month_hours_max: None };
    let need = |seconds| Request { duration_s: Some(seconds), ..sized(2.0, 4.0) };
    expect_types(engine, &world, &need(10), &["minute-at-least", "cent-at-least"])?;
    expect_types(engine, &world, &need(600), &["cent-at-least", "minute-at-least"])?;
    let total = fits(engine, &world, &need(10))?[0].total;
    hold!(total == Some(usd("0.006")), "ten seconds cost {total:?}");
    Ok(())
}

/// 61 minutes are two hours. An engine that counts seconds everywhere sends short jobs to clouds that bill by the
/// hour, and a budget breaks on what it never saw. Asks by an end in place of a duration, since both must count.
pub fn a_begun_hour_is_paid_where_hours_are_billed(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![offering("hours", 2, 4, "0.10")]).with_lane(
        "other",
        "here",
        vec![offering("seconds", 2, 4, "0.11")],
    );
    world.lanes[0].catalogue.billing = Billing::PerHour;
    let need = Request { ends_at: Some(later(PRICED_AT, Duration::from_secs(61 * 60))), ..sized(2.0, 4.0) };
    expect_types(engine, &world, &need, &["seconds", "hours"])?;
    let total = fits(engine, &world, &need)?[1].total;
    hold!(total == Some(usd("0.2")), "61 minutes cost {total:?}");
    Ok(())
}

/// Three machines cost three times one. A total for one machine passes a budget that three of them break. Tells apart
/// the price of one, of all per hour, and of all in the end.
pub fn the_total_counts_every_machine(engine: &dyn PricingEngine) -> Verdict {
    let need = Request { count: Some(3), duration_s: Some(7200), ..sized(1.0, 1.0) };
    let quote = &fits(engine, &one_lane(vec![offering("one", 1, 1, "0.1")]), &need)?[0];
    let shown = (quote.choice.per_hour, quote.per_hour, quote.total);
    hold!(shown == (usd("0.1"), usd("0.3"), Some(usd("0.6"))), "three for two hours: {shown:?}");
    Ok(())
}

/// A total nobody asked for would be a guess. A made-up duration reads like a promise of what it will cost.
pub fn without_a_duration_there_is_no_total(engine: &dyn PricingEngine) -> Verdict {
    let quote = &fits(engine, &one_lane(vec![offering("one", 1, 1, "0.1")]), &sized(1.0, 1.0))?[0];
    hold!(quote.total.is_none(), "without a duration the total is {:?}", quote.total);
    Ok(())
}

/// The cap is on what one machine costs, and its disk costs. A cap on the bare machine lets through what its owner
/// said is too dear; a cap on the whole batch refuses what each of them may cost. The refusal names the lowest cap
/// that would do.
pub fn the_price_cap_counts_the_disk(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![offering("one", 1, 1, "0.09")]);
    world.last().disk_gib_hour = usd("0.001");
    let capped = |cap| Request {
        count: Some(5),
        disk_gib: Some(20.0),
        max_price_per_hour: Some(cap),
        ..sized(1.0, 1.0)
    };
    let why = nothing(engine, &world, &capped(0.1))?;
    hold!(why.failed.field == "max_price_per_hour", "{} is named", why.failed.field);
    hold!(why.failed.limit.as_deref() == Some("0.11"), "{:?} is named as the lowest", why.failed.limit);
    expect_types(engine, &world, &capped(0.11), &["one"])
}

/// An old live price is marked; an operator's table does not age; a cheaper old price still comes first. Dropping old
/// prices empties the list whenever a price service is down; trusting them blindly brings surprises. So age breaks
/// ties and is shown, and price comes before age.
pub fn a_stale_price_ranks_after_its_fresh_equal(engine: &dyn PricingEngine) -> Verdict {
    let priced = |name: &str, usd_text: &str, age_days: i64, live| Offering {
        price: Price::Known {
            per_hour: usd(usd_text),
            as_of: PRICED_AT - jiff::SignedDuration::from_hours(24 * age_days),
            source: String::new(),
            live,
        },
        ..offering(name, 1, 1, "1")
    };
    let world = one_lane(vec![
        priced("a-old", "0.1", 31, true),
        priced("b-fresh", "0.1", 29, true),
        priced("c-table", "0.1", 900, false),
        priced("d-old-and-cheap", "0.09", 31, true),
    ]);
    let want = ["d-old-and-cheap", "b-fresh", "c-table", "a-old"];
    expect_types(engine, &world, &sized(1.0, 1.0), &want)?;
    let stale: Vec<bool> = fits(engine, &world, &sized(1.0, 1.0))?.iter().map(|it| it.stale).collect();
    hold!(stale == [true, false, false, true], "marked as stale: {stale:?}");
    Ok(())
}

/// An offer in three zones, named in no order, so that an engine has to bring them into one.
fn in_zones(name: &str, price: &str) -> Offering {
    let zones = ["z2", "z1", "z3"].iter().filter_map(|zone| zone.parse().ok()).collect();
    Offering { zones, ..offering(name, 1, 1, price) }
}

/// Excluded in one zone, in all, on one market, in one lane: that and no more. An offer is excluded after it failed:
/// quoted again, the same call fails again and time passes for nothing. Excluding too much sends everybody to dearer
/// machines. Three exclusions of different width meet a second lane that has none.
pub fn an_excluded_offer_is_not_offered(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![in_zones("a", "0.1"), in_zones("b", "0.2"), in_zones("c", "0.3")])
        .with_lane("cloud", "there", vec![offering("a", 1, 1, "0.9")]);
    let lane = world.lanes[0].lane.id();
    let mut exclude = |type_name: &str, zone: Option<&str>, market| {
        let type_name = type_name.parse().expect("a short name");
        let zone = zone.map(|zone| zone.parse().expect("a short name"));
        world.excluded.insert(Excluded { lane: lane.clone(), type_name, zone, market });
    };
    exclude("a", None, Market::OnDemand);
    exclude("b", Some("z1"), Market::OnDemand);
    exclude("c", None, Market::Spot);
    expect_types(engine, &world, &sized(1.0, 1.0), &["b", "b", "c", "c", "c", "a"])
}

/// On a capacity error the next quote is the same machine in the next zone. If a dearer type came between them, a
/// shortage in one zone would cost money although the next zone has the very same machine.
pub fn zones_follow_each_other_directly(engine: &dyn PricingEngine) -> Verdict {
    let quotes = fits(engine, &one_lane(vec![in_zones("a", "0.1"), in_zones("b", "0.1")]), &sized(1.0, 1.0))?;
    let zones: Vec<&str> = quotes.iter().filter_map(|it| it.choice.zone.as_ref()).map(Zone::as_str).collect();
    hold!(types(&quotes) == ["a", "a", "a", "b", "b", "b"], "types {:?}", types(&quotes));
    hold!(zones == ["z1", "z2", "z3", "z1", "z2", "z3"], "zones {zones:?}");
    Ok(())
}

/// By name and architecture the newest, by id exactly that one. The wrong architecture does not boot, and an old
/// image lacks a year of security updates; yet who names one image has tested that one. The newest of that name is
/// for another architecture here.
pub fn the_newest_image_of_the_architecture_is_taken(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![offering("one", 1, 1, "0.1")]);
    let image = |id: &str, arch, age_s| Image {
        id: id.parse().expect("a short id"),
        name: String::new(),
        os: "debian 13".to_owned(),
        arch,
        created_at: PRICED_AT - jiff::SignedDuration::from_secs(age_s),
        system: System::default(),
        min_disk_gib: 0,
        min_memory_mib: 0,
    };
    world.last().images.extend([
        image("old", Arch::X86_64, 9),
        image("new", Arch::X86_64, 5),
        image("arm", Arch::Arm64, 1),
    ]);
    let boots =
        |need: Request| fits(engine, &world, &need).map(|quotes| quotes[0].choice.image.as_str().to_owned());
    let named = boots(Request { os: Some("Debian 13".to_owned()), ..Request::default() })?;
    hold!(named == "new", "{named} is booted");
    let by_id = boots(Request { image: "old".parse().ok(), ..Request::default() })?;
    hold!(by_id == "old", "{by_id} is booted");
    let unsaid = boots(Request::default())?;
    hold!(unsaid == "ubuntu-x86", "{unsaid} is booted when nothing is said");
    let why = nothing(engine, &world, &Request { image: "arm".parse().ok(), ..Request::default() })?;
    hold!(why.failed.field == "image", "{} is named", why.failed.field);
    Ok(())
}

/// Somebody who did not ask for it must not have capacity taken away. It is almost always the cheapest, so every
/// engine that merely sorts by price takes it. And who asks for spot must not be given a machine at full price in its
/// place.
pub fn spot_is_taken_only_when_asked_for(engine: &dyn PricingEngine) -> Verdict {
    let spot = Offering { market: Market::Spot, ..offering("spot", 1, 1, "0.01") };
    let world = one_lane(vec![spot, offering("kept", 1, 1, "0.1")]);
    expect_types(engine, &world, &sized(1.0, 1.0), &["kept"])?;
    let need = Request { market: Some(MarketWish::Spot), ..sized(1.0, 1.0) };
    expect_types(engine, &world, &need, &["spot"])
}

/// NaN compares false with everything, so a careless `has < asked` lets it through. A machine would be bought for a
/// wish that nobody understood. Each field is tried with each bad number, and the refusal must name that field.
pub fn a_size_that_is_no_number_fits_nothing(engine: &dyn PricingEngine) -> Verdict {
    let world = one_lane(vec![Offering { disk_gib: 10, ..offering("one", 1, 1, "0.1") }]);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        let some = Some(bad);
        for (field, need) in [
            ("vcpus", Request { vcpus: some, ..Request::default() }),
            ("memory_gib", Request { memory_gib: some, ..Request::default() }),
            ("disk_gib", Request { disk_gib: some, ..Request::default() }),
            ("max_price_per_hour", Request { max_price_per_hour: some, ..Request::default() }),
        ] {
            let why = nothing(engine, &world, &need)?;
            hold!(why.failed.field == field, "{field} {bad} is explained by {}", why.failed.field);
        }
    }
    expect_types(engine, &world, &sized(0.5, 0.001), &["one"])
}

/// Amounts stop at the largest that can be said. A sum that wraps around becomes negative, and negative is cheapest
/// and within every budget. Multiplies the largest count by the longest time, and asks for sizes that no integer
/// holds.
pub fn absurd_numbers_do_not_overflow(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![offering("one", 1, 1, "9000000000"), offering("two", 1, 1, "0.1")]);
    world.last().disk_gib_hour = usd("1000");
    let need = Request { count: Some(u32::MAX), duration_s: Some(u64::MAX), ..sized(1.0, 1.0) };
    let quotes = fits(engine, &world, &need)?;
    hold!(quotes.iter().all(|it| it.total.is_some_and(|it| it.nanos == i64::MAX)), "totals {quotes:?}");
    for huge in [f64::MAX, 1e18, 4_294_967_295.0] {
        nothing(engine, &world, &sized(huge, 1.0))?;
        nothing(engine, &world, &sized(1.0, huge))?;
        nothing(engine, &world, &Request { disk_gib: Some(huge), ..sized(1.0, 1.0) })?;
    }
    Ok(())
}

/// The wire name, the best there is, why, and what comes nearest. A bare no makes people lower one number after the
/// other until something comes; a wrong field sends them the wrong way. Compares reasons and fields, and the order of
/// the nearest.
pub fn no_fit_names_the_limit_and_the_nearest(engine: &dyn PricingEngine) -> Verdict {
    let sizes = [1_u32, 2, 4, 8, 16, 32, 64];
    let all = sizes.map(|n| offering(&format!("t{n}"), n, 2 * u64::from(n), "0.1")).to_vec();
    let world = one_lane(all);
    let too_much = nothing(engine, &world, &sized(1.0, 512.0))?;
    hold!(too_much.reason == NoFitReason::TooDemanding, "reason {:?}", too_much.reason);
    hold!(too_much.failed.field == "memory_gib", "{} is named", too_much.failed.field);
    hold!(too_much.failed.limit.as_deref() == Some("128"), "limit {:?}", too_much.failed.limit);
    let near = types(&too_much.nearest);
    hold!(near == ["t64", "t32", "t16", "t8", "t4"], "nearest {near:?}");
    let model = Request { gpu_model: Some("t4".to_owned()), ..Request::default() };
    let field = nothing(engine, &world, &model)?.failed.field;
    hold!(field == "gpu_model", "{field} is named where only a model was asked for");
    let elsewhere = Request { region: "mars".parse().ok(), ..Request::default() };
    let os = Request { os: Some("plan 9".to_owned()), ..Request::default() };
    for (world, need, reason, field) in [
        (&PriceWorld::default(), Request::default(), NoFitReason::NoLanes, "provider"),
        (&world, elsewhere, NoFitReason::UnknownRegion, "region"),
        (&world, os, NoFitReason::UnknownImage, "os"),
    ] {
        let why = nothing(engine, world, &need)?;
        let said = (why.reason, why.failed.field.as_str());
        hold!(said == (reason, field), "{said:?} instead of {field}");
    }
    Ok(())
}

/// Where every offer misses two limits, relaxing one of them lets in nothing. Whoever is told "the cheapest costs so much"
/// raises the cap and is refused again; so no best is named, and the other limit is. Once the other one is relaxed, the
/// best of the first is said, and fits.
pub fn a_limit_that_does_not_help_alone_is_not_promised_to(engine: &dyn PricingEngine) -> Verdict {
    let world = one_lane(vec![offering("small", 2, 4, "0.1"), offering("large", 4, 8, "0.21")]);
    let capped = |vcpus, cap| Request { max_price_per_hour: Some(cap), ..sized(vcpus, 1.0) };
    let failed = nothing(engine, &world, &capped(1000.0, 0.01))?.failed;
    hold!(failed.field == "max_price_per_hour", "{} is named", failed.field);
    hold!(failed.limit.is_none(), "{:?} is promised, and nothing has 1000 vCPUs", failed.limit);
    hold!(failed.also == ["vcpus"], "{:?} is named beside it", failed.also);
    let alone = nothing(engine, &world, &capped(4.0, 0.01))?.failed;
    hold!(alone.limit.as_deref() == Some("0.21") && alone.also.is_empty(), "alone: {alone:?}");
    expect_types(engine, &world, &capped(4.0, 0.21), &["large"])
}

/// Everything has a limit. Quotes are stored with every reservation: without a limit a large catalogue makes a record
/// too large for its store. A limit beyond what there is takes nothing away.
pub fn the_limit_of_quotes_is_kept(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![in_zones("a", "0.1"), in_zones("b", "0.2")]);
    for (limit, want) in [(1, 1), (4, 4), (100, 6)] {
        world.limit = limit;
        let got = fits(engine, &world, &sized(1.0, 1.0))?.len();
        hold!(got == want, "{got} quotes with a limit of {limit}");
    }
    Ok(())
}
