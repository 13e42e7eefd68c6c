//! Off by snapshot: the disk of a machine that is turned off must never be lost, whatever fails in between.

#![cfg(feature = "planted-bugs")]

use std::time::Duration;

use infra_core::Limits;
use infra_core::contracts::provider::{Facts, KindFacts, TokenScope};
use infra_core::nouns::cloud::{PowerMode, ThingState};
use infra_core::nouns::launch::{Absence, Closed, Launch, LaunchBody, LaunchState, Thing, Want};
use infra_core::nouns::reservation::{Heal, Phase, Power, Reservation};
use infra_core::nouns::unit::{Stage, Unit};
use infra_core::plan::reservation::{LaneView, Picture, plan};
use infra_core::testing::{SeededEntropy, fixtures};
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::{LaunchToken, ResourceId};
use infra_core::words::lane::{ResourceKind, Version};
use infra_core::words::planted::{Bug, Planted};

/// One slot in a cloud without tokens that bills what is off.
struct Bench {
    reservation: Reservation,
    units: Vec<Unit>,
    launches: Vec<Launch>,
    now: Timestamp,
    entropy: SeededEntropy,
    planted: Planted,
    made: u32,
}

fn facts() -> Facts {
    let mut facts = fixtures::facts(1, false);
    let machine = facts.kinds[0];
    facts.kinds.push(KindFacts { kind: ResourceKind::Snapshot, token: TokenScope::None, ..machine });
    facts.off_modes = vec![PowerMode::Snapshot];
    facts
}

impl Bench {
    fn ready() -> Self {
        let now = Timestamp::from_second(1_767_225_600).expect("in range");
        let mut bench = Self {
            reservation: fixtures::reservation(1, Heal::Report, None, now),
            units: Vec::new(),
            launches: Vec::new(),
            now,
            entropy: SeededEntropy::new(7),
            planted: Planted::NONE,
            made: 0,
        };
        bench.turn();
        bench.bear(ResourceKind::Machine, ThingState::Running);
        bench.turn();
        assert_eq!(bench.reservation.summary.phase, Phase::Ready);
        bench
    }

    fn turn(&mut self) {
        let lanes = [(fixtures::lane().id(), LaneView { facts: facts(), calm: true })].into();
        let limits = Limits::default();
        let picture = Picture {
            reservation: &self.reservation,
            version: Version(1),
            units: &self.units,
            launches: &self.launches,
            lanes: &lanes,
            now: self.now,
            limits: &limits,
            deadlines_held: None,
            mass_deadline: false,
            needs_met: true,
            planted: self.planted,
        };
        let draft = plan(&picture, &mut || LaunchToken::draw(self.now, &self.entropy));
        let launches = draft.launches.values().chain(&draft.new_launches).cloned().collect();
        let units = draft.units.values().cloned().collect();
        (self.reservation, self.units, self.launches) = (draft.reservation, units, launches);
        self.now = later(self.now, Duration::from_secs(1));
    }

    fn power(&mut self, power: Power) {
        self.reservation.desired.power = power;
        self.turn();
    }

    /// The newest planned row of a kind gets its thing.
    fn bear(&mut self, kind: ResourceKind, state: ThingState) -> ResourceId {
        let planned = |row: &&mut Launch| row.kind() == kind && row.state == LaunchState::Planned;
        let row = self.launches.iter_mut().find(planned).expect("one is planned");
        self.made += 1;
        let id: ResourceId = format!("{}-{}", kind.word(), self.made).parse().expect("a legal id");
        row.state = LaunchState::Live;
        row.things.push(thing(&id, row.units.clone().next(), state, self.now));
        id
    }

    fn row(&mut self, id: &ResourceId) -> &mut Launch {
        let of = |row: &&mut Launch| row.things.iter().any(|thing| thing.id == *id);
        self.launches.iter_mut().find(of).expect("it stands on a row")
    }

    fn set(&mut self, id: &ResourceId, state: ThingState) {
        let row = self.row(id);
        let thing = row.things.iter_mut().find(|thing| thing.id == *id).expect("it stands on its row");
        thing.state = state;
        if state == ThingState::Ended {
            thing.end = Some(Absence::EndSeen);
            row.state = LaunchState::Closed(Closed::Gone(Absence::EndSeen));
        }
    }

    fn machine(&self) -> ResourceId {
        let token = self.units[0].current.expect("it has a machine");
        let row = self.launches.iter().find(|row| row.token == token).expect("its row");
        row.things[0].id.clone()
    }

    fn wants_it_gone(&mut self, id: &ResourceId) -> bool {
        let row = self.row(id);
        row.things.iter().all(|thing| row.want_of(thing) == Want::Gone)
    }

    fn planned(&self, kind: ResourceKind) -> usize {
        self.launches.iter().filter(|row| row.kind() == kind && row.state == LaunchState::Planned).count()
    }

    /// Off as far as the snapshot being proven and the machine let go.
    fn parked() -> (Self, ResourceId, ResourceId) {
        let mut bench = Self::ready();
        let machine = bench.machine();
        bench.power(Power::Off);
        bench.set(&machine, ThingState::Stopped);
        bench.turn();
        let copy = bench.bear(ResourceKind::Snapshot, ThingState::Running);
        bench.turn();
        (bench, machine, copy)
    }
}

fn thing(id: &ResourceId, unit: Option<u32>, state: ThingState, now: Timestamp) -> Thing {
    Thing {
        id: id.clone(),
        unit,
        state,
        seen_at: now,
        public_address: None,
        private_address: None,
        zone: None,
        late: false,
        mark_lost: false,
        confirmed: false,
        ran: state == ThingState::Running,
        missing: None,
        ending: None,
        power: None,
        power_refused: None,
        end: None,
        fault: None,
    }
}

#[test]
fn a_running_machine_is_never_copied_and_never_ended() {
    let mut bench = Bench::ready();
    let machine = bench.machine();
    bench.power(Power::Off);
    for state in [ThingState::Running, ThingState::Stopping, ThingState::Suspect, ThingState::Error] {
        bench.set(&machine, state);
        bench.turn();
        assert_eq!(bench.planned(ResourceKind::Snapshot), 0, "{state:?}");
        assert!(!bench.wants_it_gone(&machine), "{state:?}");
    }
}

/// Everything but a usable snapshot of this very machine, with a word for the message.
fn unproven(bench: &mut Bench, copy: &ResourceId) -> Vec<&'static str> {
    let mut kept = Vec::new();
    let row = bench.row(copy).clone();
    let machine = bench.machine();
    type Spoil = fn(&mut Launch);
    let spoils: [(&'static str, Spoil); 7] = [
        ("building", |row| row.things[0].state = ThingState::Building),
        ("failed", |row| row.things[0].state = ThingState::Error),
        ("missing", |row| {
            let at = row.created_at;
            row.things[0].missing =
                Some(infra_core::nouns::launch::Missing { first: at, last: at, list_as_of: None });
        }),
        ("unmarked", |row| row.things[0].mark_lost = true),
        ("unknown", |row| {
            row.things.clear();
            row.state = LaunchState::Unknown;
        }),
        ("of another machine", |row| {
            row.frozen.body = LaunchBody::Snapshot { of: "machine-99".parse().expect("legal") };
        }),
        ("in another lane", |row| row.lane.account = "elsewhere".parse().expect("legal")),
    ];
    for (word, spoil) in spoils {
        let mut other = Bench {
            reservation: bench.reservation.clone(),
            units: bench.units.clone(),
            launches: bench.launches.clone(),
            entropy: SeededEntropy::new(8),
            ..*bench
        };
        spoil(other.launches.iter_mut().find(|other| other.token == row.token).expect("the copy's row"));
        for _ in 0..3 {
            other.turn();
        }
        if other.wants_it_gone(&machine) {
            kept.push(word);
        }
    }
    kept
}

#[test]
fn c15_a_machine_goes_only_when_its_own_snapshot_is_proven() {
    let mut bench = Bench::ready();
    let machine = bench.machine();
    bench.power(Power::Off);
    bench.set(&machine, ThingState::Stopped);
    bench.turn();
    let copy = bench.bear(ResourceKind::Snapshot, ThingState::Running);
    assert_eq!(unproven(&mut bench, &copy), Vec::<&str>::new());
    bench.planted = Planted::one(Bug::C15SnapshotUnproven);
    assert_eq!(unproven(&mut bench, &copy).len(), 7, "the planted defect must be seen by every one of these");
    bench.planted = Planted::NONE;
    bench.turn();
    assert!(bench.wants_it_gone(&machine));
}

#[test]
fn off_is_reached_only_when_nothing_is_billed_but_the_snapshot() {
    let (mut bench, machine, copy) = Bench::parked();
    assert_eq!((bench.units[0].stage, bench.units[0].current), (Stage::Stopping, None));
    assert_eq!(bench.reservation.summary.phase, Phase::Stopping);
    bench.set(&machine, ThingState::Ended);
    bench.turn();
    assert_eq!((bench.units[0].stage, bench.reservation.summary.phase), (Stage::Off, Phase::Stopped));
    assert_eq!(bench.units[0].kept[0].id, copy);
    assert!(!bench.wants_it_gone(&copy));
}

#[test]
fn waking_makes_a_machine_from_the_snapshot_and_then_ends_it() {
    let (mut bench, machine, copy) = Bench::parked();
    bench.set(&machine, ThingState::Ended);
    bench.power(Power::On);
    let row = bench.launches.iter().find(|row| row.state == LaunchState::Planned).expect("a new attempt");
    let LaunchBody::Machine(body) = &row.frozen.body else { panic!("a machine is wanted") };
    assert_eq!(body.image.as_str(), copy.as_str());
    let woken = bench.bear(ResourceKind::Machine, ThingState::Building);
    bench.turn();
    assert!(!bench.wants_it_gone(&copy), "the copy is all there is until the machine has run");
    bench.row(&woken).things[0].ran = true;
    bench.set(&woken, ThingState::Running);
    bench.turn();
    assert_eq!(bench.reservation.summary.phase, Phase::Ready);
    assert!(bench.wants_it_gone(&copy), "it is billed and nobody needs it");
}

#[test]
fn a_slot_is_not_filled_twice_while_its_former_machine_ends() {
    let (mut bench, machine, _) = Bench::parked();
    bench.power(Power::On);
    assert_eq!((bench.planned(ResourceKind::Machine), bench.units[0].stage), (0, Stage::Stopping));
    bench.set(&machine, ThingState::Ending);
    bench.turn();
    bench.turn();
    assert_eq!(bench.planned(ResourceKind::Machine), 1, "ordered to end, it is no capacity any more");
}

#[test]
fn a_wish_that_turns_around_keeps_the_machine_and_ends_the_copy() {
    let mut bench = Bench::ready();
    let machine = bench.machine();
    bench.power(Power::Off);
    bench.set(&machine, ThingState::Stopped);
    bench.turn();
    let copy = bench.bear(ResourceKind::Snapshot, ThingState::Building);
    bench.power(Power::On);
    bench.set(&machine, ThingState::Running);
    bench.turn();
    assert!(bench.wants_it_gone(&copy) && !bench.wants_it_gone(&machine));
}

#[test]
fn a_failed_snapshot_is_made_again_after_a_pause_and_the_machine_stays() {
    let mut bench = Bench::ready();
    let machine = bench.machine();
    bench.power(Power::Off);
    bench.set(&machine, ThingState::Stopped);
    bench.turn();
    let failed = bench.bear(ResourceKind::Snapshot, ThingState::Error);
    bench.turn();
    assert!(bench.wants_it_gone(&failed) && !bench.wants_it_gone(&machine));
    assert_eq!(bench.planned(ResourceKind::Snapshot), 0, "not at once");
    bench.now = later(bench.now, Duration::from_secs(600));
    bench.turn();
    assert_eq!(bench.planned(ResourceKind::Snapshot), 1);
    assert!(bench.units[0].reason.is_some(), "its owner reads why it is still billed");
}

#[test]
fn a_vanished_snapshot_is_a_loss_and_is_said() {
    let (mut bench, machine, copy) = Bench::parked();
    bench.set(&machine, ThingState::Ended);
    bench.turn();
    bench.set(&copy, ThingState::Ended);
    bench.turn();
    assert_eq!(bench.units[0].stage, Stage::Lost);
    bench.power(Power::On);
    assert_eq!(bench.planned(ResourceKind::Machine), 0, "a fresh disk in its place would hide the loss");
}

#[test]
fn a_release_ends_the_snapshot_too() {
    let (mut bench, machine, copy) = Bench::parked();
    bench.set(&machine, ThingState::Ended);
    bench.reservation.desired.present = false;
    bench.turn();
    assert!(bench.wants_it_gone(&copy));
    bench.set(&copy, ThingState::Ended);
    bench.turn();
    assert!(bench.reservation.over_at.is_some());
}
