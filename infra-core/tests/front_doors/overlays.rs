//! Discounts of a team: what an operator sets is what the team's quotes say, to the billionth, and nobody else's.

use std::time::Duration;

use infra_core::contracts::pricing::Quote;
use infra_core::infra::{OverlaysView, UserHandle};
use infra_core::nouns::offering::Offering;
use infra_core::nouns::overlay::{Off, Overlay};
use infra_core::nouns::request::{Market, Request};
use infra_core::words::clock::Clock;
use infra_core::words::ids::TenantId;
use infra_core::words::lane::Version;
use infra_core::words::money::Money;
use infra_core::{InfraError, SystemClock};

use infra_providers::sim::{FaultEffect, Match, Rule};

use super::house::{HOME, House, sim, wish};

const CREW: &str = "crew";

fn crew() -> TenantId {
    CREW.parse().expect("legal")
}

fn overlay(family: Option<&str>, market: Option<Market>, off: Off) -> Overlay {
    let family = family.map(str::to_owned);
    Overlay { name: "plan".to_owned(), provider: Some(sim()), region: None, family, market, off }
}

/// Without a time: what is ranked is an hour.
fn hourly() -> Request {
    let mut request = wish(2);
    request.duration_s = None;
    request
}

async fn quotes(user: &UserHandle) -> Vec<Quote> {
    user.quote(&hourly()).await.expect("something fits")
}

/// What two machines of a listed quote cost an hour under these overlays, in the plainest way: compute at the lowest that
/// any overlay makes of it, all else as it was.
fn lowered(listed: &Quote, overlays: &[Overlay]) -> i64 {
    let offer = &listed.choice.offering;
    let list = offer.price.per_hour().expect("it was quoted").nanos;
    let mut lowest = list;
    for overlay in overlays {
        let meant = overlay.family.as_ref().is_none_or(|family| *family == offer.family)
            && overlay.market.is_none_or(|market| market == offer.market);
        let price = match overlay.off {
            #[allow(clippy::cast_possible_truncation, reason = "whole percents")]
            Off::Percent(off) => list - list * (off as i64) / 100,
            // What would leave next to nothing was meant for something dearer.
            Off::PerHour(off) if list.saturating_sub(off.nanos).saturating_mul(20) < list => list,
            Off::PerHour(off) => list - off.nanos,
        };
        lowest = if meant { lowest.min(price) } else { lowest };
    }
    listed.per_hour.nanos - 2 * (list - lowest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discount_is_missed_misplaced_or_seen_by_another_team() {
    let house = House::quiet().await;
    let (ada, eve) = (house.mate(CREW, "ada").await, house.user("eve").await);
    let listed = quotes(&ada).await;
    let last = listed.last().expect("something is quoted").choice.offering.family.clone();
    let first = listed[0].choice.offering.family.clone();
    let sets = [
        vec![overlay(Some(&last), None, Off::Percent(90.0))],
        vec![overlay(None, Some(Market::Spot), Off::Percent(50.0))],
        vec![overlay(None, None, Off::Percent(10.0)), overlay(Some(&first), None, Off::Percent(30.0))],
        vec![overlay(None, Some(Market::OnDemand), Off::PerHour(Money::usd_nanos(1_000_000)))],
        vec![overlay(None, None, Off::PerHour(Money::usd_nanos(i64::MAX)))],
        // Above some prices, and below others.
        vec![overlay(None, None, Off::PerHour(Money::usd_nanos(20_000_000)))],
        Vec::new(),
    ];
    for overlays in sets {
        house.operator().set_overlays(&crew(), &overlays, None).await.expect("set");
        let said = quotes(&ada).await;
        let cheapest = listed.iter().map(|quote| lowered(quote, &overlays)).min().expect("some are listed");
        assert_eq!(said[0].per_hour.nanos, cheapest, "{overlays:?}");
        for quote in &said {
            let same = |it: &&Quote| {
                (&it.choice.offering.type_name, &it.choice.zone)
                    == (&quote.choice.offering.type_name, &quote.choice.zone)
            };
            let Some(list) = listed.iter().find(same) else { continue };
            assert_eq!(quote.per_hour.nanos, lowered(list, &overlays), "{overlays:?}");
            let saved = list.per_hour.nanos - quote.per_hour.nanos;
            assert_eq!((quote.saved_per_hour.nanos, quote.saved_by.is_some()), (saved, saved > 0));
        }
        assert_eq!(quotes(&eve).await[0].saved_per_hour, Money::default(), "another team pays the list");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discount_is_set_over_somebody_elses_or_for_nobody_or_makes_no_sense() {
    let house = House::quiet().await;
    let ada = house.mate(CREW, "ada").await;
    let operator = house.operator();
    let half = overlay(None, None, Off::Percent(50.0));
    assert_eq!(ada.overlays().await.expect("nothing yet").version, Version::default());
    let set = operator.set_overlays(&crew(), std::slice::from_ref(&half), Some(Version::default())).await;
    let set = set.expect("nobody was before");
    let late = operator.set_overlays(&crew(), &[], Some(Version::default())).await;
    assert!(matches!(late, Err(InfraError::Conflict { version, .. }) if version == Some(set.version)));
    assert_eq!(ada.overlays().await.expect("is there").overlays, std::slice::from_ref(&half));
    let nobody = "nobody".parse().expect("legal");
    let unknown = operator.set_overlays(&nobody, std::slice::from_ref(&half), None).await;
    assert!(matches!(unknown, Err(InfraError::NotFound { .. })), "{unknown:?}");
    let wrong: Vec<Overlay> =
        [0.0, 95.5, 100.0, -1.0, f64::NAN].map(|it| overlay(None, None, Off::Percent(it))).into();
    let refused = operator.set_overlays(&crew(), &wrong, None).await.expect_err("no part of a price");
    let said = format!("{refused:?}");
    assert!((0..wrong.len()).all(|at| said.contains(&format!("overlays[{at}].off.percent"))), "{said}");
    // What is reserved keeps its price.
    let held = ada.reserve(&hourly(), None).await.expect("accepted").view;
    operator.set_overlays(&crew(), &[], Some(set.version)).await.expect("nobody was between");
    let view = ada.get(&held.id).await.expect("is there");
    assert_eq!(view.price_per_hour, held.price_per_hour);
    assert!(quotes(&ada).await[0].per_hour > held.price_per_hour.expect("it wants machines"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_says_that_it_is_lower_and_not_by_what() {
    let house = House::quiet().await;
    let ada = house.mate(CREW, "ada").await;
    let named =
        |name: &str, percent| Overlay { name: name.to_owned(), ..overlay(None, None, Off::Percent(percent)) };
    let sets = [
        (vec![named("less", 10.0), named("more", 20.0)], Some("more")),
        (vec![named("b", 10.0), named("a", 10.0)], Some("a")),
        (vec![Overlay { market: Some(Market::Spot), ..named("spot", 10.0) }], None),
    ];
    for (set, by) in sets {
        house.operator().set_overlays(&crew(), &set, None).await.expect("set");
        assert!(quotes(&ada).await.iter().all(|quote| quote.saved_by.as_deref() == by), "{by:?}");
    }
}

/// What each overlay lowers, and what is said of it.
fn effects(view: &OverlaysView) -> Vec<(Option<usize>, String)> {
    assert_eq!(view.effects.len(), view.overlays.len());
    view.effects.iter().map(|effect| (effect.matches, effect.warnings.join(" / "))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discount_for_what_nobody_sells_is_kept_and_nobody_is_told() {
    let house = House::quiet().await;
    let ada = house.mate(CREW, "ada").await;
    let offers: Vec<_> = ada
        .offerings()
        .await
        .expect("lanes")
        .into_iter()
        .flat_map(|it| it.catalogue.offerings.clone())
        .collect();
    let family = offers[0].family.clone();
    let of = |count: &dyn Fn(&Offering) -> bool| {
        Some(offers.iter().filter(|it| it.price.per_hour().is_some() && count(it)).count())
    };
    let half = overlay(None, None, Off::Percent(50.0));
    let mistyped = format!("{family}x");
    let nowhere = Overlay { region: Some("SIM-EAST".parse().expect("legal")), ..half.clone() };
    let nowhere_at_all = Overlay { provider: None, ..nowhere.clone() };
    let set = [
        half.clone(),
        overlay(Some(&family.to_uppercase()), None, Off::Percent(50.0)),
        overlay(Some(&mistyped), None, Off::Percent(50.0)),
        nowhere,
        nowhere_at_all,
        overlay(None, None, Off::PerHour(Money::usd_nanos(i64::MAX))),
        overlay(Some(&family), Some(Market::Spot), Off::Percent(50.0)),
    ];
    let view = house.operator().set_overlays(&crew(), &set, None).await.expect("all may be right one day");
    let told = effects(&view);
    assert_eq!(told[0], (of(&|_| true), String::new()));
    assert_eq!(told[1], (of(&|it| it.family == family), String::new()), "whatever the case");
    let meant = format!("is of the family {mistyped}; did you mean {family}?");
    assert!(told[2].0 == Some(0) && told[2].1.ends_with(&meant), "{:?}", told[2]);
    for (at, whose) in [(3, "sim of this installation is not"), (4, "no cloud of this installation is")] {
        let said = format!("{whose} used in the region SIM-EAST; did you mean sim-east?");
        assert_eq!(told[at], (Some(0), said));
    }
    assert!(told[5].0 == Some(0) && told[5].1.contains("a twentieth must be left"), "{:?}", told[5]);
    let spot = of(&|it| it.family == family && it.market == Market::Spot);
    assert!(told[6].0 == spot && (spot > Some(0)) == told[6].1.is_empty(), "{:?}", told[6]);
    // The same is said to whoever looks.
    assert_eq!(effects(&house.operator().overlays(&crew()).await.expect("is there")), told);
    assert_eq!(effects(&ada.overlays().await.expect("is there")), told);
    // A cloud that there is not is a wrong field, as for keys.
    let unknown = Overlay { provider: Some("Sim".parse().expect("legal")), ..half.clone() };
    let refused = house.operator().set_overlays(&crew(), &[half, unknown], None).await;
    let Err(InfraError::OutOfRange { fields }) = refused else { panic!("{refused:?}") };
    assert_eq!(fields[0].field, "overlays[1].provider");
    assert_eq!(fields[0].message, "is not configured; known: sim; did you mean sim?");
    assert_eq!(ada.overlays().await.expect("is there").version, view.version, "nothing was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_cloud_or_a_team_without_keys_refuses_a_discount() {
    let house = House::quiet().await;
    let (ada, ben) = (house.mate(CREW, "ada").await, house.keyless("ben").await);
    let half = overlay(None, None, Off::Percent(50.0));
    let alone = "user:ben".parse().expect("legal");
    let view = house.operator().set_overlays(&alone, std::slice::from_ref(&half), None).await.expect("kept");
    assert_eq!(effects(&view), [(Some(0), "the team has no key to sim yet".to_owned())]);
    assert_eq!(effects(&ben.overlays().await.expect("is there")), effects(&view));
    let west = Match { region: Some("sim-ams".parse().expect("legal")), ..Match::default() };
    house.sim.rule(Rule::once("catalogue", FaultEffect::ServerError).times(None).only(west));
    let told = effects(&house.operator().set_overlays(&crew(), &[half], None).await.expect("kept"));
    assert!(
        told[0].0 > Some(0) && told[0].1.starts_with("sim:sim-ams/acc-crew: no answer in time"),
        "{told:?}"
    );
    house.sim.rule(Rule::once("catalogue", FaultEffect::SlowMs(3_600_000)).times(None));
    let elsewhere = house.reopened(HOME).await;
    let asked_at = SystemClock.mono();
    let told = effects(&elsewhere.user(ada.id()).overlays().await.expect("the store answers"));
    assert!(SystemClock.mono() - asked_at < Duration::from_secs(30), "a silent cloud holds nobody up");
    assert!(told[0].0.is_none() && told[0].1.contains("no answer in time"), "{told:?}");
}
