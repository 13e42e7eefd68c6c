//! The parts that are chosen by settings: store, clouds, pricing.

use std::sync::Arc;

use axum::Router;
use infra_core::CheapestFit;
use infra_core::contracts::pricing::PricingEngine;
use infra_core::contracts::provider::CloudDriver;
use infra_core::contracts::store::{ReservationStore, StoreError};
use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::ids::CloudName;

use super::config::{SIM, Settings, StoreUrl, of_clouds};
use super::data_dir::DataDir;
use super::error::StartError;
use super::start::store_failed;
use infra_providers::digitalocean::fake::{DigitalOceanFake, router as digitalocean_router};
use infra_providers::http::client::Client;
use infra_providers::prices::PriceBook;
use infra_providers::registry::{self, CloudSpec, Parts};
use infra_providers::sim::{
    RemoteSim, SimConfig, SimDriver, SimOpenError, SimWorld, api_router, control_router,
};
use infra_store::{MemoryStore, SqliteStore};

/// Where DigitalOcean's simulated API is served.
pub(super) const DIGITALOCEAN: &str = "/digitalocean";

/// The simulator, when one is wanted: in this process or in another one.
#[derive(Debug)]
pub(super) enum Sim {
    Here(SimWorld),
    Elsewhere(Box<SimDriver>),
    Nowhere,
}

impl Sim {
    /// Opens the simulator's world in the data folder, or connects to the one that the settings name.
    pub(super) async fn open(settings: &Settings, data: &DataDir) -> Result<Self, StartError> {
        match settings.clouds.get(SIM) {
            None => Ok(Self::Nowhere),
            Some(CloudSpec { endpoint: Some(url), .. }) => RemoteSim::open(url, Arc::new(SystemClock))
                .await
                .map(|sim| Self::Elsewhere(Box::new(sim)))
                .map_err(|error| StartError::Config(format!("clouds.sim.endpoint: {error}"))),
            Some(CloudSpec { endpoint: None, .. }) => {
                world(data, "sim-world", SimConfig::default()).map(Self::Here)
            }
        }
    }

    /// The clock of the engine: the simulator's, which its control API pushes forward, or the machine's.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Here(world) => world.clock(),
            Self::Elsewhere(_) | Self::Nowhere => Arc::new(SystemClock),
        }
    }

    /// The simulator as a cloud.
    fn driver(&self) -> Option<Arc<dyn CloudDriver>> {
        match self {
            Self::Here(world) => Some(Arc::new(SimDriver::new(world.clone()))),
            Self::Elsewhere(driver) => Some(Arc::new((**driver).clone())),
            Self::Nowhere => None,
        }
    }

    /// Hands on the simulator's world, when it is in this process.
    pub(super) fn control(&self) -> Option<Router> {
        let Self::Here(world) = self else { return None };
        Some(control_router(world.clone()))
    }

    /// The simulator's own API, for other servers, when it is in this process.
    pub(super) fn api(&self) -> Option<Router> {
        let Self::Here(world) = self else { return None };
        Some(api_router(world.clone()))
    }
}

/// Opens a simulated world in a file of the data folder.
fn world(data: &DataDir, file: &str, config: SimConfig) -> Result<SimWorld, StartError> {
    SimWorld::open(&data.path().join(file), config, Arc::new(SystemClock)).map_err(|error| match error {
        SimOpenError::InUse { .. } => StartError::InUse(error.to_string()),
        _ => StartError::Config(format!("simulator: {error}")),
    })
}

/// DigitalOcean's API over a simulated world of its own: that world's control routes, and the API itself. Both stand
/// below [`DIGITALOCEAN`].
pub(super) fn digitalocean(data: &DataDir) -> Result<(Router, Router), StartError> {
    let world = world(data, "digitalocean-world", DigitalOceanFake::config(0))?;
    let control = Router::new().nest(DIGITALOCEAN, control_router(world.clone()));
    let api = digitalocean_router(Arc::new(DigitalOceanFake::new(world)));
    Ok((control, Router::new().nest_service(DIGITALOCEAN, api)))
}

/// An open store, and how it is closed.
#[derive(Debug)]
pub(super) enum Store {
    Sqlite(Arc<SqliteStore>),
    Memory(Arc<MemoryStore>),
}

/// Is there nothing yet that a master key has sealed?
pub(super) fn store_is_new(url: &StoreUrl) -> bool {
    match url {
        StoreUrl::Sqlite(folder) => !folder.join("store.sqlite").exists(),
        StoreUrl::Memory => true,
    }
}

impl Store {
    pub(super) fn open(url: &StoreUrl) -> Result<Self, StartError> {
        match url {
            StoreUrl::Memory => Ok(Self::Memory(Arc::new(MemoryStore::new()))),
            StoreUrl::Sqlite(folder) => SqliteStore::open(folder)
                .map(|store| Self::Sqlite(Arc::new(store)))
                .map_err(|e| store_failed(&e)),
        }
    }

    pub(super) fn records(&self) -> Arc<dyn ReservationStore> {
        match self {
            Self::Sqlite(store) => Arc::clone(store) as _,
            Self::Memory(store) => Arc::clone(store) as _,
        }
    }

    /// Machine and path: it differs in a copy. A store in memory cannot be copied.
    pub(super) fn location(&self) -> String {
        match self {
            Self::Sqlite(store) => store.location(),
            Self::Memory(_) => "memory".to_owned(),
        }
    }

    /// Nothing of replaced records is in the store's file any more; one in memory has none.
    pub(super) async fn wipe_replaced(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.wipe_replaced().await,
            Self::Memory(_) => Ok(()),
        }
    }

    pub(super) async fn close(&self) {
        if let Self::Sqlite(store) = self {
            store.close().await;
        }
    }
}

/// The drivers of all clouds that are configured. They share one way to the network.
pub(super) fn drivers(
    settings: &Settings,
    sim: &Sim,
    prices: &Arc<PriceBook>,
) -> Result<Vec<Arc<dyn CloudDriver>>, StartError> {
    let transport = Client::new().map_err(|error| StartError::Broken(format!("TLS: {error}")))?;
    let prices = Arc::clone(prices);
    let parts = Parts { clock: sim.clock(), transport: Arc::new(transport), prices };
    let real = settings.clouds.iter().filter(|(name, _)| *name != SIM);
    let opened = real.map(|(name, cloud)| registry::open(name, cloud, &parts).map_err(|why| of_clouds(&why)));
    let name: CloudName = SIM.parse().expect("a legal name");
    let spec = settings.clouds.get(SIM);
    let sim = sim
        .driver()
        .zip(spec)
        .map(|(sim, spec)| registry::priced(&name, spec, sim, &parts).map_err(|why| of_clouds(&why)));
    sim.into_iter().chain(opened).collect()
}

pub(super) fn pricing() -> Arc<dyn PricingEngine> {
    Arc::new(CheapestFit)
}
