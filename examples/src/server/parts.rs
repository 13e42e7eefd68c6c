//! The parts that are chosen by settings: store, clouds, pricing.

use std::sync::Arc;

use axum::Router;
use infra_core::CheapestFit;
use infra_core::contracts::pricing::PricingEngine;
use infra_core::contracts::provider::CloudDriver;
use infra_core::contracts::store::ReservationStore;
use infra_core::words::clock::{Clock, SystemClock};

use super::config::{SIM, Settings, StoreUrl};
use super::data_dir::DataDir;
use super::error::StartError;
use super::file::CloudSettings;
use super::start::store_failed;
use infra_providers::sim::{SimConfig, SimDriver, SimOpenError, SimWorld};
use infra_store::{MemoryStore, SqliteStore};

/// The simulator in this process, when one is wanted, and the clock that everything runs on.
#[derive(Debug)]
pub(super) struct Sim {
    world: Option<SimWorld>,
}

impl Sim {
    /// Opens the simulator's world in the data folder, unless the settings name none or one elsewhere.
    pub(super) fn open(settings: &Settings, data: &DataDir) -> Result<Self, StartError> {
        let here = settings.clouds.get(SIM).is_some_and(|sim| sim.endpoint.is_none());
        if !here {
            return Ok(Self { world: None });
        }
        let path = data.path().join("sim-world");
        let world = SimWorld::open(&path, SimConfig::default(), Arc::new(SystemClock));
        world.map(|world| Self { world: Some(world) }).map_err(|error| match error {
            SimOpenError::InUse { .. } => StartError::InUse(error.to_string()),
            _ => StartError::Config(format!("simulator: {error}")),
        })
    }

    /// The clock of the engine: the simulator's, which its control API pushes forward, or the machine's.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        match &self.world {
            Some(world) => world.clock(),
            None => Arc::new(SystemClock),
        }
    }

    /// The simulator as a cloud.
    fn driver(&self, cloud: &CloudSettings) -> Option<Arc<dyn CloudDriver>> {
        let _ = cloud;
        Some(Arc::new(SimDriver::new(self.world.clone()?)))
    }

    pub(super) fn control_router(&self) -> Router {
        Router::new()
    }

    pub(super) fn api_router(&self) -> Router {
        Router::new()
    }
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

    pub(super) async fn close(&self) {
        if let Self::Sqlite(store) = self {
            store.close().await;
        }
    }
}

pub(super) fn drivers(settings: &Settings, sim: &Sim) -> Vec<Arc<dyn CloudDriver>> {
    let driver = |(name, cloud): (&String, &CloudSettings)| match name.as_str() {
        SIM => sim.driver(cloud),
        _ => aws(cloud, sim.clock()),
    };
    settings.clouds.iter().filter_map(driver).collect()
}

#[cfg(feature = "aws")]
fn aws(cloud: &CloudSettings, clock: Arc<dyn Clock>) -> Option<Arc<dyn CloudDriver>> {
    Some(Arc::new(infra_providers::aws::AwsDriver::new(super::aws::settings(cloud), clock)))
}

/// Settings that name AWS are refused in a build without it, before this is asked.
#[cfg(not(feature = "aws"))]
fn aws(_: &CloudSettings, _: Arc<dyn Clock>) -> Option<Arc<dyn CloudDriver>> {
    None
}

pub(super) fn pricing() -> Arc<dyn PricingEngine> {
    Arc::new(CheapestFit)
}
