//! The one thread that writes.
//!
//! # When SQLite fails
//! Before its `COMMIT`, nothing of the batch happened. When `COMMIT` itself fails, the pages may or may not reach
//! the disk: every commit of the batch is answered `Unknown`, the connection is thrown away, and the same commit
//! sent again is looked up on a fresh one. Until a transaction succeeds again, every failure is `Unknown`, because
//! it may be the answer to such a second sending.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use infra_core::contracts::store::{Commit, StoreError};
use infra_core::words::clock::Clock;
use infra_core::words::fault::Effect;
use infra_core::words::lane::Version;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::files::Lock;
use super::schema::{open_writer, refusal};
use super::{rows, unavailable, write};

/// Commits in one SQLite transaction. More would only make the first of them wait longer.
const BATCH_MAX: usize = 64;
/// Commit ids are remembered at least this long.
const REMEMBER_FOR: Duration = Duration::from_secs(3600);
/// How often it is noted which commits have passed; ids are forgotten in steps of this.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// Ids forgotten with one batch, so that no commit waits for a large clean-up.
const FORGET_MAX: usize = 512;

type Reply = oneshot::Sender<Result<Version, StoreError>>;

/// What the writer is asked to do.
pub(super) enum Job {
    /// A commit, and whom to tell.
    Commit {
        /// The commit.
        commit: Commit,
        /// Whom to tell.
        reply: Reply,
    },
    /// Write the file anew without what was replaced, after what was queued before.
    Wipe {
        /// Whom to tell.
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Do what was queued before, then end.
    Stop {
        /// Dropped when everything is closed.
        done: oneshot::Sender<()>,
    },
    /// Fail at this point of the next batch.
    #[cfg(test)]
    Fail(FailAt),
}

/// Where a test makes the writer fail.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailAt {
    /// Dies before SQLite's COMMIT.
    DieBeforeCommit,
    /// Dies after SQLite's COMMIT, before anybody is told.
    DieAfterCommit,
    /// COMMIT took effect, but reports an error.
    CommitReportsError,
    /// COMMIT reports an error and did nothing.
    CommitFails,
}

/// Whether the writer ended as asked.
#[derive(Debug, Default)]
pub(super) struct Ended(AtomicBool);

impl Ended {
    /// Did it do everything it took in, and say how that went?
    pub(super) fn in_order(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The writer's side of the store.
pub(super) struct Writer {
    path: PathBuf,
    /// `None` after a failure that left it in an unknown state.
    connection: Option<Connection>,
    announce: watch::Sender<Version>,
    clock: Arc<dyn Clock>,
    ended: Arc<Ended>,
    /// A `COMMIT` failed and no transaction has succeeded since.
    in_doubt: bool,
    /// (when, which commit was the newest then), oldest first, and when the last was noted.
    passed: VecDeque<(Duration, Version)>,
    #[cfg(test)]
    fail_at: Option<FailAt>,
    /// Last, so that it is freed after the connection is closed.
    _lock: Lock,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        connection: Connection,
        announce: watch::Sender<Version>,
        clock: Arc<dyn Clock>,
        ended: Arc<Ended>,
        lock: Lock,
    ) -> Self {
        Self {
            path,
            connection: Some(connection),
            announce,
            clock,
            ended,
            in_doubt: false,
            passed: VecDeque::new(),
            #[cfg(test)]
            fail_at: None,
            _lock: lock,
        }
    }

    /// Works until told to stop or until nobody can ask any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut done = None;
        while done.is_none() {
            let Some(first) = jobs.blocking_recv() else { break };
            let (mut batch, mut wipe) = (Vec::new(), None);
            let mut next = Some(first);
            while let Some(job) = next.take() {
                match job {
                    Job::Commit { commit, reply } => batch.push((commit, reply)),
                    Job::Wipe { reply } => wipe = Some(reply),
                    Job::Stop { done: asked } => done = Some(asked),
                    #[cfg(test)]
                    Job::Fail(at) => self.fail_at = Some(at),
                }
                if done.is_none() && wipe.is_none() && batch.len() < BATCH_MAX {
                    next = jobs.try_recv().ok();
                }
            }
            if !batch.is_empty() {
                self.work(batch);
            }
            if let Some(reply) = wipe {
                // Nobody listens when the caller's future was dropped.
                let _nobody = reply.send(self.wipe());
            }
        }
        self.stop(jobs);
        drop(done);
    }

    /// Does a batch and tells everybody how it went, in that order.
    fn work(&mut self, batch: Vec<(Commit, Reply)>) {
        let (commits, replies): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        match self.write(&commits) {
            Ok((newest, outcomes)) => {
                self.in_doubt = false;
                self.announce.send_replace(newest);
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // Nobody listens when the caller's future was dropped; the commit stands all the same.
                    let _nobody = reply.send(outcome);
                }
            }
            Err(error) => {
                let effect = if self.in_doubt { Effect::Unknown } else { Effect::NotApplied };
                tracing::warn!(%error, ?effect, commits = replies.len(), "the store could not write");
                // A connection that failed is not asked again.
                self.connection = None;
                for reply in replies {
                    let _nobody = reply.send(Err(refusal(&error, effect)));
                }
            }
        }
    }

    fn write(&mut self, commits: &[Commit]) -> rusqlite::Result<(Version, Vec<Outcome>)> {
        let mut connection = self.take_connection()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = rows::read_newest(&transaction)?;
        let mut newest = before;
        let mut outcomes = Vec::with_capacity(commits.len());
        for commit in commits {
            let outcome = write::apply(&transaction, newest, commit)?;
            if let Ok(version) = outcome {
                newest = newest.max(version);
            }
            outcomes.push(outcome);
        }
        if newest > before {
            write::set_newest(&transaction, newest)?;
            self.forget_old(&transaction, before)?;
        }
        #[cfg(test)]
        self.reach(FailAt::DieBeforeCommit);
        #[cfg(test)]
        if self.fail_at.take_if(|at| *at == FailAt::CommitFails).is_some() {
            self.in_doubt = true;
            return Err(rusqlite::Error::InvalidQuery);
        }
        // From here until it succeeds, nobody knows.
        self.in_doubt = true;
        transaction.commit()?;
        #[cfg(test)]
        self.reach(FailAt::DieAfterCommit);
        #[cfg(test)]
        if self.fail_at.take_if(|at| *at == FailAt::CommitReportsError).is_some() {
            return Err(rusqlite::Error::InvalidQuery);
        }
        self.connection = Some(connection);
        Ok((newest, outcomes))
    }

    /// Every page anew, and nothing of the old ones in the log. Records stay what they are, so a failure undoes nothing.
    fn wipe(&mut self) -> Result<(), StoreError> {
        let wiped = self.take_connection().and_then(|connection| {
            connection.execute_batch("VACUUM")?;
            // Busy while a reader still looks at the log as it was: then it stays for now.
            let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
            self.connection = Some(connection);
            Ok(busy == 0)
        });
        match wiped {
            Ok(true) => Ok(()),
            Ok(false) => Err(unavailable("somebody reads the log".to_owned(), Effect::NotApplied)),
            Err(error) => Err(refusal(&error, Effect::NotApplied)),
        }
    }

    fn take_connection(&mut self) -> rusqlite::Result<Connection> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => open_writer(&self.path),
        }
    }

    /// Notes which commits have passed, and forgets some that passed long enough ago.
    fn forget_old(&mut self, connection: &Connection, newest: Version) -> rusqlite::Result<()> {
        let now = self.clock.mono();
        if self.passed.back().is_none_or(|(noted, _)| now.saturating_sub(*noted) >= NOTE_EVERY) {
            self.passed.push_back((now, newest));
        }
        if let Some((noted, upto)) = self.passed.front()
            && now.saturating_sub(*noted) >= REMEMBER_FOR
            && write::forget(connection, *upto, FORGET_MAX)? < FORGET_MAX
        {
            self.passed.pop_front();
        }
        Ok(())
    }

    /// Lets nobody else in, folds the log into the file, and frees the folder.
    fn stop(mut self, mut jobs: mpsc::Receiver<Job>) {
        let ended = Arc::clone(&self.ended);
        ended.0.store(!self.in_doubt, Ordering::Release);
        jobs.close();
        let effect = if self.in_doubt { Effect::Unknown } else { Effect::NotApplied };
        while let Some(job) = jobs.blocking_recv() {
            if let Job::Commit { reply, .. } = job {
                let _nobody = reply.send(Err(unavailable("the store is closed".to_owned(), effect)));
            }
        }
        if let Some(connection) = self.connection.take() {
            let folded = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
            if let Err(error) = folded {
                // The log stays and is read at the next opening.
                tracing::warn!(%error, "the store's log was not folded into its file");
            }
        }
    }

    #[cfg(test)]
    fn reach(&self, point: FailAt) {
        assert!(self.fail_at != Some(point), "the writer dies here, as a test asked");
    }
}

type Outcome = Result<Version, StoreError>;
