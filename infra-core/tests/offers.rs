//! What a plan makes of its list of offers: which it takes, and what it tells of those that it does not.

#![cfg(feature = "testing")]

use std::collections::BTreeMap;
use std::time::Duration;

use infra_core::Limits;
use infra_core::nouns::actor::By;
use infra_core::nouns::budget::{Budget, BudgetLimits, BudgetScope, Month, Totals};
use infra_core::nouns::launch::{LaunchBody, MachineBody};
use infra_core::nouns::offering::Price;
use infra_core::nouns::request::Market;
use infra_core::nouns::reservation::{Choice, Heal, Reservation};
use infra_core::nouns::scarcity::{Lack, Scarce, Scarcity};
use infra_core::plan::memory::Memory;
use infra_core::plan::reservation::{Draft, LaneView, Picture, plan};
use infra_core::testing::{SeededEntropy, fixtures};
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::{InstallationId, LaunchToken};
use infra_core::words::lane::Version;
use infra_core::words::money::Money;
use infra_core::words::planted::Planted;

fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).expect("in range")
}

/// A reservation of one machine for an hour, with these offers.
fn reservation(choices: Vec<Choice>) -> Reservation {
    let mut made = fixtures::reservation(1, Heal::Report, Some(Duration::from_secs(3600)), now());
    made.spec.choices = choices;
    made
}

fn offer(name: &str, cents: i64) -> Choice {
    let (mut choice, per_hour) = (fixtures::choice(), Money::usd_nanos(cents * 10_000_000));
    choice.offering.type_name = name.parse().expect("a legal name");
    choice.offering.price =
        Price::Known { per_hour, as_of: now(), source: "fixture".to_owned(), live: false };
    Choice { per_hour, ..choice }
}

/// A plan, and a second one of what the first made: slots begin with the first.
fn planned(reservation: &Reservation, memory: &Memory, budgets: &[Budget]) -> Draft {
    let (limits, entropy) = (Limits::default(), SeededEntropy::new(7));
    let lanes: BTreeMap<_, _> =
        [(fixtures::lane().id(), LaneView { facts: fixtures::facts(4, true), calm: true })].into();
    let picture = Picture {
        reservation,
        version: Version(1),
        units: &[],
        launches: &[],
        lanes: &lanes,
        memory,
        budgets,
        now: now(),
        limits: &limits,
        deadlines_held: None,
        mass_deadline: false,
        needs_met: true,
        planted: Planted::NONE,
    };
    plan(&picture, &mut || LaunchToken::draw(now(), &entropy))
}

/// Refused a moment ago.
fn resting(name: &str, until: Timestamp) -> Memory {
    let mut lacks = Scarcity::of(fixtures::lane());
    let scarce = Scarce {
        type_name: name.parse().expect("a legal name"),
        zone: None,
        market: Market::OnDemand,
        lack: Lack::Capacity,
        said: "none left".to_owned(),
        until,
    };
    lacks.remember(scarce, now());
    Memory::of([&lacks], now())
}

/// Of a user who may spend so many cents per hour, and counts for one machine at a cent.
fn budget(cents: i64) -> Budget {
    let per_hour = Some(Money::usd_nanos(cents * 10_000_000));
    Budget {
        scope: BudgetScope::User("ada".parse().expect("a legal name")),
        limits: BudgetLimits { per_hour, ..BudgetLimits::default() },
        totals: Totals {
            machines: 1,
            vcpus_milli: 1000,
            per_hour: Money::usd_nanos(10_000_000),
            month: Month::of(now()),
            in_month: Money::usd_nanos(10_000_000),
            next_month: None,
        },
        counted_in: (InstallationId::draw(now(), &SeededEntropy::new(1)), 1),
        changed_at: now(),
        changed_by: By::Admin,
    }
}

fn told(draft: &Draft) -> &str {
    draft.units[&0].reason.as_deref().unwrap_or_default()
}

#[test]
fn a_budget_is_not_all_that_is_told_while_an_offer_that_it_allows_only_rests() {
    let until = later(now(), Duration::from_secs(170));
    let two = reservation(vec![offer("t.cheap", 1), offer("t.dear", 9)]);
    let draft = planned(&two, &resting("t.cheap", until), &[budget(5)]);
    assert!(draft.new_launches.is_empty(), "the dear one is over the budget");
    assert!(told(&draft).contains("no capacity now, tried again at"), "{}", told(&draft));
    assert!(told(&draft).contains("budget per_hour of user:ada"), "{}", told(&draft));
    assert!(draft.next_look <= until, "nobody looks when the cheap one may have capacity again");

    let (rests, other) = (offer("t.rests", 9), offer("t.dear", 8));
    let draft = planned(
        &reservation(vec![offer("t.cheap", 1), other, rests]),
        &resting("t.rests", until),
        &[budget(5)],
    );
    let first: Vec<_> = draft.new_launches.iter().map(|row| &row.units).collect();
    assert_eq!(first, [&(0..1)], "the cheap one may be had");

    let mut none = reservation(vec![offer("t.dear", 8), offer("t.rests", 9)]);
    none.charge = Some(infra_core::plan::budget::first_charge(&none, Some(&offer("t.cheap", 1)), now()));
    let draft = planned(&none, &resting("t.rests", until), &[budget(5)]);
    assert!(told(&draft).starts_with("budget per_hour"), "waiting would not help: {}", told(&draft));
}

/// What is frozen for a machine of this choice, when its owner caps the price.
fn frozen(choice: &Choice, cap: Option<f64>) -> MachineBody {
    let mut asked = reservation(vec![choice.clone()]);
    asked.spec.request.max_price_per_hour = cap;
    let draft = planned(&asked, Memory::nothing(), &[]);
    match &draft.new_launches[0].frozen.body {
        LaunchBody::Machine(body) => body.clone(),
        other => unreachable!("no firewall is needed here: {other:?}"),
    }
}

#[test]
fn a_spot_machine_may_cost_what_its_owner_allows_and_no_more() {
    let mut spot = offer("t.spot", 2);
    spot.offering.market = Market::Spot;
    // With its disk it costs three cents: seven are left under a cap of ten.
    spot.per_hour = Money::usd_nanos(30_000_000);
    let most = |choice: &Choice, cap| frozen(choice, cap).spot_max;
    assert_eq!(most(&spot, Some(0.10)), Some(Money::usd_nanos(90_000_000)));
    assert_eq!(most(&spot, Some(0.03)), Some(Money::usd_nanos(20_000_000)), "nothing left: today's price");
    assert_eq!(most(&spot, Some(0.01)), Some(Money::usd_nanos(20_000_000)), "never below what was chosen");
    assert_eq!(most(&spot, None), None, "nobody set a cap");
    assert_eq!(most(&offer("t.fixed", 2), Some(0.10)), None, "on demand has a fixed price");

    // 30 % off: what the team pays stays under the cap at the most that the cloud may take.
    let mut less = spot.clone();
    less.per_hour = Money::usd_nanos(14_000_000);
    let list = most(&less, Some(0.10)).expect("a cap").nanos;
    assert_eq!(list, 106_000_000);
    assert!(list * 7 / 10 <= 100_000_000);
}

#[test]
fn a_machine_without_a_cap_is_written_as_before_there_were_caps() {
    let text = serde_json::to_string(&frozen(&offer("t.fixed", 2), Some(0.10))).expect("plain data");
    assert!(!text.contains("spot_max"), "an older program's row has another hash: {text}");
    let body: MachineBody = serde_json::from_str(&text).expect("what an older program wrote");
    assert_eq!(body.spot_max, None);
}
