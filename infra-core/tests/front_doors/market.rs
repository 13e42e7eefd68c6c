//! Spot first, on demand where no spot can be had: one list, walked in order, with the market part of every offer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::Infra;
use infra_core::contracts::provider::{
    CloudDriver, CloudProvider, Facts, FindQuery, Identity, MetricQuery, OwnedHandle, ProviderError, Said,
    Send, Series,
};
use infra_core::infra::QuoteOptions;
use infra_core::nouns::cloud::{Accepted, Act, Cursor, Observed, OwnedPage, Sighting};
use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody};
use infra_core::nouns::offering::{Catalogue, Price};
use infra_core::nouns::request::{Market, MarketWish};
use infra_core::nouns::reservation::Phase;
use infra_core::words::ids::{CloudName, InstallationId, Region, ResourceId};
use infra_core::words::lane::{Endpoint, Lane, ResourceKind};
use infra_core::words::money::Money;
use infra_core::words::secret::MasterKey;
use infra_providers::sim::SimDriver;
use infra_store::MemoryStore;
use std::sync::atomic::{AtomicU32, Ordering};

use super::house::{HOME, House, limits, quick, wish};

/// The sim with a spot market: every type at half its price, and none of it to be had.
#[derive(Debug)]
struct Spotty {
    inner: Arc<dyn CloudDriver>,
    refused: Arc<AtomicU32>,
}

#[derive(Debug)]
struct SpottyLane {
    inner: Arc<dyn CloudProvider>,
    refused: Arc<AtomicU32>,
}

#[async_trait]
impl CloudDriver for Spotty {
    fn name(&self) -> CloudName {
        self.inner.name()
    }
    fn endpoint(&self) -> Endpoint {
        self.inner.endpoint()
    }
    fn regions(&self) -> Vec<Region> {
        self.inner.regions()
    }
    async fn identify(&self, credential: &Credential) -> Result<Identity, ProviderError> {
        self.inner.identify(credential).await
    }
    async fn connect(
        &self,
        credential: &Credential,
        lane: &Lane,
        installation: InstallationId,
    ) -> Result<Arc<dyn CloudProvider>, ProviderError> {
        let inner = self.inner.connect(credential, lane, installation).await?;
        Ok(Arc::new(SpottyLane { inner, refused: Arc::clone(&self.refused) }))
    }
}

#[async_trait]
impl CloudProvider for SpottyLane {
    fn facts(&self) -> &Facts {
        self.inner.facts()
    }
    async fn identify(&self) -> Result<Identity, ProviderError> {
        self.inner.identify().await
    }
    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        let mut catalogue = self.inner.catalogue().await?;
        let mut spot = catalogue.offerings.clone();
        for offer in &mut spot {
            offer.market = Market::Spot;
            if let Price::Known { per_hour, .. } = &mut offer.price {
                *per_hour = Money::usd_nanos((per_hour.nanos / 2).max(1));
            }
        }
        catalogue.offerings.extend(spot);
        Ok(catalogue)
    }
    async fn launch(&self, frozen: &FrozenLaunch, send: &Send) -> Result<Vec<Observed>, ProviderError> {
        if matches!(&frozen.body, LaunchBody::Machine(body) if body.market == Market::Spot) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            let (code, message) = ("InsufficientInstanceCapacity".to_owned(), "no spot now".to_owned());
            return Err(ProviderError::Capacity { said: Said { code, message, request_id: None } });
        }
        self.inner.launch(frozen, send).await
    }
    async fn find(&self, query: &FindQuery) -> Result<Vec<Observed>, ProviderError> {
        self.inner.find(query).await
    }
    async fn get(&self, kind: ResourceKind, ids: &[ResourceId]) -> Result<Vec<Sighting>, ProviderError> {
        self.inner.get(kind, ids).await
    }
    async fn list_owned(&self, after: Option<Cursor>) -> Result<OwnedPage, ProviderError> {
        self.inner.list_owned(after).await
    }
    async fn act(&self, on: &OwnedHandle, act: Act) -> Result<Accepted, ProviderError> {
        self.inner.act(on, act).await
    }
    async fn measure(&self, ids: &[ResourceId], query: &MetricQuery) -> Result<Vec<Series>, ProviderError> {
        self.inner.measure(ids, query).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_spot_or_else_on_demand_waits_for_spot() {
    let (store, sim, refused) = (Arc::new(MemoryStore::new()), quick(), Arc::new(AtomicU32::new(0)));
    let inner: Arc<dyn CloudDriver> = Arc::new(SimDriver::new(sim.clone()));
    let builder = Infra::builder()
        .with_store(store.clone())
        .with_driver(Arc::new(Spotty { inner, refused: Arc::clone(&refused) }))
        .with_limits(limits())
        .with_master_key(MasterKey::new([7; 32]))
        .with_home(HOME);
    let house = House { store, sim, infra: builder.build().await.expect("opens") };
    let ada = house.user("ada").await;
    let mut request = wish(1);
    request.market = Some(MarketWish::SpotThenOnDemand);
    let kept = QuoteOptions { limit: limits().offers_kept, ..QuoteOptions::default() };
    let quotes = ada.quotes(&request, kept).await.expect("fits").quotes;
    let markets: Vec<Market> = quotes.iter().map(|quote| quote.choice.offering.market).collect();
    assert_eq!(markets[0], Market::Spot, "spot is wished first");
    assert!(markets.contains(&Market::OnDemand), "part of the list is kept for on demand: {markets:?}");
    let spots = markets.iter().filter(|market| **market == Market::Spot).count();
    let id = ada.reserve(&request, None).await.expect("accepted").view.id;
    let view = ada.wait(&id, Duration::from_secs(30)).await.expect("is there");
    assert_eq!(view.state, Phase::Ready, "{:?} {:?}", view.reason, view.hold);
    assert_eq!(refused.load(Ordering::SeqCst) as usize, spots, "every spot offer was asked for once");
    assert_eq!(view.tries.len(), spots, "and every try stands there");
    // Spot is remembered, the very same types on demand are not; who wants spot alone waits for it.
    let again = ada.quote(&request).await.expect("fits");
    assert!(again.iter().any(|quote| quote.choice.offering.market == Market::OnDemand));
    let second = ada.reserve(&request, None).await.expect("accepted").view.id;
    let view = ada.wait(&second, Duration::from_secs(30)).await.expect("is there");
    assert_eq!(view.state, Phase::Ready, "{:?}", view.reason);
    let walked: Vec<_> = view
        .tries
        .iter()
        .filter(|one| quotes.iter().take(spots).any(|quote| quote.choice.offer() == one.offer))
        .collect();
    assert!(walked.is_empty(), "what was refused a moment ago is not asked for again: {walked:?}");
}
