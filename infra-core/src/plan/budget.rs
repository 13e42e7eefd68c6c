//! What a reservation counts for, and whether a budget allows it: pure.
//!
//! # Guarantees
//! * A charge follows from its reservation and the charge before it: whoever changes a reservation computes it anew and
//!   moves the sum by the difference, so the sum is always that of the charges.
//! * Only growth is refused, and only of what grows: whoever is beyond a limit since it was lowered may still give back.
//! * Time is charged by the cloud's own rule, as in a quote and on a bill: minima, begun hours, a month's ceiling. Where
//!   machines may come from several clouds, by the dearest of their rules.
//! * A reservation counts as its dearest machine, times its machines. A dearer offer is taken only after that was raised.
//! * A month's limit is asked of those to come, too: what is asked for in the last hour of one costs the next. What goes on
//!   for longer counts as its dearest month does ([`Charge::from_month`]), so that none is passed by what was admitted.
//! * What machines really came to counts where it is more: those that were replaced and could not be ended yet.
//! * What is there after its end (an end that is stuck, held or not believed) goes on to count: up to now, and for
//!   [`BEYOND`] more, anew with every plan that finds less than half of that left.
//!
//! # Caveats
//! Until its end the estimate counts from admission, so time spent waiting for capacity counts as if machines had run;
//! the end replaces it by what was really paid. Whenever machines or their price change a new time begins, and with it
//! another minimum is counted.

use std::fmt;
use std::time::Duration;

use crate::nouns::budget::{
    Budget, BudgetKind, BudgetLimits, BudgetScope, Charge, Each, Month, Rules, Totals,
};
use crate::nouns::offering::Billing;
use crate::nouns::reservation::{Choice, DeadlineKind, Phase, Power, Reservation};
use crate::price;
use crate::words::clock::{Timestamp, between, later};
use crate::words::money::Money;

/// How far ahead of now machines count that should have ended: longer than it takes until they are planned again.
pub const BEYOND: Duration = Duration::from_secs(15 * 60);

/// A number of things or an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Machines or virtual processors, in thousandths.
    Milli(u64),
    /// US dollars.
    Usd(Money),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Milli(milli) if milli % 1000 == 0 => write!(f, "{}", milli / 1000),
            Self::Milli(milli) => {
                write!(f, "{}", format!("{}.{:03}", milli / 1000, milli % 1000).trim_end_matches('0'))
            }
            Self::Usd(money) => write!(f, "{money} USD"),
        }
    }
}

/// Why a budget says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// Whose budget.
    pub scope: BudgetScope,
    /// Which limit of it.
    pub kind: BudgetKind,
    /// Which month, when it is not the one that runs.
    pub month: Option<Month>,
    /// The limit.
    pub max: Amount,
    /// What counts against it so far.
    pub held: Amount,
    /// How much more was asked for.
    pub asked: Amount,
    /// How much is left.
    pub left: Amount,
    /// Time that is counted besides the one asked for: its machines may be built that long.
    pub to_build_in: Option<Duration>,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, kind, month, max, held, asked, left, to_build_in } = self;
        let of = month.map(|month| format!(" in a month from {month} on")).unwrap_or_default();
        write!(
            f,
            "budget {kind} of {scope}{of}: {asked} more asked for; of {max}, {held} counted and {left} left"
        )?;
        to_build_in
            .map_or(Ok(()), |time| write!(f, "; {} min to build in are counted", time.as_secs().div_ceil(60)))
    }
}

/// What one machine of a choice counts for.
#[must_use]
pub fn each(choice: &Choice) -> Each {
    Each {
        per_hour: choice.per_hour,
        off_per_hour: choice.tariff.map_or(choice.per_hour, |tariff| tariff.off_per_hour),
        vcpus_milli: choice.offering.vcpus_milli,
        rules: choice.tariff.map(|tariff| tariff.billing.into()),
    }
}

impl Charge {
    /// What it came to in a month by a moment, as if everything had run since it was counted.
    #[must_use]
    pub fn spent(&self, month: Month, upto: Timestamp) -> Money {
        let running = match self.rules {
            Some(rules) => {
                let upto = upto.min(month.end());
                let (all, before) = (self.by(rules, upto), self.by(rules, month.start().min(upto)));
                Money { nanos: all.nanos.saturating_sub(before.nanos), ..all }
            }
            None => self.per_hour.per_hour_for(month.overlap(self.since, upto)),
        };
        if month == self.month { running.plus(self.before) } else { running }
    }

    /// What it comes to in a month, if it stays as it is: to its end, or to the month's.
    #[must_use]
    pub fn in_month(&self, month: Month) -> Money {
        self.spent(month, self.until.unwrap_or(Timestamp::MAX))
    }

    /// What it comes to in the dearest month from this one on: February is cheap, and what goes on costs more in March.
    /// Of two months that follow each other one has 31 days, so the first two say it all.
    #[must_use]
    pub fn from_month(&self, month: Month) -> Money {
        self.in_month(month).max(self.in_month(month.next()))
    }

    /// What its machines are charged from `since` to a moment, each by itself.
    fn by(&self, rules: Rules, at: Timestamp) -> Money {
        let machines = i64::from(self.machines);
        if machines == 0 || at <= self.since {
            return Money::default();
        }
        let one = Money { nanos: self.per_hour.nanos / machines, ..self.per_hour };
        rules.charge(one, self.since, between(self.since, at)).times(machines)
    }
}

impl Rules {
    /// What one machine at this hourly price is charged at most.
    fn charge(self, per_hour: Money, from: Timestamp, time: Duration) -> Money {
        let Self { min_s, min_charge, by_hour, month_hours_max } = self;
        let by = |billing| price::charge(billing, per_hour, from, time);
        let seconds = by(Billing::PerSecond { min_s, min_charge, month_hours_max });
        if by_hour { seconds.max(by(Billing::PerHour)) } else { seconds }
    }
}

/// The charge that stands in a reservation; of a record that is older than charges, what it has been since it was made.
#[must_use]
pub fn standing(reservation: &Reservation) -> Charge {
    let first = || reservation.spec.choices.first().map(each).unwrap_or_default();
    let made = || counted(reservation, first(), Money::default(), (reservation.created_at, None));
    reservation.charge.clone().unwrap_or_else(made)
}

/// What a reservation counts for from now on, given what it counted for.
///
/// The same as before when nothing of it moved, so that a plan without news writes nothing.
#[must_use]
pub fn charge(reservation: &Reservation, now: Timestamp) -> Charge {
    let was = standing(reservation);
    let new = counted(reservation, was.each, spent(reservation, &was, now), (now, was.until));
    let counts = |of: &Charge| (of.machines, of.vcpus_milli, of.per_hour, of.rules);
    // What was paid in the end replaces what was reckoned.
    let paid = reservation.over_at.is_some() && (was.before, was.until) != (new.before, new.until);
    if counts(&was) != counts(&new) || paid {
        return new;
    }
    // A new end begins no new time: its minimum would be paid again.
    Charge { each: new.each, until: new.until, ..was }
}

/// The same charge, and no less in this month than was really paid.
///
/// Machines that were replaced ran, too, for as long as they could not be ended, and are no part of what is wanted. Raised
/// by more than a quarter of an hour of a machine, since each raise is a commit.
#[must_use]
pub fn at_least(charge: Charge, paid: Money, now: Timestamp) -> Charge {
    let month = Month::of(now);
    let more = paid.nanos.saturating_sub(charge.spent(month, now).nanos);
    if more <= charge.each.per_hour.nanos / 4 {
        return charge;
    }
    let (since, before) = match month == charge.month {
        true => (charge.since, charge.before),
        false => (month.start(), Money::default()),
    };
    Charge { since, month, before: before.plus(Money { nanos: more, ..before }), ..charge }
}

/// What a new reservation counts for, when its machines are of this choice.
#[must_use]
pub fn first_charge(reservation: &Reservation, choice: Option<&Choice>, now: Timestamp) -> Charge {
    counted(reservation, choice.map(each).unwrap_or_default(), Money::default(), (now, None))
}

/// A charge that begins at a moment, with what was spent before, and until when it counted so far.
fn counted(
    reservation: &Reservation,
    each: Each,
    before: Money,
    (since, counted_until): (Timestamp, Option<Timestamp>),
) -> Charge {
    let (over, off) = (reservation.over_at.is_some(), is_off(reservation));
    let machines = if over { 0 } else { reservation.counted };
    let one = if off { each.off_per_hour } else { each.per_hour };
    let running = if off { 0 } else { u64::from(machines) };
    // Of what is parked nothing is there but a snapshot: it was off only once its machine had ended.
    let paid = if off { machines.min(reservation.summary.have) } else { machines };
    Charge {
        machines,
        vcpus_milli: running * u64::from(each.vcpus_milli),
        per_hour: one.times(i64::from(paid)),
        until: ends(reservation).map(|ends| reaching(ends, machines, counted_until, since)),
        since,
        month: Month::of(since),
        before,
        each,
        // Nobody charges a minimum for being off.
        rules: each.rules.filter(|_| !off),
    }
}

/// What it came to in this month: by its charge, and by what was really paid once it is over.
fn spent(reservation: &Reservation, was: &Charge, now: Timestamp) -> Money {
    let month = Month::of(now);
    let paid = |_| reservation.months.get(&month).copied().unwrap_or_default();
    reservation.over_at.map_or_else(|| was.spent(month, now), paid)
}

/// Turned off, and arrived there: until then its machines run.
fn is_off(reservation: &Reservation) -> bool {
    reservation.desired.power == Power::Off && reservation.summary.phase == Phase::Stopped
}

/// Until when it counts: to its end, and beyond it while machines are there.
fn reaching(ends: Timestamp, machines: u32, counted: Option<Timestamp>, now: Timestamp) -> Timestamp {
    if machines == 0 || ends > now {
        return ends;
    }
    // Not moved by every plan: each move is a commit.
    let far_enough = later(now, BEYOND / 2)..=later(now, BEYOND);
    counted.filter(|until| far_enough.contains(until)).unwrap_or(later(now, BEYOND))
}

fn ends(reservation: &Reservation) -> Option<Timestamp> {
    let of = |kind| reservation.deadlines.0.get(&kind).copied();
    [of(DeadlineKind::Ends), of(DeadlineKind::MaxLife)].into_iter().flatten().min()
}

/// The sum of the charges of these reservations.
#[must_use]
pub fn count<'a>(reservations: impl IntoIterator<Item = &'a Reservation>, month: Month) -> Totals {
    let none = Totals { month, next_month: Some(Money::default()), ..Totals::default() };
    reservations.into_iter().fold(none, |sum, one| moved(sum, None, Some(&standing(one))))
}

/// A sum after one charge became another.
#[must_use]
pub fn moved(sum: Totals, was: Option<&Charge>, is: Option<&Charge>) -> Totals {
    let (month, next) = (sum.month, sum.month.next());
    let minus = |sum: Money, part: Money| Money { nanos: sum.nanos.saturating_sub(part.nanos), ..sum };
    let mut sum = sum;
    if let Some(was) = was {
        sum.machines = sum.machines.saturating_sub(u64::from(was.machines));
        sum.vcpus_milli = sum.vcpus_milli.saturating_sub(was.vcpus_milli);
        sum.per_hour = minus(sum.per_hour, was.per_hour);
        sum.in_month = minus(sum.in_month, was.in_month(month));
        sum.next_month = sum.next_month.map(|sum| minus(sum, was.from_month(next)));
    }
    if let Some(is) = is {
        sum.machines = sum.machines.saturating_add(u64::from(is.machines));
        sum.vcpus_milli = sum.vcpus_milli.saturating_add(is.vcpus_milli);
        sum.per_hour = sum.per_hour.plus(is.per_hour);
        sum.in_month = sum.in_month.plus(is.in_month(month));
        sum.next_month = sum.next_month.map(|sum| sum.plus(is.from_month(next)));
    }
    sum
}

/// The first limit that this change would pass; `None` when it may be.
#[must_use]
pub fn refused(budget: &Budget, was: Option<&Charge>, is: &Charge) -> Option<Shortage> {
    let (held, would) = (budget.totals, moved(budget.totals, was, Some(is)));
    limits(budget).into_iter().find_map(|limit| {
        let (held, would) = ((limit.of)(&held), (limit.of)(&would));
        (would > held && would > limit.max).then(|| shortage(budget, &limit, held, would))
    })
}

/// The first limit that is passed as things stand: the month came to its end of money, or a limit was lowered. What the
/// next month will come to passes nothing yet.
#[must_use]
pub fn passed(budget: &Budget) -> Option<Shortage> {
    limits(budget).into_iter().filter(|limit| limit.month.is_none()).find_map(|limit| {
        let held = (limit.of)(&budget.totals);
        (held > limit.max).then(|| shortage(budget, &limit, held, held))
    })
}

/// A limit, and what of a sum counts against it.
struct Limited {
    kind: BudgetKind,
    /// Of which month, when not of the one that runs.
    month: Option<Month>,
    /// In thousandths or billionths.
    max: i128,
    of: fn(&Totals) -> i128,
}

fn limits(budget: &Budget) -> Vec<Limited> {
    let BudgetLimits { machines, vcpus, per_hour, per_month } = budget.limits;
    let count = |max: u32| i128::from(max) * 1000;
    let nanos = |max: Money| i128::from(max.nanos);
    let limit = |kind, max: Option<i128>, of: fn(&Totals) -> i128| {
        max.map(|max| Limited { kind, month: None, max, of })
    };
    let month = per_month.map(nanos);
    let next = limit(BudgetKind::PerMonth, month, |sum| sum.next_month.map_or(0, |sum| sum.nanos.into()));
    let all = [
        limit(BudgetKind::Machines, machines.map(count), |sum| i128::from(sum.machines) * 1000),
        limit(BudgetKind::Vcpus, vcpus.map(count), |sum| i128::from(sum.vcpus_milli)),
        limit(BudgetKind::PerHour, per_hour.map(nanos), |sum| i128::from(sum.per_hour.nanos)),
        limit(BudgetKind::PerMonth, month, |sum| i128::from(sum.in_month.nanos)),
        next.map(|limit| Limited { month: Some(budget.totals.month.next()), ..limit }),
    ];
    all.into_iter().flatten().collect()
}

fn shortage(budget: &Budget, limit: &Limited, held: i128, would: i128) -> Shortage {
    let amount = |value: i128| match limit.kind {
        BudgetKind::Machines | BudgetKind::Vcpus => Amount::Milli(u64::try_from(value).unwrap_or(0)),
        BudgetKind::PerHour | BudgetKind::PerMonth => {
            Amount::Usd(Money::usd_nanos(i64::try_from(value).unwrap_or(i64::MAX)))
        }
    };
    Shortage {
        scope: budget.scope.clone(),
        kind: limit.kind,
        month: limit.month,
        max: amount(limit.max),
        held: amount(held),
        asked: amount(would - held),
        left: amount((limit.max - held).max(0)),
        to_build_in: None,
    }
}
