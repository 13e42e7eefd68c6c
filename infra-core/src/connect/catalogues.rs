//! What lanes offer, remembered for some minutes: quotes read nothing else.
//!
//! # Guarantees
//! * Nobody sees a catalogue that was fetched with another tenant's key.
//! * A cloud that fails costs its callers one wait, not one each: the others get the last answer, where there
//!   is one, which says how old it is; and where there is none, who waited beside gets the same failure.
//! * One wait is bounded, however many calls a catalogue takes.
//!
//! # Caveats
//! Kept in memory, per process: the first quote after a start asks every lane.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::{CACHED_MAX, ConnectError, Connections};
use crate::contracts::provider::{ProviderError, Said};
use crate::nouns::offering::Catalogue;
use crate::words::fault::Effect;
use crate::words::ids::{CredentialId, TenantId};
use crate::words::lane::Lane;

/// A catalogue is asked for again when it is older than this.
const FRESH_FOR: Duration = Duration::from_secs(300);

/// A catalogue is many calls (EC2: dozens of pages), each bounded; all of them together must be done within this.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// After a failure the cloud is left alone this long while there is a stale catalogue to serve.
const FAILED_PAUSE: Duration = Duration::from_secs(10);

/// Accounts differ in what they are offered, so tenants share no catalogue either.
pub(super) type CacheKey = (TenantId, Lane);

/// One lane's catalogue. The lock is held while the cloud is asked: many quotes, one question.
#[derive(Debug, Default)]
pub(super) struct Entry(Mutex<State>);

/// What is known of one lane, and until when it is left alone.
#[derive(Debug, Default)]
struct State {
    /// The last answer, and when it came by the monotonic clock.
    known: Option<(Arc<Catalogue>, Duration)>,
    /// The cloud is not asked before.
    pause_until: Option<Duration>,
    /// The last failure, and when it came: who was waiting by then was waiting for this answer.
    failed: Option<(ProviderError, Duration)>,
}

impl Connections {
    /// What a lane offers to a tenant; at most five minutes old unless the cloud fails to answer, in which
    /// case the last answer of this process is served (its `as_of` says how old it is). Many callers ask
    /// once.
    ///
    /// # Errors
    /// As [`Connections::provider`], and [`ConnectError::Provider`] when there is no last answer, or none came
    /// within a minute.
    pub async fn catalogue(
        &self,
        tenant: &TenantId,
        credential: &CredentialId,
        lane: &Lane,
    ) -> Result<Arc<Catalogue>, ConnectError> {
        let arrived = self.shared.clock.mono();
        let entry = self.entry(tenant, lane);
        let mut state = entry.0.lock().await;
        let now = self.shared.clock.mono();
        if let Some((known, at)) = &state.known
            && (now.saturating_sub(*at) < FRESH_FOR || state.pause_until.is_some_and(|until| now < until))
        {
            return Ok(Arc::clone(known));
        }
        if let Some((failure, at)) = &state.failed
            && arrived < *at
            && state.known.is_none()
        {
            return Err(at_lane(lane, failure.clone()));
        }
        match self.ask(tenant, credential, lane).await {
            Ok(catalogue) => {
                let catalogue = Arc::new(catalogue);
                let at = self.shared.clock.mono();
                *state = State { known: Some((Arc::clone(&catalogue), at)), ..State::default() };
                Ok(catalogue)
            }
            Err(error) => {
                let at = self.shared.clock.mono();
                state.pause_until = Some(at + FAILED_PAUSE);
                if let ConnectError::Provider { source, .. } = &error {
                    state.failed = Some(((**source).clone(), at));
                }
                match &state.known {
                    Some((known, _)) => {
                        tracing::warn!(%lane, %error, "catalogue is stale");
                        Ok(Arc::clone(known))
                    }
                    None => Err(error),
                }
            }
        }
    }

    /// Asks the cloud itself, and for so long.
    async fn ask(
        &self,
        tenant: &TenantId,
        credential: &CredentialId,
        lane: &Lane,
    ) -> Result<Catalogue, ConnectError> {
        let connected = self.provider(tenant, credential, lane).await?;
        tokio::select! {
            biased;
            answer = connected.catalogue() => answer.map_err(|source| at_lane(lane, source)),
            () = self.shared.clock.sleep(READ_WITHIN) => Err(at_lane(lane, too_slow())),
        }
    }

    /// The place of one tenant's catalogue of one lane; made on first use.
    fn entry(&self, tenant: &TenantId, lane: &Lane) -> Arc<Entry> {
        let mut entries = self.shared.catalogues.lock().expect("nobody panics while reading it");
        if entries.len() >= CACHED_MAX {
            entries.clear();
        }
        Arc::clone(entries.entry((tenant.clone(), lane.clone())).or_default())
    }
}

/// What a provider said, and of which lane.
fn at_lane(lane: &Lane, source: ProviderError) -> ConnectError {
    ConnectError::Provider { lane: Box::new(lane.clone()), source: Box::new(source) }
}

/// The cloud answers so slowly that nobody should wait for the rest.
fn too_slow() -> ProviderError {
    let message = format!("its catalogue did not come within {} s", READ_WITHIN.as_secs());
    ProviderError::Unavailable {
        said: Said { code: "Timeout".to_owned(), message, request_id: None },
        effect: Effect::NotApplied,
        retry_after: Some(FAILED_PAUSE),
    }
}
