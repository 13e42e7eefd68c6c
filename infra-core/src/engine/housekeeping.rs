//! What may be forgotten, and when: closed launches after their late births, keys after their reservations, and
//! reservations themselves once nobody may ask for them any more.
//!
//! # Flow
//! A reservation that is over has a note beside it that falls due when it may be forgotten. First the reservation
//! goes, so that for people it is there wholly or not at all; then what hangs on it, a few commits at a time; the note
//! goes last, so that a crash in between leaves somebody who goes on.
//!
//! # Guarantees
//! * Only closed rows are pruned, and only after `keep_until`: until then a thing that is seen alive under a
//!   closed row finds it and is ended as a late birth. Afterwards it would be an orphan, which nobody
//!   touches.
//! * A row goes together with its token's reference, in one commit.
//! * A reservation is forgotten only when it is over, was readable for as long as the limits in force say, and has no
//!   row that is open or may still find a late birth. The commit that takes it checks that it is as it was read.
//! * Nothing is forgotten while the clock is in doubt or a restore is recent: forgetting too early cannot be
//!   mended.
//! * A conflict is no failure: somebody wrote first, and the next pass looks again.
//!
//! # Caveats
//! A few rows per pass: housekeeping never holds a shard up, and a backlog takes as many passes as it takes.

use super::claims::Ownership;
use super::world::Engine;
use crate::contracts::store::Expect;
use crate::nouns::account::IdempotencyRecord;
use crate::nouns::event::Outbox;
use crate::nouns::installation::Installation;
use crate::nouns::launch::Launch;
use crate::nouns::reservation::Reservation;
use crate::nouns::retention::Retention;
use crate::nouns::unit::Unit;
use crate::records::{
    RepoError, Stored, TokenRef, Txn, Versioned, history_prefix, launch_prefix, unit_prefix,
};
use crate::words::clock::{Timestamp, later};
use crate::words::planted::Bug;

/// Rows pruned per shard and pass.
const PER_PASS: usize = 8;
/// Records forgotten per commit: a row goes with its reference, and there are two checks.
const PER_COMMIT: usize = 10;
/// Commits per reservation that is forgotten, and pass.
const COMMITS_PER_PASS: usize = 4;
/// When something speaks against forgetting a reservation, it is asked again after this.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What stands behind every deletion: who may, and that the store was not frozen meanwhile.
struct Leave<'a> {
    engine: &'a Engine,
    installation: &'a Versioned<Installation>,
    ownership: &'a Ownership,
}

impl Engine {
    /// Prunes what is due for it in one shard.
    pub(super) async fn prune(
        &self,
        shard: u16,
        installation: &Versioned<Installation>,
        ownership: &Ownership,
    ) -> Result<(), RepoError> {
        let repo = &self.parts.repo;
        let now = self.now();
        if self.deadlines_held(&installation.value).is_some() {
            return Ok(());
        }
        let leave = Leave { engine: self, installation, ownership };
        let rows: Vec<Versioned<Launch>> = repo.due(shard, now, PER_PASS).await?;
        for row in rows.iter().filter(|row| row.value.closed()) {
            calmly(leave.forget_row(row).await)?;
        }
        let keys: Vec<Versioned<IdempotencyRecord>> = repo.due(shard, now, PER_PASS).await?;
        for key in &keys {
            let mut txn = leave.txn();
            txn.delete(key);
            calmly(repo.commit(txn).await)?;
        }
        let notes: Vec<Versioned<Retention>> = repo.due(shard, now, PER_PASS).await?;
        for note in &notes {
            calmly(leave.forget(note, now).await)?;
        }
        Ok(())
    }
}

/// Somebody wrote first: the next pass looks again.
fn calmly<T>(done: Result<T, RepoError>) -> Result<(), RepoError> {
    match done {
        Err(error) if error.is_conflict() => Ok(()),
        other => other.map(drop),
    }
}

impl Leave<'_> {
    /// A transaction that fails once this replica is not in charge any more, or the store was frozen.
    fn txn(&self) -> Txn {
        let mut txn = self.engine.parts.repo.txn();
        self.ownership.check(&mut txn);
        txn.check(Installation::place(), Expect::Version(self.installation.version));
        txn
    }

    /// Forgets a closed row and its token's reference.
    async fn forget_row(&self, row: &Versioned<Launch>) -> Result<(), RepoError> {
        let repo = &self.engine.parts.repo;
        let reference: Option<Versioned<TokenRef>> = repo.get(TokenRef::place(row.value.token)).await?;
        let mut txn = self.txn();
        txn.delete(row);
        reference.iter().for_each(|reference| txn.delete(reference));
        repo.commit(txn).await.map(drop)
    }

    /// Forgets a reservation and what hangs on it, as far as it comes in one pass.
    async fn forget(&self, note: &Versioned<Retention>, now: Timestamp) -> Result<(), RepoError> {
        let repo = &self.engine.parts.repo;
        let (tenant, id) = (&note.value.tenant, &note.value.reservation);
        let rows: Vec<Versioned<Launch>> = repo.list_prefix(tenant, &launch_prefix(id), None).await?;
        if let Some(reservation) = repo.get::<Reservation>(Reservation::place(tenant, id)).await? {
            if let Some(until) = self.keep_until(&reservation.value, &rows, now) {
                return self.postpone(note, until).await;
            }
            let mut txn = self.txn();
            txn.delete(&reservation);
            repo.commit(txn).await?;
        }
        let mut commits = 0;
        for row in rows.iter().filter(|row| is_old(&row.value, now)).take(COMMITS_PER_PASS * PER_COMMIT) {
            self.forget_row(row).await?;
        }
        let units: Vec<Versioned<Unit>> = repo.list_prefix(tenant, &unit_prefix(id), None).await?;
        let history: Vec<Versioned<Outbox>> = repo.list_prefix(tenant, &history_prefix(id), None).await?;
        commits += self.forget_all(&units, COMMITS_PER_PASS).await?;
        commits += self.forget_all(&history, COMMITS_PER_PASS).await?;
        let left = rows.iter().filter(|row| !is_old(&row.value, now)).count();
        if left > 0 {
            // Something of it was born late: it is ended first.
            return self.postpone(note, later(now, ASK_AGAIN)).await;
        }
        if rows.is_empty() && commits == 0 {
            let mut txn = self.txn();
            txn.delete(note);
            repo.commit(txn).await?;
        }
        Ok(())
    }

    /// Until when a reservation must be kept, if it must.
    fn keep_until(
        &self,
        reservation: &Reservation,
        rows: &[Versioned<Launch>],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let planted = self.engine.parts.planted;
        if planted.is(Bug::ForgottenTooEarly) {
            return None;
        }
        let Some(over_at) = reservation.over_at else { return Some(later(now, ASK_AGAIN)) };
        let readable = later(over_at, self.engine.parts.limits.released_readable_for);
        if readable > now {
            return Some(readable);
        }
        let young = rows.iter().find(|row| !is_old(&row.value, now))?;
        Some(young.value.keep_until.filter(|until| *until > now).unwrap_or_else(|| later(now, ASK_AGAIN)))
    }

    async fn postpone(&self, note: &Versioned<Retention>, until: Timestamp) -> Result<(), RepoError> {
        let mut txn = self.txn();
        txn.update(note, &Retention { until, ..note.value.clone() });
        self.engine.parts.repo.commit(txn).await.map(drop)
    }

    /// Forgets records of one kind, in so many commits at most; answers how many it took.
    async fn forget_all<T: Stored>(
        &self,
        records: &[Versioned<T>],
        commits_max: usize,
    ) -> Result<usize, RepoError> {
        let mut commits = 0;
        for chunk in records.chunks(PER_COMMIT).take(commits_max) {
            let mut txn = self.txn();
            chunk.iter().for_each(|record| txn.delete(record));
            self.engine.parts.repo.commit(txn).await?;
            commits += 1;
        }
        Ok(commits)
    }
}

/// Closed, and so long ago that no late birth looks for it.
fn is_old(row: &Launch, now: Timestamp) -> bool {
    row.closed() && row.keep_until.is_none_or(|until| until <= now)
}
