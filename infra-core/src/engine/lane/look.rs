//! Looks at things in motion, by id, in batches; looks up attempts whose outcome is unknown.
//!
//! # Flow
//! Presence comes from listings, absence is asked by id: what a complete listing shows is there, and only
//! what it should have shown and did not, or what is on its way somewhere, is looked at singly, a hundred ids
//! per call. An attempt whose outcome is unknown has no id; it is looked up by the strongest key that the
//! cloud has.
//!
//! # Guarantees
//! * What is not found is written down with its moment; two such moments far enough apart, with a listing
//!   between, are a proof. Anything seen in between starts over.
//! * Nothing found under Unknown is written down before a replay is thought of: the replay waits for a look
//!   after the last send.
//! * A failed look proves nothing, least of all an absence.
//! * What a cloud shows only to its maker (`KindFacts::of_maker`) is looked at with the key that made it, or not at all.
//!
//! # Assumptions
//! `get` answers one sighting per id and in their order. A cloud that takes fewer than a hundred ids per call cuts
//! the batch itself, inside its provider.
//!
//! # Caveats
//! Looks share one cadence per lane: a lane in trouble is looked at as often as a calm one, and the read
//! breaker is what spares it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::observe::{self, Looked};
use super::{Fresh, Tick};
use crate::contracts::provider::{CloudProvider, FindQuery};
use crate::nouns::cloud::Sighting;
use crate::nouns::launch::{Launch, LaunchState, Retry};
use crate::plan::absence;
use crate::plan::brake::VerbClass;
use crate::plan::reservation::backoff;
use crate::plan::resolve::{Step, steps};
use crate::records::{RepoError, Versioned};
use crate::words::clock::later;
use crate::words::fault::{Fault, FaultKind};
use crate::words::ids::{CredentialId, ResourceId, TenantId};
use crate::words::lane::ResourceKind;

/// Ids per look: within what EC2 takes per call, and few enough that one bad answer costs little.
const IDS_PER_CALL: usize = 100;

/// A tenant's key.
type Maker = (TenantId, CredentialId);

/// Things to look at, with their rows.
type Batch<'a> = Vec<(&'a Versioned<Launch>, ResourceId)>;

impl Tick<'_> {
    /// Looks at everything in motion, and at what a listing did not show. Answers what was seen, each with the moment
    /// by the monotonic clock: that is what proofs are made of. Empty when no look is due, or the read breaker says
    /// no; then nothing is ended or powered in this tick either. Also answers whether anything was looked at, and so may
    /// have been written down.
    ///
    /// Suspects are taken here and asked once. One whose look fails is found missing again by the next listing.
    pub(super) async fn look(&self, rows: &[Versioned<Launch>]) -> Result<(Fresh, bool), RepoError> {
        let mut fresh = Fresh::new();
        if !self.worker.look_due(self.engine) || !self.worker.may_call(VerbClass::Read, self.mono()) {
            return Ok((fresh, false));
        }
        let mut looked = false;
        let suspects = self.worker.take_suspects();
        let mut batches: BTreeMap<(ResourceKind, Option<Maker>), Batch<'_>> = BTreeMap::new();
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
            let batch = (row.value.kind(), self.maker(&row.value));
            batches.entry(batch).or_default().extend(ids.into_iter().map(|id| (row, id)));
        }
        for ((kind, maker), wanted) in batches {
            let Some(eyes) = self.eyes(maker).await else { continue };
            for chunk in wanted.chunks(IDS_PER_CALL) {
                self.look_at(&*eyes, kind, chunk, &mut fresh).await?;
                looked = true;
            }
        }
        Ok((fresh, looked))
    }

    /// The key that alone is shown what this row makes; `None` where every key of the account is.
    fn maker(&self, row: &Launch) -> Option<Maker> {
        let of_maker = self.provider.facts().kind(row.kind()).is_some_and(|facts| facts.of_maker);
        of_maker.then(|| (row.tenant.clone(), row.credential.clone()))
    }

    /// Who looks: the lane's connection, or the maker's own key and no other, not even one that has taken its place.
    async fn eyes(&self, maker: Option<Maker>) -> Option<Arc<dyn CloudProvider>> {
        let Some((tenant, credential)) = maker else { return Some(Arc::clone(&self.provider)) };
        let lane = &self.worker.lane;
        let own = self.engine.parts.connections.provider(&tenant, &credential, lane).await;
        own.ok().filter(|own| own.credential == credential).map(|own| own.provider)
    }

    /// Looks at up to a hundred things of one kind in one call. A cloud that fails is no error of the tick: nothing is
    /// concluded, and nothing of this batch is fresh.
    async fn look_at(
        &self,
        eyes: &dyn CloudProvider,
        kind: ResourceKind,
        wanted: &[(&Versioned<Launch>, ResourceId)],
        fresh: &mut Fresh,
    ) -> Result<(), RepoError> {
        let ids: Vec<ResourceId> = wanted.iter().map(|(_, id)| id.clone()).collect();
        let sightings = match eyes.get(kind, &ids).await {
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

    /// Writes down what one look said of one thing. Absent is a step towards a proof, and maybe its last: then the
    /// thing ends here, on the row, with the proof.
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

    /// Asks what a token made, by the strongest key the cloud has (its idempotency token, a unique name, the mark).
    /// What is found is judged before it is believed. Nothing found is written down, and asked again later.
    ///
    /// Answers whether the cloud was asked and answered. A row that was never sent has nothing to look up.
    pub(super) async fn look_up(&self, row: &Versioned<Launch>) -> Result<bool, RepoError> {
        let launch = &row.value;
        let Some(since) = launch.first_sent() else { return Ok(false) };
        if launch.retry.as_ref().is_some_and(|retry| self.now() < retry.at) {
            return Ok(false);
        }
        let query =
            FindQuery { token: launch.token, kind: launch.kind(), name: launch.frozen.name.clone(), since };
        let Some(eyes) = self.eyes(self.maker(launch)).await else {
            self.wait(row, FaultKind::Unauthorized, "only the key that made it sees it, and that is gone")
                .await?;
            return Ok(false);
        };
        match eyes.find(&query).await {
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

    /// Writes down that a look-up found nothing, and when to look again: soon the first time, then ever
    /// later.
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

    /// Puts a row's next step off, for longer each time, and writes down why: the slot shows it to its user. `kind`
    /// tells the planner what to do should the row be closed with this as its last word.
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
