//! The laws about what it costs for real, and the rules of a policy.
//!
//! # Guarantees
//! * Each law decides by amounts that a person can work out on paper, in a world of two or three offers.

use super::{Verdict, expect_types, fits, nothing, one_lane, sized, usd};
use crate::contracts::pricing::{Advantage, CostPart, CostParts, PricingEngine};
use crate::nouns::offering::{Billing, Image, Offering};
use crate::nouns::overlay::{Off, Overlay};
use crate::nouns::policy::Burstable;
use crate::nouns::request::{Market, MarketWish, Request};
use crate::nouns::system::System;
use crate::testing::price_world::offering;

/// A public address is billed like a disk, unless nobody wants one. An engine that forgets it takes the machine that is a
/// tenth of a cent cheaper and pays half a cent for its address.
pub fn the_public_address_is_part_of_the_price(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![offering("bare", 2, 4, "0.010")]).with_lane(
        "other",
        "here",
        vec![offering("with-address", 2, 4, "0.011")],
    );
    world.lanes[0].catalogue.ipv4_hour = usd("0.005");
    expect_types(engine, &world, &sized(2.0, 4.0), &["with-address", "bare"])?;
    let shown = fits(engine, &world, &sized(2.0, 4.0))?[1].per_hour;
    hold!(shown == usd("0.015"), "an hour with an address costs {shown}");
    let private = Request { private_only: true, ..sized(2.0, 4.0) };
    expect_types(engine, &world, &private, &["bare", "with-address"])
}

/// What a managed service takes stands beside the machine's price, and the sum decides. One that takes less than nothing
/// is a broken row, and not a gift.
pub fn a_services_fee_is_part_of_the_price(engine: &dyn PricingEngine) -> Verdict {
    let fee = |name: &str, price: &str, fee: &str| Offering {
        fee_per_hour: usd(fee),
        ..offering(name, 2, 4, price)
    };
    let world = one_lane(vec![
        fee("managed", "0.10", "0.03"),
        fee("plain", "0.12", "0"),
        fee("gift", "0.10", "-0.09"),
    ]);
    expect_types(engine, &world, &sized(2.0, 4.0), &["plain", "managed"])?;
    let shown = fits(engine, &world, &sized(2.0, 4.0))?[1].per_hour;
    hold!(shown == usd("0.13"), "an hour with its fee costs {shown}");
    Ok(())
}

/// Compute, disk, address and fee, each as it is billed; together just the amount. Parts that do not add up make people
/// look for the rest on the invoice.
pub fn the_parts_of_a_cost_add_up(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![Offering { fee_per_hour: usd("0.02"), ..offering("one", 2, 4, "0.10") }]);
    (world.last().disk_gib_hour, world.last().ipv4_hour) = (usd("0.001"), usd("0.005"));
    let need = Request { count: Some(2), duration_s: Some(1801), disk_gib: Some(10.0), ..sized(2.0, 4.0) };
    let quote = &fits(engine, &world, &need)?[0];
    let parts = CostParts { compute: usd("0.2"), disk: usd("0.02"), ipv4: usd("0.01"), fee: usd("0.04") };
    hold!(quote.parts_per_hour == parts, "two machines for an hour: {:?}", quote.parts_per_hour);
    hold!(
        quote.parts_total.map(|it| it.sum()) == quote.total,
        "{:?} of {:?}",
        quote.parts_total,
        quote.total
    );
    Ok(())
}

/// A team's discount decides for that team; of two that match the lower price counts, and they never add up. An engine
/// that adds them promises what no cloud gives.
pub fn the_lowest_overlay_decides(engine: &dyn PricingEngine) -> Verdict {
    let of = |name: &str, price: &str| Offering { family: name.to_owned(), ..offering(name, 2, 4, price) };
    let mut world = one_lane(vec![of("m5", "0.10"), of("c5", "0.09")]);
    let overlay = |family: Option<&str>, off| Overlay {
        name: "a plan".to_owned(),
        provider: None,
        region: None,
        family: family.map(str::to_owned),
        market: None,
        off,
    };
    expect_types(engine, &world, &sized(2.0, 4.0), &["c5", "m5"])?;
    world.overlays = vec![overlay(Some("M5"), Off::Percent(20.0)), overlay(None, Off::PerHour(usd("0.005")))];
    expect_types(engine, &world, &sized(2.0, 4.0), &["m5", "c5"])?;
    let quotes = fits(engine, &world, &sized(2.0, 4.0))?;
    let shown: Vec<_> = quotes.iter().map(|it| (it.per_hour, it.saved_per_hour)).collect();
    hold!(
        shown == [(usd("0.08"), usd("0.02")), (usd("0.085"), usd("0.005"))],
        "prices and savings {shown:?}"
    );
    world.overlays = vec![Overlay { market: Some(Market::Spot), ..world.overlays[0].clone() }];
    expect_types(engine, &world, &sized(2.0, 4.0), &["c5", "m5"])
}

/// One cheaper offer for every rule of a policy breaks just that rule. What does not say its generation breaks the rule
/// about it.
pub fn every_rule_of_a_policy_is_kept(engine: &dyn PricingEngine) -> Verdict {
    let base =
        |name: &str| Offering { family: "m".to_owned(), generation: Some(5), ..offering(name, 2, 4, "0.1") };
    let kept = Offering { price: offering("x", 1, 1, "0.5").price, ..base("kept") };
    let world = one_lane(vec![
        Offering { burstable: true, ..base("bursts") },
        Offering { generation: Some(4), ..base("old") },
        Offering { generation: None, ..base("of-no-age") },
        Offering { family: "x".to_owned(), ..base("denied") },
        kept,
    ])
    .with_lane("cloud", "elsewhere", vec![base("other-region")])
    .with_lane("foreign", "here", vec![base("other-cloud")]);
    let mut need = sized(2.0, 4.0);
    need.policy.burstable = Burstable::Deny;
    need.policy.min_generation = Some(5);
    need.policy.families.deny = vec!["X".to_owned()];
    need.policy.regions.deny = "elsewhere".parse().into_iter().collect();
    need.policy.providers.allow = "cloud".parse().into_iter().collect();
    expect_types(engine, &world, &need, &["kept"])?;
    need.policy.min_generation = Some(6);
    let why = nothing(engine, &world, &need)?;
    hold!(why.failed.field == "policy.min_generation", "{} is named", why.failed.field);
    Ok(())
}

/// Hours beyond a month's ceiling are free, so the winner of ten minutes need not be the winner of a month.
pub fn a_month_is_not_charged_beyond_its_ceiling(engine: &dyn PricingEngine) -> Verdict {
    let mut world = one_lane(vec![offering("capped", 2, 4, "0.0105")]).with_lane(
        "other",
        "here",
        vec![offering("endless", 2, 4, "0.0100")],
    );
    world.lanes[0].catalogue.billing =
        Billing::PerSecond { min_s: 60, min_charge: usd("0"), month_hours_max: Some(672) };
    let need = |seconds| Request { duration_s: Some(seconds), ..sized(2.0, 4.0) };
    expect_types(engine, &world, &need(600), &["endless", "capped"])?;
    expect_types(engine, &world, &need(31 * 24 * 3600), &["capped", "endless"])
}

/// Spot first, however the prices stand, and always something to fall back upon: a list of nothing but spot leaves no
/// machine when the spot market is empty.
pub fn spot_comes_first_and_leaves_room_for_the_fallback(engine: &dyn PricingEngine) -> Verdict {
    let spot = |name: &str, usd: &str| Offering { market: Market::Spot, ..offering(name, 1, 1, usd) };
    let mut world = one_lane(vec![
        spot("s1", "0.01"),
        spot("s2", "0.02"),
        spot("s3", "0.30"),
        offering("kept", 1, 1, "0.1"),
    ]);
    let need = Request { market: Some(MarketWish::SpotThenOnDemand), ..sized(1.0, 1.0) };
    expect_types(engine, &world, &need, &["s1", "s2", "s3", "kept"])?;
    world.limit = 3;
    expect_types(engine, &world, &need, &["s1", "s2", "kept"])
}

/// Why a quote stands where it stands must be true: by how much, and for which part.
pub fn each_quote_says_why_it_stands_before_the_next(engine: &dyn PricingEngine) -> Verdict {
    let world = one_lane(vec![
        offering("a", 2, 4, "0.10"),
        offering("b", 2, 4, "0.12"),
        offering("c", 4, 4, "0.12"),
        offering("d", 4, 8, "0.12"),
        offering("e", 4, 8, "0.12"),
    ]);
    let said: Vec<_> = fits(engine, &world, &sized(2.0, 4.0))?.into_iter().map(|it| it.beats_next).collect();
    let want = [
        Some(Advantage::Cheaper { by: usd("0.02"), mostly: CostPart::Compute }),
        Some(Advantage::FewerVcpus { by_milli: 2000 }),
        Some(Advantage::LessMemory { by_mib: 4096 }),
        Some(Advantage::Name),
        None,
    ];
    hold!(said == want, "said {said:?}");
    Ok(())
}

/// A licence is charged by the hour beside the machine. Whoever boots Windows at the price of Linux finds the rest on the
/// invoice; so where nobody named a price with it, nothing is quoted, and the refusal says just that.
pub fn a_price_of_one_system_is_not_anothers(engine: &dyn PricingEngine) -> Verdict {
    let with = |name: &str, price: &str, system| Offering { system, ..offering(name, 2, 4, price) };
    let mut world =
        one_lane(vec![with("licensed", "0.20", System::Windows), with("plain", "0.10", System::Linux)]);
    let linux = world.last().images[0].clone();
    let image = |id: &str, os: &str, system| Image {
        id: id.parse().expect("a short id"),
        os: os.to_owned(),
        system,
        ..linux.clone()
    };
    world.last().images.extend([
        image("win", "windows 2022", System::Windows),
        image("hat", "rhel 9", System::Rhel),
        image("sql", "windows 2022 sql", System::Other),
    ]);
    let os = |os: &str| Request { os: Some(os.to_owned()), ..sized(2.0, 4.0) };
    expect_types(engine, &world, &sized(2.0, 4.0), &["plain"])?;
    expect_types(engine, &world, &os("windows 2022"), &["licensed"])?;
    let by_id = Request { image: "win".parse().ok(), ..sized(2.0, 4.0) };
    expect_types(engine, &world, &by_id, &["licensed"])?;
    for (need, field) in [
        (os("rhel 9"), "os"),
        (os("windows 2022 sql"), "os"),
        (Request { image: "hat".parse().ok(), ..sized(2.0, 4.0) }, "image"),
    ] {
        let why = nothing(engine, &world, &need)?;
        hold!(why.failed.field == field, "{} is named instead of {field}", why.failed.field);
    }
    let large = nothing(engine, &world, &Request { vcpus: Some(4.0), ..os("windows 2022") })?;
    hold!(large.failed.field == "vcpus", "{} is named where a size is missed", large.failed.field);
    Ok(())
}
