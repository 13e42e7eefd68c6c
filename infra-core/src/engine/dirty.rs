//! Which reservations are to be planned, and which of them may rest first.
//!
//! # Flow
//! The feed and whoever takes a shard touch reservations. A pass takes the set out, plans what is of its shards and
//! does not rest, and after an error gives back what it did not reach: the feed has passed it, and would not name it
//! again.
//!
//! # Guarantees
//! * Whatever the change feed names stays here until it is planned; a rest delays it, and takes nothing out.
//! * A reservation rests only while its own record stands as its last plan left it.
//!
//! # Caveats
//! All of it is memory: a crash forgets it, and a shard that is taken is looked at whole.

use std::collections::BTreeMap;

use super::world::Engine;
use crate::nouns::reservation::Reservation;
use crate::plan::fold::Whose;
use crate::records::{RepoError, shard_of};
use crate::words::ids::TenantId;
use crate::words::lane::Version;

/// Reservations to plan.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// The value says whether the reservation's own record may have been written: by a person, or by a plan of ours.
    all: BTreeMap<Whose, bool>,
}

impl Dirty {
    /// Something of it was written; `own` says that its own record was.
    ///
    /// Touched twice it is planned once. That its own record was written is not unsaid by a later touch.
    pub(super) fn touch(&mut self, whose: Whose, own: bool) {
        *self.all.entry(whose).or_default() |= own;
    }

    /// Takes over what was not reached.
    pub(super) fn append(&mut self, other: Self) {
        other.all.into_iter().for_each(|(whose, own)| self.touch(whose, own));
    }

    /// Takes out what is of one shard.
    ///
    /// What is touched while these are worked on waits here for the next pass.
    pub(super) fn take_shard(&mut self, shard: u16, shards: u16) -> Self {
        let here = |tenant: &TenantId| shard_of(tenant, shards) == shard;
        Self { all: self.all.extract_if(.., |(tenant, _), _| here(tenant)).collect() }
    }

    /// Takes out the first, in the order of tenants.
    ///
    /// The same set is planned in the same order, so a simulation can be run again.
    pub(super) fn pop(&mut self) -> Option<(Whose, bool)> {
        self.all.pop_first()
    }

    /// Is there nothing to plan? What rests is still here.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Engine {
    /// Works on the dirty set under its lock.
    ///
    /// The work must be short, and must not come back here: the lock would wait for itself.
    pub(super) fn with_dirty<T>(&self, work: impl FnOnce(&mut Dirty) -> T) -> T {
        work(&mut self.dirty.lock().expect("no panic under this lock"))
    }

    /// Does it rest now? `own` says that its own record may have been written: then the record is asked whether it
    /// still stands as the last plan left it. One read of one record, and only of what would rest otherwise.
    ///
    /// A reservation whose record is gone does not rest: its plan finds out what that means.
    pub(super) async fn rests(&self, whose: &Whose, own: bool) -> Result<bool, RepoError> {
        let now = self.parts.clock.mono();
        let resting = self.rests.lock().expect("no panic under this lock").resting(whose, now);
        let Some(left) = resting else { return Ok(false) };
        if !own {
            return Ok(true);
        }
        let place = Reservation::place(&whose.0, &whose.1);
        let record = self.parts.repo.get_raw(&[place]).await?.pop().flatten();
        Ok(record.is_some_and(|record| record.version == left))
    }

    /// A plan is written, of so many slots and attempts.
    ///
    /// Its rest begins now, or the one before is over, because it has become small.
    pub(super) fn planned(&self, whose: Whose, records: usize, left: Version) {
        let now = self.parts.clock.mono();
        let mut rests = self.rests.lock().expect("no panic under this lock");
        rests.planned(whose, records, left, now, &self.parts.limits);
    }
}
