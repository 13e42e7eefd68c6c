//! What a reservation's machines came to so far: pure.
//!
//! # Caveats
//! An upper estimate by list price, from the first send of each machine to its end or its last sighting, time turned
//! off included. It is no bill.

use std::time::Duration;

use crate::nouns::launch::{Launch, LaunchBody};
use crate::nouns::reservation::Reservation;
use crate::words::clock::{Timestamp, between};
use crate::words::money::Money;

/// By list price, from the first send of each machine to its end or now. What is over has its sum written down.
#[must_use]
pub fn cost<'a>(
    reservation: &Reservation,
    rows: impl IntoIterator<Item = &'a Launch>,
    now: Timestamp,
) -> Money {
    if let Some(cost) = reservation.cost {
        return cost;
    }
    let mut sum = Money::default();
    for row in rows {
        let LaunchBody::Machine(body) = &row.frozen.body else { continue };
        // The same type costs differently elsewhere, and on another market.
        let price = reservation.spec.choices.iter().find(|choice| {
            choice.offering.type_name == body.type_name
                && choice.offering.market == body.market
                && choice.lane == row.lane
                && choice.zone == row.frozen.zone
        });
        let (Some(price), Some(since)) = (price, row.first_sent()) else { continue };
        for thing in &row.things {
            let until = if thing.alive() { now } else { thing.seen_at };
            sum = sum.plus(price.per_hour.per_hour_for(between(since, until).max(Duration::from_secs(1))));
        }
    }
    sum
}
