//! What happened to a reservation, in exact order, and following it as it happens.
//!
//! # Flow
//! The events of a reservation are its history: [`UserHandle::history`] pages through them, [`UserHandle::watch`]
//! follows them, with the state whenever it differs from what was told last.
//!
//! # Guarantees
//! * An entry has one place for ever ([`Place`]): whoever goes on after the last place they saw misses nothing and sees
//!   nothing twice, across restarts of either side.
//! * Entries are never told before everything that stands before them is there to be told: only those count whose
//!   commit was done before the reading began.
//!
//! # Cancel safety
//! Everything here only reads.
//!
//! # Caveats
//! A page reads the whole history of its reservation: what happens to one reservation is hundreds of entries, not
//! millions. A store that was restored from a backup gives places a second time; who watched the lost future begins
//! anew.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::core::Core;
use super::error::InfraError;
use super::page;
use super::user::UserHandle;
use super::views::ReservationView;
use crate::nouns::actor::By;
use crate::nouns::event::{Event, Outbox, Place};
use crate::records::{Versioned, history_prefix};
use crate::words::clock::Timestamp;
use crate::words::ids::{RequestId, ReservationId, TenantId};
use crate::words::lane::Version;
use crate::words::money::Money;
use crate::words::secret::digest;

/// A watch reads so many entries at once, and keeps no more.
const WATCH_PAGE: usize = 100;
/// A watch looks again at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Characters that tell one state from another: an accident in 2^64.
const STATE_LEN: usize = 16;

/// One entry of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Where it stands: what comes later stands higher.
    pub place: Place,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: By,
    /// On which request.
    pub request_id: Option<RequestId>,
    /// What.
    pub event: Event,
    /// What the reservation had come to at that moment; `None` where nobody counted.
    pub cost: Option<Money>,
}

/// Which entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryOptions {
    /// At most so many: 1..=200; 50 when `None`.
    pub limit: Option<usize>,
    /// Begin after this place.
    pub after: Option<Place>,
}

/// A page of a history, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// What is on it.
    pub items: Vec<HistoryEntry>,
    /// Pass as `after` for the next page; `None` when there is none yet.
    pub next: Option<Place>,
}

impl UserHandle {
    /// A page of what happened to a reservation, oldest first. Readable as long as the reservation is. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`], also for somebody else's; [`InfraError::OutOfRange`] for a limit outside 1..=200.
    pub async fn history(
        &self,
        id: &ReservationId,
        options: &HistoryOptions,
    ) -> Result<HistoryPage, InfraError> {
        let limit = page::limit(options.limit)?;
        let user = self.core.user(&self.id).await?;
        let reservation = self.core.mine(&user.value, id).await?;
        let after = options.after.unwrap_or_default();
        let mut items = self.core.entries(&reservation.value.tenant, id, after).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|entry| entry.place);
        Ok(HistoryPage { items, next })
    }

    /// Follows a reservation: its history from the beginning, or from where an earlier watch stopped
    /// ([`Watch::mark`]), and its state whenever it differs.
    ///
    /// # Errors
    /// [`InfraError::NotFound`]; [`InfraError::OutOfRange`] (`Last-Event-ID`) for what is no mark.
    pub async fn watch(&self, id: &ReservationId, from: Option<&str>) -> Result<Watch, InfraError> {
        let wrong = || InfraError::field("Last-Event-ID", "must be the id of an event of this stream");
        let (place, state) = match from {
            None => (Place::default(), None),
            Some(mark) => {
                let (place, state) = mark.split_once('/').map_or((mark, None), |(p, s)| (p, Some(s)));
                let state = state.map(|state| legal_state(state).ok_or_else(wrong)).transpose()?;
                (place.parse().map_err(|_| wrong())?, state)
            }
        };
        // Read before the first look, so that no change falls between.
        let seen = self.core.repo.newest().await?;
        self.get(id).await?;
        let (user, id) = (self.clone(), id.clone());
        Ok(Watch { user, id, place, state, seen, pending: VecDeque::new() })
    }
}

/// A state's mark: letters and digits of a digest.
fn legal_state(text: &str) -> Option<String> {
    let legal = text.len() == STATE_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    legal.then(|| text.to_owned())
}

impl Core {
    /// Entries after a place, in their order.
    ///
    /// Only those whose commit was done before the reading began: a listing of several pages is no snapshot, and may
    /// show a late entry and not an earlier one.
    async fn entries(
        &self,
        tenant: &TenantId,
        id: &ReservationId,
        after: Place,
    ) -> Result<Vec<HistoryEntry>, InfraError> {
        let upto = self.repo.newest().await?;
        let all: Vec<Versioned<Outbox>> = self.repo.list_prefix(tenant, &history_prefix(id), None).await?;
        let placed = all.into_iter().map(|record| (record.value.place(record.version), record.value));
        let mut placed: Vec<(Place, Outbox)> =
            placed.filter(|(place, _)| *place > after && place.commit <= upto).collect();
        placed.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.cause.cmp(&b.cause)));
        Ok(placed.into_iter().map(|(place, record)| entry(place, record)).collect())
    }
}

fn entry(place: Place, record: Outbox) -> HistoryEntry {
    let Outbox { at, actor, event, cost, .. } = record;
    HistoryEntry { place, at, by: actor.by, request_id: actor.request_id, event, cost }
}

/// What a watch tells next.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Something happened.
    Entry(Box<HistoryEntry>),
    /// It is so now; told whenever it differs from what was told last.
    State(Box<ReservationView>),
    /// Nothing, for as long as was waited.
    Quiet,
    /// It is over and everything was told: nothing comes any more.
    Over,
}

/// A reservation that is followed. Holds at most a hundred entries, however slowly it is read.
#[derive(Debug)]
pub struct Watch {
    user: UserHandle,
    id: ReservationId,
    place: Place,
    state: Option<String>,
    seen: Version,
    pending: VecDeque<HistoryEntry>,
}

impl Watch {
    /// Where it stands: hand it to [`UserHandle::watch`] to go on after what was told last.
    #[must_use]
    pub fn mark(&self) -> String {
        self.state.as_ref().map_or_else(|| self.place.to_string(), |state| format!("{}/{state}", self.place))
    }

    /// What comes next; waits for it up to `for_`. Who may look is asked anew each time something is read.
    ///
    /// Cancel safety: dropped, nothing was told; the next call tells it.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] once the reservation is somebody else's, or forgotten.
    pub async fn next(&mut self, for_: Duration) -> Result<Told, InfraError> {
        let until = self.user.core.clock.mono().saturating_add(for_);
        loop {
            if let Some(entry) = self.pending.pop_front() {
                self.place = entry.place;
                return Ok(Told::Entry(Box::new(entry)));
            }
            // The state is read before the entries: what it says is told by them, and over means all is told.
            let view = self.user.get(&self.id).await?;
            if self.read_entries().await? {
                continue;
            }
            let state = state_of(&view);
            if self.state.as_ref() != Some(&state) {
                self.state = Some(state);
                return Ok(Told::State(Box::new(view)));
            }
            if view.over_at.is_some() {
                return Ok(Told::Over);
            }
            let left = until.saturating_sub(self.user.core.clock.mono());
            if left.is_zero() {
                return Ok(Told::Quiet);
            }
            self.seen = self.user.changed(&self.id, self.seen, left.min(LOOK_AGAIN)).await?;
        }
    }

    /// Reads what comes next; `false` when nothing does.
    async fn read_entries(&mut self) -> Result<bool, InfraError> {
        let core = &self.user.core;
        let user = core.user(self.user.id()).await?;
        let reservation = core.mine(&user.value, &self.id).await?;
        let mut next = core.entries(&reservation.value.tenant, &self.id, self.place).await?;
        next.truncate(WATCH_PAGE);
        self.pending = next.into();
        Ok(!self.pending.is_empty())
    }
}

/// What tells one state from another: everything but the number of the record and what it has cost, which move by
/// themselves.
fn state_of(view: &ReservationView) -> String {
    let still = ReservationView { version: Version(0), cost_so_far: None, ..view.clone() };
    let mut state = digest(&serde_json::to_vec(&still).expect("views serialise: string keys, no odd floats"));
    state.truncate(STATE_LEN);
    state
}
