//! Births: as the answer to a send, found by look-up or listing, or late, after their row was closed.
//!
//! # Flow
//! Whatever carries the mark of an attempt, and is not on its row yet, is judged: the attempt's own is put on
//! the row, more than it can have made waits for a person, a copy is reported. For a closed row the same
//! judgement decides whether it is opened again, to be ended.
//!
//! # Guarantees
//! * A mark makes nothing ours: people, backups and scaling groups copy tags. See [`births::judge`].
//! * What is alive under a closed row is ended only with both proofs, like everything else: opening the row
//!   makes the first possible, and the next tick asks for the second.
//! * What was given away (`Evicted`) is left alone for ever.
//!
//! # Assumptions
//! A stamp is the provider's own and cannot be copied; a name can. Names are unique per attempt, because they are
//! drawn from its token.
//!
//! # Caveats
//! A token without any row may be of a row that was pruned. After that long it is reported, not ended.

use super::{Tick, observe};
use crate::contracts::provider::TokenScope;
use crate::nouns::cloud::{Observed, ThingState};
use crate::nouns::event::Event;
use crate::nouns::launch::{Closed, EndCause, Launch, LaunchState, Want};
use crate::plan::births::{self, Births};
use crate::records::{RepoError, TokenRef, Versioned};
use crate::words::ids::LaunchToken;
use crate::words::planted::Bug;

impl Tick<'_> {
    /// Judges things that carry a row's mark and are not on it. Answers how many were taken as its; ended ones are
    /// left out before, since they prove nothing and cost nothing.
    ///
    /// Too many look alike: the row is marked ambiguous, its people are told once, and its slot is held, also beyond
    /// the usual time, until somebody has ended or unmarked what is not ours.
    pub(super) async fn judge(
        &self,
        row: &Versioned<Launch>,
        items: &[Observed],
    ) -> Result<usize, RepoError> {
        let (now, planted) = (self.now(), self.engine.parts.planted);
        let alive: Vec<Observed> =
            items.iter().filter(|item| births::is_alive(item.state)).cloned().collect();
        match births::judge(&row.value, &alive, self.stamps(&row.value), planted) {
            Births::Ours(ours) => {
                if !ours.is_empty() {
                    self.engine.record(&row.value, |row| observe::adopt(row, &ours, now, planted)).await?;
                }
                self.report_strangers(&row.value, &alive, &ours).await?;
                Ok(ours.len())
            }
            Births::Ambiguous(candidates) => {
                self.engine.record(&row.value, |row| row.ambiguous = true).await?;
                let ids: Vec<_> = candidates.iter().map(|item| item.id.to_string()).collect();
                let why = format!("which of {} is ours? a person must say", ids.join(", "));
                let event = Event::Held { what: row.value.reservation.to_string(), why };
                self.tell(row, &format!("ambiguous-{}", row.value.token), event).await?;
                Ok(0)
            }
        }
    }

    /// Does this cloud stamp what a call makes of this row's kind? A token is such a stamp. Of a kind that it does
    /// not make (any more) nothing is adopted by likeness.
    pub(super) fn stamps(&self, row: &Launch) -> bool {
        self.provider.facts().kind(row.kind()).is_none_or(|facts| facts.token != TokenScope::None)
    }

    /// Copies of a mark: nothing is done to them, but somebody should know.
    async fn report_strangers(
        &self,
        row: &Launch,
        alive: &[Observed],
        ours: &[Observed],
    ) -> Result<(), RepoError> {
        let known = |item: &Observed| {
            ours.iter().any(|mine| mine.id == item.id) || row.things.iter().any(|thing| thing.id == item.id)
        };
        for item in alive.iter().filter(|item| !known(item)) {
            self.orphan(item).await?;
        }
        Ok(())
    }

    /// A listing showed things of a token that has no open row here: a late birth of a closed one, something given
    /// away, something whose row is younger than this tick, or an orphan.
    pub(super) async fn unlisted_token(
        &self,
        token: LaunchToken,
        items: &[Observed],
    ) -> Result<(), RepoError> {
        let Some(row) = self.row_of(token).await? else {
            for item in items {
                self.orphan(item).await?;
            }
            return Ok(());
        };
        match &row.value.state {
            LaunchState::Closed(Closed::Gone(_) | Closed::NeverBorn(_)) => self.late_birth(&row, items).await,
            // Given away: left alone for ever. Open: it was written after this tick read its rows.
            _ => Ok(()),
        }
    }

    /// Does any lane know this token? A mark that shows in another lane than its own was copied there, or the cloud shows
    /// one thing in several places; either way the store knows of the launch.
    pub(super) async fn is_known(&self, token: LaunchToken) -> Result<bool, RepoError> {
        Ok(self.engine.parts.repo.get::<TokenRef>(TokenRef::place(token)).await?.is_some())
    }

    /// The row of a token, found by its reference, if it is of this very lane: another lane's thing with our
    /// mark was copied there.
    pub(super) async fn row_of(&self, token: LaunchToken) -> Result<Option<Versioned<Launch>>, RepoError> {
        let repo = &self.engine.parts.repo;
        let Some(reference) = repo.get::<TokenRef>(TokenRef::place(token)).await? else { return Ok(None) };
        let row: Option<Versioned<Launch>> = repo.get(reference.value.launch).await?;
        Ok(row.filter(|row| row.value.lane == self.worker.lane))
    }

    /// Alive although its attempt was closed: both proofs hold, so it is ended, and somebody is told.
    async fn late_birth(&self, row: &Versioned<Launch>, items: &[Observed]) -> Result<(), RepoError> {
        if self.engine.parts.planted.is(Bug::C10LateBirthForgotten) {
            return Ok(());
        }
        let alive: Vec<Observed> = items.iter().filter(|item| is_up(item.state)).cloned().collect();
        let known = |item: &&Observed| row.value.things.iter().any(|thing| thing.id == item.id);
        let mut ours: Vec<Observed> = alive.iter().filter(known).cloned().collect();
        let (stamps, planted) = (self.stamps(&row.value), self.engine.parts.planted);
        if let Births::Ours(new) = births::judge(&row.value, &alive, stamps, planted) {
            ours.extend(new);
        }
        if ours.is_empty() {
            return self.report_strangers(&row.value, &alive, &ours).await;
        }
        // Told first: once the row is open nobody comes here again, and a cause that stands is not told twice.
        for item in &ours {
            let event =
                Event::LateBirth { reservation: row.value.reservation.clone(), thing: item.id.clone() };
            self.tell(row, &format!("late-birth-{}", item.id), event).await?;
        }
        let now = self.now();
        self.engine.record(&row.value, |row| reopen(row, &ours, now, planted)).await.map(drop)
    }
}

/// Ending things of a closed row are on their way already.
const fn is_up(state: ThingState) -> bool {
    !matches!(state, ThingState::Ended | ThingState::Ending)
}

/// Opens a closed row for things that are alive after all. Nothing of it is wanted any more, and it fills no
/// slot: its slots may long have been given to other attempts.
fn reopen(
    row: &mut Launch,
    ours: &[Observed],
    now: crate::words::clock::Timestamp,
    planted: crate::words::planted::Planted,
) {
    row.state = LaunchState::Ending;
    row.superseded = true;
    row.cause = Some(EndCause::LateBirth);
    row.wants.values_mut().for_each(|want| *want = Want::Gone);
    row.keep_until = None;
    for item in ours {
        if let Some(thing) = row.things.iter_mut().find(|thing| thing.id == item.id) {
            thing.end = None;
            thing.ending = None;
        }
    }
    observe::adopt(row, ours, now, planted);
}
