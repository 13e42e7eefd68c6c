//! Budgets beside the reservations that count against them: read with a decision, moved in its commit.
//!
//! # Flow
//! Whoever is about to change a reservation reads the budgets of its owner and of its team, computes what the
//! reservation counts for from now on ([`crate::plan::budget`]), and puts the difference into the commit that changes it.
//!
//! # Guarantees
//! * The commit that admits, grows or plans is the one that moves the sum, and fails when the sum moved meanwhile: of
//!   twenty requests at once, each is judged by what the ones before it left.
//! * Where nobody set limits there is no record, and the commit checks just that: such users wait for nobody.
//! * A sum of another month, of another installation or of an earlier epoch is counted anew from the reservations, in
//!   the same commit. That count is exact although a list is no snapshot: every change of a charge writes the record, so
//!   one that falls between makes the commit conflict.
//!
//! # Caveats
//! All members of a team with a budget write one record whenever a charge moves: at admission, growth, stop and start,
//! and at the end. Nothing else does, so the rate is that of people, not of machines. A user who moves to another team
//! takes the budget along, and what was spent in the old team only until the next count.

use crate::contracts::store::{Expect, Key};
use crate::nouns::budget::{Budget, BudgetScope, Charge, Month};
use crate::nouns::installation::Installation;
use crate::nouns::reservation::Reservation;
use crate::plan::budget::{Shortage, count, moved, passed, refused};
use crate::records::{Repo, RepoError, Txn, Versioned};
use crate::words::clock::Timestamp;
use crate::words::ids::{TenantId, UserId};

/// The budgets of one reservation's owner and team, as they count now.
#[derive(Debug, Clone)]
pub struct Budgets {
    found: Vec<(Key, Option<Versioned<Budget>>)>,
}

impl Budgets {
    /// Reads both, and counts anew what is of another month or epoch.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn read(
        repo: &Repo,
        installation: &Installation,
        (owner, tenant): (&UserId, &TenantId),
        now: Timestamp,
    ) -> Result<Self, RepoError> {
        let scopes = [BudgetScope::User(owner.clone()), BudgetScope::Team(tenant.clone())];
        let keys = scopes.each_ref().map(Budget::place);
        let records = repo.get_all::<Budget>(&keys).await?;
        let mut found = Vec::new();
        for (key, record) in keys.into_iter().zip(records) {
            let record = match record {
                Some(was) => Some(fresh(repo, installation, tenant, was, now).await?),
                None => None,
            };
            found.push((key, record));
        }
        Ok(Self { found })
    }

    /// One budget, as it counts now; `None` when nobody set it.
    ///
    /// # Errors
    /// [`RepoError`].
    pub async fn of(
        repo: &Repo,
        installation: &Installation,
        scope: &BudgetScope,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<Option<Versioned<Budget>>, RepoError> {
        match repo.get::<Budget>(Budget::place(scope)).await? {
            Some(was) => fresh(repo, installation, tenant, was, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// Those that somebody set.
    #[must_use]
    pub fn records(self) -> Vec<Versioned<Budget>> {
        self.found.into_iter().filter_map(|(_, budget)| budget).collect()
    }

    /// The limits that are set, with what counts against them.
    #[must_use]
    pub fn set(&self) -> Vec<Budget> {
        self.found.iter().filter_map(|(_, budget)| Some(budget.as_ref()?.value.clone())).collect()
    }

    /// The first limit that is passed as things stand.
    #[must_use]
    pub fn passed(&self) -> Option<Shortage> {
        self.found.iter().find_map(|(_, budget)| passed(&budget.as_ref()?.value))
    }

    /// Does any of them refuse this?
    ///
    /// # Errors
    /// [`Shortage`]: the first limit that it would pass.
    pub fn allow(&self, was: Option<&Charge>, is: &Charge) -> Result<(), Box<Shortage>> {
        let no = self.found.iter().find_map(|(_, budget)| refused(&budget.as_ref()?.value, was, is));
        no.map_or(Ok(()), |no| Err(Box::new(no)))
    }

    /// Puts a change of a charge into the commit that makes it; nothing when nothing moves.
    pub fn put(&self, txn: &mut Txn, was: Option<&Charge>, is: Option<&Charge>) {
        if was == is {
            return;
        }
        for (key, budget) in &self.found {
            match budget {
                Some(budget) => {
                    let totals = moved(budget.value.totals, was, is);
                    txn.update(budget, &Budget { totals, ..budget.value.clone() });
                }
                None => txn.check(key.clone(), Expect::Absent),
            }
        }
    }

    /// The same for the owner alone: a reservation that is handed over stays in its team.
    #[must_use]
    pub fn of_the_owner(mut self) -> Self {
        self.found.truncate(1);
        self
    }
}

/// A budget whose sum is of now.
async fn fresh(
    repo: &Repo,
    installation: &Installation,
    tenant: &TenantId,
    was: Versioned<Budget>,
    now: Timestamp,
) -> Result<Versioned<Budget>, RepoError> {
    let (month, here) = (Month::of(now), (installation.id, installation.epoch));
    let totals = &was.value.totals;
    if totals.month == month && totals.next_month.is_some() && was.value.counted_in == here {
        return Ok(was);
    }
    let value = recount(repo, tenant, Budget { counted_in: here, ..was.value }, month).await?;
    Ok(Versioned { value, version: was.version })
}

/// Counts a budget from its reservations, those that were over before this month left out.
///
/// # Errors
/// [`RepoError`].
pub async fn recount(
    repo: &Repo,
    tenant: &TenantId,
    budget: Budget,
    month: Month,
) -> Result<Budget, RepoError> {
    let all: Vec<Versioned<Reservation>> = match &budget.scope {
        BudgetScope::User(user) => repo.list_owner(tenant, user, None).await?,
        BudgetScope::Team(team) => repo.list_prefix(team, "", None).await?,
    };
    let counts = |one: &&Reservation| one.over_at.is_none_or(|over| over >= month.start());
    let totals = count(all.iter().map(|record| &record.value).filter(counts), month);
    Ok(Budget { totals, ..budget })
}
