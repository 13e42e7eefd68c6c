//! The invariants, checked after every step; and what must be true once everything has calmed down.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use infra_core::nouns::launch::{Closed, EndCause, Launch, LaunchState, Want};
use infra_core::nouns::reservation::{Heal, Power, Reservation};
use infra_core::nouns::switch::SwitchValue;
use infra_core::nouns::unit::Stage;
use infra_core::records::Versioned;
use infra_core::words::clock::between;
use infra_core::words::ids::{LaunchToken, ReservationId, ResourceId};

use super::cloud::{self, Seen};
use super::world::World;

impl World {
    /// What must hold at every moment; the first violation, if any.
    pub fn violation(&self) -> Option<String> {
        let rows: BTreeMap<LaunchToken, Versioned<Launch>> =
            self.rows().into_iter().map(|row| (row.value.token, row)).collect();
        let truth = cloud::everything(&self.sim);
        let mut found = self.door.violations();
        found.extend(truth.iter().filter_map(|thing| self.dropping(thing, &rows)));
        found.extend(rows.values().filter_map(|row| self.row_lies(&row.value, &truth)));
        found.extend(self.hands_touched(&truth));
        found.extend(self.doubled());
        found.extend(self.disk_lost(&rows, &truth));
        found.extend(rows.values().filter_map(|row| self.too_many(&row.value, &truth)));
        found.extend(self.history_lies(&rows));
        found.into_iter().next()
    }

    /// 1, 4: what we made and is there has a row.
    fn dropping(&self, thing: &Seen, rows: &BTreeMap<LaunchToken, Versioned<Launch>>) -> Option<String> {
        let token = thing.token.filter(|_| thing.alive && !self.is_strange(&thing.id))?;
        let row = rows.get(&token);
        if row.is_none() {
            return Some(format!("{} ({token}) is alive and no row knows it", thing.id));
        }
        // 9: made with the right key, in the right account.
        let account = row.map(|row| row.value.lane.account.to_string());
        (account.as_deref() != Some(thing.account.as_str()))
            .then(|| format!("{} was made in {} for a row of {account:?}", thing.id, thing.account))
    }

    /// What was made by the store that was lost, or by hand: not ours to know.
    fn is_strange(&self, id: &ResourceId) -> bool {
        self.door.by_hand.lock().expect("no panic under this lock").contains(id)
    }

    /// A row says that something is not there, or is ours, against the truth.
    fn row_lies(&self, row: &Launch, truth: &[Seen]) -> Option<String> {
        for thing in &row.things {
            if self.by_hand.contains_key(&thing.id) {
                return Some(format!("{} stands on a row and was made by hand", thing.id));
            }
            let there = truth.iter().any(|seen| seen.id == thing.id && seen.alive);
            if thing.end.is_some() && there {
                return Some(format!("{} is alive and its row says it ended: {:?}", thing.id, thing.end));
            }
        }
        let unborn = matches!(row.state, LaunchState::Closed(Closed::NeverBorn(_)));
        let exempt = self.paused_tokens.contains(&row.token);
        // Born in time, it must have been found; born later, it is a late birth that a listing will find.
        let in_time = |seen: &&Seen| {
            let sent = row.last_sent().unwrap_or(row.created_at);
            between(sent, seen.created_at) <= Duration::from_secs(60)
        };
        let born = truth.iter().filter(in_time).find(|seen| seen.alive && seen.token == Some(row.token));
        born.filter(|_| unborn && !exempt)
            .map(|seen| format!("{} is alive and its row says never born", seen.id))
    }

    /// 2: what people made by hand is as they left it.
    fn hands_touched(&self, truth: &[Seen]) -> Option<String> {
        self.by_hand.keys().find_map(|id| {
            let there = truth.iter().any(|seen| &seen.id == id && seen.alive && seen.on);
            (!there).then(|| format!("{id} was made by hand and is gone or off"))
        })
    }

    /// 15: a machine that was ended because its slot was turned off has left its data behind.
    fn disk_lost(&self, rows: &BTreeMap<LaunchToken, Versioned<Launch>>, truth: &[Seen]) -> Option<String> {
        let reservations = self.reservations();
        let units = self.units();
        units.iter().map(|unit| &unit.value).filter(|unit| unit.want != Want::Gone).find_map(|unit| {
            let wanted = |record: &&Versioned<Reservation>| {
                record.value.id == unit.reservation && record.value.desired.present
            };
            reservations.iter().find(wanted)?;
            let of_slot = rows.values().map(|row| &row.value).filter(|row| {
                row.reservation == unit.reservation && row.units.contains(&unit.no) && !row.things.is_empty()
            });
            let last = of_slot.max_by_key(|row| (row.created_at, row.token))?;
            let ended = |thing: &&infra_core::nouns::launch::Thing| {
                thing.unit == Some(unit.no) && thing.ran && thing.ending.is_some()
            };
            let thing = last.things.iter().find(ended).filter(|_| last.cause == Some(EndCause::Asked))?;
            let disk = truth.iter().find(|seen| seen.id == thing.id)?.disk;
            let kept = truth.iter().any(|seen| seen.disk == disk && seen.alive && seen.whole);
            (!kept).then(|| format!("{} was turned off by being ended, and its data is gone", thing.id))
        })
    }

    /// A snapshot that no slot needs is billed for nothing.
    fn needless(&self, truth: &[Seen]) -> Option<String> {
        let held: BTreeSet<LaunchToken> =
            self.units().iter().filter_map(|unit| unit.value.snapshot).collect();
        let needless = |seen: &&Seen| {
            seen.alive
                && seen.snapshot
                && seen.marked
                && !self.is_strange(&seen.id)
                && !seen.token.is_some_and(|token| held.contains(&token))
        };
        truth.iter().find(needless).map(|seen| format!("{} is alive and no slot needs it", seen.id))
    }

    /// 20: one key, one reservation.
    fn doubled(&self) -> Option<String> {
        let mut names = BTreeSet::new();
        self.reservations()
            .into_iter()
            .filter_map(|record| record.value.spec.request.name)
            .find(|name| !names.insert(name.clone()))
            .map(|name| format!("two reservations for the key {name}"))
    }

    /// 3: an attempt never makes more than it asked for; a slot is never filled twice at a time.
    fn too_many(&self, row: &Launch, truth: &[Seen]) -> Option<String> {
        let alive = truth.iter().filter(|seen| seen.alive && seen.token == Some(row.token));
        let count = alive.filter(|seen| !self.is_strange(&seen.id)).count();
        (count > usize::from(row.frozen.count))
            .then(|| format!("{count} things of {} for {} asked", row.token, row.frozen.count))
    }

    /// Everything that is open, for whoever mends a seed.
    pub fn explain(&self) {
        println!("now {} tokens={} frozen={:?}", self.now(), self.tokens, self.installation().frozen);
        for row in self.rows().iter().filter(|row| {
            !row.value.closed() || row.value.kind() != infra_core::words::lane::ResourceKind::Machine
        }) {
            println!(
                "ROW {} {:?} {:?} {:?} wants={:?} super={} amb={} sends={:?} unseen={:?} retry={:?} things={:?}",
                row.value.reservation,
                row.value.kind(),
                row.value.token.to_string(),
                row.value.state,
                row.value.wants,
                row.value.superseded,
                row.value.ambiguous,
                row.value.sends,
                row.value.unseen,
                row.value.retry,
                row.value.things
            );
        }
        for seen in cloud::everything(&self.sim).iter().filter(|seen| seen.alive) {
            println!("SEEN {seen:?}");
        }
    }

    fn now(&self) -> infra_core::words::clock::Timestamp {
        use infra_core::Clock;
        self.clock.wall()
    }

    /// Calms everything down, lets the engine finish, and checks that cloud and records agree.
    pub fn finish(&mut self) -> Option<String> {
        self.operation = "converge";
        self.calm();
        if let Some(wrong) = self.settle(|world| world.differs()) {
            return Some(format!("it does not converge: {wrong}"));
        }
        for at in 0..self.held.len() {
            if self.held[at].id.is_some() && !self.held[at].released {
                self.release_one(at);
            }
        }
        self.settle(|world| world.left_over()).map(|wrong| format!("after release: {wrong}"))
    }

    fn calm(&mut self) {
        cloud::no_rules(&self.sim);
        for user in super::world::USERS {
            cloud::mislead(&self.sim, user, false);
        }
        if self.replica.is_none() {
            self.start();
        }
        let gate = self.replica().gate.clone();
        gate.lose_commits(Vec::new());
        gate.disarm();
        self.replica().clock.set_ahead(Duration::ZERO);
        if self.installation().frozen.is_some() {
            self.recover();
        }
        self.throw(SwitchValue::Open);
        self.clear_orphans();
    }

    /// People end what a restored store reports as orphans: its firewalls cannot go while strangers use them.
    fn clear_orphans(&self) {
        let strangers = cloud::everything(&self.sim);
        for seen in
            strangers.iter().filter(|seen| seen.alive && seen.token.is_some() && self.is_strange(&seen.id))
        {
            cloud::end(&self.sim, &seen.id);
        }
    }

    /// Ticks until nothing is wrong any more, in ever larger steps of time, up to several hours.
    fn settle(&mut self, wrong: impl Fn(&Self) -> Option<String>) -> Option<String> {
        let mut last = None;
        for (turns, step) in [(30, 2), (40, 10), (60, 60), (40, 300)] {
            for turn in 0..turns {
                if self.installation().frozen.is_some() {
                    self.recover();
                }
                self.tick();
                // Nobody but the engine acts now: a look every few turns sees whatever it did.
                if turn % 4 == 3 {
                    if let Some(violation) = self.violation() {
                        return Some(violation);
                    }
                    last = Some(wrong(self)?);
                }
                self.advance(Duration::from_secs(step));
            }
        }
        last
    }

    /// How cloud and wishes differ.
    fn differs(&self) -> Option<String> {
        let truth = cloud::everything(&self.sim);
        let rows = self.rows();
        if let Some(forgotten) = self.forgotten(&truth, &rows).or_else(|| self.needless(&truth)) {
            return Some(forgotten);
        }
        self.reservations().iter().find_map(|record| self.unmet(&record.value, &truth, &rows))
    }

    /// A machine of ours that is alive and on no open row.
    fn forgotten(&self, truth: &[Seen], rows: &[Versioned<Launch>]) -> Option<String> {
        truth.iter().filter(|seen| seen.alive && !self.is_strange(&seen.id)).find_map(|seen| {
            let row = rows.iter().find(|row| Some(row.value.token) == seen.token)?;
            let open = row.value.things.iter().any(|thing| thing.id == seen.id && thing.alive());
            let stripped = !seen.marked;
            (!open && !stripped)
                .then(|| format!("{} is alive and forgotten in {:?}", seen.id, row.value.state))
        })
    }

    fn unmet(&self, reservation: &Reservation, truth: &[Seen], rows: &[Versioned<Launch>]) -> Option<String> {
        let id = &reservation.id;
        if !reservation.desired.present {
            let over = reservation.over_at.is_some() || self.is_stripped(id, truth, rows);
            return (!over).then(|| format!("{id} is not over: {:?}", reservation.summary));
        }
        if reservation.hold.is_some() {
            return Some(format!("{id} is held: {:?}", reservation.hold));
        }
        let ends = reservation.deadlines.0.get(&infra_core::nouns::reservation::DeadlineKind::Ends);
        if ends.is_some_and(|at| *at <= self.now()) {
            // Its time is over and its end is held after a restore: nothing is made for it, nothing is ended.
            return None;
        }
        let reason = reservation.summary.reason.as_deref().unwrap_or_default();
        if reason.contains("its key was taken away") {
            // Its lane's key was replaced by one of another account: a person must give the old one back.
            return None;
        }
        let ours = |seen: &&Seen| seen.alive && seen.machine && rows_of(rows, id, seen);
        let alive = truth.iter().filter(ours).count();
        let units = self.units();
        let lost =
            units.iter().filter(|unit| &unit.value.reservation == id && unit.value.stage == Stage::Lost);
        let lost = if reservation.heal == Heal::Report {
            lost.filter(|unit| unit.value.want != Want::Gone).count()
        } else {
            0
        };
        let off = reservation.desired.power == Power::Off;
        // A slot that was never filled while the wish is off has nothing to turn off.
        let empty = units.iter().filter(|unit| {
            let value = &unit.value;
            off && &value.reservation == id
                && value.want != Want::Gone
                && value.current.is_none()
                && value.stage == Stage::Off
        });
        let wanted = (reservation.desired.count as usize).saturating_sub(lost).saturating_sub(empty.count());
        let stripped = stripped_of(id, truth, rows);
        if alive < wanted || alive > wanted + stripped {
            return Some(format!("{id} has {alive} machines and wants {wanted}: {:?}", reservation.summary));
        }
        let wrong_power = truth.iter().filter(ours).find(|seen| seen.marked && seen.on == off);
        wrong_power
            .map(|seen| format!("{} is in the wrong power for {:?}", seen.id, reservation.desired.power))
    }

    /// Only things without their mark are left: they wait for a person.
    fn is_stripped(&self, id: &ReservationId, truth: &[Seen], rows: &[Versioned<Launch>]) -> bool {
        stripped_of(id, truth, rows) > 0
    }

    /// What is alive although everything was released.
    fn left_over(&self) -> Option<String> {
        let truth = cloud::everything(&self.sim);
        let rows = self.rows();
        let ours =
            |seen: &&Seen| seen.alive && seen.token.is_some() && seen.marked && !self.is_strange(&seen.id);
        let serves_stripped = |seen: &Seen| {
            let row = rows.iter().find(|row| Some(row.value.token) == seen.token);
            row.is_some_and(|row| self.is_stripped(&row.value.reservation, &truth, &rows))
        };
        let left = truth.iter().filter(ours).find(|seen| seen.machine || !serves_stripped(seen));
        if let Some(seen) = left {
            return Some(format!("{} is still alive", seen.id));
        }
        self.reservations().iter().find_map(|record| {
            let over = record.value.over_at.is_some() || self.is_stripped(&record.value.id, &truth, &rows);
            (!over).then(|| format!("{} is not over: {:?}", record.value.id, record.value.summary))
        })
    }
}

fn rows_of(rows: &[Versioned<Launch>], id: &ReservationId, seen: &Seen) -> bool {
    rows.iter()
        .any(|row| &row.value.reservation == id && row.value.things.iter().any(|thing| thing.id == seen.id))
}

fn stripped_of(id: &ReservationId, truth: &[Seen], rows: &[Versioned<Launch>]) -> usize {
    truth.iter().filter(|seen| seen.alive && !seen.marked && rows_of(rows, id, seen)).count()
}
