//! Reservation reconcile: reads, plans, writes. Talks to no cloud.
//!
//! # Flow
//! A pass takes what is due and what the change feed called dirty, reads each reservation with all of its
//! units and launches, lets the planner draft, and writes what differs. A shard that was just taken over is
//! looked at whole once, because its changes may have been seen by somebody who is dead.
//!
//! A large reservation rests between two plans ([`fold`](crate::plan::fold)): what changes meanwhile is planned
//! together. One pass plans one reservation after the other and only the holder of its shard plans it, so there is
//! never more than one plan of it in flight.
//!
//! # Guarantees
//! * Everything is written by `engine/write.rs`, under checks, in an order of which every prefix is true.
//! * A decision about what is *desired* (its time is over, it has failed) is a commit of its own; the plan
//!   that follows from it is made from the record that says so.
//!
//! # Assumptions
//! * The change feed names every reservation whose record, slots or attempts were written, by anybody. What it
//!   does not name is found by its deadline: every plan leaves a next look, at most `self_heal_every` away.
//! * `due` answers the earliest first, so what has waited longest is planned first.
//!
//! # Caveats
//! * A reservation is read whole for every plan: its cost grows with its units. Limits on their number are
//!   limits on this.
//! * A deadline that is due and not believed stays due, and its reservation is planned in every pass.
//!
//! # Errors
//! A conflict is no error: somebody changed their mind, and the reservation is planned again in the next
//! pass. Only a store that does not answer ends a pass, and what that pass had not reached stays dirty.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::Ownership;
use super::dirty::Dirty;
use super::world::Engine;
use super::write::{Read, Writer};
use crate::budgets::Budgets;
use crate::contracts::store::ListBy;
use crate::nouns::budget::Budget;
use crate::nouns::installation::Installation;
use crate::nouns::launch::Launch;
use crate::nouns::reservation::{Phase, Reservation};
use crate::nouns::scarcity::Scarcity;
use crate::nouns::unit::Unit;
use crate::plan::fold::Whose;
use crate::plan::guard;
use crate::plan::memory::Memory;
use crate::plan::reservation::{Draft, LaneView, Picture, is_end_due, plan};
use crate::records::{RepoError, Versioned, launch_prefix, shard_of, state, unit_prefix};
use crate::words::ids::{ReservationId, TenantId};
use crate::words::lane::LaneId;
use tracing::Instrument;

/// Reservations planned per shard and pass; the rest comes with the next pass.
const PER_PASS: usize = 256;
/// Plans of one reservation in a row when each changed what is desired. A plan may decide twice (its time is
/// over; it has failed), never back and forth: the third is there to write what follows.
const PLANS_IN_A_ROW: usize = 3;

/// What one pass over the shards did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    /// Reservations looked at, changed or not.
    pub(super) planned: usize,
    /// Something changed that is somebody else's to plan.
    pub(super) elsewhere: bool,
}

/// Around the planning of one reservation, with the id of the request that changed it last. Its target is off in logs.
fn plan_span(reservation: &Reservation) -> tracing::Span {
    let request_id = reservation.request_id.as_ref().map(tracing::field::display);
    tracing::debug_span!(target: "infra_trace", "reservation", request_id, reservation = %reservation.id)
}

impl Engine {
    /// Plans everything that is dirty or due in the shards this replica holds and does not rest.
    ///
    /// What is dirty in somebody else's shard is dropped here: its holder hears of it, too, and whoever takes
    /// the shard over later looks at all of it.
    ///
    /// # Errors
    /// [`RepoError`] when the store does not answer. Reservations that were planned stay planned.
    pub(super) async fn shards_pass(
        &self,
        installation: &Versioned<Installation>,
    ) -> Result<Passed, RepoError> {
        let mut dirty = self.with_dirty(std::mem::take);
        let planned = self.plan_shards(installation, &mut dirty).await;
        let elsewhere = !dirty.is_empty();
        if planned.is_err() {
            // The cursor of the feed has passed them: nobody else would name them again.
            self.with_dirty(|all| all.append(dirty));
        }
        Ok(Passed { planned: planned?, elsewhere })
    }

    /// Shard after shard; what is left of `dirty` was not reached, or is somebody else's.
    async fn plan_shards(
        &self,
        installation: &Versioned<Installation>,
        dirty: &mut Dirty,
    ) -> Result<usize, RepoError> {
        let mut planned = 0;
        for shard in 0..self.parts.repo.shards() {
            let on = format!("shard:{shard}");
            let Some(ownership) = self.hold(installation.value.epoch, &on).await? else {
                self.scanned.lock().expect("no panic under this lock").remove(&shard);
                self.tallies.lock().expect("no panic under this lock").lose(shard);
                continue;
            };
            self.scan_once(shard, dirty).await?;
            planned += self.shard_pass(installation, &ownership, shard, dirty).await?;
        }
        let tally = self.tallies.lock().expect("no panic under this lock").tally();
        self.parts.repo.observer().turned(&tally);
        Ok(planned)
    }

    /// A shard that was just taken over is looked at whole: its changes may have been somebody else's to see.
    /// Lists the open reservations of all shards, because a store finds records by tenant, owner or lane; that
    /// happens once per shard and take-over, and again only after a listing that failed.
    async fn scan_once(&self, shard: u16, dirty: &mut Dirty) -> Result<(), RepoError> {
        if self.scanned.lock().expect("no panic under this lock").contains(&shard) {
            return Ok(());
        }
        let all: Vec<Versioned<Reservation>> =
            self.parts.repo.list_all(ListBy::All, Some(state::OPEN)).await?;
        self.scanned.lock().expect("no panic under this lock").insert(shard);
        let here = |tenant: &TenantId| shard_of(tenant, self.parts.repo.shards()) == shard;
        let mine = all.into_iter().filter(|record| here(&record.value.tenant));
        mine.for_each(|record| dirty.touch((record.value.tenant, record.value.id), true));
        Ok(())
    }

    /// Plans what is due and dirty in one shard, then prunes. Answers how many reservations were looked at.
    ///
    /// Takes from `dirty` what is of this shard. A reservation that rests stays dirty until its rest is over. One that
    /// conflicts becomes dirty anew, so it is planned in the next pass and not in this one: whoever was faster is
    /// probably still writing.
    async fn shard_pass(
        &self,
        installation: &Versioned<Installation>,
        ownership: &Ownership,
        shard: u16,
        dirty: &mut Dirty,
    ) -> Result<usize, RepoError> {
        let due: Vec<Versioned<Reservation>> = self.parts.repo.due(shard, self.now(), PER_PASS).await?;
        let mass = self.mass_deadlines(&due).await?;
        let mut work = dirty.take_shard(shard, self.parts.repo.shards());
        due.into_iter().for_each(|record| work.touch((record.value.tenant, record.value.id), false));
        let mut planned = 0;
        while let Some((whose, own)) = work.pop() {
            let calm = !mass.contains(&whose.0);
            match self.reconcile_rested(installation, ownership, &whose, own, calm).await {
                Ok(done) => planned += usize::from(done),
                Err(error) if error.is_conflict() => {
                    planned += 1;
                    self.with_dirty(|all| all.touch(whose, true));
                }
                Err(error) => {
                    dirty.touch(whose, own);
                    dirty.append(work);
                    return Err(error);
                }
            }
        }
        self.prune(shard, installation, ownership).await?;
        Ok(planned)
    }

    /// Tenants of whom suspiciously many reservations fell due at once: more than `mass_min`, and more than
    /// `mass_share` of their open ones. Counted over what one pass sees, at most 256 per shard; a tenant is in
    /// one shard only, so nothing of it is counted elsewhere.
    ///
    /// Open reservations are listed only for tenants above the number, so a quiet pass costs nothing.
    async fn mass_deadlines(&self, due: &[Versioned<Reservation>]) -> Result<BTreeSet<TenantId>, RepoError> {
        let now = self.now();
        let mut ending: BTreeMap<&TenantId, usize> = BTreeMap::new();
        for record in due.iter().filter(|record| is_end_due(&record.value, now)) {
            *ending.entry(&record.value.tenant).or_default() += 1;
        }
        let mut mass = BTreeSet::new();
        for (tenant, count) in ending {
            if count <= self.parts.limits.mass_min as usize {
                continue;
            }
            let all: Vec<Versioned<Reservation>> =
                self.parts.repo.list_prefix(tenant, "", Some(state::OPEN)).await?;
            if guard::is_mass(count, all.len(), &self.parts.limits) {
                mass.insert(tenant.clone());
            }
        }
        Ok(mass)
    }

    /// Plans one reservation unless it rests; then it stays dirty. Answers whether it was planned.
    async fn reconcile_rested(
        &self,
        installation: &Versioned<Installation>,
        ownership: &Ownership,
        whose: &Whose,
        own: bool,
        calm: bool,
    ) -> Result<bool, RepoError> {
        if self.rests(whose, own).await? {
            self.with_dirty(|all| all.touch(whose.clone(), false));
            return Ok(false);
        }
        self.reconcile(installation, ownership, whose, calm).await?;
        Ok(true)
    }

    /// Plans one reservation until its plan decides nothing new, and lets it rest when that was large. `calm` is
    /// false when so many of the tenant's deadlines fell due at once that a person must say whether that is meant. A
    /// reservation that is gone is no error: there is nothing to plan.
    ///
    /// # Errors
    /// [`RepoError`]; a conflict when anything of it, the claim or the installation was written meanwhile.
    async fn reconcile(
        &self,
        installation: &Versioned<Installation>,
        ownership: &Ownership,
        whose: &Whose,
        calm: bool,
    ) -> Result<(), RepoError> {
        let (tenant, id) = whose;
        for _ in 0..PLANS_IN_A_ROW {
            let Some(read) = self.read(tenant, id).await? else {
                self.tallies.lock().expect("no panic under this lock").forget(id);
                return Ok(());
            };
            let span = plan_span(&read.reservation.value);
            let (owner, now) = (&read.reservation.value.owner, self.now());
            let budgets = Budgets::read(&self.parts.repo, &installation.value, (owner, tenant), now).await?;
            let set = budgets.set();
            let draft = self.draft(&read, &installation.value, &set, !calm).instrument(span.clone()).await?;
            let shard = shard_of(tenant, self.parts.repo.shards());
            self.tallies.lock().expect("no panic under this lock").note(shard, &draft);
            let decided = draft.reservation.desired != read.reservation.value.desired;
            let dry = draft.is_dry(&self.parts.limits);
            let writer = Writer { engine: self, installation, ownership, read: &read, budgets: &budgets };
            if !decided {
                let left = writer.write(draft).instrument(span).await?;
                self.planned(whose.clone(), read.units.len() + read.launches.len(), left);
                if let Some(refill) = self.parts.refill.as_ref().filter(|_| dry) {
                    // One that is not heard is said again with the next plan.
                    let _ = refill.try_send(whose.clone());
                }
                return Ok(());
            }
            // What is desired changes first, alone: nothing may end because of a decision that was not written.
            writer.decide(draft).instrument(span).await?;
        }
        Ok(())
    }

    /// A reservation with everything that hangs on it, closed attempts included: they say what was tried.
    /// Units and launches are read after the reservation, and its version is checked by every commit, so a
    /// mix of two moments is never written.
    async fn read(&self, tenant: &TenantId, id: &ReservationId) -> Result<Option<Read>, RepoError> {
        let repo = &self.parts.repo;
        let Some(reservation) = repo.get::<Reservation>(Reservation::place(tenant, id)).await? else {
            return Ok(None);
        };
        let units: Vec<Versioned<Unit>> = repo.list_prefix(tenant, &unit_prefix(id), None).await?;
        let launches: Vec<Versioned<Launch>> = repo.list_prefix(tenant, &launch_prefix(id), None).await?;
        Ok(Some(Read {
            reservation,
            units: units.into_iter().map(|unit| (unit.value.no, unit)).collect(),
            launches: launches.into_iter().map(|row| (row.value.token, row)).collect(),
        }))
    }

    /// The planner's picture, and its answer. Everything that is not in the records (lanes, clock, limits) is
    /// put in here, so that the planner itself stays a function. Connects to lanes that were never connected,
    /// which may ask a cloud who a key is; that is all this half of the engine ever waits for from outside.
    async fn draft(
        &self,
        read: &Read,
        installation: &Installation,
        budgets: &[Budget],
        mass: bool,
    ) -> Result<Draft, RepoError> {
        let reservation = &read.reservation.value;
        let lanes = self.lane_views(reservation, read.launches.values().map(|row| &row.value)).await;
        let units: Vec<Unit> = read.units.values().map(|unit| unit.value.clone()).collect();
        let launches: Vec<Launch> = read.launches.values().map(|row| row.value.clone()).collect();
        let held = self.deadlines_held(installation);
        let memory = self.memory(reservation).await?;
        let picture = Picture {
            reservation,
            version: read.reservation.version,
            units: &units,
            launches: &launches,
            lanes: &lanes,
            memory: &memory,
            budgets,
            now: self.now(),
            limits: &self.parts.limits,
            deadlines_held: held.as_deref(),
            mass_deadline: mass,
            needs_met: self.needs_met(reservation).await?,
            planted: self.parts.planted,
        };
        Ok(plan(&picture, &mut || self.draw_token()))
    }

    /// What the lanes lack that it could choose. Read outside the commit's checks: it is advice, and what it misses
    /// costs one refused call.
    async fn memory(&self, reservation: &Reservation) -> Result<Memory, RepoError> {
        if !reservation.desired.present {
            return Ok(Memory::default());
        }
        let lanes: BTreeMap<_, _> =
            reservation.spec.choices.iter().map(|choice| (choice.lane.id(), &choice.lane)).collect();
        let keys: Vec<_> = lanes.into_values().map(Scarcity::place).collect();
        let lacks = self.parts.repo.get_all::<Scarcity>(&keys).await?;
        Ok(Memory::of(lacks.iter().flatten().map(|lack| &lack.value), self.now()))
    }

    /// Is everything ready that this one waits for? A need that does not exist is not met. Needs are read after
    /// the reservation and are not checked by the commit: one that is lost right now shows in the next plan,
    /// and what was begun in between is wanted anyway.
    async fn needs_met(&self, reservation: &Reservation) -> Result<bool, RepoError> {
        for need in &reservation.needs {
            let place = Reservation::place(&reservation.tenant, &need.on);
            let other = self.parts.repo.get::<Reservation>(place).await?;
            if other.is_none_or(|other| other.value.summary.phase != Phase::Ready) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What planning must know of every lane it may meet: those it could choose, and those where it has
    /// something. A lane that no key reaches is left out, and nothing is planned there.
    async fn lane_views<'a>(
        &self,
        reservation: &Reservation,
        launches: impl Iterator<Item = &'a Launch>,
    ) -> BTreeMap<LaneId, LaneView> {
        let lanes: BTreeMap<_, _> = reservation
            .spec
            .choices
            .iter()
            .map(|choice| &choice.lane)
            .chain(launches.map(|row| &row.lane))
            .map(|lane| (lane.id(), lane.clone()))
            .collect();
        let mut views = BTreeMap::new();
        for (id, lane) in lanes {
            if let Some(view) = self.worker(&lane).view(self).await {
                views.insert(id, view);
            }
        }
        views
    }
}
