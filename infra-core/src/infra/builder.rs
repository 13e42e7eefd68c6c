//! Putting the parts together.
//!
//! # Flow
//! Parts are checked for being there, the store is opened, secrets under an older master key are sealed again, lanes of
//! keys that were saved before are registered, and then the engine starts. Nothing of the engine runs before the installation was read.
//!
//! # Guarantees
//! * A part that is missing is said before the installation's record is written.
//! * A frozen store opens: it is readable, and can be recovered. Only its lanes are not registered.
//!
//! # Caveats
//! The engine runs on the runtime that builds it. Shards and home must be the same at every start.

use std::sync::{Arc, OnceLock};

use super::Infra;
use super::core::Core;
use super::engine_hook::start_engine;
use super::error::InfraError;
use super::health::Pulse;
use super::open::open;
use super::quote::connect_error;
use super::tokens::{Holders, Uses};
use crate::connect::Connections;
use crate::contracts::observer::{NoObserver, Observer};
use crate::contracts::pricing::PricingEngine;
use crate::contracts::provider::CloudDriver;
use crate::contracts::store::ReservationStore;
use crate::price::CheapestFit;
use crate::records::Repo;
use crate::words::clock::{Clock, SystemClock};
use crate::words::entropy::{Entropy, SystemEntropy};
use crate::words::limits::Limits;
use crate::words::planted::Planted;
use crate::words::secret::MasterKey;

/// Shards that tenants fall into, unless told otherwise: work for so many replicas.
pub const SHARDS: u16 = 16;

/// Settings are data, components are trait objects; [`Self::build`] is the one place that fails.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct InfraBuilder {
    store: Option<Arc<dyn ReservationStore>>,
    drivers: Vec<Arc<dyn CloudDriver>>,
    pricing: Option<Arc<dyn PricingEngine>>,
    clock: Option<Arc<dyn Clock>>,
    entropy: Option<Arc<dyn Entropy>>,
    limits: Option<Limits>,
    master: Option<MasterKey>,
    home: Option<String>,
    shards: Option<u16>,
    observer: Option<Arc<dyn Observer>>,
    planted: Planted,
    without_engine: bool,
}

impl InfraBuilder {
    /// Where records stand. Needed.
    pub fn with_store(mut self, store: Arc<dyn ReservationStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// A cloud; call it once for each. Names must differ. At least one is needed to reserve anything.
    pub fn with_driver(mut self, driver: Arc<dyn CloudDriver>) -> Self {
        self.drivers.push(driver);
        self
    }

    /// How offers are ranked; [`CheapestFit`] when not said.
    pub fn with_pricing(mut self, pricing: Arc<dyn PricingEngine>) -> Self {
        self.pricing = Some(pricing);
        self
    }

    /// Where time comes from; the machine's own clocks when not said.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Where chance comes from; the operating system when not said.
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = Some(entropy);
        self
    }

    /// Durations and thresholds; the documented ones when not said.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The key under which secrets are sealed. It lives outside the store. Needed.
    ///
    /// One that [opens older ones, too](MasterKey::opening_also) is how a key is replaced: building seals everything again
    /// under it, and [`super::Operator::resealed`] says whether the older ones are needed any more.
    pub fn with_master_key(mut self, key: MasterKey) -> Self {
        self.master = Some(key);
        self
    }

    /// Where this store lives: machine and path, or a configured address. Opened anywhere else it is frozen, so
    /// it must be the same at every start and different for every copy. Needed.
    pub fn with_home(mut self, home: impl Into<String>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Shards that tenants fall into; [`SHARDS`] when not said. Must never change for a store.
    pub fn with_shards(mut self, shards: u16) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Who hears what the engine does, for metrics; nobody when not said.
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Plants a defect that tests must catch. Without the feature `planted-bugs` there is none to plant.
    pub fn with_planted(mut self, planted: Planted) -> Self {
        self.planted = planted;
        self
    }

    /// Only the handle: reservations are accepted and stay `pending`. For replicas that only serve, and tests.
    pub fn without_engine(mut self) -> Self {
        self.without_engine = true;
        self
    }

    /// Opens the installation and starts the engine on the caller's runtime.
    ///
    /// Cancel safety: may be repeated; opening writes the installation's record at most once.
    ///
    /// # Errors
    /// [`InfraError::Misconfigured`] when a needed part is missing; [`InfraError::Store`] when the store does
    /// not answer. A frozen store is no error: everything is readable, and [`super::Operator::recover`] works.
    pub async fn build(self) -> Result<Infra, InfraError> {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let entropy = self.entropy.unwrap_or_else(|| Arc::new(SystemEntropy));
        let store = self.store.ok_or_else(|| missing("a store"))?;
        let shards = self.shards.unwrap_or(SHARDS).max(1);
        let observer = self.observer.unwrap_or_else(|| Arc::new(NoObserver));
        let pulse = Arc::new(Pulse::new(observer, Arc::clone(&clock)));
        let repo = Repo::new(store, Arc::clone(&clock), Arc::clone(&entropy), shards, self.planted)
            .observed_by(Arc::<Pulse>::clone(&pulse));
        let master = self.master.ok_or_else(|| missing("a master key"))?;
        let connections = Connections::new(repo.clone(), Arc::clone(&clock), master.clone(), self.drivers)
            .map_err(|error| InfraError::Misconfigured { why: error.to_string() })?;
        let pricing = self.pricing.unwrap_or_else(|| Arc::new(CheapestFit));
        let connections = connections.prepared_by(Arc::clone(&pricing));
        let opened_at = repo.newest().await?;
        let core = Arc::new(Core {
            repo,
            connections,
            clock,
            entropy,
            limits: self.limits.unwrap_or_default(),
            master,
            pricing,
            home: self.home.ok_or_else(|| missing("a home"))?,
            opened_at,
            planted: self.planted,
            pulse,
            uses: Uses::default(),
            holders: Holders::default(),
            resealed: OnceLock::new(),
        });
        let installation = open(&core).await?;
        if installation.frozen.is_none() {
            super::reseal::at_start(&core).await?;
            // Regions may have been configured since a key was saved.
            core.connections.register_all_lanes().await.map_err(connect_error)?;
        }
        let engine = Arc::new(start_engine(&core, !self.without_engine));
        Ok(Infra { core, engine })
    }
}

/// A part without which nothing can be built. It is never guessed: a wrong home or key would harm more than a refusal.
fn missing(what: &str) -> InfraError {
    InfraError::Misconfigured { why: format!("{what} is needed") }
}
