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
//! * Everything is written under three checks: the claim is still held, the installation is as it was read
//!   (so not frozen meanwhile), and the reservation is as it was planned for.
//! * A plan larger than one commit is written in an order of which every prefix is true: free slots first,
//!   then wishes onto attempts, then new attempts each with the slots it fills, then other slots, the
//!   reservation last. Whoever reads in between plans the rest.
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
//! * Events go with the reservation, in the last commit. After a crash between a slot that says Lost and that
//!   commit, only the slot says so; the same goes for whatever one plan has to tell beyond 18 events.
//! * A deadline that is due and not believed stays due, and its reservation is planned in every pass.
//!
//! # Errors
//! A conflict is no error: somebody changed their mind, and the reservation is planned again in the next
//! pass. Only a store that does not answer ends a pass, and what that pass had not reached stays dirty.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::Ownership;
use super::dirty::Dirty;
use super::world::Engine;
use crate::contracts::store::{Expect, ListBy};
use crate::nouns::account::{IdempotencyRecord, User};
use crate::nouns::installation::Installation;
use crate::nouns::launch::Launch;
use crate::nouns::reservation::{Phase, Reservation};
use crate::nouns::unit::Unit;
use crate::plan::fold::Whose;
use crate::plan::guard;
use crate::plan::reservation::{Draft, LaneView, Picture, is_end_due, plan};
use crate::records::{
    RepoError, Stored, TokenRef, Txn, Versioned, launch_prefix, shard_of, state, unit_prefix,
};
use crate::words::clock::later;
use crate::words::ids::{LaunchToken, ReservationId, TenantId};
use crate::words::lane::{LaneId, Version};
use crate::words::planted::Bug;

/// Reservations planned per shard and pass; the rest comes with the next pass.
const PER_PASS: usize = 256;
/// Plans of one reservation in a row when each changed what is desired. A plan may decide twice (its time is
/// over; it has failed), never back and forth: the third is there to write what follows.
const PLANS_IN_A_ROW: usize = 3;
/// Changes per commit that are ours to use, of the 24 that every store takes. The rest is for checks (claim,
/// installation, reservation) and for what goes with an end (the owner's count, the idempotency key).
const CHANGES_PER_COMMIT: usize = 18;

/// What one pass over the shards did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    /// Reservations looked at, changed or not.
    pub(super) planned: usize,
    /// Something changed that is somebody else's to plan.
    pub(super) elsewhere: bool,
}

/// A reservation and everything that hangs on it, as read.
#[derive(Debug)]
struct Read {
    /// Its version is what all commits of the plan check.
    reservation: Versioned<Reservation>,
    /// By number. Their versions make a write fail that another plan overtook.
    units: BTreeMap<u32, Versioned<Unit>>,
    /// By token, closed ones included, as long as they are kept.
    launches: BTreeMap<LaunchToken, Versioned<Launch>>,
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
                continue;
            };
            self.scan_once(shard, dirty).await?;
            planned += self.shard_pass(installation, &ownership, shard, dirty).await?;
        }
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

    /// Plans one reservation until its plan decides nothing new, and lets it rest as long as that was large. `calm` is false when so many of the tenant's
    /// deadlines fell due at once that a person must say whether that is meant. A reservation that is gone is
    /// no error: there is nothing to plan.
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
            let Some(read) = self.read(tenant, id).await? else { return Ok(()) };
            let draft = self.draft(&read, &installation.value, !calm).await?;
            let decided = draft.reservation.desired != read.reservation.value.desired;
            let writer = Writer { engine: self, installation, ownership, read: &read };
            if !decided {
                let left = writer.write(draft).await?;
                self.planned(whose.clone(), read.units.len() + read.launches.len(), left);
                return Ok(());
            }
            // What is desired changes first, alone: nothing may end because of a decision that was not written.
            writer.decide(draft).await?;
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
    async fn draft(&self, read: &Read, installation: &Installation, mass: bool) -> Result<Draft, RepoError> {
        let reservation = &read.reservation.value;
        let lanes = self.lane_views(reservation, read.launches.values().map(|row| &row.value)).await;
        let units: Vec<Unit> = read.units.values().map(|unit| unit.value.clone()).collect();
        let launches: Vec<Launch> = read.launches.values().map(|row| row.value.clone()).collect();
        let held = self.deadlines_held(installation);
        let picture = Picture {
            reservation,
            version: read.reservation.version,
            units: &units,
            launches: &launches,
            lanes: &lanes,
            now: self.now(),
            limits: &self.parts.limits,
            deadlines_held: held.as_deref(),
            mass_deadline: mass,
            needs_met: self.needs_met(reservation).await?,
            planted: self.parts.planted,
        };
        Ok(plan(&picture, &mut || self.draw_token()))
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

/// Writes a draft, in commits that each leave something true behind.
///
/// # Why this order
/// A slot without attempt is only a wish, so free slots come first. An attempt comes with its slots or not at
/// all: a row without its slot would make a machine that nobody has, a slot without its row would wait for
/// ever. A wish on an old attempt comes before the new one: a slot that is to be filled anew never has two
/// wanted attempts. The reservation comes last, because its next look may move away only once everything that
/// the look was for is written.
struct Writer<'a> {
    engine: &'a Engine,
    installation: &'a Versioned<Installation>,
    ownership: &'a Ownership,
    read: &'a Read,
}

impl Writer<'_> {
    /// Only what was decided about the reservation itself: desired, why it ends, why it failed, and the event
    /// that says so. Everything else of this draft is thrown away and planned again from what now stands.
    async fn decide(&self, draft: Draft) -> Result<(), RepoError> {
        let was = &self.read.reservation;
        let decided = Reservation {
            desired: draft.reservation.desired,
            end_cause: draft.reservation.end_cause,
            failure: draft.reservation.failure,
            ..was.value.clone()
        };
        let mut txn = self.txn();
        txn.update(was, &decided);
        draft
            .events
            .iter()
            .filter(|event| event.cause.contains("/ended/"))
            .for_each(|event| txn.insert(event));
        self.engine.parts.repo.commit(txn).await.map(drop)
    }

    /// Everything: slots, wishes, attempts with their slots, other slots, and the reservation last. Answers the version
    /// at which that stands now.
    async fn write(&self, draft: Draft) -> Result<Version, RepoError> {
        let Draft { reservation, units, launches, new_launches, events, .. } = draft;
        let fresh = |unit: &&Unit| unit.current.is_none() && !self.read.units.contains_key(&unit.no);
        self.write_all(units.values().filter(fresh).map(|unit| (None, unit))).await?;
        let known = &self.read.launches;
        let changed = launches.values().filter_map(|row| Some((known.get(&row.token)?, row)));
        self.write_all(changed.filter(|(was, is)| was.value != **is).map(|(was, is)| (Some(was), is)))
            .await?;
        let mut written = Vec::new();
        for row in new_launches {
            written.extend(self.write_launch(row, &units).await?);
        }
        let rest = units.values().filter(|unit| !written.contains(&unit.no));
        let rest = rest.filter_map(|unit| Some((self.read.units.get(&unit.no)?, unit)));
        self.write_all(rest.filter(|(was, is)| was.value != **is).map(|(was, is)| (Some(was), is))).await?;
        self.write_reservation(reservation, events).await
    }

    /// Writes records of one kind in as few commits as fit: `None` for what must not be there yet, else what
    /// was read.
    async fn write_all<'r, T: Stored + 'r>(
        &self,
        records: impl Iterator<Item = (Option<&'r Versioned<T>>, &'r T)> + Send,
    ) -> Result<(), RepoError> {
        let records: Vec<_> = records.collect();
        for chunk in records.chunks(CHANGES_PER_COMMIT) {
            let mut txn = self.guarded();
            for (was, is) in chunk {
                match was {
                    Some(was) => txn.update(was, *is),
                    None => txn.insert(*is),
                }
            }
            self.engine.parts.repo.commit(txn).await?;
        }
        Ok(())
    }

    /// An attempt, its token's reference, and the slots it fills: one commit. Answers which slots. Here the mark
    /// gets its installation, read in the same pass and checked by this commit: a store that became a clone in
    /// between writes nothing under the original's name.
    async fn write_launch(
        &self,
        mut row: Launch,
        units: &BTreeMap<u32, Unit>,
    ) -> Result<Vec<u32>, RepoError> {
        row.frozen.mark.installation = self.installation.value.id;
        let mut txn = self.guarded();
        txn.insert(&row);
        txn.insert(&TokenRef { token: row.token, launch: row.key() });
        let mut written = Vec::new();
        for no in row.units.clone() {
            let Some(unit) = units.get(&no) else { continue };
            match self.read.units.get(&no) {
                Some(was) => txn.update(was, unit),
                None => txn.insert(unit),
            }
            written.push(no);
        }
        self.engine.parts.repo.commit(txn).await?;
        Ok(written)
    }

    /// The reservation with its events; when it is over now, also its owner's count and its idempotency keys.
    /// Writes nothing when nothing changed, so that a plan without news is free and wakes nobody.
    async fn write_reservation(
        &self,
        mut reservation: Reservation,
        events: Vec<crate::nouns::event::Outbox>,
    ) -> Result<Version, RepoError> {
        let was = &self.read.reservation;
        let over = reservation.over_at.is_some() && was.value.over_at.is_none();
        let freed = if over { std::mem::take(&mut reservation.counted) } else { 0 };
        if reservation == was.value && events.is_empty() {
            return Ok(was.version);
        }
        let mut txn = self.txn();
        txn.update(was, &reservation);
        events.iter().take(CHANGES_PER_COMMIT).for_each(|event| txn.insert(event));
        if freed > 0 {
            self.free(&mut txn, &reservation, freed).await?;
        }
        if over {
            self.expire_keys(&mut txn, &reservation).await?;
        }
        self.engine.parts.repo.commit(txn).await
    }

    /// Gives the machines back to the owner's limit, in the commit that ends the reservation: they count until
    /// their end is proven, so a limit is never exceeded by what is still being ended. An owner who was removed
    /// has no limit to give back to.
    async fn free(&self, txn: &mut Txn, reservation: &Reservation, freed: u32) -> Result<(), RepoError> {
        let user: Option<Versioned<User>> =
            self.engine.parts.repo.get(User::place(&reservation.owner)).await?;
        if let Some(user) = user {
            let machines_held = user.value.machines_held.saturating_sub(freed);
            txn.update(&user, &User { machines_held, ..user.value.clone() });
        }
        Ok(())
    }

    /// Its idempotency keys may be forgotten `idempotency_keep` after its end, not before: a client that asks
    /// again with its key after the end is told of this reservation, and does not get another.
    async fn expire_keys(&self, txn: &mut Txn, reservation: &Reservation) -> Result<(), RepoError> {
        let expires_at = Some(later(self.engine.now(), self.engine.parts.limits.idempotency_keep));
        for id in &reservation.idempotency {
            let place = IdempotencyRecord::place(&reservation.tenant, id);
            let key: Option<Versioned<IdempotencyRecord>> = self.engine.parts.repo.get(place).await?;
            if let Some(key) = key {
                txn.update(&key, &IdempotencyRecord { expires_at, ..key.value.clone() });
            }
        }
        Ok(())
    }

    /// A transaction that fails once this replica is not in charge any more, or the store was frozen.
    fn txn(&self) -> Txn {
        let mut txn = self.engine.parts.repo.txn();
        self.ownership.check(&mut txn);
        if !self.engine.parts.planted.is(Bug::C2RestoredStoreActs) {
            txn.check(Installation::place(), Expect::Version(self.installation.version));
        }
        txn
    }

    /// The same, for commits that do not write the reservation: nobody may have changed their mind meanwhile.
    fn guarded(&self) -> Txn {
        let mut txn = self.txn();
        txn.check(self.read.reservation.value.key(), Expect::Version(self.read.reservation.version));
        txn
    }
}
