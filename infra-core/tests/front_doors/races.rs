//! Two calls of which one comes between two steps of the other: what is answered fits what stands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use infra_core::contracts::store::{
    Change, Changes, Commit, DueQuery, Expect, Key, ListQuery, Page, Record, RecordKind, StoreError,
    StoreLimits,
};
use infra_core::infra::UserHandle;
use infra_core::nouns::reservation::Reservation;
use infra_core::words::lane::Version;
use infra_core::{Infra, InfraError, ReservationStore};
use infra_store::MemoryStore;

use super::budgets::{is_exact, machines, of};
use super::house::{HOME, House, once, parts, wish};

/// Before which step of a call something else happens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    ReadsBudgets,
    ChangesBudget,
}

/// A store where something happens once, just before a step.
struct Beside {
    inner: Arc<MemoryStore>,
    before: Step,
    work: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside").field("before", &self.before).finish_non_exhaustive()
    }
}

impl Beside {
    async fn step(&self, step: Step) {
        let work =
            if step == self.before { self.work.lock().expect("no panic under it").take() } else { None };
        if let Some(work) = work {
            work.await;
        }
    }
}

#[async_trait]
impl ReservationStore for Beside {
    fn limits(&self) -> StoreLimits {
        self.inner.limits()
    }
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        if keys.iter().any(|key| key.kind == RecordKind::Budget) {
            self.step(Step::ReadsBudgets).await;
        }
        self.inner.get(keys).await
    }
    async fn commit(&self, commit: &Commit) -> Result<Version, StoreError> {
        let changed = |change: &Change| matches!(change, Change::Put { key, expect: Expect::Version(_), .. } if key.kind == RecordKind::Budget);
        if commit.changes.iter().any(changed) {
            self.step(Step::ChangesBudget).await;
        }
        self.inner.commit(commit).await
    }
    async fn list(&self, query: &ListQuery) -> Result<Page<Record>, StoreError> {
        self.inner.list(query).await
    }
    async fn due(&self, query: &DueQuery) -> Result<Vec<Record>, StoreError> {
        self.inner.due(query).await
    }
    async fn changes(&self, after: Version, wait: Duration) -> Result<Changes, StoreError> {
        self.inner.changes(after, wait).await
    }
}

async fn beside(house: &House, before: Step, work: BoxFuture<'static, ()>) -> Infra {
    let store = Beside { inner: house.store.clone(), before, work: Mutex::new(Some(work)) };
    parts(Arc::new(store), &house.sim).with_home(HOME).without_engine().build().await.expect("opens")
}

async fn asked(user: &UserHandle) -> Result<(), InfraError> {
    user.reserve(&wish(2), Some(&once("one"))).await.map(drop)
}

#[tokio::test]
async fn the_same_call_at_the_same_time_is_refused_for_what_it_made_itself() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    house.operator().set_budget(&of(&ada), &machines(3), None).await.expect("set");
    let other = ada.clone();
    let first = Box::pin(async move { asked(&other).await.expect("two of three") });
    let second = beside(&house, Step::ReadsBudgets, first).await.user(ada.id());
    asked(&second).await.expect("the same reservation again");
    let made = house.all::<Reservation>().await;
    assert_eq!(made.len(), 1);

    // A change, too: the first has moved the version that both have seen, and used up what was left.
    let (id, seen) = (made[0].value.id.clone(), made[0].version);
    let end = infra_core::words::clock::later(made[0].value.created_at, Duration::from_secs(86_400));
    let (other, same) = (ada.clone().under_key(Some(once("longer"))), id.clone());
    let first = Box::pin(async move {
        other.extend(&same, end, Some(seen)).await.expect("longer");
    });
    let second = beside(&house, Step::ReadsBudgets, first).await.user(ada.id());
    second.under_key(Some(once("longer"))).extend(&id, end, Some(seen)).await.expect("the same change again");
    // Who asks for something else under another key is refused as ever.
    ada.extend(&id, end, Some(seen)).await.expect_err("it was changed since");
    let more = ada.reserve(&wish(2), Some(&once("two"))).await.expect_err("one is left");
    assert!(matches!(more, InfraError::OverBudget { .. }), "{more}");
}

#[tokio::test]
async fn who_sets_the_first_budget_is_told_that_it_was_not_set_although_it_was() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let other = ada.clone();
    let reserves = Box::pin(async move { asked(&other).await.expect("two of three") });
    let racing = beside(&house, Step::ChangesBudget, reserves).await.operator();
    let set = racing.set_budget(&of(&ada), &machines(3), Some(Version::default())).await;
    assert!(set.expect("nobody else set one").is_some());
    assert_eq!(is_exact(&house, &of(&ada)).await.limits, machines(3));

    // Somebody else's limits are news.
    let (crew, others) = (house.user("bob").await, house.operator());
    let scope = of(&crew);
    let sets = Box::pin({
        let scope = scope.clone();
        async move { drop(others.set_budget(&scope, &machines(9), None).await.expect("set")) }
    });
    let racing = beside(&house, Step::ChangesBudget, sets).await.operator();
    let no = racing.set_budget(&scope, &machines(3), Some(Version::default())).await.expect_err("changed");
    assert!(matches!(no, InfraError::Conflict { .. }), "{no}");
    assert_eq!(is_exact(&house, &scope).await.limits, machines(9));
}
