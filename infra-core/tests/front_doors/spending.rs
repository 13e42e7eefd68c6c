//! Budgets at the edges of months, and at every door by which capacity is asked for: reserve is in `budgets`.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use infra_core::budgets::Budgets;
use infra_core::infra::{Relaunch, UserHandle};
use infra_core::nouns::budget::{Budget, BudgetKind, BudgetLimits, Month, Totals};
use infra_core::nouns::installation::Installation;
use infra_core::nouns::overrides::Overrides;
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::{DeadlineKind, Phase, Reservation};
use infra_core::plan::budget::{Amount, charge, standing};
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::ReservationId;
use infra_core::words::money::Money;
use infra_core::{Clock, InfraError, SystemClock};
use infra_store::MemoryStore;

use super::budgets::{TEAM, accepted, is_exact, machines, of, team, usd};
use super::house::{HOME, House, parts, quick, template, wish};

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A calendar that a test turns, and a second hand that runs as it does: pauses are real ones, and move no month.
#[derive(Debug, Clone)]
struct Calendar(Arc<Mutex<Timestamp>>);

impl Calendar {
    fn advance(&self, by: Duration) {
        let mut now = self.0.lock().expect("nobody panics while turning it");
        *now = later(*now, by);
    }
}

#[async_trait]
impl Clock for Calendar {
    fn wall(&self) -> Timestamp {
        *self.0.lock().expect("nobody panics while turning it")
    }
    fn mono(&self) -> Duration {
        SystemClock.mono()
    }
    async fn sleep(&self, for_: Duration) {
        SystemClock.sleep(for_).await;
    }
}

/// An installation whose time a test moves. Nobody plans: what is accepted stays pending.
async fn house_at(now: &str) -> (House, Calendar) {
    let (store, sim, clock) =
        (Arc::new(MemoryStore::new()), quick(), Calendar(Arc::new(Mutex::new(at(now)))));
    let builder = parts(store.clone(), &sim).with_home(HOME).with_clock(Arc::new(clock.clone()));
    (House { store, infra: builder.without_engine().build().await.expect("opens"), sim }, clock)
}

fn until(end: &str) -> Request {
    let mut request = endless();
    request.ends_at = Some(at(end));
    request
}

fn endless() -> Request {
    let mut request = wish(1);
    // An hour of it costs more than the least that a cloud charges.
    request.vcpus = Some(2.0);
    request.duration_s = None;
    request
}

fn per_month(max: Money) -> BudgetLimits {
    BudgetLimits { per_month: Some(max), ..BudgetLimits::default() }
}

/// The user's own budget as it would be shown now.
async fn shown(user: &UserHandle) -> Totals {
    user.budgets().await.expect("counts").remove(0).totals
}

/// What is left of a month, as a refusal says it.
fn left(no: &InfraError) -> (Option<Month>, Money) {
    let InfraError::OverBudget { shortage } = no else { panic!("{no:?}") };
    assert_eq!(shortage.kind, BudgetKind::PerMonth, "{shortage}");
    let Amount::Usd(left) = shortage.left else { panic!("{shortage}") };
    (shortage.month, left)
}

/// Ends a reservation as the engine would: over now, and so much paid in this month.
async fn over(house: &House, id: &ReservationId, now: Timestamp, paid: Money) {
    let repo = house.repo();
    let was = house.all::<Reservation>().await.into_iter().find(|one| one.value.id == *id).expect("stands");
    let installation = house.all::<Installation>().await.remove(0).value;
    let mut is = was.value.clone();
    is.desired.present = false;
    (is.over_at, is.cost) = (Some(now), Some(paid));
    is.months.insert(Month::of(now), paid);
    is.charge = Some(charge(&is, now));
    let people = (&is.owner, &is.tenant);
    let budgets = Budgets::read(&repo, &installation, people, now).await.expect("memory answers");
    let mut txn = repo.txn();
    txn.update(&was, &is);
    budgets.put(&mut txn, Some(&standing(&was.value)), is.charge.as_ref());
    repo.commit(txn).await.expect("nobody else writes");
}

#[tokio::test]
async fn a_new_month_begins_with_what_was_spent_in_the_old_one_or_forgets_what_runs_on() {
    let (house, clock) = house_at("2026-11-30T20:00:00Z").await;
    let ada = house.user("ada").await;
    let price = ada.quote(&endless()).await.expect("fits").remove(0).per_hour;
    house.operator().set_budget(&of(&ada), &per_month(price.times(7)), None).await.expect("set");
    // Four hours of it are November's, six are December's.
    ada.reserve(&until("2026-12-01T06:00:00Z"), None).await.expect("fits both months");
    let brief = ada.reserve(&until("2026-11-30T21:00:00Z"), None).await.expect("one hour").view.id;
    let november = shown(&ada).await;
    assert_eq!(november.month.to_string(), "2026-11");
    assert_eq!(
        (november.in_month, november.next_month, november.per_hour),
        (price.times(5), Some(price.times(6)), price.times(2))
    );
    let no = ada.reserve(&until("2026-11-30T23:00:00Z"), None).await.expect_err("three hours");
    assert_eq!(left(&no), (None, price.times(2)));

    clock.advance(HOUR);
    over(&house, &brief, at("2026-11-30T21:00:00Z"), price).await;
    clock.advance(HOUR * 3 - Duration::from_secs(1));
    let last = shown(&ada).await;
    assert_eq!((last.month, last.in_month), (november.month, price.times(5)), "the last second");
    assert_eq!(last.per_hour, price, "what is over costs nothing more");

    clock.advance(Duration::from_secs(1));
    let december = shown(&ada).await;
    assert_eq!(december.month.to_string(), "2026-12");
    assert_eq!(
        (december.in_month, december.next_month, december.per_hour, december.machines),
        (price.times(6), Some(Money::default()), price, 1),
        "what was spent starts anew, what runs on is counted"
    );
    let no = ada.reserve(&until("2026-12-01T02:00:00Z"), None).await.expect_err("two hours");
    assert_eq!(left(&no), (None, price), "of December");
    ada.reserve(&until("2026-12-01T01:00:00Z"), None).await.expect("what is left of December");
    let counted = is_exact(&house, &of(&ada)).await.totals;
    assert_eq!((counted.month, counted.in_month), (december.month, price.times(7)), "written as counted");
}

#[tokio::test]
async fn a_budget_that_february_fits_is_passed_in_march() {
    let (house, _) = house_at("2027-01-31T12:00:00Z").await;
    let ada = house.user("ada").await;
    let mut long = until("2027-04-15T00:00:00Z");
    // No ceiling of a month there.
    long.region = Some("sim-east".parse().expect("legal"));
    let price = ada.quote(&long).await.expect("fits").remove(0).per_hour;
    house.operator().set_budget(&of(&ada), &per_month(price.times(30 * 24)), None).await.expect("set");
    let no = ada.reserve(&long, None).await.expect_err("March has 31 days");
    assert_eq!(left(&no), (Some(Month::of(at("2027-02-01T00:00:00Z"))), price.times(30 * 24)), "{no}");
    house.operator().set_budget(&of(&ada), &per_month(price.times(31 * 24)), None).await.expect("set");
    ada.reserve(&long, None).await.expect("no month has more");
    let dearest = shown(&ada).await;
    assert_eq!((dearest.in_month, dearest.next_month), (price.times(12), Some(price.times(31 * 24))));
    is_exact(&house, &of(&ada)).await;
}

#[tokio::test]
async fn the_last_minute_of_a_month_buys_the_whole_next_one() {
    let (house, clock) = house_at("2026-11-30T23:59:00Z").await;
    let ada = house.user("ada").await;
    let price = ada.quote(&endless()).await.expect("fits").remove(0).per_hour;
    house.operator().set_budget(&of(&ada), &per_month(price.times(24)), None).await.expect("set");
    let december = Some(Month::of(at("2026-12-01T00:00:00Z")));
    for end in ["2026-12-02T00:01:00Z", "2027-03-01T00:00:00Z"] {
        let no = ada.reserve(&until(end), None).await.expect_err("more than a day of December");
        assert_eq!(left(&no), (december, price.times(24)), "{end}");
        assert!(no.to_string().contains("in a month from 2026-12 on"), "{no}");
    }
    let no = ada.reserve(&endless(), None).await.expect_err("for ever");
    assert_eq!(left(&no), (december, price.times(24)));
    let id = ada.reserve(&until("2026-12-01T12:00:00Z"), None).await.expect("half of it").view.id;
    let no = ada.extend(&id, at("2026-12-02T06:00:00Z"), None).await.expect_err("six hours too many");
    assert_eq!(left(&no), (december, price.times(12)));
    ada.extend(&id, at("2026-12-02T00:00:00Z"), None).await.expect("all of it");
    // Whoever gives back is not told what is missing.
    clock.advance(HOUR);
    ada.extend(&id, at("2026-12-01T13:00:00Z"), None).await.expect("less is never refused");
    is_exact(&house, &of(&ada)).await;
}

/// A sum that an older program wrote says nothing of the next month: it is counted anew and not taken for none.
#[tokio::test]
async fn a_record_of_an_older_program_hides_what_the_next_month_costs() {
    let (house, _) = house_at("2026-11-30T23:00:00Z").await;
    let ada = house.user("ada").await;
    let price = ada.quote(&endless()).await.expect("fits").remove(0).per_hour;
    house.operator().set_budget(&of(&ada), &per_month(price.times(10)), None).await.expect("set");
    ada.reserve(&until("2026-12-01T08:00:00Z"), None).await.expect("eight hours of December");
    let was = house.all::<Budget>().await.remove(0);
    let mut txn = house.repo().txn();
    let totals = Totals { next_month: None, ..was.value.totals };
    txn.update(&was, &Budget { totals, ..was.value.clone() });
    house.repo().commit(txn).await.expect("nobody else writes");
    let no = ada.reserve(&until("2026-12-01T03:00:00Z"), None).await.expect_err("three more");
    assert_eq!(left(&no).1, price.times(2));
    assert_eq!(shown(&ada).await.next_month, Some(price.times(8)));
}

/// Twenty members of a team, each with a machine if `holding`.
async fn crew(house: &House, holding: bool) -> Vec<(UserHandle, Option<ReservationId>)> {
    let mut crew = Vec::new();
    for n in 0..20 {
        let mate = house.mate(TEAM, &format!("mate-{n}")).await;
        let held = if holding {
            Some(mate.reserve(&wish(1), None).await.expect("no budget yet").view.id)
        } else {
            None
        };
        crew.push((mate, held));
    }
    crew
}

/// All of them ask at the same moment. Whoever lost the record too often asks again: that is no answer.
async fn at_once<F, C>(
    crew: &[(UserHandle, Option<ReservationId>)],
    ask: impl Fn(UserHandle, Option<ReservationId>) -> C + Clone + Send + 'static,
) -> Vec<Result<(), InfraError>>
where
    C: Future<Output = Result<F, InfraError>> + Send + 'static,
{
    let calls = crew.iter().cloned().map(|(mate, id)| {
        let ask = ask.clone();
        tokio::spawn(async move {
            loop {
                match ask(mate.clone(), id.clone()).await {
                    Err(InfraError::Busy { .. }) => {}
                    answer => return answer.map(drop),
                }
            }
        })
    });
    let mut answers = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        answers.push(call.await.expect("no panic"));
    }
    answers
}

/// Seven of twenty fit, and the others read which limit it is and what is left of it.
#[allow(clippy::print_stdout, reason = "figures, for --show-output")]
async fn seven_fit(house: &House, door: &str, kind: BudgetKind, answers: Vec<Result<(), InfraError>>) {
    let fits = accepted(&answers);
    let budget = is_exact(house, &team()).await;
    assert_eq!(fits, 7, "{door}: {:?}", budget.totals);
    for no in answers.into_iter().filter_map(Result::err) {
        let InfraError::OverBudget { shortage } = no else { panic!("{door}: {no:?}") };
        assert_eq!((&shortage.scope, shortage.kind), (&team(), kind), "{door}: {shortage}");
        let number = |amount| match amount {
            Amount::Milli(milli) => i128::from(milli),
            Amount::Usd(money) => i128::from(money.nanos),
        };
        assert!(number(shortage.left) < number(shortage.asked), "{door}: {shortage}");
    }
    println!("COUNT budgets_rush door={door} at_once=20 accepted={fits}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_pass_a_budget_by_asking_a_template() {
    let (house, _) = house_at("2026-11-10T00:00:00Z").await;
    let crew = crew(&house, false).await;
    crew[0].0.save_template(&template("web", wish(1)), None).await.expect("saves");
    house.operator().set_budget(&team(), &machines(7), None).await.expect("set");
    let owner = crew[0].0.id().clone();
    let answers = at_once(&crew, move |mate, _| {
        let name = "web".parse().expect("legal");
        let overrides = Overrides::default();
        let again = Relaunch { owner: Some(owner.clone()), name, version: None, overrides };
        async move { mate.relaunch(&again, None).await }
    });
    seven_fit(&house, "template", BudgetKind::Machines, answers.await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_pass_a_budget_by_growing() {
    let (house, _) = house_at("2026-11-10T00:00:00Z").await;
    let crew = crew(&house, true).await;
    house.operator().set_budget(&team(), &machines(27), None).await.expect("set");
    let answers =
        at_once(&crew, |mate, id| async move { mate.set_count(&id.expect("holds one"), 2, None).await });
    seven_fit(&house, "count", BudgetKind::Machines, answers.await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_pass_a_budget_by_staying_longer() {
    let (house, _) = house_at("2026-11-10T00:00:00Z").await;
    let crew = crew(&house, true).await;
    let price = crew[0].0.quote(&wish(1)).await.expect("fits").remove(0).per_hour;
    let ends = house.all::<Reservation>().await.into_iter();
    let ends = ends.filter_map(|one| one.value.deadlines.0.get(&DeadlineKind::Ends).copied());
    let ends = later(ends.max().expect("all of them end"), HOUR * 10);
    // Whoever was admitted a moment earlier ends a moment earlier: to one common end they ask for ten hours and a bit.
    let held = {
        house.operator().set_budget(&team(), &per_month(usd("1000")), None).await.expect("set");
        is_exact(&house, &team()).await.totals.in_month
    };
    let limit = held.plus(price.times(75));
    house.operator().set_budget(&team(), &per_month(limit), None).await.expect("set");
    let answers =
        at_once(&crew, move |mate, id| async move { mate.extend(&id.expect("holds one"), ends, None).await });
    seven_fit(&house, "extend", BudgetKind::PerMonth, answers.await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_pass_a_budget_by_turning_on_what_was_off() {
    let house = House::live().await;
    let crew = crew(&house, true).await;
    for (mate, id) in &crew {
        let id = id.as_ref().expect("holds one");
        assert_eq!(mate.wait(id, PATIENCE).await.expect("is there").state, Phase::Ready);
        mate.stop(id, None).await.expect("stops");
    }
    for (mate, id) in &crew {
        let id = id.as_ref().expect("holds one");
        let mut view = mate.get(id).await.expect("is there");
        for _ in 0..600 {
            if view.state == Phase::Stopped {
                break;
            }
            SystemClock.sleep(Duration::from_millis(100)).await;
            view = mate.get(id).await.expect("is there");
        }
        assert_eq!(view.state, Phase::Stopped, "{view:?}");
    }
    let limits = BudgetLimits { vcpus: Some(7), ..BudgetLimits::default() };
    house.operator().set_budget(&team(), &limits, None).await.expect("set");
    assert_eq!(is_exact(&house, &team()).await.totals.vcpus_milli, 0, "what is off runs no processor");
    let answers =
        at_once(&crew, |mate, id| async move { mate.start(&id.expect("holds one"), None).await }).await;
    house.infra.clone().shutdown().await;
    seven_fit(&house, "start", BudgetKind::Vcpus, answers).await;
}
