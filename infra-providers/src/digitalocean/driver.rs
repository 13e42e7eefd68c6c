//! Connects tenants' keys to regions.

use std::sync::Arc;

use async_trait::async_trait;
use infra_core::contracts::provider::{CloudDriver, CloudProvider, Identity, ProviderError};
use infra_core::nouns::credential::Credential;
use infra_core::words::clock::Clock;
use infra_core::words::ids::{CloudName, InstallationId, Region};
use infra_core::words::lane::{Endpoint, Lane};
use infra_core::words::secret::Secret;

use super::api::Api;
use super::provider::{DigitalOceanProvider, identity_of};
use super::settings::DigitalOceanSettings;
use crate::failure::invalid;
use crate::http::Transport;
use crate::prices::{PriceBook, PriceFeed};

/// DigitalOcean as a [`CloudDriver`]. Its credentials are of kind `token` and have the one field `token`: an access
/// token that may read the account, and create, read, change and end droplets, images, tags and firewalls.
#[derive(Debug)]
pub struct DigitalOceanDriver {
    settings: Arc<DigitalOceanSettings>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    prices: Option<Arc<PriceFeed>>,
}

impl DigitalOceanDriver {
    /// DigitalOcean through a transport.
    #[must_use]
    pub fn new(settings: DigitalOceanSettings, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self { settings: Arc::new(settings), transport, clock, prices: None }
    }

    /// The same; how old its prices are is then seen in an installation's book, beside those of other clouds.
    #[must_use]
    pub fn with_prices(self, book: &PriceBook) -> Self {
        let prices = Some(book.list_feed(&self.settings.name, "list"));
        Self { prices, ..self }
    }

    fn api(&self, credential: &Credential) -> Result<Api, ProviderError> {
        let settings = &self.settings;
        let (base, token) = (settings.base(), token(credential)?);
        Ok(Api::new(
            Arc::clone(&self.transport),
            base,
            token,
            settings.call_timeout,
            settings.page.clamp(1, 200),
        ))
    }

    fn check(&self, lane: &Lane) -> Result<(), ProviderError> {
        let settings = &self.settings;
        if lane.cloud != settings.name || lane.endpoint != settings.endpoint {
            let (ours, endpoint) = (&settings.name, &settings.endpoint.0);
            return Err(invalid(format!("lane {} is not of {ours} at endpoint {endpoint:?}", lane.id())));
        }
        if !settings.regions.contains(&lane.region) {
            let known: Vec<_> = settings.regions.iter().map(Region::as_str).collect();
            let (region, cloud, known) = (&lane.region, &lane.cloud, known.join(", "));
            return Err(invalid(format!("region {region} is not configured for {cloud}; {known} are")));
        }
        Ok(())
    }
}

/// Takes a credential apart.
fn token(credential: &Credential) -> Result<Secret, ProviderError> {
    if credential.kind != "token" {
        return Err(invalid(format!("credential kind {:?} is not known; token is", credential.kind)));
    }
    if let Some(other) = credential.fields.keys().find(|name| *name != "token") {
        return Err(invalid(format!("credential field {other:?} is not known; token is")));
    }
    let token = credential.fields.get("token").filter(|token| !token.expose().is_empty());
    let token = token.ok_or_else(|| invalid("credential field token is missing"))?;
    if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid("credential field token has a character that no token has"));
    }
    Ok(token.clone())
}

#[async_trait]
impl CloudDriver for DigitalOceanDriver {
    fn name(&self) -> CloudName {
        self.settings.name.clone()
    }

    fn endpoint(&self) -> Endpoint {
        self.settings.endpoint.clone()
    }

    fn regions(&self) -> Vec<Region> {
        self.settings.regions.clone()
    }

    fn key_fields(&self, kind: &str) -> Option<Vec<&'static str>> {
        (kind == "token").then(|| vec!["token"])
    }

    async fn identify(&self, credential: &Credential) -> Result<Identity, ProviderError> {
        identity_of(&self.api(credential)?).await
    }

    async fn connect(
        &self,
        credential: &Credential,
        lane: &Lane,
        installation: InstallationId,
    ) -> Result<Arc<dyn CloudProvider>, ProviderError> {
        self.check(lane)?;
        let (settings, clock) = (Arc::clone(&self.settings), Arc::clone(&self.clock));
        let api = self.api(credential)?;
        let provider = DigitalOceanProvider::new(api, lane.clone(), installation, settings, clock);
        Ok(Arc::new(provider.with_prices(self.prices.clone())))
    }
}
