//! One listing for everything in a lane: presence, late births, orphans, and whether the store is older than
//! the cloud.
//!
//! # Flow
//! Identity, then the lane's own record, then every page. Every listing is compared with the store: a mark
//! newer than its newest commit freezes everything. Then each open row hears what was seen of it, tokens
//! without an open row are late births or orphans, and the lane's health is judged.
//!
//! # Guarantees
//! * Only a complete listing says anything about what it does *not* show, and only about the moment at which
//!   it began.
//! * A listing that lost too many things at once is a lie: what it shows is believed, what it does not show
//!   is not concluded from. What was ordered to end is meant to go, and is no sign of a lie.
//! * A failed listing changes nothing and stops nothing that needs no absence.
//! * A thing without any row is reported after two sightings, at some age, and never touched.
//!
//! # Assumptions
//! The cloud shows in a listing everything that carries our mark, at the latest `visible_within` after it was
//! made.
//!
//! # Caveats
//! The witness compares with what is marked and alive, or still shown: a store restored to before launches of
//! which nothing is left looks as new as the cloud, and nothing is lost by believing it.
//!
//! # Errors
//! A cloud's error never leaves here: a listing that failed is none, and an identity that could not be asked counts as
//! a wrong one. Of the store's errors a conflict on the lane's record or on the installation is none: both are read
//! again before the next listing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Tick, observe, state};
use crate::contracts::store::Expect;
use crate::nouns::actor::Actor;
use crate::nouns::cloud::{Observed, ThingState};
use crate::nouns::event::{Event, Outbox};
use crate::nouns::installation::{Dropping, Frozen, LaneRecord};
use crate::nouns::launch::{Launch, LaunchState};
use crate::nouns::reservation::Reservation;
use crate::plan::absence;
use crate::plan::births;
use crate::plan::brake::VerbClass;
use crate::plan::cost::cost;
use crate::plan::guard;
use crate::records::{RepoError, Stored, Versioned, launch_prefix, system_tenant};
use crate::words::clock::{Timestamp, between};
use crate::words::fault::{Fault, FaultKind};
use crate::words::ids::{LaunchToken, ResourceId};
use crate::words::lane::{Mark, Version};
use crate::words::planted::Bug;

/// Pages of one listing at most: a cloud that repeats itself must not hold us for ever.
const PAGES_MAX: usize = 2_000;

/// Droppings that a lane's record shows; the rest is only counted.
const DROPPINGS_SHOWN: usize = 100;

/// Droppings of one lane: those that its record shows, and those of this listing.
#[derive(Debug, Default)]
pub(super) struct Droppings {
    known: BTreeMap<ResourceId, Dropping>,
    seen: BTreeMap<ResourceId, Dropping>,
}

/// A listing, whole or not.
pub(super) struct Listing {
    pub(super) items: Vec<Observed>,
    /// Begun at, by our clock.
    pub(super) began: Timestamp,
    pub(super) complete: bool,
}

impl Tick<'_> {
    /// Lists the lane and writes down what it says. `false` stops the tick: wrong identity, or frozen.
    ///
    /// An incomplete listing is not a failed one: what it shows is noted, what it does not show stays open. Without
    /// any listing the tick goes on with what is known, as far as that allows.
    pub(super) async fn list(&self, rows: &[Versioned<Launch>]) -> Result<bool, RepoError> {
        self.worker.listed(self.mono());
        if !self.worker.may_read(self.mono()) {
            return Ok(true);
        }
        if !self.is_identity_right().await {
            return Ok(false);
        }
        let record = self.read_lane_record().await?;
        let listing = self.read_pages().await?;
        // Counted from its end: one that takes longer than the cadence would leave no time for anything else.
        self.worker.listed(self.mono());
        self.engine.parts.repo.observer().listed(&self.worker.lane, listing.is_some());
        let Some(mut listing) = listing else { return Ok(true) };
        if self.is_store_older(rows, &listing).await? {
            return Ok(false);
        }
        if listing.complete {
            self.worker.witness();
        }
        listing.complete &= !self.is_lie(rows, &listing);
        let by_token = self.by_token(&listing);
        let mut open = BTreeSet::new();
        for row in rows {
            open.insert(row.value.token);
            let items = by_token.get(&row.value.token).map_or(&[][..], Vec::as_slice);
            self.note(row, items, &listing).await?;
        }
        for (token, items) in by_token.iter().filter(|(token, _)| !open.contains(token)) {
            self.unlisted_token(*token, items).await?;
        }
        self.worker.judge_health(rows, &self.engine.parts.limits);
        self.note_droppings(record, listing.complete).await?;
        Ok(true)
    }

    /// Asks the cloud who we are, before any absence is believed.
    ///
    /// An answer that fails counts as wrong for this tick. A key that is refused, or leads to another account, is
    /// passed over for a while, so that the lane's other keys get their turn.
    async fn is_identity_right(&self) -> bool {
        if self.engine.parts.planted.is(Bug::C3AbsenceOfAnotherAccount) {
            self.worker.set_identity(true);
            return true;
        }
        let answer = self.provider.identify().await;
        if let Err(error) = &answer {
            tracing::warn!(lane = %self.worker.lane, %error, "identity could not be asked");
            self.worker.wait_before_reads(self.mono(), error.retry_after());
        }
        let right = answer.as_ref().is_ok_and(|identity| identity.account == self.worker.lane.account);
        if answer.map_or_else(|error| error.kind() == FaultKind::Unauthorized, |_| !right) {
            self.worker.pass_over_key(self.mono());
        }
        self.worker.set_identity(right);
        right
    }

    /// Reads whether a person has allowed a mass ending here, and until when.
    ///
    /// What the record shows as droppings is taken over, so that a restart need not watch them anew.
    async fn read_lane_record(&self) -> Result<Option<Versioned<LaneRecord>>, RepoError> {
        let place = state::lane_place(&self.worker.lane);
        let record = self.engine.parts.repo.get::<LaneRecord>(place).await?;
        if let Some(record) = &record {
            self.worker.allow_mass(&record.value);
            let known =
                record.value.droppings.iter().map(|dropping| (dropping.thing.clone(), dropping.clone()));
            *self.droppings.lock().expect("no panic under this lock") =
                Droppings { known: known.collect(), seen: BTreeMap::new() };
        }
        Ok(record)
    }

    /// Writes down which droppings stand here now, for as long as they do. A listing that was not complete adds to
    /// them and takes none away.
    ///
    /// Written only when it changed: a lane in order costs no commit per listing.
    async fn note_droppings(
        &self,
        record: Option<Versioned<LaneRecord>>,
        complete: bool,
    ) -> Result<(), RepoError> {
        let Some(was) = record else { return Ok(()) };
        let Droppings { known, mut seen } =
            std::mem::take(&mut *self.droppings.lock().expect("no panic under this lock"));
        if !complete {
            seen.extend(known);
        }
        let count = seen.len();
        self.engine.parts.repo.observer().droppings(&self.worker.lane, count as u64);
        let shown: Vec<Dropping> = seen.into_values().take(DROPPINGS_SHOWN).collect();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if shown == was.value.droppings && count == was.value.droppings_count {
            return Ok(());
        }
        let mut txn = self.engine.parts.repo.txn();
        txn.update(&was, &LaneRecord { droppings: shown, droppings_count: count, ..was.value.clone() });
        match self.engine.parts.repo.commit(txn).await {
            // Somebody else wrote the record: the next listing says it again.
            Err(error) if error.is_conflict() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Every page, or nothing: a listing that broke off in the middle is none, and so is one during which the lane was
    /// lost to another replica. The date of the first page is told to the clock guard: later ones may repeat it.
    ///
    /// The part that was read is thrown away then: it would look like a listing that lost things. One of more than
    /// `PAGES_MAX` pages is kept as far as it was read, and is not complete.
    async fn read_pages(&self) -> Result<Option<Listing>, RepoError> {
        if !self.worker.may_call(VerbClass::Read, self.mono()) {
            return Ok(None);
        }
        let mut listing = Listing { items: Vec::new(), began: self.now(), complete: false };
        let mut cursor = None;
        for number in 0..PAGES_MAX {
            match self.provider.list_owned(cursor.take()).await {
                Ok(page) => {
                    if number == 0 {
                        self.engine.cloud_says(page.as_of);
                    }
                    listing.items.extend(page.items);
                    listing.complete = page.complete && page.next.is_none();
                    match page.next {
                        Some(next) if self.held_until().await?.is_some() => cursor = Some(next),
                        Some(_) => return Ok(None),
                        None => break,
                    }
                }
                Err(error) => {
                    let kind = Some(error.kind());
                    self.worker.came_back(VerbClass::Read, self.mono(), kind, error.retry_after());
                    tracing::warn!(lane = %self.worker.lane, %error, "listing failed");
                    return Ok(None);
                }
            }
        }
        self.worker.came_back(VerbClass::Read, self.mono(), None, None);
        Ok(Some(listing))
    }

    /// A mark newer than the store's newest commit: the store was restored from a backup. Frozen before any
    /// mutation, until a person says what happened.
    ///
    /// Marks up to what stood in the store when it was opened need no look at their rows; so a lane in which nothing
    /// is new costs one read here, that of the newest commit's number.
    async fn is_store_older(&self, rows: &[Versioned<Launch>], listing: &Listing) -> Result<bool, RepoError> {
        if self.engine.parts.planted.is(Bug::C2RestoredStoreActs) {
            return Ok(false);
        }
        let ours = self.installation.value.id;
        let floor = self.engine.parts.opened_at.max(self.installation.value.witness_floor);
        let marks =
            listing.items.iter().filter_map(|item| item.mark).filter(|mark| mark.installation == ours);
        // A row that was never sent has nothing in any cloud, unless it was sent in a future that was lost.
        let unsent = |mark: &Mark| {
            let row = rows.iter().find(|row| row.value.token == mark.token);
            row.is_some_and(|row| row.value.state == LaunchState::Planned && row.value.sends.is_empty())
        };
        let mut newer: Vec<Mark> = marks.filter(|mark| mark.seq > floor || unsent(mark)).collect();
        newer.sort_unstable_by_key(|mark| std::cmp::Reverse(mark.seq));
        // Read after the listing: whatever was launched before it is known by now.
        let newest = self.engine.parts.repo.newest().await?;
        for mark in newer {
            // Since this process opened the store, commits of its own may have overtaken a lost one's number. But
            // whatever any replica launched since then has a row.
            let lost = unsent(&mark) || mark.seq > newest;
            if lost || !self.is_known(mark.token).await? {
                self.freeze(mark.seq, newest).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes down that the store is older than the cloud. Every commit of every replica checks the
    /// installation, so from now on none of them succeeds.
    ///
    /// Should the commit fail, the next listing shows the same marks and freezes then.
    async fn freeze(&self, seen: Version, newest: Version) -> Result<(), RepoError> {
        let lane = self.worker.lane.to_string();
        tracing::error!(%lane, %seen, %newest, "the cloud is newer than the store: frozen until `recover`");
        let mut frozen = self.installation.value.clone();
        frozen.frozen = Some(Frozen::OlderThanCloud { lane, seen, newest });
        let mut txn = self.engine.parts.repo.txn();
        txn.put(&frozen, Expect::Version(self.installation.version));
        match self.engine.parts.repo.commit(txn).await {
            // Somebody else changed the installation: it is read again before anything is done.
            Err(error) if error.is_conflict() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Did it lose so much that it cannot be true? Then nothing is concluded from what it does not show, until it
    /// shows it again or a person allows a mass ending: they know whether somebody really ended all of that.
    fn is_lie(&self, rows: &[Versioned<Launch>], listing: &Listing) -> bool {
        let listed: BTreeSet<_> = listing.items.iter().map(|item| &item.id).collect();
        let facts = self.provider.facts();
        let visible_within = |kind| facts.kind(kind).map_or(Duration::ZERO, |facts| facts.visible_within);
        let launches = rows.iter().map(|row| &row.value);
        let shown = guard::shown(launches, &listed, listing.began, visible_within);
        let lie = guard::is_short(&shown, &self.engine.parts.limits);
        if lie {
            let (missing, known) = (shown.missing, shown.known);
            tracing::warn!(lane = %self.worker.lane, missing, known, "listing is too short to be true");
        }
        lie && !self.worker.is_mass_allowed(self.now())
    }

    /// Things with our mark, by attempt. A thing of another kind than its mark belongs to its parent.
    ///
    /// Marks of other installations are left out: in an account that is shared they are somebody else's to judge.
    fn by_token(&self, listing: &Listing) -> BTreeMap<LaunchToken, Vec<Observed>> {
        let ours = self.installation.value.id;
        let mut by_token: BTreeMap<LaunchToken, Vec<Observed>> = BTreeMap::new();
        for item in &listing.items {
            let mark = item.mark.filter(|mark| mark.installation == ours && mark.kind == item.kind);
            if let Some(mark) = mark {
                by_token.entry(mark.token).or_default().push(item.clone());
            }
        }
        by_token
    }

    /// What the listing says about one open row.
    ///
    /// Things that the row knows are noted in one write. Things that it does not know are judged afterwards, from the
    /// row as it stands then. What should be there and is not shown is to be looked at by its id as well.
    async fn note(
        &self,
        row: &Versioned<Launch>,
        items: &[Observed],
        listing: &Listing,
    ) -> Result<(), RepoError> {
        let (now, planted, stamps) = (self.now(), self.engine.parts.planted, self.stamps(&row.value));
        for thing in row.value.alive().filter(|thing| !items.iter().any(|item| item.id == thing.id)) {
            self.worker.suspect(&thing.id, self.mono());
        }
        let known = |item: &&Observed| row.value.things.iter().any(|thing| thing.id == item.id);
        let (seen, new): (Vec<_>, Vec<_>) = items.iter().partition(known);
        let change = |row: &mut Launch| {
            seen.iter().for_each(|item| observe::seen(row, item, now, planted));
            if listing.complete {
                absent_from(row, items, stamps, listing.began);
            }
            observe::settle_state(row);
        };
        let row = if row.value.closed() { None } else { self.engine.record(&row.value, change).await? };
        if let Some(row) = row {
            self.judge(&row, &new.into_iter().cloned().collect::<Vec<_>>()).await?;
            self.tell_lost_marks(&row).await?;
        }
        Ok(())
    }

    /// Tells of every machine whose mark is gone, once each.
    async fn tell_lost_marks(&self, row: &Versioned<Launch>) -> Result<(), RepoError> {
        for thing in row.value.alive().filter(|thing| thing.mark_lost) {
            let event =
                Event::MarkLost { reservation: row.value.reservation.clone(), thing: thing.id.clone() };
            self.tell(row, &format!("mark-lost-{}", thing.id), event).await?;
        }
        Ok(())
    }

    /// An event about a thing of a row, told once, with what the reservation had come to by then.
    ///
    /// The look whether it stands there only saves work. That it is told once follows from its key, which is its
    /// cause.
    pub(super) async fn tell(
        &self,
        row: &Versioned<Launch>,
        what: &str,
        event: Event,
    ) -> Result<(), RepoError> {
        let Launch { tenant, reservation: id, request_id, .. } = &row.value;
        let actor = Actor::engine().on(request_id.clone());
        let told = Outbox::new(tenant.clone(), format!("{id}/{what}"), self.now(), event).by(actor);
        let repo = &self.engine.parts.repo;
        if repo.get::<Outbox>(told.key()).await?.is_some() {
            return Ok(());
        }
        let reservation = repo.get::<Reservation>(Reservation::place(tenant, id)).await?;
        let rows: Vec<Versioned<Launch>> = repo.list_prefix(tenant, &launch_prefix(id), None).await?;
        let spent =
            |of: Versioned<Reservation>| cost(&of.value, rows.iter().map(|row| &row.value), self.now());
        self.enqueue(told.costing(reservation.map(spent))).await
    }

    /// Writes an event on its own. That it is there already means that it was told, or will be.
    async fn enqueue(&self, event: Outbox) -> Result<(), RepoError> {
        let mut txn = self.engine.parts.repo.txn();
        txn.insert(&event);
        match self.engine.parts.repo.commit(txn).await {
            // Told before.
            Err(error) if error.is_conflict() => Ok(()),
            other => other.map(drop),
        }
    }

    /// A mark without any row: reported after two sightings, never touched.
    ///
    /// It must have been watched for a while, which a restart forgets, and be of some age, as the cloud says. A row is
    /// written before its machine is asked for, so what waits out both and still has none is nobody's.
    pub(super) async fn orphan(&self, item: &Observed) -> Result<(), RepoError> {
        if item.state == ThingState::Ended {
            return Ok(());
        }
        if self.is_known_dropping(item) {
            return Ok(());
        }
        let limits = &self.engine.parts.limits;
        let watched = self.mono().saturating_sub(self.worker.orphan_since(&item.id, self.mono()));
        let old = between(item.created_at, self.now()) >= limits.orphan_age_min;
        if watched < limits.orphan_sightings_apart || !old {
            return Ok(());
        }
        self.note_dropping(item);
        let lane = self.worker.lane.id();
        let cause = format!("orphan/{lane}/{}", item.id);
        let event = Event::Orphan { lane, thing: item.id.clone() };
        self.enqueue(Outbox::new(system_tenant(), cause, self.now(), event)).await
    }
}

impl Tick<'_> {
    /// Was it reported before and still stands there? Then it goes on being shown, also after a restart that has
    /// forgotten since when it was watched.
    fn is_known_dropping(&self, item: &Observed) -> bool {
        let mut droppings = self.droppings.lock().expect("no panic under this lock");
        let known = droppings.known.get(&item.id).cloned();
        known.map(|known| droppings.seen.insert(item.id.clone(), known)).is_some()
    }

    /// Shows it from this listing on. The token that it claims is kept: it is what a person searches old logs for.
    fn note_dropping(&self, item: &Observed) {
        let dropping = Dropping {
            thing: item.id.clone(),
            kind: item.kind,
            token: item.mark.map(|mark| mark.token),
            created_at: item.created_at,
            noticed_at: self.now(),
        };
        let mut droppings = self.droppings.lock().expect("no panic under this lock");
        droppings.seen.insert(item.id.clone(), dropping);
    }
}

/// What a complete listing did not show, of one row. Copies of its mark show nothing of it.
///
/// A thing whose end is known is not missed again. A row with fewer births explained than it ordered is missed as a
/// whole: an attempt of which nothing was ever seen has no thing to miss.
fn absent_from(row: &mut Launch, items: &[Observed], stamps: bool, began: Timestamp) {
    for thing in row.things.iter_mut().filter(|thing| thing.end.is_none()) {
        if !items.iter().any(|item| item.id == thing.id) {
            absence::not_listed(&mut thing.missing, began);
        }
    }
    if births::explained(row, items, stamps) < usize::from(row.frozen.count).max(1) {
        absence::not_listed(&mut row.unseen, began);
    }
}
