//! Budgets, for those who set them and those who live with them.
//!
//! # Flow
//! An operator sets the limits of any user or team ([`Operator::set_budget`]). Whoever reads a budget is shown the limits
//! with what counts against them, counted as the next admission would.
//!
//! # Guarantees
//! * Setting limits and admitting are judged one after the other: both write the same record, or one writes what the
//!   other has checked to be absent.
//! * Lowering a limit below what is held ends nothing: what is held is held, and nothing is made until there is room.

use std::sync::Mutex;

use super::core::Core;
use super::error::InfraError;
use super::gate::{Step, not_frozen};
use super::operator::Operator;
use super::teams;
use super::user::UserHandle;
use crate::budgets::{Budgets, recount};
use crate::contracts::store::Expect;
use crate::nouns::actor::By;
use crate::nouns::budget::{Budget, BudgetLimits, BudgetScope, Month, Totals};
use crate::nouns::installation::Installation;
use crate::plan::budget::{Shortage, passed};
use crate::records::Versioned;
use crate::words::clock::Timestamp;
use crate::words::ids::TenantId;
use crate::words::lane::Version;

/// A budget as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetView {
    /// Whose.
    pub scope: BudgetScope,
    /// How much.
    pub limits: BudgetLimits,
    /// What counts against it now, and in this month.
    pub totals: Totals,
    /// The first limit that is passed, if one is.
    pub passed: Option<Shortage>,
    /// When the limits were set.
    pub changed_at: Timestamp,
    /// By whom.
    pub changed_by: By,
    /// Pass it as `if_match`.
    pub version: Version,
}

fn view(record: Versioned<Budget>) -> BudgetView {
    let passed = passed(&record.value);
    let Budget { scope, limits, totals, changed_at, changed_by, .. } = record.value;
    BudgetView { scope, limits, totals, passed, changed_at, changed_by, version: record.version }
}

impl UserHandle {
    /// The budgets that this user's reservations count against: the user's own, and its team's. Those that nobody set are
    /// left out. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn budgets(&self) -> Result<Vec<BudgetView>, InfraError> {
        let user = self.core.user(&self.id).await?.value;
        let installation = self.core.installation().await?.value;
        let budgets = self.core.budgets(&installation, &user.id, &user.tenant).await?;
        Ok(budgets.records().into_iter().map(view).collect())
    }
}

impl Operator {
    /// The budget of a user or a team; `None` when nobody set one. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`user`, `team`).
    pub async fn budget(&self, scope: &BudgetScope) -> Result<Option<BudgetView>, InfraError> {
        let tenant = tenant(&self.core, scope).await?;
        let installation = self.core.installation().await?.value;
        let read = Budgets::of(&self.core.repo, &installation, scope, &tenant, self.core.now());
        Ok(read.await?.map(view))
    }

    /// Sets what a user or a team may hold and spend. Without any limit the budget is removed, and counts nothing.
    ///
    /// What is held already stays, also above the new limits.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`user`, `team`), [`InfraError::OutOfRange`] for an amount below zero,
    /// [`InfraError::Conflict`] when `if_match` does not hold (0 for one that is not set), [`InfraError::Frozen`],
    /// [`InfraError::Busy`].
    pub async fn set_budget(
        &self,
        scope: &BudgetScope,
        limits: &BudgetLimits,
        if_match: Option<Version>,
    ) -> Result<Option<BudgetView>, InfraError> {
        check(limits)?;
        let begun = Mutex::new(None);
        let settled = self.core.settle("the budget", || self.decide(scope, limits, if_match, &begun));
        let (budget, version) = settled.await?;
        Ok(budget.map(|value| view(Versioned { value, version })))
    }

    async fn decide(
        &self,
        scope: &BudgetScope,
        limits: &BudgetLimits,
        if_match: Option<Version>,
        begun: &Mutex<Option<Timestamp>>,
    ) -> Result<Step<Option<Budget>>, InfraError> {
        let core = &*self.core;
        let tenant = tenant(core, scope).await?;
        let installation = core.installation().await?;
        not_frozen(&installation.value)?;
        let was = core.repo.get::<Budget>(Budget::place(scope)).await?;
        let version = was.as_ref().map_or(Version::default(), |was| was.version);
        // What an earlier round of this call began is no news to its caller, whatever was counted in it since.
        let begun_at = *begun.lock().expect("nobody panics while holding it");
        let ours =
            |was: &Versioned<Budget>| Some(was.value.changed_at) == begun_at && was.value.limits == *limits;
        if if_match.is_some_and(|seen| seen != version) && !was.as_ref().is_some_and(ours) {
            let (what, id) = ("budget", scope.to_string());
            return Err(InfraError::Conflict {
                what,
                id,
                why: format!("version is {version}"),
                version: Some(version),
            });
        }
        let mut txn = core.repo.txn();
        txn.check(Installation::place(), Expect::Version(installation.version));
        if *limits == BudgetLimits::default() {
            let Some(was) = was else { return Ok(Step::Done(None, version)) };
            txn.delete(&was);
            return Ok(Step::Commit(txn, None));
        }
        let now = core.now();
        let uncounted = Budget {
            scope: scope.clone(),
            limits: *limits,
            totals: Totals::default(),
            counted_in: (installation.value.id, installation.value.epoch),
            changed_at: now,
            changed_by: self.actor.by.clone(),
        };
        let was = match was {
            Some(was) => was,
            // What was admitted before this stands has moved no sum, so the count begins once it does.
            None => {
                let was = self.begin(&uncounted).await?;
                *begun.lock().expect("nobody panics while holding it") = Some(now);
                was
            }
        };
        let counted = recount(&core.repo, &tenant, uncounted, Month::of(now)).await?;
        txn.update(&was, &counted);
        Ok(Step::Commit(txn, Some(counted)))
    }
}

impl Operator {
    /// Writes a budget whose sum nobody has counted: whoever reads it meanwhile counts for himself.
    async fn begin(&self, budget: &Budget) -> Result<Versioned<Budget>, InfraError> {
        let totals = Totals { month: UNCOUNTED, ..Totals::default() };
        let value = Budget { totals, ..budget.clone() };
        let mut txn = self.core.repo.txn();
        txn.insert(&value);
        match self.core.repo.commit(txn).await {
            Ok(version) => Ok(Versioned { value, version }),
            Err(error) if error.is_conflict() => Err(InfraError::Busy { what: "the budget".to_owned() }),
            Err(error) => Err(error.into()),
        }
    }
}

/// A month that never is: its sum is counted anew by whoever reads it.
const UNCOUNTED: Month = Month(i32::MIN);

/// The tenant whose reservations count.
async fn tenant(core: &Core, scope: &BudgetScope) -> Result<TenantId, InfraError> {
    match scope {
        BudgetScope::User(user) => Ok(core.user(user).await?.value.tenant),
        BudgetScope::Team(team) => {
            if teams::is_alone(team) || !teams::is_there(core, team).await? {
                return Err(InfraError::missing("team", team));
            }
            Ok(team.clone())
        }
    }
}

fn check(limits: &BudgetLimits) -> Result<(), InfraError> {
    for (field, money) in [("per_hour", limits.per_hour), ("per_month", limits.per_month)] {
        if money.is_some_and(|money| money.nanos < 0) {
            return Err(InfraError::field(field, "must be 0 or more"));
        }
    }
    Ok(())
}
