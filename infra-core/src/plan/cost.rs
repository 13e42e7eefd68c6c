//! What a reservation's machines came to so far, for its history and for its end: pure.
//!
//! # Caveats
//! As [`crate::price::usage`] counts it: by list price less the team's overlays. It is no bill.

use crate::nouns::launch::Launch;
use crate::nouns::reservation::Reservation;
use crate::price::usage;
use crate::words::clock::Timestamp;
use crate::words::money::Money;

/// Until now. What is over has its sum written down.
#[must_use]
pub fn cost<'a>(
    reservation: &Reservation,
    rows: impl IntoIterator<Item = &'a Launch>,
    now: Timestamp,
) -> Money {
    reservation.cost.unwrap_or_else(|| usage::total(reservation, rows, now))
}
