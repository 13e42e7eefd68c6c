//! Looks at things in motion, by id, in batches; looks up attempts whose outcome is unknown.

use std::collections::BTreeMap;

use super::observe::{self, Looked};
use super::{Fresh, Tick};
use crate::contracts::provider::FindQuery;
use crate::nouns::cloud::Sighting;
use crate::nouns::launch::{Launch, LaunchState, Retry};
use crate::plan::absence;
use crate::plan::brake::VerbClass;
use crate::plan::reservation::backoff;
use crate::plan::resolve::{Step, steps};
use crate::records::{RepoError, Versioned};
use crate::words::clock::later;
use crate::words::fault::{Fault, FaultKind};
use crate::words::ids::ResourceId;
use crate::words::lane::ResourceKind;

/// Ids per look.
const IDS_PER_CALL: usize = 100;

impl Tick<'_> {
    /// Looks at everything in motion, and at what a listing did not show. Answers what was seen.
    pub(super) async fn look(&self, rows: &[Versioned<Launch>]) -> Result<Fresh, RepoError> {
        let mut fresh = Fresh::new();
        if !self.worker.look_due(self.engine) || !self.worker.may_call(VerbClass::Read, self.mono()) {
            return Ok(fresh);
        }
        let suspects = self.worker.take_suspects();
        let mut by_kind: BTreeMap<ResourceKind, Vec<(&Versioned<Launch>, ResourceId)>> = BTreeMap::new();
        for row in rows {
            let Some(context) = self.context(&row.value) else { continue };
            let looks = steps(&row.value, &context).into_iter().filter_map(|step| match step {
                Step::Look(id) => Some(id),
                _ => None,
            });
            let missing = row.value.alive().map(|thing| &thing.id).filter(|id| suspects.contains_key(*id));
            let mut ids: Vec<ResourceId> = looks.chain(missing.cloned()).collect();
            ids.sort();
            ids.dedup();
            by_kind.entry(row.value.kind()).or_default().extend(ids.into_iter().map(|id| (row, id)));
        }
        for (kind, wanted) in by_kind {
            for chunk in wanted.chunks(IDS_PER_CALL) {
                self.look_at(kind, chunk, &mut fresh).await?;
            }
        }
        Ok(fresh)
    }

    async fn look_at(
        &self,
        kind: ResourceKind,
        wanted: &[(&Versioned<Launch>, ResourceId)],
        fresh: &mut Fresh,
    ) -> Result<(), RepoError> {
        let ids: Vec<ResourceId> = wanted.iter().map(|(_, id)| id.clone()).collect();
        let sightings = match self.provider.get(kind, &ids).await {
            Ok(sightings) => sightings,
            Err(error) => {
                let failure = Some(error.kind());
                self.worker.came_back(VerbClass::Read, self.mono(), failure, error.retry_after());
                tracing::warn!(lane = %self.worker.lane, %error, "looking failed");
                return Ok(());
            }
        };
        self.worker.came_back(VerbClass::Read, self.mono(), None, None);
        for ((row, id), sighting) in wanted.iter().zip(sightings) {
            self.note_sighting(row, id, &sighting).await?;
            if let Sighting::Present(observed) = sighting {
                fresh.insert(id.clone(), (*observed, self.mono()));
            }
        }
        Ok(())
    }

    async fn note_sighting(
        &self,
        row: &Versioned<Launch>,
        id: &ResourceId,
        sighting: &Sighting,
    ) -> Result<(), RepoError> {
        let visible_within =
            self.context(&row.value).map_or_else(Default::default, |c| c.facts.visible_within);
        let looked = Looked { now: self.now(), visible_within, planted: self.engine.parts.planted };
        let change = |row: &mut Launch| {
            match sighting {
                Sighting::Present(observed) => observe::seen(row, observed, looked.now, looked.planted),
                Sighting::Absent(_) => observe::not_found(row, id, looked),
            }
            observe::settle_state(row);
        };
        self.engine.record(&row.value, change).await.map(drop)
    }

    /// Asks what a token made. Nothing found is written down, and asked again later.
    pub(super) async fn look_up(&self, row: &Versioned<Launch>) -> Result<bool, RepoError> {
        let launch = &row.value;
        let Some(since) = launch.first_sent() else { return Ok(false) };
        if launch.retry.as_ref().is_some_and(|retry| self.now() < retry.at) {
            return Ok(false);
        }
        let query =
            FindQuery { token: launch.token, kind: launch.kind(), name: launch.frozen.name.clone(), since };
        match self.provider.find(&query).await {
            Ok(found) => {
                self.worker.came_back(VerbClass::Read, self.mono(), None, None);
                let born = self.judge(row, &found).await?;
                if born == 0 {
                    self.note_nothing_found(row).await?;
                }
                Ok(true)
            }
            Err(error) => {
                let kind = error.kind();
                self.worker.came_back(VerbClass::Read, self.mono(), Some(kind), error.retry_after());
                self.wait(row, kind, &error.to_string()).await?;
                Ok(false)
            }
        }
    }

    async fn note_nothing_found(&self, row: &Versioned<Launch>) -> Result<(), RepoError> {
        let (now, limits) = (self.now(), &self.engine.parts.limits);
        let change = |row: &mut Launch| {
            let watched = matches!(row.state, LaunchState::Unknown | LaunchState::Live | LaunchState::Ending);
            if !watched || row.ambiguous {
                return;
            }
            absence::not_found(&mut row.unseen, now);
            let times = row.retry.as_ref().map_or(0, |retry| retry.times) + 1;
            let reason = "the outcome of its create call is unknown; looking".to_owned();
            let kind = row.retry.as_ref().map_or(FaultKind::Unavailable, |retry| retry.kind);
            let wait = if times == 1 { limits.poll_every } else { backoff(times.min(3), row.token, limits) };
            row.retry = Some(Retry { times, at: later(now, wait), reason, kind });
        };
        self.engine.record(&row.value, change).await.map(drop)
    }

    /// Puts a row's next step off.
    pub(super) async fn wait(
        &self,
        row: &Versioned<Launch>,
        kind: FaultKind,
        said: &str,
    ) -> Result<(), RepoError> {
        let (now, limits) = (self.now(), &self.engine.parts.limits);
        let change = |row: &mut Launch| {
            let times = row.retry.as_ref().map_or(0, |retry| retry.times) + 1;
            let at = later(now, backoff(times, row.token, limits));
            row.retry = Some(Retry { times, at, reason: said.to_owned(), kind });
        };
        self.engine.record(&row.value, change).await.map(drop)
    }
}
