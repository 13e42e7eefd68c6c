//! Usage: exact by the records, month by month, with what was off and what is over.

use std::time::Duration;

use infra_core::nouns::budget::Month;
use infra_core::nouns::cloud::ThingState;
use infra_core::nouns::launch::{Launch, LaunchBody, LaunchPrice, Off, SendRecord, Thing};
use infra_core::nouns::offering::Billing;
use infra_core::nouns::reservation::{Heal, Phase, Reservation};
use infra_core::price::usage::{by_month, spending, total};
use infra_core::testing::fixtures;
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::BootId;
use infra_core::words::money::Money;

use super::house::{House, wish};

const PATIENCE: Duration = Duration::from_secs(30);

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn usd(text: &str) -> Money {
    Money::parse_usd(text).expect("an amount")
}

/// One machine at a dollar per hour, ten cents while it is off, on since 22:00 on the last of November.
fn machine() -> (Reservation, Launch) {
    let born = at("2026-11-30T22:00:00Z");
    let mut reservation = fixtures::reservation(1, Heal::Report, Some(Duration::from_secs(10 * 3600)), born);
    reservation.created_at = born;
    let mut row = fixtures::launch(1);
    row.frozen.body = LaunchBody::Machine(fixtures::machine());
    row.units = 0..1;
    row.sends = vec![SendRecord { at: born, by: BootId(uuid()), effect: None, said: None }];
    row.price =
        Some(LaunchPrice { per_hour: usd("1"), off_per_hour: usd("0.1"), billing: Billing::default() });
    row.things = vec![Thing { unit: Some(0), born_at: Some(born), ..fixtures::thing("i-1", born) }];
    (reservation, row)
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::nil()
}

fn months(reservation: &Reservation, row: &Launch, now: Timestamp) -> Vec<(String, Money)> {
    by_month(reservation, &[row], now).into_iter().map(|(month, sum)| (month.to_string(), sum)).collect()
}

#[test]
fn what_was_off_is_charged_as_on_and_a_month_takes_what_is_anothers() {
    let (reservation, mut row) = machine();
    let now = at("2026-12-01T06:00:00Z");
    assert_eq!(total(&reservation, [&row], now), usd("8"));
    // Off from 23:00 to 03:00: an hour in November, three in December.
    row.things[0].offs = vec![Off { from: at("2026-11-30T23:00:00Z"), to: Some(at("2026-12-01T03:00:00Z")) }];
    assert_eq!(total(&reservation, [&row], now), usd("4.4"));
    let parts = vec![("2026-11".to_owned(), usd("1.1")), ("2026-12".to_owned(), usd("3.3"))];
    assert_eq!(months(&reservation, &row, now), parts);
    let december = Month::of(now);
    let spent = spending(&reservation, [&row], december, now);
    assert_eq!((spent.so_far, spent.in_month, spent.per_hour), (usd("4.4"), usd("3.3"), usd("1")));
    // It ends an hour of build after ten hours of use: at 09:00.
    assert_eq!((spent.at_end, spent.at_month_end), (Some(usd("7.4")), usd("6.3")));
    row.things[0].state = ThingState::Stopped;
    row.things[0].offs.push(Off { from: at("2026-12-01T05:00:00Z"), to: None });
    let spent = spending(&reservation, [&row], december, now);
    assert_eq!((spent.so_far, spent.per_hour), (usd("3.5"), usd("0.1")));
}

#[test]
fn the_clouds_minimum_is_paid_once_for_each_start_and_nothing_after_the_end() {
    let (reservation, mut row) = machine();
    let (born, far) = (at("2026-11-30T22:00:00Z"), at("2026-12-09T00:00:00Z"));
    row.things[0].ended_at = Some(later(born, Duration::from_secs(10)));
    let minute = usd("1").per_hour_for(Duration::from_secs(60));
    assert_eq!(total(&reservation, [&row], far), minute, "sixty seconds at least");
    let second = |n| later(born, Duration::from_secs(n));
    row.things[0].offs = vec![Off { from: second(5), to: Some(second(7)) }];
    row.things[0].ended_at = Some(second(10));
    let off = usd("0.1").per_hour_for(Duration::from_secs(2));
    assert_eq!(
        total(&reservation, [&row], far),
        minute.plus(minute).plus(off),
        "each start pays its minimum"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_leaves_its_month_or_a_team_mate_is_seen_by_what_it_costs() {
    let house = House::live().await;
    let (ada, ben) = (house.mate("crew", "ada").await, house.mate("crew", "ben").await);
    // An hour of it costs more than the least that a cloud charges.
    let mut request = wish(1);
    request.vcpus = Some(2.0);
    let id = ada.reserve(&request, None).await.expect("accepted").view.id;
    assert_eq!(ada.wait(&id, PATIENCE).await.expect("is there").state, Phase::Ready);
    let open = ada.usage(None).await.expect("counts");
    assert_eq!(open.reservations.len(), 1);
    assert!(open.user.per_hour.nanos > 0 && open.user.so_far.nanos > 0, "{open:?}");
    assert!(open.user.at_end.is_some_and(|end| end > open.user.so_far), "{open:?}");
    assert_eq!(Some(open.user.per_hour), ada.get(&id).await.expect("is there").price_per_hour);
    let seen = ben.usage(None).await.expect("counts");
    assert_eq!(seen.reservations, [], "what a team mate holds is not listed");
    assert_eq!(seen.user.per_hour, Money::default());
    assert!(seen.team.so_far.nanos > 0, "what the team spends is");
    ada.release(&id).await.expect("released");
    assert_eq!(ada.wait(&id, PATIENCE).await.expect("is there").state, Phase::Released);
    let over = ada.usage(None).await.expect("counts");
    let view = ada.get(&id).await.expect("readable");
    assert_eq!(Some(over.user.so_far), view.cost_so_far);
    assert_eq!(
        (over.user.in_month, over.user.per_hour),
        (over.user.so_far, Money::default()),
        "closed, in its month"
    );
    let before = Month(over.month.0 - 1);
    assert_eq!(ada.usage(Some(before)).await.expect("counts").reservations, []);
    ada.usage(Some(Month(over.month.0 + 1))).await.expect_err("has not begun");
}
