//! Any cloud, with prices from another source than the cloud itself.

use std::sync::Arc;

use async_trait::async_trait;
use infra_core::contracts::provider::{
    CloudDriver, CloudProvider, Facts, FindQuery, Identity, MetricQuery, OwnedHandle, ProviderError, Send,
    Series,
};
use infra_core::nouns::cloud::{Accepted, Act, Cursor, Observed, OwnedPage, Sighting};
use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::FrozenLaunch;
use infra_core::nouns::offering::{Catalogue, Offering, Price};
use infra_core::nouns::system::System;
use infra_core::words::ids::{CloudName, InstallationId, Region, ResourceId};
use infra_core::words::lane::{Endpoint, Lane, ResourceKind};

use super::feed::{PriceFeed, Scope};
use super::rates::Rates;
use super::table::{PriceOf, PriceTable};
use super::{FileSource, PriceSource};

/// A cloud whose prices an operator's file says: for what the file does not name there is no price, whatever the cloud
/// says, because mixing the two would hide which of them a choice rests on.
#[derive(Debug)]
pub struct PricedDriver {
    inner: Arc<dyn CloudDriver>,
    feed: Arc<PriceFeed>,
    source: FileSource,
    rates: Arc<Rates>,
}

impl PricedDriver {
    /// Puts the file over a cloud.
    #[must_use]
    pub fn new(
        inner: Arc<dyn CloudDriver>,
        feed: Arc<PriceFeed>,
        source: FileSource,
        rates: Arc<Rates>,
    ) -> Self {
        Self { inner, feed, source, rates }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl CloudDriver for PricedDriver {
    fn name(&self) -> CloudName {
        self.inner.name()
    }

    fn endpoint(&self) -> Endpoint {
        self.inner.endpoint()
    }

    fn regions(&self) -> Vec<Region> {
        self.inner.regions()
    }

    fn key_fields(&self, kind: &str) -> Option<Vec<&'static str>> {
        self.inner.key_fields(kind)
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
        Ok(Arc::new(Priced {
            inner,
            feed: Arc::clone(&self.feed),
            source: Arc::new(self.source.clone().in_region(lane.region.clone())),
            scope: Scope { region: lane.region.clone(), account: None },
            regions: self.inner.regions(),
            rates: Arc::clone(&self.rates),
        }))
    }
}

#[derive(Debug)]
struct Priced {
    inner: Arc<dyn CloudProvider>,
    feed: Arc<PriceFeed>,
    source: Arc<dyn PriceSource>,
    scope: Scope,
    /// All of the cloud's: rows of any other are in vain.
    regions: Vec<Region>,
    rates: Arc<Rates>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl CloudProvider for Priced {
    fn facts(&self) -> &Facts {
        self.inner.facts()
    }

    async fn identify(&self) -> Result<Identity, ProviderError> {
        self.inner.identify().await
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        let mut catalogue = self.inner.catalogue().await?;
        let table = self.feed.known(&self.scope, Arc::clone(&self.source)).await;
        let why =
            || self.feed.last_error(&self.scope).unwrap_or_else(|| "no price file was read yet".to_owned());
        catalogue.offerings = match table {
            Some(table) => {
                let unused = table.unused(&catalogue.offerings, &self.regions);
                self.feed.joined(&self.scope, &table, &unused);
                catalogue.offerings.into_iter().flat_map(|one| priced(&one, &table, &self.rates)).collect()
            }
            None => {
                let price = Price::Unknown { reason: why() };
                let unknown = |one| Offering { price: price.clone(), ..one };
                catalogue.offerings.into_iter().map(unknown).collect()
            }
        };
        Ok(catalogue)
    }

    async fn launch(&self, frozen: &FrozenLaunch, send: &Send) -> Result<Vec<Observed>, ProviderError> {
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

/// An offering with a table's prices: one for each system that the table names it with, and of each one for each price
/// that its zones have, so that a quote in a zone is that zone's.
///
/// None of one that is of another system than Linux: that is what a cloud made of its own prices, and its Linux sibling
/// becomes all that the table names. What the table says a type is counts, too.
pub(crate) fn priced(one: &Offering, table: &PriceTable, rates: &Rates) -> Vec<Offering> {
    if !one.system.is_linux() {
        return Vec::new();
    }
    let (name, market) = (one.type_name.clone(), one.market);
    let named = |system: &System| system.is_linux() || table.names(name.as_str(), market, *system);
    let one = table.described(one.clone());
    let systems = System::PRICED.into_iter().filter(named);
    systems.flat_map(|system| by_zone(Offering { system, ..one.clone() }, table, rates)).collect()
}

/// An offering of one system, split where its zones differ.
fn by_zone(one: Offering, table: &PriceTable, rates: &Rates) -> Vec<Offering> {
    let os = one.system.word();
    let of = |zone| PriceOf { type_name: one.type_name.as_str(), market: one.market, os, zone };
    if one.zones.is_empty() {
        let price = table.price(of(None), rates);
        return vec![Offering { price, ..one }];
    }
    let mut split: Vec<Offering> = Vec::new();
    for zone in &one.zones {
        let price = table.price(of(Some(zone.as_str())), rates);
        // Why a zone has no price is the same for all of them but for its name.
        let same = |other: &&mut Offering| match (&other.price, &price) {
            (Price::Unknown { .. }, Price::Unknown { .. }) => true,
            (a, b) => *a == *b,
        };
        match split.iter_mut().find(same) {
            Some(there) => there.zones.push(zone.clone()),
            None => split.push(Offering { zones: vec![zone.clone()], price, ..one.clone() }),
        }
    }
    split
}

#[cfg(test)]
mod tests {
    use infra_core::nouns::request::{Arch, Market};

    use super::*;
    use crate::prices::Form;

    #[test]
    fn a_file_over_a_cloud_with_licensed_prices_offers_everything_twice() {
        let text = "type,price_per_hour,currency,as_of,os\n\
            a,0.5,USD,2026-11-01,\na,0.9,USD,2026-11-01,Windows\n";
        let table = Form::Csv.parse("p.csv", text.as_bytes(), None).expect("a table");
        let name: infra_core::words::ids::TypeName = "a".parse().expect("a name");
        let linux = Offering::new(name, Arch::X86_64, Market::OnDemand);
        let windows = Offering { system: System::Windows, ..linux.clone() };
        let all = [linux, windows]
            .iter()
            .flat_map(|one| priced(one, &table, &Rates::default()))
            .collect::<Vec<_>>();
        let systems: Vec<_> = all.iter().map(|one| one.system).collect();
        assert_eq!(systems, [System::Linux, System::Windows], "{all:?}");
    }

    #[test]
    fn a_rule_about_families_passes_over_flavors_that_only_the_operator_can_name() {
        let sheet = "as_of = 2026-11-01\ncurrency = \"USD\"\n[per_hour]\na = \"0.5\"\nb = 1\n\
            [flavors.a]\nfamily = \"Fast\"\ngeneration = 2\n";
        let table = Form::Toml.parse("p.toml", sheet.as_bytes(), None).expect("a table");
        let of = |name: &str| {
            let one = Offering::new(name.parse().expect("a name"), Arch::X86_64, Market::OnDemand);
            let told = Offering { family: "plain".to_owned(), burstable: true, ..one };
            let one = priced(&told, &table, &Rates::default()).remove(0);
            (one.family, one.generation, one.burstable, one.price.per_hour().map(|it| it.nanos))
        };
        assert_eq!(of("a"), ("fast".to_owned(), Some(2), true, Some(500_000_000)));
        assert_eq!(
            of("b"),
            ("plain".to_owned(), None, true, Some(1_000_000_000)),
            "what is not said is the cloud's"
        );
    }
}
