//! Writes a plan down, in commits that each leave something true behind.
//!
//! # Why this order
//! A slot without attempt is only a wish, so free slots come first. What became of attempts is told next, with the
//! rows that say so. An attempt comes with its slots or not at all: a row without its slot would make a machine that
//! nobody has, a slot without its row would wait for ever. A wish on an old attempt comes before the new one: a slot
//! that is to be filled anew never has two wanted attempts. The reservation comes last, because its next look may
//! move away only once everything that the look was for is written.
//!
//! # Guarantees
//! * Everything is written under three checks: the claim is still held, the installation is as it was read (so not
//!   frozen meanwhile), and the reservation is as it was planned for.
//! * What happened is told in the very commit that makes it so, or that notes on the row that it was told: a crash
//!   between two commits of a plan neither loses an entry of the history nor repeats one, and there may be as many
//!   as there are slots.
//!
//! # Caveats
//! Whoever reads between two commits of a plan sees a part of it, and plans the rest.
//!
//! # Errors
//! [`RepoError`] of the commit that failed. The ones before it stay, and are true by themselves. A conflict means that
//! the claim, the installation, the reservation or a record of the plan is not as it was read: it is planned anew.

use std::collections::BTreeMap;

use super::claims::Ownership;
use super::world::Engine;
use crate::budgets::Budgets;
use crate::contracts::store::Expect;
use crate::nouns::account::{IdempotencyRecord, User};
use crate::nouns::actor::Actor;
use crate::nouns::event::{Event, Outbox};
use crate::nouns::installation::Installation;
use crate::nouns::launch::{Launch, LaunchBody};
use crate::nouns::reservation::Reservation;
use crate::nouns::retention::Retention;
use crate::nouns::unit::Unit;
use crate::plan::budget::{charge, standing};
use crate::plan::reservation::Draft;
use crate::records::{RepoError, Stored, TokenRef, Txn, Versioned};
use crate::words::clock::later;
use crate::words::ids::LaunchToken;
use crate::words::lane::Version;
use crate::words::planted::Bug;

/// Changes per commit that are ours to use, of the 24 that every store takes. The rest is for checks (claim,
/// installation, reservation) and for what goes with an end (the owner's count, the idempotency key, the note of when
/// to forget it).
const CHANGES_PER_COMMIT: usize = 18;

/// A reservation and everything that hangs on it, as read.
#[derive(Debug)]
pub(super) struct Read {
    /// Its version is what all commits of the plan check.
    pub(super) reservation: Versioned<Reservation>,
    /// By number. Their versions make a write fail that another plan overtook.
    pub(super) units: BTreeMap<u32, Versioned<Unit>>,
    /// By token, closed ones included, as long as they are kept.
    pub(super) launches: BTreeMap<LaunchToken, Versioned<Launch>>,
}

/// Writes a draft.
///
/// Made for one plan: what was read for the plan is what every commit of it checks.
pub(super) struct Writer<'a> {
    pub(super) engine: &'a Engine,
    pub(super) installation: &'a Versioned<Installation>,
    pub(super) ownership: &'a Ownership,
    pub(super) read: &'a Read,
    pub(super) budgets: &'a Budgets,
}

impl Writer<'_> {
    /// Only what was decided about the reservation itself: desired, why it ends, why it failed, and the entry that
    /// says so; and before that, what became of the attempts that led to it. Everything else of this draft is thrown
    /// away and planned again from what now stands.
    pub(super) async fn decide(&self, draft: Draft) -> Result<(), RepoError> {
        let was = &self.read.reservation;
        // Nothing is wished differently yet: the rows only note what was told of them.
        let told = draft.launches.values().filter_map(|row| {
            let was = self.read.launches.get(&row.token)?;
            let is = Launch { told: row.told.clone(), ..was.value.clone() };
            (is != was.value).then_some((was, is))
        });
        self.write_rows(told.collect(), &draft.told).await?;
        let decided = Reservation {
            desired: draft.reservation.desired,
            end_cause: draft.reservation.end_cause,
            failure: draft.reservation.failure,
            tries: draft.reservation.tries,
            ..was.value.clone()
        };
        let mut txn = self.txn();
        txn.update(was, &decided);
        draft.decisions.iter().for_each(|entry| txn.insert(entry));
        self.engine.parts.repo.commit(txn).await.map(drop)
    }

    /// Everything: slots, wishes, attempts with their slots, other slots, and the reservation last. Answers the version
    /// at which that stands now.
    ///
    /// A draft that says nothing new commits nothing, and the version is the one that was read.
    pub(super) async fn write(&self, draft: Draft) -> Result<Version, RepoError> {
        let Draft { reservation, units, launches, new_launches, events, told, .. } = draft;
        let fresh = |unit: &&Unit| unit.current.is_none() && !self.read.units.contains_key(&unit.no);
        self.write_all(units.values().filter(fresh).map(|unit| (None, unit))).await?;
        let known = &self.read.launches;
        let rows = launches.into_values().filter_map(|row| Some((known.get(&row.token)?, row)));
        self.write_rows(rows.filter(|(was, is)| was.value != *is).collect(), &told).await?;
        let mut written = Vec::new();
        for (nth, row) in new_launches.into_iter().enumerate() {
            written.extend(self.write_launch(row, &units, nth).await?);
        }
        let rest = units.values().filter(|unit| !written.contains(&unit.no));
        let rest = rest.filter_map(|unit| Some((self.read.units.get(&unit.no)?, unit)));
        self.write_all(rest.filter(|(was, is)| was.value != **is).map(|(was, is)| (Some(was), is))).await?;
        self.write_reservation(reservation, events).await
    }

    /// Writes rows, each together with what is told of it, in as few commits as fit. A row and its entries are never
    /// parted: it has at most one for each of its slots.
    async fn write_rows(
        &self,
        rows: Vec<(&Versioned<Launch>, Launch)>,
        told: &[(LaunchToken, Outbox)],
    ) -> Result<(), RepoError> {
        let mut txn = self.guarded();
        let mut changes = 0;
        for (was, is) in rows {
            let entries: Vec<&Outbox> =
                told.iter().filter(|(token, _)| *token == is.token).map(|(_, entry)| entry).collect();
            if changes > 0 && changes + 1 + entries.len() > CHANGES_PER_COMMIT {
                self.engine.parts.repo.commit(std::mem::replace(&mut txn, self.guarded())).await?;
                changes = 0;
            }
            txn.update(was, &is);
            changes += 1;
            if self.engine.parts.planted.is(Bug::ToldAfterwards) {
                self.engine.parts.repo.commit(std::mem::replace(&mut txn, self.guarded())).await?;
            }
            entries.iter().for_each(|entry| txn.insert(*entry));
            changes += entries.len();
        }
        if changes > 0 {
            self.engine.parts.repo.commit(txn).await?;
        }
        Ok(())
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
    ///
    /// Whatever happens after it, the lane's next tick finds the row; before it there is no trace of the attempt,
    /// neither here nor in any cloud.
    async fn write_launch(
        &self,
        mut row: Launch,
        units: &BTreeMap<u32, Unit>,
        nth: usize,
    ) -> Result<Vec<u32>, RepoError> {
        row.frozen.mark.installation = self.installation.value.id;
        let mut txn = self.guarded();
        txn.insert(&row);
        txn.insert(&TokenRef { token: row.token, launch: row.key() });
        txn.insert(&self.begun(&row, nth));
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

    /// The entry that says that an attempt was begun, and for what.
    ///
    /// An attempt whose choice is not among the reservation's is named by its lane alone.
    fn begun(&self, row: &Launch, nth: usize) -> Outbox {
        let reservation = &self.read.reservation.value;
        let offer = match &row.frozen.body {
            LaunchBody::Machine(body) => reservation
                .spec
                .choices
                .iter()
                .find(|choice| {
                    choice.offering.type_name == body.type_name
                        && choice.offering.market == body.market
                        && choice.lane == row.lane
                        && choice.zone == row.frozen.zone
                })
                .map_or_else(|| row.lane.to_string(), |choice| choice.offer()),
            _ => row.lane.to_string(),
        };
        let (id, slots) = (row.reservation.clone(), row.units.clone().collect());
        let event = Event::Attempt { reservation: id, slots, kind: row.kind().to_string(), offer };
        let cause = format!("{}/attempt/{}", row.reservation, row.token);
        let actor = Actor::engine().on(row.request_id.clone());
        let entry = Outbox::new(row.tenant.clone(), cause, row.created_at, event).by(actor);
        Outbox { nth: u32::try_from(nth).unwrap_or(u32::MAX), ..entry }
    }

    /// The reservation with its events; when it is over now, also its owner's count and its idempotency keys.
    /// Writes nothing when nothing changed, so that a plan without news is free and wakes nobody.
    ///
    /// All of that goes with the end in one commit: there is no moment at which a reservation is over and still
    /// counts.
    async fn write_reservation(
        &self,
        mut reservation: Reservation,
        events: Vec<Outbox>,
    ) -> Result<Version, RepoError> {
        let was = &self.read.reservation;
        let over = reservation.over_at.is_some() && was.value.over_at.is_none();
        let freed = if over { std::mem::take(&mut reservation.counted) } else { 0 };
        if over {
            reservation.charge = Some(charge(&reservation, self.engine.now()));
        }
        if reservation == was.value && events.is_empty() {
            return Ok(was.version);
        }
        let mut txn = self.txn();
        txn.update(was, &reservation);
        let (before, after) = (standing(&was.value), standing(&reservation));
        self.budgets.put(&mut txn, Some(&before), Some(&after));
        // A handful: a phase, a hold, what was lifted. What grows with the slots is told with the rows.
        events.iter().for_each(|event| txn.insert(event));
        if freed > 0 {
            self.free(&mut txn, &reservation, freed).await?;
        }
        if over {
            self.expire_keys(&mut txn, &reservation).await?;
            let readable = self.engine.parts.limits.released_readable_for;
            txn.insert(&Retention::of(&reservation, later(self.engine.now(), readable)));
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
