//! The pure planner: what it must never do, whatever it is shown.

#![cfg(feature = "testing")]

use std::collections::BTreeMap;
use std::time::Duration;

use infra_core::Limits;
use infra_core::contracts::provider::KindFacts;
use infra_core::nouns::budget::Month;
use infra_core::nouns::cloud::{Observed, ThingState};
use infra_core::nouns::launch::{
    Absence, Closed, EndCause, Launch, LaunchState, Missing, SendRecord, Thing, Want,
};
use infra_core::nouns::reservation::{DeadlineKind, Heal, Phase, Reservation};
use infra_core::nouns::unit::{Stage, Unit};
use infra_core::plan::births::{self, Births};
use infra_core::plan::reservation::{Draft, LaneView, Picture, plan};
use infra_core::price::usage::in_month;
use infra_core::records::Stored;
use infra_core::testing::{SeededEntropy, fixtures};
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::{BootId, LaunchToken};
use infra_core::words::lane::{LaneId, ResourceKind, Version};
use infra_core::words::planted::Planted;
use proptest::prelude::*;

/// A reservation that is planned again and again, with a cloud that does what it is told at once.
struct Bench {
    reservation: Reservation,
    units: Vec<Unit>,
    launches: Vec<Launch>,
    lanes: BTreeMap<LaneId, LaneView>,
    limits: Limits,
    now: Timestamp,
    entropy: SeededEntropy,
    mass: bool,
}

impl Bench {
    fn new(count: u32, heal: Heal, batch: u16) -> Self {
        let now = Timestamp::from_second(1_767_225_600).expect("in range");
        let view = LaneView { facts: fixtures::facts(batch, true), calm: true };
        Self {
            reservation: fixtures::reservation(count, heal, Some(Duration::from_secs(3600)), now),
            units: Vec::new(),
            launches: Vec::new(),
            lanes: [(fixtures::lane().id(), view)].into(),
            limits: Limits::default(),
            now,
            entropy: SeededEntropy::new(7),
            mass: false,
        }
    }

    fn draft(&self) -> Draft {
        let picture = Picture {
            reservation: &self.reservation,
            version: Version(1),
            units: &self.units,
            launches: &self.launches,
            lanes: &self.lanes,
            memory: infra_core::plan::memory::Memory::nothing(),
            budgets: &[],
            now: self.now,
            limits: &self.limits,
            deadlines_held: None,
            mass_deadline: self.mass,
            needs_met: true,
            planted: Planted::NONE,
        };
        plan(&picture, &mut || LaunchToken::draw(self.now, &self.entropy))
    }

    fn turn(&mut self) -> Draft {
        let draft = self.draft();
        self.reservation = draft.reservation.clone();
        self.units = draft.units.values().cloned().collect();
        self.launches = draft.launches.values().cloned().chain(draft.new_launches.iter().cloned()).collect();
        draft
    }

    /// The cloud makes what was planned and ends what is unwanted.
    fn cloud(&mut self) {
        for row in &mut self.launches {
            match row.state {
                LaunchState::Planned if row.wanted() => born(row, self.now),
                LaunchState::Planned => {
                    row.state = LaunchState::Closed(Closed::NeverBorn(Absence::NeverSent));
                }
                LaunchState::Live => end_unwanted(row),
                _ => {}
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..400 {
            let before = (self.reservation.summary.clone(), self.units.clone(), self.launches.clone());
            self.turn();
            self.cloud();
            self.now = later(self.now, Duration::from_secs(1));
            if before == (self.reservation.summary.clone(), self.units.clone(), self.launches.clone()) {
                return;
            }
        }
        panic!("it never settles");
    }

    fn alive(&self) -> usize {
        self.launches.iter().flat_map(Launch::alive).count()
    }
}

fn born(row: &mut Launch, now: Timestamp) {
    row.state = LaunchState::Live;
    for no in row.units.clone() {
        let id = format!("m-{}-{no}", row.token);
        row.things.push(thing(&id, no, now));
    }
}

fn sent(at: Timestamp) -> SendRecord {
    SendRecord { at, by: BootId(uuid::Uuid::nil()), effect: None, said: None }
}

fn thing(id: &str, no: u32, now: Timestamp) -> Thing {
    Thing {
        id: id.parse().expect("a legal id"),
        unit: Some(no),
        state: ThingState::Running,
        seen_at: now,
        public_address: None,
        private_address: None,
        zone: None,
        late: false,
        mark_lost: false,
        confirmed: false,
        ran: true,
        missing: None,
        ending: None,
        power: None,
        power_refused: None,
        end: None,
        fault: None,
        born_at: None,
        ended_at: None,
        offs: Vec::new(),
    }
}

fn end_unwanted(row: &mut Launch) {
    let gone: Vec<u32> =
        row.wants.iter().filter(|(_, want)| **want == Want::Gone).map(|(no, _)| *no).collect();
    for thing in &mut row.things {
        if thing.unit.is_some_and(|no| gone.contains(&no)) {
            thing.end = Some(Absence::EndSeen);
        }
    }
    if row.alive().next().is_none() {
        row.state = LaunchState::Closed(Closed::Gone(Absence::EndSeen));
    }
}

#[test]
fn planning_its_own_draft_again_changes_nothing() {
    let mut bench = Bench::new(5, Heal::Report, 3);
    bench.turn();
    let again = bench.draft();
    assert!(again.new_launches.is_empty(), "what is planned is not planned twice");
    assert_eq!(again.units.values().cloned().collect::<Vec<_>>(), bench.units);
    bench.launches.sort_by_key(|row| row.token);
    assert_eq!(again.launches.values().cloned().collect::<Vec<_>>(), bench.launches);
}

#[test]
fn an_unknown_attempt_counts_as_capacity() {
    let mut bench = Bench::new(1, Heal::Replace, 1);
    bench.turn();
    bench.launches[0].state = LaunchState::Unknown;
    assert!(bench.turn().new_launches.is_empty());
}

/// The newest attempt's fate is not known, on a cloud without tokens; it is looked for, and proven absent.
fn unknown_then_absent(bench: &mut Bench) {
    let begun = bench.now;
    bench.launches.last_mut().expect("something was begun").state = LaunchState::Unknown;
    bench.turn();
    assert!(bench.launches.len() == 1 && !bench.launches[0].superseded, "nobody has looked yet");
    bench.now = later(bench.now, Duration::from_secs(61));
    let missing = Missing { first: begun, last: bench.now, list_as_of: Some(begun) };
    bench.launches[0].unseen = Some(missing);
    bench.turn();
}

#[test]
fn a_firewall_proven_absent_is_made_anew_without_waiting_for_the_end_of_a_hold() {
    let mut bench = Bench::new(1, Heal::Report, 1);
    for view in bench.lanes.values_mut() {
        let machine = fixtures::facts(1, false).kinds.remove(0);
        view.facts.kinds = vec![KindFacts { kind: ResourceKind::Firewall, ..machine }, machine];
    }
    bench.turn();
    assert_eq!(bench.launches[0].kind(), ResourceKind::Firewall, "before its machine");
    let lost = bench.launches[0].token;
    unknown_then_absent(&mut bench);
    let anew = |row: &&Launch| row.kind() == ResourceKind::Firewall && row.wanted();
    let anew: Vec<&Launch> = bench.launches.iter().filter(anew).collect();
    assert!(anew.len() == 1 && anew[0].token != lost, "{:?}", bench.launches);
    assert!(bench.launches.iter().any(|row| row.token == lost && row.superseded), "the late one is ended");
}

#[test]
fn a_machine_without_token_holds_its_slot_although_nobody_finds_it() {
    let mut bench = Bench::new(1, Heal::Report, 1);
    bench.lanes.values_mut().for_each(|view| view.facts = fixtures::facts(1, false));
    bench.turn();
    unknown_then_absent(&mut bench);
    assert!(bench.launches.len() == 1 && !bench.launches[0].superseded, "its request may sit in a queue");
    bench.now = later(bench.now, bench.limits.unknown_hold);
    bench.turn();
    assert!(bench.launches.iter().any(|row| row.superseded));
}

#[test]
fn a_vanished_machine_is_reported_and_never_bought_again_unless_asked() {
    for (heal, bought) in [(Heal::Report, 0), (Heal::Replace, 1)] {
        let mut bench = Bench::new(1, heal, 1);
        bench.settle();
        bench.launches[0].things[0].end = Some(Absence::EndSeen);
        bench.launches[0].state = LaunchState::Closed(Closed::Gone(Absence::EndSeen));
        bench.settle();
        assert_eq!(bench.alive(), bought, "{heal:?}");
        if heal == Heal::Report {
            assert_eq!(bench.units[0].stage, Stage::Lost);
            assert_eq!(bench.reservation.summary.phase, Phase::Failed);
        }
    }
}

#[test]
fn a_release_ends_everything_and_is_over_only_when_nothing_is_left() {
    let mut bench = Bench::new(3, Heal::Report, 2);
    bench.settle();
    assert_eq!((bench.alive(), bench.reservation.summary.phase), (3, Phase::Ready));
    bench.reservation.desired.present = false;
    bench.reservation.end_cause = Some(EndCause::Asked);
    bench.turn();
    assert_eq!(bench.reservation.summary.phase, Phase::Releasing);
    assert!(bench.reservation.over_at.is_none());
    bench.settle();
    assert_eq!((bench.alive(), bench.reservation.summary.phase), (0, Phase::Released));
}

#[test]
fn what_is_over_never_falls_due_again_and_crowds_nobody_out() {
    use infra_core::nouns::reservation::DeadlineKind::Retry;
    let mut bench = Bench::new(1, Heal::Report, 1);
    bench.settle();
    bench.reservation.desired.present = false;
    bench.settle();
    assert!(bench.reservation.over_at.is_some());
    assert_eq!(bench.reservation.deadlines.next(), None);

    bench.reservation.deadlines.0.insert(Retry, bench.now);
    bench.turn();
    assert_eq!(bench.reservation.deadlines.next(), None, "a look that an older version left is taken off");
}

#[test]
fn its_time_counts_from_readiness_and_an_extension_before_that_stands() {
    use infra_core::nouns::reservation::DeadlineKind::Ends;
    let mut bench = Bench::new(1, Heal::Report, 1);
    bench.now = later(bench.now, Duration::from_secs(600));
    bench.settle();
    let ready = bench.reservation.ready_at.expect("it is ready");
    assert_eq!(bench.reservation.deadlines.0[&Ends], later(ready, Duration::from_secs(3600)));

    let mut moved = Bench::new(1, Heal::Report, 1);
    let end = later(moved.now, Duration::from_secs(50_000));
    moved.reservation.deadlines.0.insert(Ends, end);
    moved.settle();
    assert_eq!(moved.reservation.deadlines.0[&Ends], end);
}

#[test]
fn a_wish_that_flaps_is_held_before_it_becomes_a_bill() {
    let mut bench = Bench::new(1, Heal::Replace, 1);
    for _ in 0..40 {
        bench.settle();
        if bench.reservation.hold.is_some() {
            return;
        }
        let row = bench.launches.iter_mut().find(|row| !row.closed()).expect("one is open");
        row.things[0].end = Some(Absence::EndSeen);
        row.state = LaunchState::Closed(Closed::Gone(Absence::EndSeen));
    }
    panic!("40 machines were bought for one wanted, and no brake held");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The wish moves between 0 and 50 at random while machines come and go: what is alive ends up equal to it,
    /// and is never above the highest wish that was standing since things last settled.
    #[test]
    fn any_count_is_reached_and_never_overshot(wishes in prop::collection::vec((0_u32..=50, 0_usize..30), 1..12)) {
        let mut bench = Bench::new(3, Heal::Replace, 4);
        bench.limits.runaway_slack = 10_000;
        let mut ceiling = 3;
        for (wish, turns) in wishes {
            bench.reservation.desired.count = wish;
            bench.reservation.desired.change += 1;
            ceiling = ceiling.max(wish);
            for _ in 0..turns {
                bench.turn();
                bench.cloud();
                bench.now = later(bench.now, Duration::from_secs(1));
                prop_assert!(bench.alive() <= ceiling as usize);
            }
        }
        bench.settle();
        prop_assert_eq!(bench.alive(), bench.reservation.desired.count as usize);
    }
}

/// A reservation that is due, one of many at once.
fn one_of_many() -> Bench {
    let mut bench = Bench::new(1, Heal::Report, 1);
    bench.settle();
    let ends = bench.now;
    bench.reservation.deadlines.0.insert(DeadlineKind::Ends, ends);
    bench.now = later(bench.now, Duration::from_secs(1));
    bench.mass = true;
    bench.turn();
    assert!(bench.reservation.hold.is_some() && bench.reservation.desired.present, "held, and asked about");
    bench.mass = false;
    bench
}

#[test]
fn many_ends_at_once_wait_and_then_come_true() {
    let mut bench = one_of_many();
    bench.now = later(bench.now, bench.limits.mass_patience / 2);
    bench.turn();
    assert!(bench.reservation.desired.present, "there is time to object");
    bench.now = later(bench.now, bench.limits.mass_patience);
    bench.turn();
    assert!(!bench.reservation.desired.present, "what is held for ever costs for ever");
    bench.settle();
    assert_eq!(bench.alive(), 0);
}

#[test]
fn an_extension_lifts_the_hold_of_many_ends() {
    let mut bench = one_of_many();
    let moved = later(bench.now, Duration::from_secs(3600));
    bench.reservation.deadlines.0.insert(DeadlineKind::Ends, moved);
    bench.turn();
    assert_eq!(bench.reservation.hold, None);
    bench.now = later(moved, Duration::from_secs(1));
    bench.turn();
    assert!(!bench.reservation.desired.present, "the new end counts");
}

#[test]
fn what_waits_for_a_person_is_not_due_before_all_others() {
    let bench = one_of_many();
    let due = Stored::index(&bench.reservation, 16).due_at.expect("it is looked at again");
    assert!(due > bench.now, "it would fill every pass, and nobody else's end would be seen");
}

#[test]
fn machines_that_were_replaced_and_cannot_be_ended_are_free_to_the_budget() {
    for days in [0, 40] {
        let mut bench = Bench::new(1, Heal::Replace, 1);
        bench.reservation.deadlines.0.clear();
        bench.settle();
        let since = bench.now;
        bench.launches[0].sends = vec![sent(since)];
        // Refused to end, and running beside its successor ever since.
        let mut other = bench.launches[0].clone();
        other.token = LaunchToken::draw(since, &bench.entropy);
        (other.frozen.token, other.wants) = (other.token, [(0, Want::Gone)].into());
        bench.launches.push(other);
        bench.reservation.charge = None;
        bench.now = later(since, Duration::from_secs(days * 86_400));
        let (mut written, mut last) = (0, None);
        for _ in 0..10 * 60 {
            bench.now = later(bench.now, Duration::from_secs(60));
            let charge = bench.draft().reservation.charge.expect("counted");
            let month = Month::of(bench.now);
            let rows: Vec<_> = bench.launches.iter().collect();
            let paid = in_month(&bench.reservation, &rows, month, bench.now);
            let short = paid.nanos - charge.spent(month, bench.now).nanos;
            assert!(short <= charge.each.per_hour.nanos / 4, "{short} more was paid than is counted");
            written += u32::from(last.as_ref() != Some(&charge));
            bench.reservation.charge = Some(charge.clone());
            last = Some(charge);
        }
        assert!((30..=60).contains(&written), "each raise is a commit: {written}");
    }
}

/// A cloud that does not say when a firewall was made: its client tells when the token in its name was drawn.
#[test]
fn a_firewall_whose_send_was_held_for_long_is_still_the_one_it_made() {
    let mut row = fixtures::launch(1);
    let drawn = row.created_at;
    let sent = later(drawn, Duration::from_secs(600));
    row.sends = vec![self::sent(sent)];
    let seen = |created_at| Observed {
        id: "sg-1".parse().expect("a legal name"),
        kind: ResourceKind::Firewall,
        state: ThingState::Running,
        mark: Some(row.frozen.mark),
        stamp: None,
        name: Some(row.frozen.name.clone()),
        type_name: None,
        image: None,
        zone: None,
        public_address: None,
        private_address: None,
        created_at,
        fault: None,
        tags: BTreeMap::new(),
    };
    for created_at in [drawn, sent] {
        let made = seen(created_at);
        let judged = births::judge(&row, std::slice::from_ref(&made), false, Planted::NONE);
        assert_eq!(judged, Births::Ours(vec![made]));
    }
    let never_sent = Launch { sends: Vec::new(), ..row.clone() };
    let judged = births::judge(&never_sent, &[seen(drawn)], false, Planted::NONE);
    assert_eq!(judged, Births::Ours(Vec::new()), "nothing was sent, so nothing is its");
}
