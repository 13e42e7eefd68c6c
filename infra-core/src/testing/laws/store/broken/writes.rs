//! Defects of commits.

use super::Broken;
use crate::contracts::store::{Change, Commit, Expect, Index, Key, StoreError};
use crate::words::ids::CommitId;
use crate::words::lane::Version;

/// What becomes of a commit before the correct store sees it.
enum Bent {
    Send(Commit),
    Answer(Result<Version, StoreError>),
}

impl Broken {
    /// Bends the commit first, then what becomes of it, then the answer. The correct store in the middle keeps all
    /// other laws, so that a law fails for its own reason.
    pub(super) async fn broken_commit(&self, commit: &Commit) -> Result<Version, StoreError> {
        let mut bent = commit.clone();
        self.bend_expectations(&mut bent).await?;
        self.bend_indexes(&mut bent).await?;
        let bent = match self.bend_whole(bent).await? {
            Bent::Send(bent) => bent,
            Bent::Answer(answer) => return answer,
        };
        self.remember_gone(&bent).await?;
        let answer = self.inner.commit(&bent).await;
        self.bend_answer(commit, answer)
    }

    /// Replaces an expectation that would fail by one that holds: the last writer wins, presence is overwritten, what
    /// was deleted is born again. Caught by the three laws about expectations.
    async fn bend_expectations(&self, commit: &mut Commit) -> Result<(), StoreError> {
        for change in &mut commit.changes {
            let found = self.one(change.key()).await?.map(|record| record.version);
            let bent = match (self.law, change.expect(), found) {
                ("stale_commit_is_a_conflict", Expect::Version(_), Some(found))
                | ("an_expectation_absent_fails_on_presence", Expect::Absent, Some(found)) => {
                    Expect::Version(found)
                }
                ("an_expectation_of_a_version_fails_on_absence", Expect::Version(_), None) => Expect::Absent,
                _ => continue,
            };
            *expect_of(change) = bent;
        }
        Ok(())
    }

    /// Ids folded to lower case, times cut to microseconds, and an owner or a due time that stays what it was at
    /// first: an index that is written once and not moved along.
    async fn bend_indexes(&self, commit: &mut Commit) -> Result<(), StoreError> {
        for change in &mut commit.changes {
            if self.is("odd_ids_are_kept_apart") {
                let key = key_of(change);
                key.id = key.id.to_lowercase();
            }
            let old = self.one(change.key()).await?.map(|record| record.index);
            let Change::Put { index, .. } = change else { continue };
            match (self.law, old) {
                ("a_record_reads_back_as_written", _) => cut_to_micros(index),
                ("a_new_owner_moves_the_record", Some(old)) => index.owner = old.owner.or(index.owner.take()),
                ("rewritten_due_moves", Some(old)) => index.due_at = old.due_at.or(index.due_at),
                _ => {}
            }
        }
        Ok(())
    }

    /// Changes written one by one, checks dropped, commits or refusals remembered wrongly, the last of two changes of
    /// a key taken, empty commits welcomed, a check that is not one with its act.
    async fn bend_whole(&self, mut commit: Commit) -> Result<Bent, StoreError> {
        match self.law {
            "all_changes_or_none" => return self.one_by_one(commit).await.map(Bent::Answer),
            "a_check_alone_guards_the_commit" => {
                commit.changes.retain(|change| !matches!(change, Change::Check { .. }));
                if commit.changes.is_empty() {
                    return Ok(Bent::Answer(Ok(self.newest().await?)));
                }
            }
            "same_commit_again_answers_the_same" => commit.id = self.another_id(),
            "same_commit_again_answers_the_same_after_later_writes" if !self.carried(&commit).await? => {
                commit.id = self.another_id();
            }
            "a_deletion_sent_again_answers_the_same" if !has_put(&commit) => commit.id = self.another_id(),
            "a_refused_commit_may_be_sent_again" if self.seen().refused.contains(&commit.id) => {
                return Ok(Bent::Answer(Err(conflict(commit.changes[0].key()))));
            }
            "one_key_twice_is_malformed" => {
                let changes = std::mem::take(&mut commit.changes);
                for change in changes {
                    commit.changes.retain(|earlier| earlier.key() != change.key());
                    commit.changes.push(change);
                }
            }
            "an_empty_commit_is_malformed" if commit.changes.is_empty() => {
                return Ok(Bent::Answer(Ok(self.newest().await?)));
            }
            "concurrent_counters_lose_nothing" => return Ok(Bent::Answer(self.check_then_act(commit).await)),
            _ => {}
        }
        Ok(Bent::Send(commit))
    }

    /// The write is right and its answer is not: the wrong record named in a conflict, numbers that rise only every
    /// other time, a deletion's number given to the commit after it.
    fn bend_answer(
        &self,
        commit: &Commit,
        answer: Result<Version, StoreError>,
    ) -> Result<Version, StoreError> {
        let mut seen = self.seen();
        match (self.law, answer) {
            ("a_conflict_names_the_record", Err(StoreError::Conflict { .. })) => {
                Err(conflict(commit.changes[0].key()))
            }
            (_, Err(error)) => {
                seen.refused.insert(commit.id);
                Err(error)
            }
            ("versions_rise_with_every_commit", Ok(version)) => Ok(Version(version.0 / 2 + 1)),
            ("versions_never_repeat_even_after_delete", Ok(version)) => {
                let again = seen.deletion.take();
                seen.deletion = (!has_put(commit)).then_some(version);
                Ok(again.unwrap_or(version))
            }
            (_, answer) => answer,
        }
    }

    /// Every change by itself, up to the first that fails. What stands before the refused change stays written.
    /// Caught by `all_changes_or_none`.
    async fn one_by_one(&self, commit: Commit) -> Result<Result<Version, StoreError>, StoreError> {
        let mut last = Ok(self.newest().await?);
        for change in commit.changes {
            last = self.inner.commit(&Commit { id: self.another_id(), changes: vec![change] }).await;
            if last.is_err() {
                break;
            }
        }
        Ok(last)
    }

    /// Looks whether the expectations hold, and then writes over whatever is there by then. The gap between the two
    /// is where a second writer fits in: its increment is written over. Caught by `concurrent_counters_lose_nothing`,
    /// and by nothing that takes turns.
    async fn check_then_act(&self, mut commit: Commit) -> Result<Version, StoreError> {
        for change in &commit.changes {
            let found = self.one(change.key()).await?.map(|record| record.version);
            if found.map_or(Expect::Absent, Expect::Version) != change.expect() {
                return Err(conflict(change.key()));
            }
        }
        tokio::task::yield_now().await;
        loop {
            for change in &mut commit.changes {
                let found = self.one(change.key()).await?.map(|record| record.version);
                *expect_of(change) = found.map_or(Expect::Absent, Expect::Version);
            }
            match self.inner.commit(&commit).await {
                Err(StoreError::Conflict { .. }) => {}
                outcome => return outcome,
            }
        }
    }

    /// Is the commit still to be seen on one of its records? A store that asks this in place of keeping a list of
    /// commits forgets them at the next write.
    async fn carried(&self, commit: &Commit) -> Result<bool, StoreError> {
        let keys: Vec<Key> = commit.changes.iter().map(|change| change.key().clone()).collect();
        let found = self.inner.get(&keys).await?;
        Ok(found.iter().flatten().any(|record| record.by == commit.id))
    }

    /// Keeps what is about to be deleted, for the defect that goes on to show it as due.
    async fn remember_gone(&self, commit: &Commit) -> Result<(), StoreError> {
        for change in &commit.changes {
            if let Change::Delete { key, .. } = change
                && let Some(record) = self.one(key).await?
            {
                self.seen().gone.push(record);
            }
        }
        Ok(())
    }

    /// An id that no law draws: it counts down from the largest, while laws count up from one.
    fn another_id(&self) -> CommitId {
        let mut seen = self.seen();
        seen.replaced += 1;
        CommitId(uuid::Uuid::from_u128(u128::MAX - seen.replaced))
    }
}

fn has_put(commit: &Commit) -> bool {
    commit.changes.iter().any(|change| matches!(change, Change::Put { .. }))
}

fn expect_of(change: &mut Change) -> &mut Expect {
    match change {
        Change::Put { expect, .. } | Change::Delete { expect, .. } | Change::Check { expect, .. } => expect,
    }
}

fn key_of(change: &mut Change) -> &mut Key {
    match change {
        Change::Put { key, .. } | Change::Delete { key, .. } | Change::Check { key, .. } => key,
    }
}

fn conflict(key: &Key) -> StoreError {
    StoreError::Conflict { tenant: key.tenant.clone(), kind: key.kind, id: key.id.clone() }
}

/// As a database column for times does that is less fine than the times put into it. Caught by
/// `a_record_reads_back_as_written`.
fn cut_to_micros(index: &mut Index) {
    let micros = |at: crate::words::clock::Timestamp| {
        crate::words::clock::Timestamp::from_microsecond(at.as_microsecond()).expect("was within range")
    };
    index.due_at = index.due_at.map(micros);
}
