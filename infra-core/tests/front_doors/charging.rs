//! Budgets, quotes and usage count as clouds charge: minima, ceilings of a month, machines that stay too long or are off.

use std::time::Duration;

use infra_core::infra::UserHandle;
use infra_core::nouns::budget::Month;
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::{DeadlineKind, Reservation};
use infra_core::plan::budget::charge;
use infra_core::words::clock::{Timestamp, later};

use super::house::{House, wish};

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
