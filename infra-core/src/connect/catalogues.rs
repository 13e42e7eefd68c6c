//! What lanes offer, remembered for some minutes: quotes read nothing else.
//!
//! # Flow
//! Somebody asks for a lane's [`Stock`]. A fresh one is answered; an old one is answered, too, and asked for anew in the
//! background, once for all who come meanwhile; only where there is none, or it is very old, does anybody wait. What
//! arrives is prepared for ranking off to the side and then put in the old one's place ([`super::swap`]): readers see the
//! one or the other and wait for neither. (Which place is theirs they look up under a short lock, which nobody holds while
//! anything is read, prepared or dropped.)
//!
//! # Guarantees
//! * Nobody sees a catalogue that was fetched with another tenant's key. What an engine prepared is shared by all
//!   catalogues that offer the same, whose ever they are: a thousand teams with one price list have one index.
//! * A cloud that fails costs its callers one wait, not one each: the others get the last answer, where there
//!   is one, which says how old it is; and where there is none, who waited beside gets the same failure.
//! * One wait is bounded, however many calls a catalogue takes.
//! * A catalogue and what was prepared of it are replaced together.
//!
//! # Assumptions
//! A background refresh runs on the caller's runtime and ends within a minute. Dropped half way, the last answer stays.
//!
//! # Caveats
//! Kept in memory, per process: the first quote after a start asks every lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::sameness::Same;
use super::swap::Swap;
use super::{CACHED_MAX, ConnectError, Connections};
use crate::contracts::pricing::Prepared;
use crate::contracts::provider::{ProviderError, Said};
use crate::nouns::offering::Catalogue;
use crate::words::fault::Effect;
use crate::words::ids::{CredentialId, TenantId};
use crate::words::lane::Lane;

/// A catalogue is asked for again when it is older than this.
const FRESH_FOR: Duration = Duration::from_secs(300);

/// A catalogue that is older than this is not answered before it was asked for again: after a night without a quote
/// the first one of the morning waits.
const SERVED_FOR: Duration = Duration::from_secs(3600);

/// A catalogue is many calls (EC2: dozens of pages), each bounded; all of them together must be done within this.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// After a failure the cloud is left alone this long while there is a stale catalogue to serve.
const FAILED_PAUSE: Duration = Duration::from_secs(10);

/// Accounts differ in what they are offered, so tenants share no catalogue either.
pub(super) type CacheKey = (TenantId, Lane);

/// One lane's catalogue with what was prepared of it. Cheap to share.
#[derive(Debug)]
pub struct Stock {
    /// What the lane offers.
    pub catalogue: Arc<Catalogue>,
    /// What the engine made of it; the same for all equal catalogues.
    pub prepared: Arc<Prepared>,
    /// When it came, by the monotonic clock.
    came_at: Duration,
}

impl Stock {
    /// How long ago it came, by the monotonic clock's `now`.
    #[must_use]
    pub const fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.came_at)
    }
}

/// One lane's catalogue, and who asks for it.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The last answer.
    now: Swap<Stock>,
    /// Held while the cloud is asked: many quotes, one question.
    asking: Mutex<Asking>,
    /// Is somebody asking in the background?
    aside: AtomicBool,
}

/// Until when a lane is left alone, and why.
#[derive(Debug, Default)]
struct Asking {
    /// The cloud is not asked before.
    pause_until: Option<Duration>,
    /// The last failure, and when it came: who was waiting by then was waiting for this answer.
    failed: Option<(ProviderError, Duration)>,
}

/// Somebody asks in the background, until this is dropped, however that comes.
struct Aside(Arc<Entry>);

impl Drop for Aside {
    fn drop(&mut self) {
        self.0.aside.store(false, Ordering::Release);
    }
}

impl Connections {
    /// What a lane offers to a tenant, at once where that is known. What is older than five minutes is asked for again
    /// in the background; what is older than an hour before it is answered, unless the cloud fails to answer, in which
    /// case the last answer of this process is served (its `as_of` says how old it is). Many callers ask once.
    ///
    /// # Errors
    /// As [`Connections::provider`], and [`ConnectError::Provider`] when there is no last answer, or none came
    /// within a minute.
    pub async fn catalogue(
        &self,
        tenant: &TenantId,
        credential: &CredentialId,
        lane: &Lane,
    ) -> Result<Arc<Stock>, ConnectError> {
        let arrived = self.shared.clock.mono();
        let entry = self.entry(tenant, lane);
        match entry.now.get() {
            Some(stock) if stock.age(arrived) < FRESH_FOR => Ok(stock),
            Some(stock)
                if stock.age(arrived) < SERVED_FOR
                    && self.is_refreshed_aside(&entry, tenant, credential, lane) =>
            {
                Ok(stock)
            }
            _ => self.refresh(&entry, (tenant, credential, lane), arrived).await,
        }
    }

    /// Asks for a lane's catalogue in the background, unless somebody does. `false` outside of a runtime, where nobody
    /// would drive it: whoever is there has to ask himself.
    fn is_refreshed_aside(
        &self,
        entry: &Arc<Entry>,
        tenant: &TenantId,
        credential: &CredentialId,
        lane: &Lane,
    ) -> bool {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        if entry.aside.swap(true, Ordering::AcqRel) {
            return true;
        }
        let (this, entry, arrived) = (self.clone(), Arc::clone(entry), self.shared.clock.mono());
        let (tenant, credential, lane) = (tenant.clone(), credential.clone(), lane.clone());
        runtime.spawn(async move {
            let over = Aside(entry);
            let refreshed = this.refresh(&over.0, (&tenant, &credential, &lane), arrived).await;
            if let Err(error) = refreshed {
                tracing::debug!(%lane, %error, "no catalogue came");
            }
        });
        true
    }

    /// Waits for whoever asks already, or asks.
    async fn refresh(
        &self,
        entry: &Entry,
        (tenant, credential, lane): (&TenantId, &CredentialId, &Lane),
        arrived: Duration,
    ) -> Result<Arc<Stock>, ConnectError> {
        let mut asking = entry.asking.lock().await;
        let known = entry.now.get();
        let now = self.shared.clock.mono();
        if let Some(stock) = &known
            && (stock.age(now) < FRESH_FOR || asking.pause_until.is_some_and(|until| now < until))
        {
            return Ok(Arc::clone(stock));
        }
        if let Some((failure, at)) = &asking.failed
            && arrived < *at
            && known.is_none()
        {
            return Err(at_lane(lane, failure.clone()));
        }
        match self.ask(tenant, credential, lane).await {
            Ok(catalogue) => {
                let prepared = self.prepare(&catalogue);
                let catalogue = Arc::new(catalogue);
                let stock = Arc::new(Stock { catalogue, prepared, came_at: self.shared.clock.mono() });
                entry.now.set(Arc::clone(&stock));
                *asking = Asking::default();
                Ok(stock)
            }
            Err(error) => {
                let at = self.shared.clock.mono();
                asking.pause_until = Some(at + FAILED_PAUSE);
                if let ConnectError::Provider { source, .. } = &error {
                    asking.failed = Some(((**source).clone(), at));
                }
                known.inspect(|_| tracing::warn!(%lane, %error, "catalogue is stale")).ok_or(error)
            }
        }
    }

    /// What the engine makes of a catalogue, made once for all that offer the same.
    fn prepare(&self, catalogue: &Catalogue) -> Arc<Prepared> {
        let Some(engine) = self.shared.pricing.get() else { return Arc::new(Prepared::none().clone()) };
        let same = self.shared.sameness.of(catalogue);
        let find =
            |all: &std::collections::HashMap<Same, std::sync::Weak<Prepared>>| all.get(&same)?.upgrade();
        if let Some(prepared) = find(&self.shared.prepared.lock().expect("nobody panics while reading it")) {
            return prepared;
        }
        // Made without the lock: two who make the same at once waste one of them, and hold up nobody else.
        let made = Arc::new(engine.prepare(catalogue));
        let mut all = self.shared.prepared.lock().expect("nobody panics while reading it");
        if let Some(prepared) = find(&all) {
            return prepared;
        }
        all.retain(|_, prepared| prepared.strong_count() > 0);
        all.insert(same, Arc::downgrade(&made));
        made
    }

    /// How many different things are prepared and in use: as many as there are different lists of offers.
    #[must_use]
    pub fn prepared_count(&self) -> usize {
        let all = self.shared.prepared.lock().expect("nobody panics while reading it");
        all.values().filter(|prepared| prepared.strong_count() > 0).count()
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
        let full = entries.len() >= CACHED_MAX;
        let forgotten = full.then(|| std::mem::take(&mut *entries));
        let entry = Arc::clone(entries.entry((tenant.clone(), lane.clone())).or_default());
        drop(entries);
        // Indexes and lists of a thousand lanes: nobody waits for that.
        drop(forgotten);
        entry
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
