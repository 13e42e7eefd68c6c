//! What a user or a team may hold and spend, and what each reservation counts for against that.
//!
//! # Shapes
//! A [`Budget`] is one record per user or team: the limits that somebody set, and the sum of the charges of all its
//! reservations. There is none for whom nobody set limits, so whoever has no budget shares no record with anybody. A
//! [`Charge`] stands in its reservation and moves with it, in the same commits that move the sum.
//!
//! # Guarantees
//! * A month is a calendar month of UTC. What a reservation comes to in it is what it came to so far, and what it goes on
//!   to cost until its end or the month's, whichever is first.
//! * The sum of all charges is a function of the reservations' own records: it can be counted anew at any time, and is
//!   when the month changes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::actor::By;
use super::offering::Billing;
use crate::words::clock::{Timestamp, between};
use crate::words::ids::{InstallationId, TenantId, UserId};
use crate::words::money::Money;

/// A calendar month of UTC, counted from year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Month(pub i32);

impl Month {
    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The month of a moment.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let day = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        Self(i32::from(day.year()) * 12 + i32::from(day.month()) - 1)
    }

    /// Its first moment; the earliest or the latest there is for a month beyond what can be said.
    #[must_use]
    pub fn start(self) -> Timestamp {
        let year = i16::try_from(self.0.div_euclid(12)).unwrap_or(i16::MAX);
        let month = i8::try_from(self.0.rem_euclid(12) + 1).unwrap_or(1);
        let day = jiff::civil::Date::new(year, month, 1).ok();
        let start = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
        start.map_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX }, |start| start.timestamp())
    }

    /// The first moment after it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.next().start()
    }

    /// How much of the time between two moments is in it.
    #[must_use]
    pub fn overlap(self, from: Timestamp, to: Timestamp) -> std::time::Duration {
        between(from.max(self.start()), to.min(self.end()))
    }
}

impl std::str::FromStr for Month {
    type Err = ();

    /// Reads `2026-11`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (year, month) = text.split_once('-').filter(|(y, m)| y.len() == 4 && m.len() == 2).ok_or(())?;
        let digits =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i32>().ok());
        match (digits(year).flatten(), digits(month).flatten()) {
            (Some(year), Some(month @ 1..=12)) => Ok(Self(year * 12 + month - 1)),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Month {
    /// `2026-11`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

/// Whose budget.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// Of one user, whatever team it is in.
    User(UserId),
    /// Of all users of a team together.
    Team(TenantId),
}

impl BudgetScope {
    /// Its word and name: `user:ada`.
    #[must_use]
    pub fn id(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for BudgetScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Team(team) => write!(f, "team:{team}"),
        }
    }
}

/// What may be held and spent; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct BudgetLimits {
    /// Machines at once, turned off ones included.
    pub machines: Option<u32>,
    /// Virtual processors that run at once.
    pub vcpus: Option<u32>,
    /// What everything that runs may cost per hour.
    pub per_hour: Option<Money>,
    /// What a calendar month of UTC may cost: spent so far, and what there is goes on to cost until it ends. Asked of
    /// this month and of the next.
    pub per_month: Option<Money>,
}

/// Which of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BudgetKind {
    /// [`BudgetLimits::machines`].
    Machines,
    /// [`BudgetLimits::vcpus`].
    Vcpus,
    /// [`BudgetLimits::per_hour`].
    PerHour,
    /// [`BudgetLimits::per_month`].
    PerMonth,
}

impl fmt::Display for BudgetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Machines => "machines",
            Self::Vcpus => "vcpus",
            Self::PerHour => "per_hour",
            Self::PerMonth => "per_month",
        })
    }
}

/// The dearest machine a reservation may take: all of its machines are counted as this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Each {
    /// While it runs.
    pub per_hour: Money,
    /// While it is off.
    pub off_per_hour: Money,
    /// Thousandths of a virtual processor.
    pub vcpus_milli: u32,
    /// How time on is charged; `None` in records that are older than this: by the hour's share, without a minimum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
}

/// How time is charged by the dearest rule of the clouds that a machine may come from, field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Rules {
    /// Seconds paid at least.
    pub min_s: u32,
    /// Amount paid at least, per machine.
    pub min_charge: Money,
    /// Begun hours are paid whole.
    pub by_hour: bool,
    /// Hours paid at most per calendar month; `None` when one of the clouds charges them all.
    pub month_hours_max: Option<u32>,
}

impl Rules {
    /// The dearer of two, field by field.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let most = self.month_hours_max.zip(other.month_hours_max);
        Self {
            min_s: self.min_s.max(other.min_s),
            min_charge: self.min_charge.max(other.min_charge),
            by_hour: self.by_hour || other.by_hour,
            month_hours_max: most.map(|(one, other)| one.max(other)),
        }
    }
}

impl From<Billing> for Rules {
    fn from(billing: Billing) -> Self {
        match billing {
            Billing::PerSecond { min_s, min_charge, month_hours_max } => {
                Self { min_s, min_charge, by_hour: false, month_hours_max }
            }
            Billing::PerHour => Self { by_hour: true, ..Self::default() },
        }
    }
}

impl Each {
    /// The dearer of two, field by field.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            per_hour: self.per_hour.max(other.per_hour),
            off_per_hour: self.off_per_hour.max(other.off_per_hour),
            vcpus_milli: self.vcpus_milli.max(other.vcpus_milli),
            rules: match (self.rules, other.rules) {
                (None, None) => None,
                (one, other) => Some(one.unwrap_or_default().max(other.unwrap_or_default())),
            },
        }
    }
}

/// What a reservation counts for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Machines.
    pub machines: u32,
    /// Thousandths of virtual processors that may run.
    pub vcpus_milli: u64,
    /// All machines, from `since` on.
    pub per_hour: Money,
    /// It ends then at the latest; `None` when nobody said.
    pub until: Option<Timestamp>,
    /// When `per_hour` began to count.
    pub since: Timestamp,
    /// Which month `before` is of: that of `since`.
    pub month: Month,
    /// What it came to in that month before `since`.
    pub before: Money,
    /// The dearest machine it may take.
    pub each: Each,
    /// How the time since then is charged; `None` for the hour's share alone: of machines that are off, and in records
    /// that are older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
}

/// A sum of charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Totals {
    /// Machines.
    pub machines: u64,
    /// Thousandths of virtual processors.
    pub vcpus_milli: u64,
    /// Everything that runs.
    pub per_hour: Money,
    /// Which month `in_month` is of.
    pub month: Month,
    /// Spent in it, and still to be.
    pub in_month: Money,
    /// What there is will cost in the month after it, or, what goes on for longer, in the dearest of those that follow;
    /// `None` in records that are older than this sum.
    #[serde(default)]
    pub next_month: Option<Money>,
}

/// The limits of a user or a team, and what counts against them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Whose.
    pub scope: BudgetScope,
    /// How much.
    pub limits: BudgetLimits,
    /// The sum over its reservations.
    pub totals: Totals,
    /// In which installation, and in which epoch of it, that was counted: a copy or a restored store counts anew.
    pub counted_in: (InstallationId, u32),
    /// When the limits were set.
    pub changed_at: Timestamp,
    /// By whom.
    pub changed_by: By,
}
