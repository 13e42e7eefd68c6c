//! The laws about what is prepared.
//!
//! # Guarantees
//! * Each law compares an engine with itself, asked in two ways: what is right is for the other laws to say.
//!
//! # Caveats
//! What keeps an engine from preparing per team is the shape of [`PricingEngine::prepare`]: it sees no team.

use jiff::SignedDuration;

use super::{Verdict, broken, one_lane, sized};
use crate::contracts::pricing::{Excluded, PricingEngine, Ranking};
use crate::nouns::offering::{Offering, Price};
use crate::nouns::policy::Burstable;
use crate::nouns::request::{Arch, Market, Request};
use crate::testing::price_world::{PRICED_AT, PriceWorld, offering};
use crate::words::ids::Zone;

/// A hundred and thirty offers of few sizes and prices, in no order: the best costs as much as what rules exclude.
fn many() -> Vec<Offering> {
    let mut offers: Vec<Offering> = (1..=130_u32)
        .map(|n| Offering {
            burstable: n % 3 == 0,
            family: format!("f{}", n % 5),
            generation: (n % 4 > 0).then_some(n % 4),
            arch: if n % 7 == 0 { Arch::Arm64 } else { Arch::X86_64 },
            ..offering(
                &format!("t{n}"),
                1 + n % 6,
                1 + u64::from(n % 9),
                &format!("0.{:03}", 1 + n * 37 % 101),
            )
        })
        .collect();
    offers.rotate_left(50);
    offers
}

/// Sizes, an architecture, rules, and two that nothing fits.
fn needs() -> Vec<Request> {
    let mut strict = sized(2.0, 3.0);
    strict.policy.burstable = Burstable::Deny;
    strict.policy.min_generation = Some(2);
    strict.policy.families.deny = vec!["f1".to_owned(), "f2".to_owned()];
    vec![
        sized(3.0, 4.0),
        sized(1.0, 99.0),
        Request { arch: Some(Arch::Arm64), ..sized(2.0, 2.0) },
        Request { max_price_per_hour: Some(0.0005), ..strict.clone() },
        strict,
    ]
}

/// What differs, without a hundred offers in the sentence.
fn differ(want: &Ranking, got: &Ranking) -> Verdict {
    let first = |it: &Ranking| match it {
        Ranking::Fits(quotes) => {
            quotes.first().map(|it| format!("{} in {:?}", it.choice.offering.type_name, it.choice.zone))
        }
        Ranking::Nothing(why) => Some(format!("nothing, for {}", why.failed.field)),
    };
    broken(format!("first {:?}, and with what was prepared {:?}", first(want), first(got)))
}

/// What was prepared is there to be quick, and for nothing else: the same answer with it and without, refusals included.
/// The best here costs as much as what rules exclude, so an index that dropped what another row dominates answers wrong.
pub fn what_was_prepared_changes_no_answer(engine: &dyn PricingEngine) -> Verdict {
    let world = PriceWorld { limit: 7, ..one_lane(many()) };
    for need in needs() {
        let (without, with) = (world.rank(engine, &need), world.rank_prepared(engine, &need));
        if without != with {
            return differ(&without, &with);
        }
    }
    Ok(())
}

/// What was prepared of one catalogue serves for all that offer the same at the same prices
/// ([`PricingEngine::prepare`]), because a hundred teams read a hundred of them. An engine that keeps more than it may
/// quotes one team the zones and images of another. Prepares of a catalogue that differs in all that is not promised, and
/// ranks with another, then the other way around.
pub fn what_was_prepared_serves_all_that_offer_the_same(engine: &dyn PricingEngine) -> Verdict {
    let zones: Vec<Zone> = ["z1", "z2", "z3"].iter().filter_map(|zone| zone.parse().ok()).collect();
    let mut offers = many();
    for (nth, offer) in offers.iter_mut().enumerate() {
        offer.zones = zones[..nth % 4].to_vec();
        if let Price::Known { as_of, live, .. } = &mut offer.price {
            let days = i64::try_from(nth % 5).unwrap_or(0) * 10;
            (*as_of, *live) = (PRICED_AT - SignedDuration::from_hours(24 * days), nth % 2 == 0);
        }
    }
    offers[7].price = Price::Unknown { reason: "not for sale".to_owned() };
    let mut world = PriceWorld { limit: 7, ..one_lane(offers) };
    let lane = world.lanes[0].lane.id();
    let barred = world.lanes[0].catalogue.offerings.iter().step_by(3).map(|it| it.type_name.clone());
    let barred = barred.map(|type_name| Excluded {
        lane: lane.clone(),
        type_name,
        zone: zones.first().cloned(),
        market: Market::OnDemand,
    });
    world.excluded = barred.collect();
    let other = world.same_offers();
    for (world, other) in [(&world, &other), (&other, &world)] {
        let prepared = other.prepare(engine);
        for need in needs() {
            let alone = world.rank_prepared(engine, &need);
            let shared = world.with_context(&prepared, |context| engine.rank(&need, context));
            if alone != shared {
                return differ(&alone, &shared);
            }
        }
    }
    Ok(())
}
