//! Budgets: never passed by however many at once, never at the price of a machine, and always saying what is left.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::budgets::recount;
use infra_core::contracts::store::{
    Change, Changes, Commit, DueQuery, Expect, Key, ListQuery, Page, Record, RecordKind, StoreError,
    StoreLimits,
};
use infra_core::infra::UserHandle;
use infra_core::nouns::budget::{Budget, BudgetKind, BudgetLimits, BudgetScope, Charge, Month};
use infra_core::nouns::reservation::{HoldReason, Phase};
use infra_core::plan::budget::{Amount, moved};
use infra_core::testing::SeededEntropy;
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::entropy::Entropy;
use infra_core::words::ids::ReservationId;
use infra_core::words::lane::Version;
use infra_core::words::money::Money;
use infra_core::{Clock, Infra, InfraError, ReservationStore, SystemClock};
use infra_providers::sim::{FaultEffect, Match, Rule};
use infra_store::MemoryStore;

use super::house::{HOME, House, parts, wish};

const PATIENCE: Duration = Duration::from_secs(30);
pub const TEAM: &str = "crew";

pub fn team() -> BudgetScope {
    BudgetScope::Team(TEAM.parse().expect("legal"))
}

pub fn of(user: &UserHandle) -> BudgetScope {
    BudgetScope::User(user.id().clone())
}

pub fn machines(max: u32) -> BudgetLimits {
    BudgetLimits { machines: Some(max), ..BudgetLimits::default() }
}

pub fn usd(text: &str) -> Money {
    Money::parse_usd(text).expect("an amount")
}

/// Writes budgets whatever anybody wrote since they were read: the check stands beside the commit, not in it.
#[derive(Debug)]
struct Careless(Arc<MemoryStore>);

impl Careless {
    async fn now(&self, key: &Key) -> Result<Expect, StoreError> {
        let found = self.0.get(std::slice::from_ref(key)).await?.pop().flatten();
        Ok(found.map_or(Expect::Absent, |record| Expect::Version(record.version)))
    }
}

#[async_trait]
impl ReservationStore for Careless {
    fn limits(&self) -> StoreLimits {
        self.0.limits()
    }
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.0.get(keys).await
    }
    async fn commit(&self, commit: &Commit) -> Result<Version, StoreError> {
        let mut commit = commit.clone();
        for change in &mut commit.changes {
            if let Change::Put { key, expect, .. } = change
                && key.kind == RecordKind::Budget
            {
                *expect = self.now(key).await?;
            }
        }
        self.0.commit(&commit).await
    }
    async fn list(&self, query: &ListQuery) -> Result<Page<Record>, StoreError> {
        self.0.list(query).await
    }
    async fn due(&self, query: &DueQuery) -> Result<Vec<Record>, StoreError> {
        self.0.due(query).await
    }
    async fn changes(&self, after: Version, wait: Duration) -> Result<Changes, StoreError> {
        self.0.changes(after, wait).await
    }
}

/// Twenty members of a team ask at the same moment. How many were accepted, and how long all of it took.
async fn rush(
    house: &House,
    infra: &Infra,
    limits: &BudgetLimits,
) -> (Vec<Result<(), InfraError>>, Duration) {
    let mut crew = Vec::new();
    for n in 0..20 {
        crew.push(infra.user(house.mate(TEAM, &format!("mate-{n}")).await.id()));
    }
    house.operator().set_budget(&team(), limits, None).await.expect("set");
    let begun = SystemClock.mono();
    let asked = crew
        .into_iter()
        .map(|mate| tokio::spawn(async move { mate.reserve(&wish(1), None).await.map(drop) }));
    let mut answers = Vec::new();
    for one in asked.collect::<Vec<_>>() {
        answers.push(one.await.expect("no panic"));
    }
    (answers, SystemClock.mono() - begun)
}

pub fn accepted(answers: &[Result<(), InfraError>]) -> usize {
    answers.iter().filter(|answer| answer.is_ok()).count()
}

/// The sum in the record is that of the reservations.
pub async fn is_exact(house: &House, scope: &BudgetScope) -> Budget {
    let stands = house.all::<Budget>().await.into_iter().find(|budget| budget.value.scope == *scope);
    let stands = stands.expect("a budget is set").value;
    let tenant = match scope {
        BudgetScope::Team(team) => team.clone(),
        BudgetScope::User(user) => house.operator().get_user(user).await.expect("is there").tenant,
    };
    let month = stands.totals.month;
    let counted = recount(&house.repo(), &tenant, stands.clone(), month).await.expect("memory answers");
    assert_eq!(stands.totals, counted.totals);
    stands
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_at_once_pass_a_budget_of_their_team() {
    let price = usd("0.0089");
    let limits = [
        machines(7),
        BudgetLimits { vcpus: Some(7), ..BudgetLimits::default() },
        BudgetLimits { per_hour: Some(usd("0.065")), ..BudgetLimits::default() },
        BudgetLimits { per_month: Some(usd("0.13")), ..BudgetLimits::default() },
    ];
    for limits in limits {
        let house = House::quiet().await;
        let (answers, took) = rush(&house, &house.infra, &limits).await;
        let fits = accepted(&answers);
        let budget = is_exact(&house, &team()).await;
        assert!(fits == 7, "{fits} of 20 were accepted under {limits:?}, {:?} {price}", budget.totals);
        for no in answers.into_iter().filter_map(Result::err) {
            let InfraError::OverBudget { shortage } = no else { panic!("{no:?}") };
            assert_eq!(shortage.scope, team());
            assert!(shortage.to_string().contains("left"), "{shortage}");
        }
        println!("COUNT budgets_rush at_once=20 accepted={fits} took_ms={}", took.as_millis());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_beside_the_commit_is_caught() {
    // One lucky round proves nothing: of several, one must show it.
    for _ in 0..5 {
        let house = House::quiet().await;
        let careless = Arc::new(Careless(Arc::clone(&house.store)));
        let infra =
            parts(careless, &house.sim).with_home(HOME).without_engine().build().await.expect("opens");
        let (answers, _) = rush(&house, &infra, &machines(7)).await;
        if accepted(&answers) > 7 {
            return;
        }
    }
    panic!("a budget that is written without being expected was never passed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_team_without_a_budget_waits_for_a_record_of_nobody() {
    for limits in [BudgetLimits::default(), machines(100)] {
        let house = House::quiet().await;
        let (answers, took) = rush(&house, &house.infra, &limits).await;
        assert_eq!(accepted(&answers), 20);
        let budget = limits.machines.is_some();
        println!(
            "BENCH name=budget_contention budget={budget} at_once=20 value={} unit=ms",
            took.as_millis()
        );
    }
}

#[tokio::test]
async fn what_grows_or_lasts_longer_passes_a_budget_that_admitted_less() {
    let house = House::quiet().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(2), None).await.expect("accepted").view.id;
    house.operator().set_budget(&of(&ada), &machines(3), None).await.expect("set");
    let no = ada.set_count(&id, 4, None).await.expect_err("one too many");
    let InfraError::OverBudget { shortage } = no else { panic!("{no:?}") };
    assert_eq!(
        (shortage.kind, shortage.left, shortage.asked),
        (BudgetKind::Machines, Amount::Milli(1000), Amount::Milli(2000))
    );
    ada.set_count(&id, 3, None).await.expect("what is left");
    let spent = is_exact(&house, &of(&ada)).await.totals.in_month;
    let limits = BudgetLimits { per_month: Some(spent.plus(usd("0.001"))), ..BudgetLimits::default() };
    house.operator().set_budget(&of(&ada), &limits, None).await.expect("set");
    let now = SystemClock.wall();
    let month_end = Month::of(now).end();
    let far = later(now, Duration::from_secs(20 * 3600));
    if far < month_end {
        let no = ada.extend(&id, far, None).await.expect_err("too long");
        assert!(matches!(no, InfraError::OverBudget { .. }), "{no:?}");
    }
    // Less is never refused, whatever the budget says by now.
    house.operator().set_budget(&of(&ada), &machines(1), None).await.expect("set");
    ada.set_count(&id, 2, None).await.expect("less");
    ada.release(&id).await.expect("a release is never refused");
    is_exact(&house, &of(&ada)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_ended_or_nothing_is_said_when_a_budget_is_passed() {
    let house = House::live().await;
    let ada = house.user("ada").await;
    let id = ada.reserve(&wish(1), None).await.expect("accepted").view.id;
    assert_eq!(ada.wait(&id, PATIENCE).await.expect("is there").state, Phase::Ready);
    // As a new month may: what is held is beyond the limit without anybody having asked for more.
    let limits = BudgetLimits { per_month: Some(Money::default()), ..BudgetLimits::default() };
    house.operator().set_budget(&of(&ada), &limits, None).await.expect("set");
    let held = |why: Option<HoldReason>| {
        let (ada, id) = (ada.clone(), id.clone());
        async move {
            // Something moves, so it is planned now and not in five minutes.
            let tags = [("n".to_owned(), format!("{why:?}"))].into();
            ada.set_tags(&id, &tags, None).await.expect("tags cost nothing");
            let until = SystemClock.mono() + PATIENCE;
            while ada.get(&id).await.expect("is there").hold.map(|hold| hold.why) != why {
                assert!(SystemClock.mono() < until, "wanted {why:?}");
                SystemClock.sleep(Duration::from_millis(10)).await;
            }
        }
    };
    held(Some(HoldReason::OverBudget)).await;
    let view = ada.get(&id).await.expect("is there");
    assert_eq!(view.state, Phase::Ready, "it goes on running");
    assert!(
        view.reason.as_ref().is_some_and(|why| why.contains("per_month of user:ada is passed")),
        "{view:?}"
    );
    let no = ada.reserve(&wish(1), None).await.expect_err("nothing is left");
    assert!(matches!(no, InfraError::OverBudget { .. }), "{no:?}");
    house.operator().set_budget(&of(&ada), &BudgetLimits::default(), None).await.expect("removed");
    held(None).await;
    assert_eq!(house.all::<Budget>().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_down_the_list_takes_a_machine_that_no_budget_has_room_for() {
    for (room, ready) in [("0.0001", false), ("1", true)] {
        let house = House::live().await;
        let ada = house.user("ada").await;
        let first = ada.quote(&wish(1)).await.expect("fits").remove(0);
        let limits =
            BudgetLimits { per_hour: Some(first.per_hour.plus(usd(room))), ..BudgetLimits::default() };
        house.operator().set_budget(&of(&ada), &limits, None).await.expect("set");
        let cheapest = Match { type_name: Some(first.choice.offering.type_name.clone()), ..Match::default() };
        house.sim.rule(Rule::once("launch", FaultEffect::Quota).times(None).only(cheapest));
        let id = ada.reserve(&wish(1), None).await.expect("the cheapest fits").view.id;
        if ready {
            assert_eq!(ada.wait(&id, PATIENCE).await.expect("is there").state, Phase::Ready);
            let budget = is_exact(&house, &of(&ada)).await;
            assert!(budget.totals.per_hour > first.per_hour, "the dearer one counts");
            continue;
        }
        let until = SystemClock.mono() + PATIENCE;
        while !ada
            .get(&id)
            .await
            .expect("is there")
            .reason
            .is_some_and(|why| why.contains("budget per_hour of user:ada"))
        {
            assert!(
                SystemClock.mono() < until,
                "{:?}",
                ada.get(&id).await.map(|view| (view.reason, view.tries))
            );
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
        assert!(
            house
                .sim
                .truth()
                .iter()
                .all(|thing| thing.kind != infra_core::words::lane::ResourceKind::Machine)
        );
        is_exact(&house, &of(&ada)).await;
    }
}

/// Anything that people do, in any order: the sum stays that of the reservations.
#[tokio::test(flavor = "multi_thread")]
async fn a_sum_drifts_from_what_it_is_the_sum_of() {
    let house = House::live().await;
    let (ada, ben) = (house.mate(TEAM, "ada").await, house.mate(TEAM, "ben").await);
    house.operator().set_budget(&team(), &machines(30), None).await.expect("set");
    house.operator().set_budget(&of(&ada), &machines(12), None).await.expect("set");
    let chance = SeededEntropy::new(11);
    let mut held: Vec<(UserHandle, ReservationId)> = Vec::new();
    for _ in 0..40 {
        let user = if chance.below(2) == 0 { &ada } else { &ben };
        let pick = usize::try_from(chance.below(held.len().max(1) as u64)).expect("small");
        let some = held.get(pick).cloned();
        match (chance.below(6), some) {
            (0 | 1, _) | (_, None) => {
                if let Ok(made) =
                    user.reserve(&wish(1 + u32::try_from(chance.below(2)).expect("small")), None).await
                {
                    held.push((user.clone(), made.view.id));
                }
            }
            (2, Some((user, id))) => {
                drop(user.set_count(&id, u32::try_from(chance.below(4)).expect("small"), None).await);
            }
            (3, Some((user, id))) => {
                drop(user.stop(&id, None).await);
                drop(user.wait(&id, Duration::from_millis(200)).await);
            }
            (4, Some((user, id))) => drop(user.start(&id, None).await),
            (_, Some((user, id))) => {
                drop(user.release(&id).await);
                held.remove(pick);
            }
        }
    }
    let stopped = house.infra.clone();
    stopped.shutdown().await;
    let budget = is_exact(&house, &team()).await;
    is_exact(&house, &of(&ada)).await;
    assert!(budget.totals.in_month.nanos > 0, "something was counted");
    // A restored store, and a new month, count anew and come to the same.
    house.operator().transfer(ada.id(), ben.id()).await.expect("one team");
    let after = is_exact(&house, &of(&ada)).await;
    assert_eq!(
        (after.totals.machines, after.totals.per_hour),
        (0, Money::default()),
        "what was handed over is gone"
    );
    is_exact(&house, &team()).await;
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[test]
fn a_month_is_cut_in_local_time_or_forgets_what_was_spent_before() {
    let november = Month::of(at("2026-11-30T23:59:59Z"));
    assert_eq!(
        (november.to_string(), Month::of(at("2026-12-01T00:00:00Z")).to_string()),
        ("2026-11".into(), "2026-12".into())
    );
    assert_eq!(november.end(), at("2026-12-01T00:00:00Z"));
    let mut charge = Charge {
        machines: 2,
        vcpus_milli: 2000,
        per_hour: usd("2"),
        until: Some(at("2026-12-01T10:00:00Z")),
        since: at("2026-11-30T20:00:00Z"),
        month: november,
        before: usd("5"),
        each: infra_core::nouns::budget::Each::default(),
        rules: None,
    };
    assert_eq!(charge.in_month(november), usd("13"), "five before, and four hours of two");
    assert_eq!(charge.in_month(Month(november.0 + 1)), usd("20"), "the rest is the next month's");
    assert_eq!(charge.in_month(Month(november.0 + 2)), Money::default());
    charge.until = None;
    assert_eq!(charge.in_month(Month(november.0 + 1)), usd("1488"), "all of December");
    let sum = moved(
        infra_core::nouns::budget::Totals { month: november, ..Default::default() },
        None,
        Some(&charge),
    );
    assert_eq!(moved(sum, Some(&charge), None).in_month, Money::default());
}
