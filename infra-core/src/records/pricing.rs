//! Where the records of money stand: budgets, and what lanes lacked lately.

use super::keys::{Stored, key, system_tenant};
use crate::contracts::store::{Index, Key, RecordKind};
use crate::nouns::budget::{Budget, BudgetScope};
use crate::nouns::scarcity::Scarcity;
use crate::words::lane::Lane;

/// Nobody's: two tenants with keys of one account share its zones and its quota. Never due; the next refusal cleans up.
impl Stored for Scarcity {
    const KIND: RecordKind = RecordKind::Scarcity;
    fn key(&self) -> Key {
        Self::place(&self.lane)
    }
    fn index(&self, _: u16) -> Index {
        Index { lane: Some(self.lane.id()), ..Index::default() }
    }
}

impl Scarcity {
    /// Where it stands what a lane lacks.
    #[must_use]
    pub fn place(lane: &Lane) -> Key {
        key(&system_tenant(), RecordKind::Scarcity, lane.id().0)
    }
}

/// Beside the users, since a user takes its budget along from team to team. Never due.
impl Stored for Budget {
    const KIND: RecordKind = RecordKind::Budget;
    fn key(&self) -> Key {
        Self::place(&self.scope)
    }
    fn index(&self, _: u16) -> Index {
        let owner = match &self.scope {
            BudgetScope::User(user) => Some(user.clone()),
            BudgetScope::Team(_) => None,
        };
        Index { owner, ..Index::default() }
    }
}

impl Budget {
    /// Where the budget of a user or a team stands.
    #[must_use]
    pub fn place(scope: &BudgetScope) -> Key {
        key(&system_tenant(), RecordKind::Budget, scope.id())
    }
}
