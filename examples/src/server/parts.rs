//! The parts that are chosen by settings: store, clouds, pricing.

use std::sync::Arc;

use axum::Router;
use infra_core::contracts::pricing::{PriceContext, PricingEngine, Ranking};
use infra_core::contracts::provider::CloudDriver;
use infra_core::contracts::store::ReservationStore;
use infra_core::nouns::request::Request;
use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::entropy::Entropy;

use super::config::{Settings, StoreUrl};
use super::data_dir::DataDir;
use super::error::StartError;

#[derive(Debug)]
pub(super) struct Sim;

impl Sim {
    pub(super) async fn open(_: &Settings, _: &DataDir, _: &Arc<dyn Entropy>) -> Result<Self, StartError> {
        Ok(Self)
    }
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }
    pub(super) fn control_router(&self) -> Router {
        Router::new().route("/sim/calls", axum::routing::get(|| async { "{}" }))
    }
    pub(super) fn api_router(&self) -> Router {
        Router::new()
    }
}

pub(super) async fn open_store(settings: &Settings) -> Result<Arc<dyn ReservationStore>, StartError> {
    match &settings.store {
        StoreUrl::Memory | StoreUrl::Sqlite(_) => Ok(Arc::new(infra_store::MemoryStore::new())),
    }
}

pub(super) fn drivers(_: &Settings, _: &Sim) -> Result<Vec<Arc<dyn CloudDriver>>, StartError> {
    Ok(Vec::new())
}

#[derive(Debug)]
struct Provisional;
impl PricingEngine for Provisional {
    fn rank<'a>(&self, _: &Request, _: &PriceContext<'a>) -> Ranking {
        Ranking::Fits(Vec::new())
    }
}

pub(super) fn pricing() -> Arc<dyn PricingEngine> {
    Arc::new(Provisional)
}
