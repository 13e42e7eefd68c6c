//! What a user and its team spend: so far, per hour, and until the end and the month's end.
//!
//! # Flow
//! All reservations of the team that ran in the month, or may still run, are summed up as their records say
//! ([`crate::price::usage`]); the user's own are listed one by one, the team's are one sum.
//!
//! # Guarantees
//! * Whoever looks sees the own reservations, and of the team only what it spends together: what a team mate holds is not
//!   told by what it costs.
//! * What is over counts in the months it ran in, for as long as it stays readable.
//!
//! # Caveats
//! Reads every open reservation of the team with its attempts: a report, not a gauge.

use super::core::Core;
use super::error::InfraError;
use super::operator::Operator;
use super::user::UserHandle;
use crate::nouns::account::User;
use crate::nouns::budget::Month;
use crate::nouns::launch::Launch;
use crate::nouns::reservation::{Phase, Reservation};
use crate::price::usage::{Spending, spending};
use crate::records::{Versioned, launch_prefix};
use crate::words::clock::Timestamp;
use crate::words::ids::{ReservationId, TenantId, UserId};

/// What one reservation spends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationUsage {
    /// Which.
    pub id: ReservationId,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Whose.
    pub owner: UserId,
    /// How it is.
    pub state: Phase,
    /// Asked at.
    pub created_at: Timestamp,
    /// Ends then, or was over then.
    pub ends_at: Option<Timestamp>,
    /// How much.
    pub spending: Spending,
}

/// What a user spends, and its team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The calendar month of UTC that `in_month` is of.
    pub month: Month,
    /// As of then.
    pub at: Timestamp,
    /// The user's own reservations that ran in that month, also for nothing, oldest first.
    pub reservations: Vec<ReservationUsage>,
    /// All of them together.
    pub user: Spending,
    /// The whole team together, the user included.
    pub team: Spending,
}

impl UserHandle {
    /// What this user spends, and its team, in a month: this one when `None`. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] (`month`) for a month that has not begun.
    pub async fn usage(&self, month: Option<Month>) -> Result<Usage, InfraError> {
        let user = self.core.user(&self.id).await?.value;
        of_user(&self.core, &user, month).await
    }
}

impl Operator {
    /// What a whole team spends in a month, its reservations one by one. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] (`month`) for a month that has not begun.
    pub async fn team_usage(
        &self,
        team: &TenantId,
        month: Option<Month>,
    ) -> Result<(Vec<ReservationUsage>, Spending), InfraError> {
        let (month, now) = begun(&self.core, month)?;
        let all = of_team(&self.core, team, month, now).await?;
        let sum = sum(all.iter());
        Ok((all, sum))
    }
}

/// The month asked for, or this one.
fn begun(core: &Core, month: Option<Month>) -> Result<(Month, Timestamp), InfraError> {
    let now = core.now();
    let this = Month::of(now);
    let month = month.unwrap_or(this);
    if month > this {
        return Err(InfraError::field("month", "has not begun"));
    }
    Ok((month, now))
}

async fn of_user(core: &Core, user: &User, month: Option<Month>) -> Result<Usage, InfraError> {
    let (month, now) = begun(core, month)?;
    let all = of_team(core, &user.tenant, month, now).await?;
    let team = sum(all.iter());
    let mine: Vec<_> = all.into_iter().filter(|one| one.owner == user.id).collect();
    Ok(Usage { month, at: now, user: sum(mine.iter()), team, reservations: mine })
}

fn sum<'a>(all: impl Iterator<Item = &'a ReservationUsage>) -> Spending {
    all.fold(Spending::nothing(), |sum, one| sum.plus(one.spending))
}

/// Everything of a team that ran in a month, or may still run.
async fn of_team(
    core: &Core,
    tenant: &TenantId,
    month: Month,
    now: Timestamp,
) -> Result<Vec<ReservationUsage>, InfraError> {
    let all: Vec<Versioned<Reservation>> = core.repo.list_prefix(tenant, "", None).await?;
    let ran = |one: &Reservation| {
        one.created_at < month.end() && one.over_at.is_none_or(|over| over >= month.start())
    };
    let mut usage = Vec::new();
    for reservation in all.into_iter().map(|record| record.value).filter(ran) {
        let rows: Vec<Versioned<Launch>> = match reservation.cost {
            Some(_) => Vec::new(),
            None => core.repo.list_prefix(tenant, &launch_prefix(&reservation.id), None).await?,
        };
        let spending = spending(&reservation, rows.iter().map(|row| &row.value), month, now);
        usage.push(one(core, reservation, spending));
    }
    usage.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    Ok(usage)
}

fn one(core: &Core, reservation: Reservation, spending: Spending) -> ReservationUsage {
    let view =
        super::show::brief(core, &Versioned { version: crate::words::lane::Version(0), value: reservation });
    ReservationUsage {
        id: view.id,
        name: view.request.name,
        owner: view.user,
        state: view.state,
        created_at: view.created_at,
        ends_at: view.over_at.or(view.ends_at),
        spending,
    }
}
