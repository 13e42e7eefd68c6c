//! What machines came to, what they cost now, and what they will have come to.
//!
//! # Flow
//! A machine is on from its birth (or from the first send of its attempt, where no cloud said when it was born) to its
//! end, but for the times it was seen off. Each time on is charged by the cloud's own rule ([`charge`]), minimum included,
//! each time off at what a machine costs that is off. A month's share is what had been charged by its end, less what had
//! been by its beginning.
//!
//! # Guarantees
//! * It follows from the records alone: the price stands on the attempt, as it was when the machine was chosen.
//! * Months add up to the whole: nothing is counted twice or lost at their edges.
//! * What is over keeps its sums in the reservation, since its attempts are forgotten earlier.
//!
//! # Caveats
//! * By list price less the team's overlays, without traffic and snapshots, whose prices no catalogue says. It is no bill.
//! * When a machine was off, and when it ended, is known as closely as it was looked at: by the second while its
//!   reservation moves, by a minute while nothing does.
//! * Attempts of machines that were replaced are forgotten 30 days after their end, and what they came to with them, while
//!   their reservation is open.

use std::time::Duration;

use super::cost::charge;
use crate::nouns::budget::Month;
use crate::nouns::cloud::ThingState;
use crate::nouns::launch::{Launch, LaunchBody, LaunchPrice, Thing};
use crate::nouns::offering::Billing;
use crate::nouns::reservation::{DeadlineKind, Reservation};
use crate::words::clock::{Timestamp, between};
use crate::words::money::Money;

/// Months that are summed up one by one at most; no lease is longer.
const SUMMED_MONTHS_MAX: i32 = 120;

/// What one reservation, one user or one team spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spending {
    /// Since it began.
    pub so_far: Money,
    /// In the month asked for.
    pub in_month: Money,
    /// All machines that are there, for one hour as they are now.
    pub per_hour: Money,
    /// What it will have come to at its end, as it is now; `None` when nobody said when that is.
    pub at_end: Option<Money>,
    /// What the month will have come to at its end, or at the reservation's.
    pub at_month_end: Money,
}

impl Spending {
    /// Two together. What has no end has none together with anything.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            so_far: self.so_far.plus(other.so_far),
            in_month: self.in_month.plus(other.in_month),
            per_hour: self.per_hour.plus(other.per_hour),
            at_end: self.at_end.zip(other.at_end).map(|(one, other)| one.plus(other)),
            at_month_end: self.at_month_end.plus(other.at_month_end),
        }
    }

    /// Nothing, to add to.
    #[must_use]
    pub fn nothing() -> Self {
        Self { at_end: Some(Money::default()), ..Self::default() }
    }
}

/// What a reservation spends, in all and in one month.
#[must_use]
pub fn spending<'a>(
    reservation: &Reservation,
    rows: impl IntoIterator<Item = &'a Launch>,
    month: Month,
    now: Timestamp,
) -> Spending {
    if let Some(cost) = reservation.cost {
        let in_month = closed_in(reservation, month);
        return Spending {
            so_far: cost,
            in_month,
            per_hour: Money::default(),
            at_end: Some(cost),
            at_month_end: in_month,
        };
    }
    let rows: Vec<&Launch> = rows.into_iter().collect();
    let so_far = total(reservation, rows.iter().copied(), now);
    let per_hour = rows.iter().fold(Money::default(), |sum, row| sum.plus(rate(reservation, row)));
    let of = |kind| reservation.deadlines.0.get(&kind).copied();
    let ends = of(DeadlineKind::Ends).into_iter().chain(of(DeadlineKind::MaxLife)).min();
    let ends = if reservation.desired.present { ends } else { Some(now) };
    // As it will be charged, not an hour's price times hours: minima are paid already, a month's ceiling is reached.
    let until = ends.unwrap_or(Timestamp::MAX).min(month.end()).max(now);
    Spending {
        so_far,
        in_month: in_month(reservation, &rows, month, now),
        per_hour,
        at_end: ends.map(|ends| total(reservation, rows.iter().copied(), ends.max(now))),
        at_month_end: in_month(reservation, &rows, month, until),
    }
}

/// What all machines of a reservation had come to by a moment.
#[must_use]
pub fn total<'a>(
    reservation: &Reservation,
    rows: impl IntoIterator<Item = &'a Launch>,
    upto: Timestamp,
) -> Money {
    let machines = rows.into_iter().filter(|row| matches!(row.frozen.body, LaunchBody::Machine(_)));
    machines.fold(Money::default(), |sum, row| sum.plus(of_row(reservation, row, upto)))
}

/// What each month came to, from the first to this one: written into a reservation when it is over.
#[must_use]
pub fn by_month(reservation: &Reservation, rows: &[&Launch], now: Timestamp) -> Vec<(Month, Money)> {
    let (first, last) = (Month::of(reservation.created_at), Month::of(now));
    let months = (first.0.max(last.0 - SUMMED_MONTHS_MAX)..=last.0).map(Month);
    let sums = months.map(|month| (month, in_month(reservation, rows, month, now)));
    sums.filter(|(_, sum)| sum.nanos != 0).collect()
}

/// What machines of a reservation came to in a month, until now.
#[must_use]
pub fn in_month(reservation: &Reservation, rows: &[&Launch], month: Month, now: Timestamp) -> Money {
    let by = |at: Timestamp| total(reservation, rows.iter().copied(), at);
    let (before, after) = (by(month.start().min(now)), by(month.end().min(now)));
    Money { nanos: after.nanos.saturating_sub(before.nanos), ..after }
}

/// What a reservation that is over came to in a month. One that is older than these sums came to all of it in the month
/// it was over in.
fn closed_in(reservation: &Reservation, month: Month) -> Money {
    if !reservation.months.is_empty() {
        return reservation.months.get(&month).copied().unwrap_or_default();
    }
    let over = reservation.over_at.map(Month::of);
    reservation.cost.filter(|_| over == Some(month)).unwrap_or_default()
}

/// The price of one machine of a row: as it was frozen, or, for older rows, as the choice says that it was made from.
fn price(reservation: &Reservation, row: &Launch) -> Option<LaunchPrice> {
    let LaunchBody::Machine(body) = &row.frozen.body else { return None };
    // The same type costs differently elsewhere, and on another market.
    let chosen = || {
        reservation.spec.choices.iter().find(|choice| {
            choice.offering.type_name == body.type_name
                && choice.offering.market == body.market
                && choice.lane == row.lane
                && choice.zone == row.frozen.zone
        })
    };
    row.price.or_else(|| {
        let per_hour = chosen()?.per_hour;
        Some(LaunchPrice { per_hour, off_per_hour: per_hour, billing: Billing::default() })
    })
}

/// What the machines of a row cost per hour as they are now.
fn rate(reservation: &Reservation, row: &Launch) -> Money {
    let Some(price) = price(reservation, row) else { return Money::default() };
    let there = row.alive().filter(|thing| thing.ended_at.is_none());
    there.fold(Money::default(), |sum, thing| {
        sum.plus(if thing.state == ThingState::Stopped { price.off_per_hour } else { price.per_hour })
    })
}

fn of_row(reservation: &Reservation, row: &Launch, upto: Timestamp) -> Money {
    let (Some(price), Some(sent)) = (price(reservation, row), row.first_sent()) else {
        return Money::default();
    };
    let costs = row.things.iter().map(|thing| of_thing(&price, thing, sent, upto));
    costs.fold(Money::default(), Money::plus)
}

/// One machine: each time on by the cloud's rule, each time off at what is still paid then.
fn of_thing(price: &LaunchPrice, thing: &Thing, sent: Timestamp, upto: Timestamp) -> Money {
    let born = thing.born_at.map_or(sent, |born| born.max(sent));
    let gone =
        || (!thing.alive()).then(|| thing.missing.as_ref().map_or(thing.seen_at, |missing| missing.first));
    let end = thing.ended_at.or_else(gone).unwrap_or(Timestamp::MAX).min(upto);
    let mut sum = Money::default();
    let mut on = born;
    let mut pay = |from: Timestamp, to: Timestamp| {
        if from < end {
            let time = between(from, to.min(end));
            sum = sum.plus(charge(price.billing, price.per_hour, from, time));
        }
    };
    let mut off_time = Duration::ZERO;
    for off in &thing.offs {
        pay(on, off.from);
        on = off.to.unwrap_or(Timestamp::MAX);
        off_time += between(off.from.max(born), on.min(end));
    }
    pay(on, Timestamp::MAX);
    sum.plus(price.off_per_hour.per_hour_for(off_time))
}
