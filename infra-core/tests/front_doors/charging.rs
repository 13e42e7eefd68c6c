//! Budgets, quotes and usage count as clouds charge: minima, ceilings of a month, machines that stay too long or are off.

use std::sync::Arc;
use std::time::Duration;

use infra_core::infra::UserHandle;
use infra_core::nouns::budget::{BudgetLimits, Month};
use infra_core::nouns::launch::{Launch, LaunchBody, LaunchPrice, SendRecord, Thing};
use infra_core::nouns::offering::{Billing, Catalogue, OffBilling};
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::{DeadlineKind, Heal, Phase, Power, Reservation};
use infra_core::nouns::system::System;
use infra_core::plan::budget::charge;
use infra_core::price::usage::spending;
use infra_core::testing::fixtures;
use infra_core::testing::price_world::PriceWorld;
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::BootId;
use infra_core::words::money::Money;
use infra_store::MemoryStore;

use super::budgets::{accepted, of, usd};
use super::house::{HOME, House, limits, parts, quick, wish};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// One reservation as it was admitted, and what its machine costs.
async fn admitted(request: &Request) -> (House, UserHandle, Reservation) {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    ada.reserve(request, None).await.expect("no budget");
    let reservation = house.all::<Reservation>().await.remove(0).value;
    (house, ada, reservation)
}

#[tokio::test]
async fn a_machine_that_outlives_its_lease_is_free_to_its_budget() {
    let (_, _, mut reservation) = admitted(&wish(1)).await;
    let begun = at("2026-11-10T00:00:00Z");
    reservation.charge = None;
    reservation.created_at = begun;
    reservation.deadlines.0.insert(DeadlineKind::Ends, later(begun, Duration::from_secs(600)));
    let price = charge(&reservation, begun).each.per_hour;
    let mut written = 0;
    for minutes in (0..=9 * 60).step_by(5) {
        let now = later(begun, Duration::from_secs(minutes * 60));
        let counted = charge(&reservation, now);
        written += u32::from(reservation.charge.as_ref() != Some(&counted));
        reservation.charge = Some(counted.clone());
        assert_eq!(charge(&reservation, now), counted, "planned again without news");
        let (sum, ran) =
            (counted.in_month(Month::of(now)), price.per_hour_for(Duration::from_secs(minutes * 60)));
        assert!(sum >= ran, "after {minutes} minutes {ran} was spent and {sum} counted");
    }
    assert!(written < 9 * 12, "it is not written by every plan: {written}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_brief_leases_pass_a_budget_by_what_is_paid_at_least() {
    let (store, sim) = (Arc::new(MemoryStore::new()), quick());
    // A long time to build in would cost more than the minimum.
    let mut limits = limits();
    limits.build_deadline = Duration::from_secs(60);
    let builder = parts(store.clone(), &sim).with_limits(limits).with_home(HOME);
    let infra = builder.without_engine().build().await.expect("opens");
    let house = House { store, sim, infra };
    let ada = house.user("ada").await;
    let (room, least) = (usd("0.12"), usd("0.01"));
    let budget = BudgetLimits { per_month: Some(room), ..BudgetLimits::default() };
    house.operator().set_budget(&of(&ada), &budget, None).await.expect("set");
    let mut brief = wish(1);
    // For an hour this is the cheapest cloud, and it has a minimum. For a second others are cheaper.
    let lane = ada.quote(&brief).await.expect("fits").remove(0).choice.lane;
    (brief.provider, brief.region) = (Some(lane.cloud), Some(lane.region));
    brief.duration_s = Some(1);
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let (ada, brief) = (ada.clone(), brief.clone());
            tokio::spawn(async move { ada.reserve(&brief, None).await.map(drop) })
        })
        .collect();
    let mut answers = Vec::new();
    for one in asked {
        answers.push(one.await.expect("no panic"));
    }
    let fits = i64::try_from(accepted(&answers)).expect("few");
    assert!(fits > 0 && least.times(fits) <= room, "{fits} machines cost a cent each at least");
    let no = answers.into_iter().find_map(Result::err).expect("one was refused").to_string();
    assert!(no.contains("to build in"), "an hour more than asked is counted, and said: {no}");
}

#[tokio::test]
async fn a_whole_month_costs_a_budget_more_than_its_bill() {
    let (_, _, mut reservation) = admitted(&wish(1)).await;
    let begun = at("2026-11-29T12:00:00Z");
    let mut charge = charge(&reservation, begun);
    charge.since = begun;
    charge.until = Some(at("2027-01-31T00:00:00Z"));
    reservation.charge = Some(charge.clone());
    let december = Month::of(at("2026-12-01T00:00:00Z"));
    assert_eq!(charge.in_month(december), charge.per_hour.times(672), "28 days of 31 are charged");
}

#[test]
fn a_forecast_promises_more_than_a_month_is_charged() {
    let born = at("2026-11-30T22:00:00Z");
    let mut reservation = fixtures::reservation(1, Heal::Report, None, born);
    let ends = at("2027-01-01T01:00:00Z");
    reservation.deadlines.0.insert(DeadlineKind::Ends, ends);
    let billing = Billing::PerSecond { min_s: 60, min_charge: usd("0.01"), month_hours_max: Some(672) };
    let mut row: Launch = fixtures::launch(1);
    row.frozen.body = LaunchBody::Machine(fixtures::machine());
    row.units = 0..1;
    let by = BootId(uuid::Uuid::nil());
    row.sends = vec![SendRecord { at: born, by, effect: None, said: None }];
    row.price = Some(LaunchPrice { per_hour: usd("1"), off_per_hour: usd("1"), billing });
    row.things = vec![Thing { unit: Some(0), born_at: Some(born), ..fixtures::thing("i-1", born) }];
    let now = at("2026-12-01T00:00:00Z");
    let spent = spending(&reservation, [&row], Month::of(now), now);
    assert_eq!((spent.so_far, spent.at_month_end), (usd("2"), usd("672")), "28 days of December");
    assert_eq!(spent.at_end, Some(usd("675")), "and an hour of January");
    let quoted =
        infra_core::price::charge(billing, usd("1"), born, Duration::from_secs(31 * 86_400 + 3 * 3600));
    assert_eq!(spent.at_end, Some(quoted), "as it was quoted");
}

#[tokio::test]
async fn a_machine_that_is_off_is_free_where_its_cloud_bills_it() {
    let (_, ada, mut reservation) = admitted(&wish(1)).await;
    let choice = ada.quote(&wish(1)).await.expect("fits").remove(0).choice;
    assert_eq!(choice.disk_gib, 0, "this cloud sells no disks, so it is billed as it is");
    assert_eq!(choice.tariff.expect("is known").off_per_hour, choice.per_hour);
    let now = later(reservation.created_at, Duration::from_secs(600));
    (reservation.desired.power, reservation.summary.phase) = (Power::Off, Phase::Stopped);
    reservation.summary.have = 1;
    let off = charge(&reservation, now);
    assert_eq!((off.per_hour, off.vcpus_milli, off.machines), (choice.per_hour, 0, 1));
    // Parked: what is off is a snapshot, and its machine has ended.
    reservation.summary.have = 0;
    let parked = charge(&reservation, now);
    assert_eq!((parked.per_hour, parked.machines), (Money::default(), 1));
}

#[test]
fn who_sells_disks_is_taken_to_charge_nothing_else_for_what_is_off() {
    let mut world = PriceWorld::default().with_lane("cloud", "here", Vec::new());
    let catalogue = world.last();
    catalogue.disk_gib_hour = usd("0.001");
    let off = |of: &Catalogue| of.off_per_hour(usd("0.5"), 30);
    assert_eq!(off(catalogue), usd("0.5"), "nobody said so: all of it");
    catalogue.off_billing = OffBilling::Disks;
    assert_eq!(off(catalogue), usd("0.03"), "the disk that was bought");
    // A cloud that charges for disks alone is not free of charge because this machine has none: it says so.
    assert_eq!(catalogue.off_per_hour(usd("0.5"), 0), Money::default());
    // What an older program said of it, a server of the simulator perhaps, is still read.
    let mut old = serde_json::to_value(&*catalogue).expect("is written");
    for field in ["off_billing", "billing_by_system"] {
        old.as_object_mut().expect("an object").remove(field);
    }
    let read: Catalogue = serde_json::from_value(old).expect("is read");
    assert_eq!((off(&read), read.billing_of(System::Suse)), (usd("0.5"), Billing::default()));
}
