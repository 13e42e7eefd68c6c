//! The engine's parts, and one tick of everything.
//!
//! # Flow
//! [`Engine::tick`] is one pass of everything, one after the other: what simulations drive. [`Engine::run`]
//! does the same with a task per lane. Both begin with the installation: while that is frozen, or at home
//! somewhere else, nothing is done at all.
//!
//! # Guarantees
//! * The cursor of the change feed and the set of dirty reservations move together, without an await between;
//!   a crash begins again from nothing, and a shard that is taken is looked at whole.
//! * A reservation that could not be written because of a conflict stays dirty.
//!
//! # Caveats
//! What is in memory here may be forgotten at any time, and is, by every crash: cursor, dirty set, rests, workers
//! with their brakes, and the clock guard, which asks the store for the newest moment it knows when it
//! starts.
//!
//! # Errors
//! The store's alone. What clouds answer is kept on rows and in the brakes of their lane; a cloud that is silent holds
//! up nothing else, save while the clock is in doubt and no cloud tells the date.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use super::claims::{Claims, Moment, Ownership};
use super::dirty::Dirty;
use super::lane::LaneWorker;
use super::tally::Tallies;
use crate::connect::Connections;
use crate::contracts::store::{ListBy, RecordKind};
use crate::nouns::installation::{Heartbeat, Installation, LaneRecord};
use crate::nouns::launch::Launch;
use crate::plan::clock_guard::ClockGuard;
use crate::plan::fold::{Rests, Whose};
use crate::records::{Repo, RepoError, Versioned};
use crate::words::clock::{Clock, Timestamp};
use crate::words::entropy::Entropy;
use crate::words::ids::{BootId, LaunchToken, ReplicaId, ReservationId};
use crate::words::lane::{Lane, LaneId, Version};
use crate::words::limits::Limits;
use crate::words::planted::{Bug, Planted};
use crate::words::secret::MasterKey;

/// What an engine works with.
#[derive(Debug, Clone)]
pub struct EngineParts {
    /// The records.
    pub repo: Repo,
    /// Keys and clouds.
    pub connections: Arc<Connections>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The limits in force.
    pub limits: Arc<Limits>,
    /// Opens first-boot scripts just before they are sent.
    pub master: MasterKey,
    /// Where this process opened the store.
    pub home: String,
    /// The store's newest commit when this process opened it, before any of its own.
    pub opened_at: Version,
    /// Who ranks again when a reservation's list of offers is used up; without anybody it waits for those it has.
    pub refill: Option<mpsc::Sender<Whose>>,
    /// A defect on purpose, if any.
    pub planted: Planted,
}

/// What one tick did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Reservations planned.
    pub planned: usize,
    /// Commits and calls that changed something.
    pub changes: usize,
}

/// One replica of the engine. Drive it with [`Engine::tick`], or let [`Engine::run`] do so.
#[derive(Debug)]
pub struct Engine {
    pub(super) parts: EngineParts,
    pub(super) claims: Claims,
    guard: Mutex<Option<ClockGuard>>,
    workers: Mutex<BTreeMap<LaneId, Arc<LaneWorker>>>,
    cursor: AtomicU64,
    pub(super) dirty: Mutex<Dirty>,
    pub(super) rests: Mutex<Rests>,
    pub(super) scanned: Mutex<BTreeSet<u16>>,
    pub(super) tallies: Mutex<Tallies>,
}

impl Engine {
    /// A replica that has done nothing yet.
    ///
    /// Its ids are drawn here, and nothing is read: a process that starts again is another replica than the one it
    /// was.
    #[must_use]
    pub fn new(parts: EngineParts) -> Self {
        let (now, entropy) = (parts.clock.wall(), Arc::clone(&parts.entropy));
        let alone = parts.repo.exclusive();
        let claims = Claims::new(ReplicaId::draw(now, &*entropy), BootId::draw(now, &*entropy), alone);
        Self {
            parts,
            claims,
            guard: Mutex::new(None),
            workers: Mutex::default(),
            cursor: AtomicU64::new(0),
            dirty: Mutex::default(),
            rests: Mutex::default(),
            scanned: Mutex::default(),
            tallies: Mutex::default(),
        }
    }

    /// One pass of everything: changes, shards, lanes, outbox. Safe to drop at any await.
    ///
    /// # Errors
    /// [`RepoError`] when the store does not answer; what was done stays done.
    pub async fn tick(&self) -> Result<TickReport, RepoError> {
        let mut report = TickReport::default();
        let Some(installation) = self.installation().await? else { return Ok(report) };
        self.take_changes(Duration::ZERO).await?;
        report.planned = self.shards_pass(&installation).await?.planned;
        for worker in self.workers().await? {
            report.changes += worker.tick(self, &installation).await?;
        }
        self.take_changes(Duration::ZERO).await?;
        report.planned += self.shards_pass(&installation).await?.planned;
        self.deliver_outbox().await?;
        Ok(report)
    }

    /// The installation, unless nothing may be changed now.
    ///
    /// `None` for a store without one, for a frozen one, for one whose home is elsewhere, and while nobody knows what
    /// time it is. It is read once per pass; a freeze in between makes the commits that check it conflict.
    pub(super) async fn installation(&self) -> Result<Option<Versioned<Installation>>, RepoError> {
        let Some(installation) = self.parts.repo.get::<Installation>(Installation::place()).await? else {
            return Ok(None);
        };
        self.start_clock_guard().await?;
        let elsewhere = installation.value.frozen.is_some() || installation.value.home != self.parts.home;
        if elsewhere && !self.parts.planted.is(Bug::C1CopiedStoreActs) {
            return Ok(None);
        }
        let sure = !self.is_unsure_of_time() || self.ask_the_date().await?;
        Ok(sure.then_some(installation))
    }

    /// Does nobody know yet what time it is? Times of a wrong wall in records would outlive its repair.
    fn is_unsure_of_time(&self) -> bool {
        let guard = self.guard.lock().expect("no panic under this lock");
        let unsure = guard.as_ref().is_some_and(ClockGuard::is_unsure);
        unsure && !self.parts.planted.is(Bug::C13ClockTrusted)
    }

    /// Asks any cloud for its date. `false` while there are clouds and none answers: then nothing is done.
    ///
    /// Lane by lane until one answers; a lane that cannot be connected is passed by. Of the page only its date is
    /// used.
    async fn ask_the_date(&self) -> Result<bool, RepoError> {
        let workers = self.workers().await?;
        for worker in &workers {
            let Some(provider) = worker.provider(self).await else { continue };
            if let Ok(page) = provider.list_owned(None).await {
                self.cloud_says(page.as_of);
                return Ok(true);
            }
        }
        if !workers.is_empty() {
            tracing::warn!("the clock is in doubt and no cloud tells the date: nothing is done");
        }
        Ok(workers.is_empty())
    }

    /// Begins to watch the clocks, once: the wall against the newest heartbeat of any replica, which is the
    /// newest moment that the store knows.
    ///
    /// When two begin at once the first guard stays: it has watched for longer.
    async fn start_clock_guard(&self) -> Result<(), RepoError> {
        if self.guard.lock().expect("no panic under this lock").is_some() {
            return Ok(());
        }
        let beats: Vec<Versioned<Heartbeat>> = self.parts.repo.list_all(ListBy::All, None).await?;
        let newest = beats.iter().map(|beat| beat.value.at).max();
        let clock = &self.parts.clock;
        let guard = ClockGuard::start(clock.wall(), clock.mono(), newest, &self.parts.limits);
        self.guard.lock().expect("no panic under this lock").get_or_insert(guard);
        Ok(())
    }

    /// Why deadlines are not believed now, if they are not.
    ///
    /// Asking is also what makes the guard look at both clocks. A restore holds deadlines whatever the guard says.
    pub(super) fn deadlines_held(&self, installation: &Installation) -> Option<String> {
        let wall = self.parts.clock.wall();
        if installation.deadlines_held_until.is_some_and(|until| self.now() < until) {
            return Some("the store was restored lately and deadlines are held".to_owned());
        }
        if self.parts.planted.is(Bug::C13ClockTrusted) {
            return None;
        }
        let mut guard = self.guard.lock().expect("no panic under this lock");
        let doubt = guard.as_mut().and_then(|guard| guard.look(wall, self.parts.clock.mono()));
        doubt.map(|doubt| format!("the clock is in doubt: {doubt}"))
    }

    /// A cloud told its date.
    ///
    /// Said with every page of a listing. Before the guard has begun there is nobody to tell, and the next page comes.
    pub(super) fn cloud_says(&self, date: Timestamp) {
        let (wall, mono) = (self.parts.clock.wall(), self.parts.clock.mono());
        if let Some(guard) = self.guard.lock().expect("no panic under this lock").as_mut() {
            guard.cloud_says(date, wall, mono);
        }
    }

    /// The time that goes into records and decisions; a wall that has jumped does not.
    ///
    /// Before the guard has begun it is the wall's.
    pub(super) fn now(&self) -> Timestamp {
        let (wall, mono) = (self.parts.clock.wall(), self.parts.clock.mono());
        if self.parts.planted.is(Bug::C13ClockTrusted) {
            return wall;
        }
        let guard = self.guard.lock().expect("no panic under this lock");
        guard.as_ref().map_or(wall, |guard| guard.now(wall, mono))
    }

    /// A new token: one per attempt, never used again.
    pub(super) fn draw_token(&self) -> LaunchToken {
        LaunchToken::draw(self.now(), &*self.parts.entropy)
    }

    /// Holds a claim, or says that somebody else does.
    pub(super) async fn hold(&self, epoch: u32, on: &str) -> Result<Option<Ownership>, RepoError> {
        let EngineParts { repo, clock, limits, .. } = &self.parts;
        let now = Moment { wall: self.now(), mono: clock.mono() };
        self.claims.hold(repo, now, limits, epoch, on).await
    }

    /// Reads the change feed: every reservation that was touched is planned again. Answers whether a switch or a lane's
    /// record was written, which no plan tells the lanes of.
    ///
    /// Slots and attempts name their reservation by the first part of their id. A change that is read here and whose
    /// plan is lost by a crash is found again, because a shard that is taken is looked at whole.
    pub(super) async fn take_changes(&self, wait: Duration) -> Result<bool, RepoError> {
        let after = Version(self.cursor.load(Ordering::Acquire));
        let changes = self.parts.repo.changes(after, wait).await?;
        self.cursor.store(changes.upto.0, Ordering::Release);
        let mut lanes = false;
        self.with_dirty(|dirty| {
            for key in changes.keys {
                let own = key.kind == RecordKind::Reservation;
                let mine = own || matches!(key.kind, RecordKind::Launch | RecordKind::Unit);
                let id = key.id.split('/').next().unwrap_or_default();
                if let Some(id) = ReservationId::new(id).ok().filter(|_| mine) {
                    dirty.touch((key.tenant, id), own);
                }
                lanes |= matches!(key.kind, RecordKind::Switch | RecordKind::Lane);
            }
        });
        Ok(lanes)
    }

    /// The worker of a lane; made on first use.
    ///
    /// One per lane as long as the process lives: its brakes hold for whoever asks, and must not be begun anew.
    pub(super) fn worker(&self, lane: &Lane) -> Arc<LaneWorker> {
        let mut workers = self.workers.lock().expect("no panic under this lock");
        if let Some(worker) = workers.get(&lane.id()) {
            return Arc::clone(worker);
        }
        let reads = workers.values().find_map(|worker| worker.shares_reads(lane)).unwrap_or_default();
        let (limits, now) = (&self.parts.limits, self.parts.clock.mono());
        let worker = Arc::new(LaneWorker::new(lane.clone(), limits, now, self.parts.repo.observer(), reads));
        workers.insert(lane.id(), Arc::clone(&worker));
        worker
    }

    /// Workers of all lanes ever used.
    ///
    /// Lanes that no key reaches any more are among them: what was made there may still show up.
    pub(super) async fn workers(&self) -> Result<Vec<Arc<LaneWorker>>, RepoError> {
        let lanes: Vec<Versioned<LaneRecord>> = self.parts.repo.list_all(ListBy::All, None).await?;
        Ok(lanes.iter().map(|record| self.worker(&record.value.lane)).collect())
    }

    /// Reads, changes and writes one launch row until it is done or nothing is left to change. What is
    /// written here is knowledge, not action: it needs no claim, because losing it would be a leak.
    ///
    /// The closure runs again after every lost race, so it must change nothing but the row. `None` when the row was
    /// pruned. A conflict is never answered: each one means that somebody else got on.
    pub(super) async fn record(
        &self,
        row: &Launch,
        mut change: impl FnMut(&mut Launch) + Send,
    ) -> Result<Option<Versioned<Launch>>, RepoError> {
        let place = Launch::place(&row.tenant, &row.reservation, row.token);
        loop {
            let Some(was) = self.parts.repo.get::<Launch>(place.clone()).await? else { return Ok(None) };
            let mut is = was.value.clone();
            change(&mut is);
            if is == was.value {
                return Ok(Some(was));
            }
            let mut txn = self.parts.repo.txn();
            txn.update(&was, &is);
            match self.parts.repo.commit(txn).await {
                Ok(version) => return Ok(Some(Versioned { value: is, version })),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
    }
}
