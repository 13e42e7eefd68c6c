//! What people, clouds and machines do to the engine: one operation at a time, drawn from the seed.

use std::sync::Arc;
use std::time::Duration;

use infra_core::InfraError;
use infra_core::infra::{IdempotencyKey, UserHandle};
use infra_core::nouns::installation::Recovery;
use infra_core::nouns::launch::{Launch, LaunchState};
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::{DeadlineKind, Heal};
use infra_core::nouns::switch::SwitchValue;
use infra_core::words::clock::{Clock, later};
use infra_core::words::ids::{ReservationId, UserId};
use infra_core::words::lane::ResourceKind;
use infra_providers::sim::FaultEffect;

use super::cloud;
use super::door::{Door, Seal};
use super::drive::{Job, Outcome, drive};
use super::gate::{CommitFault, When};
use super::world::{Held, USERS, World, save_key, tick_job};

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Create,
    Power,
    Resize,
    Release,
    Extend,
    Restart,
    Converge,
    LongPause,
    Switch,
    SwitchRace,
    ReleaseRace,
    LoseReply,
    LateBirth,
    ErrorButCreated,
    RefuseAfterUnknown,
    NoCapacity,
    Outage,
    Stuck,
    FailedBuild,
    LoseCommit,
    Vanish,
    EndByHand,
    MakeByHand,
    CopyMark,
    CopyMarkOfUnknown,
    StripMark,
    RotateKey,
    StealKey,
    CopyStore,
    Restore,
    JumpClock,
    PauseReplica,
}

/// Operations and how often they come, in parts.
const WEIGHTS: [(Op, u64); 32] = [
    (Op::Create, 14),
    (Op::Power, 8),
    (Op::Resize, 8),
    (Op::Release, 8),
    (Op::Extend, 3),
    (Op::Restart, 6),
    (Op::Converge, 10),
    (Op::LongPause, 4),
    (Op::Switch, 2),
    (Op::SwitchRace, 3),
    (Op::ReleaseRace, 3),
    (Op::LoseReply, 8),
    (Op::LateBirth, 6),
    (Op::ErrorButCreated, 5),
    (Op::RefuseAfterUnknown, 4),
    (Op::NoCapacity, 2),
    (Op::Outage, 3),
    (Op::Stuck, 4),
    (Op::FailedBuild, 2),
    (Op::LoseCommit, 5),
    (Op::Vanish, 3),
    (Op::EndByHand, 3),
    (Op::MakeByHand, 2),
    (Op::CopyMark, 4),
    (Op::CopyMarkOfUnknown, 3),
    (Op::StripMark, 4),
    (Op::RotateKey, 3),
    (Op::StealKey, 3),
    (Op::CopyStore, 4),
    (Op::Restore, 4),
    (Op::JumpClock, 4),
    (Op::PauseReplica, 4),
];

impl World {
    /// Draws an operation.
    pub fn draw(&self) -> Op {
        let total = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut at = self.below(total);
        for (op, weight) in WEIGHTS {
            if at < weight {
                return op;
            }
            at -= weight;
        }
        Op::Converge
    }

    /// Does it, without any chance of its own.
    pub fn perform_quietly(&mut self, op: Op) {
        self.name(op);
        self.act(op);
    }

    fn name(&mut self, op: Op) {
        self.coverage.operations += 1;
        self.operation = match op {
            Op::Create => "create",
            Op::Power => "power",
            Op::Resize => "resize",
            Op::Release => "release",
            Op::Restart => "restart",
            _ => "converge",
        };
    }

    /// Does it, then lets the engine work a little. One time in three a crash lies in wait.
    pub fn perform(&mut self, op: Op) {
        self.name(op);
        if self.chance(35) {
            let when = if self.chance(80) { When::After } else { When::Before };
            self.replica().gate.crash_in(1 + self.below(25), when);
        }
        self.act(op);
        let ticks = 1 + self.below(6);
        for _ in 0..ticks {
            self.tick();
            self.advance(Duration::from_millis(200 + self.below(8_000)));
        }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Create => self.create(),
            Op::Power => self.power(),
            Op::Resize => self.resize(),
            Op::Release => self.release(),
            Op::Extend => self.extend(),
            Op::Restart => {
                self.crash();
                if self.chance(70) {
                    self.replica().gate.crash_in(1 + self.below(12), When::After);
                }
            }
            Op::Converge => (0..5).for_each(|_| {
                self.tick();
                self.advance(Duration::from_secs(3));
            }),
            Op::LongPause => {
                // Nobody runs for hours: deadlines pass, tokens age, machines are ended by hand meanwhile.
                self.crash();
                self.advance(Duration::from_secs(600 + self.below(9_000)));
            }
            Op::Switch | Op::SwitchRace | Op::ReleaseRace => self.race(op),
            Op::LoseReply => self.fault("launch", FaultEffect::LostReply, 1 + self.below(2)),
            Op::LateBirth => {
                // The request sits in a queue and is done long after everybody has given it up.
                let late = FaultEffect::LateMs(1_000 * (60 + self.below(3_000)));
                self.fault("launch", late, 1);
                self.create();
            }
            Op::ErrorButCreated => self.fault("launch", FaultEffect::ErrorButCreated, 1),
            Op::RefuseAfterUnknown => self.refuse_after_unknown(),
            Op::NoCapacity => self.fault("launch", FaultEffect::Capacity, 1 + self.below(3)),
            Op::Outage => {
                let op = ["launch", "list_owned", "get", "find", "act"]
                    [usize::try_from(self.below(5)).unwrap_or(0)];
                self.fault(op, FaultEffect::ServerError, 1 + self.below(4));
            }
            Op::Stuck => self.fault("act", FaultEffect::StuckForS(30 + self.below(120)), 1 + self.below(2)),
            Op::FailedBuild => self.fault("launch", FaultEffect::ErrorState, 1),
            Op::LoseCommit => self.lose_commits(),
            Op::Vanish
            | Op::EndByHand
            | Op::MakeByHand
            | Op::CopyMark
            | Op::CopyMarkOfUnknown
            | Op::StripMark => {
                self.by_hand(op);
            }
            Op::RotateKey => self.rotate_key(),
            Op::StealKey => self.steal_key(),
            Op::CopyStore => self.copy_store(),
            Op::Restore => self.restore(),
            Op::JumpClock => self.jump_clock(),
            Op::PauseReplica => self.pause_replica(),
        }
    }

    fn user(&self) -> UserId {
        let at = usize::try_from(self.below(USERS.len() as u64)).unwrap_or(0);
        UserId::new(USERS[at]).expect("a legal name")
    }

    fn pick(&self, wanted: impl Fn(&Held) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.held.len())
            .filter(|at| self.held[*at].id.is_some() && wanted(&self.held[*at]))
            .collect();
        let at = usize::try_from(self.below(all.len() as u64)).unwrap_or(0);
        all.get(at).copied()
    }

    fn create(&mut self) {
        let key = format!("key-{}-{}", self.seed, self.held.len());
        let count = 1 + u32::try_from(self.below(4)).unwrap_or(0);
        let held = Held { user: self.user(), key, id: None, count, released: false };
        self.held.push(held);
        self.ask(self.held.len() - 1);
    }

    /// Asks for a reservation under its key; a client that got no answer asks again with the same key.
    fn ask(&mut self, at: usize) {
        let held = self.held[at].clone();
        let mut request = Request::default();
        request.count = Some(held.count);
        request.name = Some(held.key.clone());
        request.vcpus = self.vcpus();
        request.region = Some(self.sim.region());
        request.heal = Some(if self.chance(50) { Heal::Replace } else { Heal::Report });
        let minutes = [0, 2, 20, 300][usize::try_from(self.below(4)).unwrap_or(0)];
        request.duration_s = (minutes > 0).then_some(minutes * 60);
        for _ in 0..4 {
            let (infra, request, held) = (self.replica().infra.clone(), request.clone(), held.clone());
            let job: Job = Box::pin(async move {
                let key = IdempotencyKey::new("POST reservations", &held.key).expect("printable");
                let reserved = infra.user(&held.user).reserve(&request, Some(&key)).await;
                reserved.map(drop).map_err(|error| error.to_string())
            });
            if self.run(job).is_some_and(|result| result.is_ok()) {
                break;
            }
        }
        // Whatever was answered: what stands in the store under this name is what we hold.
        let found =
            self.reservations().into_iter().find(|r| r.value.spec.request.name.as_deref() == Some(&held.key));
        self.held[at].id = found.map(|record| record.value.id);
    }

    /// A person's verb; whoever got no answer says it again.
    fn say<W, F>(&mut self, at: usize, verb: W)
    where
        W: Fn(UserHandle, ReservationId) -> F,
        F: Future<Output = Result<(), InfraError>> + Send + 'static,
    {
        let Some(id) = self.held[at].id.clone() else { return };
        for _ in 0..4 {
            let said = verb(self.replica().infra.user(&self.held[at].user), id.clone());
            let job: Job = Box::pin(async move { said.await.map_err(|error| error.to_string()) });
            if self.run(job).is_some() {
                break;
            }
        }
    }

    fn power(&mut self) {
        let Some(at) = self.pick(|held| !held.released) else { return };
        let off = self.chance(60);
        self.say(at, move |user, id| async move {
            if off { user.stop(&id, None).await.map(drop) } else { user.start(&id, None).await.map(drop) }
        });
    }

    fn resize(&mut self) {
        let Some(at) = self.pick(|held| !held.released) else { return };
        let count = u32::try_from(self.below(6)).unwrap_or(0);
        self.say(at, move |user, id| async move { user.set_count(&id, count, None).await.map(drop) });
    }

    fn release(&mut self) {
        let Some(at) = self.pick(|held| !held.released) else { return };
        self.release_one(at);
    }

    pub fn release_one(&mut self, at: usize) {
        self.say(at, |user, id| async move { user.release(&id).await.map(drop) });
        self.note_releases();
    }

    fn extend(&mut self) {
        let Some(at) = self.pick(|held| !held.released) else { return };
        self.extend_one(at, 3_600 + self.below(20_000));
    }

    fn extend_one(&mut self, at: usize, seconds: u64) {
        let to = later(self.clock.wall(), Duration::from_secs(seconds));
        self.say(at, move |user, id| async move { user.extend(&id, to, None).await.map(drop) });
    }

    /// A machine is made and the reply lost; the replay is refused, which says nothing about the first send.
    fn refuse_after_unknown(&mut self) {
        self.coverage.faults += 2;
        cloud::machine_rule(&self.sim, FaultEffect::LostReply);
        self.create();
        for _ in 0..12 {
            self.tick();
            let met = |row: &Launch| row.state == LaunchState::Unknown && row.kind() == ResourceKind::Machine;
            if self.rows().iter().any(|row| met(&row.value)) {
                break;
            }
            self.advance(Duration::from_millis(700));
        }
        cloud::machine_rule(&self.sim, FaultEffect::Quota);
    }

    pub fn fault(&mut self, op: &str, effect: FaultEffect, times: u64) {
        self.coverage.faults += 1;
        cloud::rule(&self.sim, op, effect, times);
    }

    fn lose_commits(&mut self) {
        let faults = (0..12).filter_map(|_| match self.below(4) {
            0 => Some(CommitFault::LostReply),
            1 => Some(CommitFault::LostRequest),
            _ => None,
        });
        let faults: Vec<_> = faults.collect();
        self.coverage.commits_lost += faults.len() as u64;
        self.replica().gate.lose_commits(faults);
        self.create();
    }

    /// Something is decided between the engine's last look and its write.
    fn race(&mut self, op: Op) {
        if op == Op::Switch {
            let value = if self.chance(50) { SwitchValue::NoCreates } else { SwitchValue::Frozen };
            self.throw(value);
            return self.create();
        }
        let clock = self.clock.clone();
        let hook: Box<dyn FnOnce(&infra_store::MemoryStore) + Send> = if op == Op::SwitchRace {
            Box::new(move |store| cloud::throw_switch(store, &clock, SwitchValue::NoCreates))
        } else {
            Box::new(move |store| cloud::release_everything(store, &clock))
        };
        let gate = self.replica().gate.clone();
        gate.before_sent(hook);
        self.create();
        for _ in 0..4 {
            self.tick();
            self.advance(Duration::from_secs(2));
        }
        // Where nothing was sent (a frozen store, say) there was no race. Left in wait, the other replica would throw
        // its switch hours later, when nobody is there any more to open it again.
        self.coverage.switch_races += u64::from(!gate.call_off());
        self.note_releases();
        self.throw(SwitchValue::Open);
    }

    /// Releases that were asked for behind our back.
    pub fn note_releases(&mut self) {
        let reservations = self.reservations();
        for held in &mut self.held {
            let gone = |id: &ReservationId| {
                reservations.iter().any(|r| &r.value.id == id && !r.value.desired.present)
            };
            held.released |= held.id.as_ref().is_some_and(gone);
        }
    }

    pub fn throw(&mut self, value: SwitchValue) {
        cloud::throw_switch(&self.store, &self.clock, value);
    }

    fn by_hand(&mut self, op: Op) {
        let things = cloud::machines(&self.sim, true);
        let at = usize::try_from(self.below(things.len() as u64)).unwrap_or(0);
        let id = things.get(at).map(|thing| thing.id.clone());
        match (op, id) {
            (Op::MakeByHand, _) => self.mine(cloud::make(&self.sim)),
            (Op::CopyMarkOfUnknown, _) => {
                // The reply is lost, a person copies what was made, and only then somebody looks.
                self.fault("launch", FaultEffect::LostReply, 1);
                self.create();
                self.tick();
                let new = cloud::machines(&self.sim, true).into_iter().next_back();
                if let Some(copy) = new.and_then(|thing| cloud::copy(&self.sim, &thing.id)) {
                    self.mine(copy);
                }
            }
            (Op::CopyMark, Some(id)) => {
                if let Some(copy) = cloud::copy(&self.sim, &id) {
                    self.mine(copy);
                }
            }
            (Op::Vanish, Some(id)) => cloud::vanish(&self.sim, &id),
            (Op::EndByHand, Some(id)) => cloud::end(&self.sim, &id),
            (Op::StripMark, Some(id)) => cloud::strip(&self.sim, &id),
            _ => {}
        }
    }

    fn mine(&mut self, id: infra_core::words::ids::ResourceId) {
        self.door.by_hand.lock().expect("no panic under this lock").insert(id.clone());
        self.by_hand.insert(id, ());
    }

    /// The key leads to another account from now on, without anybody telling us; later it leads back.
    fn steal_key(&mut self) {
        let user = self.user();
        cloud::mislead(&self.sim, user.as_str(), true);
        for _ in 0..8 {
            self.tick();
            self.advance(Duration::from_secs(20));
        }
        cloud::mislead(&self.sim, user.as_str(), false);
    }

    /// A copy of the store is opened elsewhere while the original goes on and extends what it holds.
    fn copy_store(&mut self) {
        self.coverage.copies += 1;
        let copy = Arc::new(self.store.snapshot());
        let door = Arc::new(Door::new(self.clock.clone(), Arc::clone(&copy), self.limits.clone()));
        *door.sealed.lock().expect("no panic under this lock") =
            Some(Seal { why: "the store is a copy", accounts: Vec::new() });
        let replica = self.boot(copy, Arc::clone(&door), "machine-b:/backup/infra", 1_000);
        for step in 0..10 {
            let outcome = drive(tick_job(&replica.engine), &replica.gate, &self.clock);
            assert!(!matches!(outcome, Outcome::Paused(_)), "the copy was not told to pause");
            if step == 0 {
                self.extend_all();
            }
            self.tick();
            self.advance(Duration::from_secs(120));
        }
        for violation in door.violations() {
            self.door.violated(format!("the copy: {violation}"));
        }
    }

    fn extend_all(&mut self) {
        for at in 0..self.held.len() {
            if !self.held[at].released {
                self.extend_one(at, 100_000);
            }
        }
    }

    /// Yesterday's backup is restored in place; a person recovers it as restored once it says that it is old.
    fn restore(&mut self) {
        let backup = Arc::new(self.store.snapshot());
        let before = cloud::machines(&self.sim, true);
        self.extend_all();
        self.create();
        (0..8).for_each(|_| {
            self.tick();
            self.advance(Duration::from_secs(15));
        });
        self.advance(Duration::from_secs(90));
        let after = cloud::machines(&self.sim, true);
        let newer = after.iter().filter(|thing| {
            let old = before.iter().any(|old| old.id == thing.id);
            thing.created_at < later_than(self, 60) && thing.marked && !old
        });
        let accounts: Vec<String> = newer.map(|thing| thing.account.clone()).collect();
        if accounts.is_empty() {
            return;
        }
        self.coverage.restores += 1;
        self.replica = None;
        self.store = backup;
        self.door = Arc::new(Door::new(self.clock.clone(), Arc::clone(&self.store), self.limits.clone()));
        self.keep_hands_off();
        *self.door.sealed.lock().expect("no panic under this lock") =
            Some(Seal { why: "the store is older than the cloud", accounts });
        self.forget_what_was_lost();
        self.start();
        (0..4).for_each(|_| {
            self.tick();
            self.advance(Duration::from_secs(10));
        });
        self.recover();
        *self.door.sealed.lock().expect("no panic under this lock") = None;
    }

    fn keep_hands_off(&self) {
        let mut hands = self.door.by_hand.lock().expect("no panic under this lock");
        hands.extend(self.by_hand.keys().cloned());
        // What the lost store had made is nobody's now: reported, never touched.
        let known: Vec<_> = self.rows().into_iter().map(|row| row.value.token).collect();
        let strangers = cloud::everything(&self.sim);
        hands.extend(
            strangers
                .into_iter()
                .filter(|t| t.token.is_none_or(|token| !known.contains(&token)))
                .map(|t| t.id),
        );
    }

    fn forget_what_was_lost(&mut self) {
        let reservations = self.reservations();
        for held in &mut self.held {
            let found = reservations.iter().find(|r| Some(&r.value.id) == held.id.as_ref());
            held.released = found.is_some_and(|r| !r.value.desired.present);
            if found.is_none() {
                held.id = None;
            }
        }
    }

    pub fn recover(&mut self) {
        for _ in 0..6 {
            let infra = self.replica().infra.clone();
            let job: Job = Box::pin(async move {
                let said = infra.operator().recover(Recovery::Restored).await;
                said.map(drop).map_err(|error| error.to_string())
            });
            if self.run(job).is_some_and(|result| result.is_ok()) {
                return;
            }
        }
    }

    /// The same label, valid, but of another account: another lane, never a replacement.
    fn rotate_key(&mut self) {
        let user = self.user();
        let key = self.sim.key(&format!("acc{}-{user}", self.below(3)));
        let infra = self.replica().infra.clone();
        let job: Job = Box::pin(async move { save_key(&infra, &user, &key).await });
        self.run(job);
    }

    /// The wall is a year ahead for a while. What it would have ended must still be there.
    fn jump_clock(&mut self) {
        self.coverage.clock_jumps += 1;
        self.replica().clock.set_ahead(Duration::from_secs(365 * 86_400));
        for _ in 0..4 {
            self.tick();
            self.advance(Duration::from_secs(5));
        }
        // The truth is that nobody's time is over: deadlines compare with true time at the door.
        self.replica().clock.set_ahead(Duration::ZERO);
        let due = |r: &infra_core::nouns::reservation::Reservation| {
            r.deadlines.0.get(&DeadlineKind::Ends).is_some_and(|at| *at > self.clock.wall())
                && r.end_cause == Some(infra_core::nouns::launch::EndCause::Deadline)
        };
        for record in self.reservations().iter().filter(|record| due(&record.value)) {
            self.door.violated(format!("{} ended by a clock that was wrong", record.value.id));
        }
    }

    /// The replica sleeps in the middle of a create call; another takes over; then the first wakes up.
    fn pause_replica(&mut self) {
        self.coverage.pauses += 1;
        self.create();
        let sleeper = self.replica.take().expect("a replica runs");
        sleeper.gate.pause_launches(true);
        let mut asleep = None;
        for _ in 0..6 {
            match drive(tick_job(&sleeper.engine), &sleeper.gate, &self.clock) {
                Outcome::Paused(job) => {
                    asleep = Some(job);
                    break;
                }
                Outcome::Crashed(kind) => {
                    self.coverage.crashed(kind, self.operation);
                    break;
                }
                Outcome::Done(_) => self.advance(Duration::from_secs(2)),
            }
        }
        self.start();
        let minutes = if self.chance(50) { 2 } else { 40 };
        if self.chance(50) {
            self.release();
        }
        for _ in 0..12 {
            self.tick();
            self.advance(Duration::from_secs(minutes * 5));
        }
        if let Some(job) = asleep {
            self.remember_paused();
            sleeper.gate.pause_launches(false);
            let _ = drive(job, &sleeper.gate, &self.clock);
        }
    }

    /// Attempts that stood at the door may be born at any time now.
    fn remember_paused(&mut self) {
        let rows = self.rows();
        self.paused_tokens
            .extend(rows.iter().filter(|row| !row.value.sends.is_empty()).map(|row| row.value.token));
    }
}

fn later_than(world: &World, seconds: u64) -> infra_core::words::clock::Timestamp {
    let back = jiff::SignedDuration::from_secs(-i64::try_from(seconds).unwrap_or(0));
    world.clock.wall().checked_add(back).unwrap_or(world.clock.wall())
}
