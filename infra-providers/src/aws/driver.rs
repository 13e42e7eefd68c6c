//! Connects tenants' keys to regions.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use infra_core::contracts::provider::{CloudDriver, CloudProvider, Identity, ProviderError};
use infra_core::nouns::credential::Credential;
use infra_core::words::clock::Clock;
use infra_core::words::entropy::SystemEntropy;
use infra_core::words::ids::{CloudName, InstallationId, Region};
use infra_core::words::lane::{Endpoint, Lane};

use super::api::{Answer, Ec2Api, StaticKeys, TemporaryKeys};
use super::keys::Form;
use super::prices::AwsPrices;
use super::provider::{Ec2Provider, identity_of};
use super::session::{Renewing, Source};
use super::settings::AwsSettings;
use crate::failure::invalid;
use crate::prices::PriceBook;

/// Makes the API of one key in one region. Does no I/O.
pub trait Ec2Connector: Debug + Send + Sync {
    /// Binds keys to a region.
    fn connect(&self, keys: StaticKeys, region: &Region) -> Arc<dyn Ec2Api>;
}

/// The operator's own keys, from wherever the operator's machine has them.
#[async_trait]
pub trait AmbientKeys: Debug + Send + Sync {
    /// Gets the keys that are good now.
    ///
    /// # Errors
    /// [`super::api::ApiFailure`] when there are none, or whoever has them does not answer.
    async fn fetch(&self) -> Answer<TemporaryKeys>;
}

/// AWS as a [`CloudDriver`].
#[derive(Debug)]
pub struct AwsDriver {
    settings: Arc<AwsSettings>,
    connector: Arc<dyn Ec2Connector>,
    clock: Arc<dyn Clock>,
    ambient: Option<Arc<dyn AmbientKeys>>,
    prices: Arc<AwsPrices>,
}

impl AwsDriver {
    /// AWS through the official SDK.
    #[cfg(feature = "aws")]
    #[must_use]
    pub fn new(settings: AwsSettings, clock: Arc<dyn Clock>) -> Self {
        let connector = Arc::new(super::sdk::SdkConnector::new(&settings));
        Self::with_connector(settings, connector, clock)
    }

    /// AWS through another implementation of the seam.
    #[must_use]
    pub fn with_connector(
        settings: AwsSettings,
        connector: Arc<dyn Ec2Connector>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let book = PriceBook::new(Arc::clone(&clock), Arc::new(SystemEntropy));
        let prices = Arc::new(AwsPrices::new(&book, &settings.name, true));
        Self { settings: Arc::new(settings), connector, clock, ambient: None, prices }
    }

    /// Prices from these feeds, which the installation's book has, instead of feeds of its own.
    #[must_use]
    pub fn with_prices(self, prices: AwsPrices) -> Self {
        Self { prices: Arc::new(prices), ..self }
    }

    /// Where the operator's own keys are. They are used only where [`AwsSettings::ambient`] says so, too.
    #[must_use]
    pub fn with_ambient(self, ambient: Arc<dyn AmbientKeys>) -> Self {
        Self { ambient: Some(ambient), ..self }
    }

    fn check(&self, lane: &Lane) -> Result<(), ProviderError> {
        if lane.cloud != self.settings.name || lane.endpoint != self.settings.endpoint {
            let (ours, endpoint) = (&self.settings.name, &self.settings.endpoint.0);
            return Err(invalid(format!("lane {} is not of {ours} at endpoint {endpoint:?}", lane.id())));
        }
        if !self.settings.regions.contains(&lane.region) {
            let known: Vec<&str> = self.settings.regions.iter().map(Region::as_str).collect();
            let (region, cloud, known) = (&lane.region, &lane.cloud, known.join(", "));
            return Err(invalid(format!("region {region} is not configured for {cloud}; {known} are")));
        }
        Ok(())
    }

    fn api(&self, credential: &Credential, region: &Region) -> Result<Arc<dyn Ec2Api>, ProviderError> {
        let source = match Form::of(credential)? {
            Form::Static(keys) => return Ok(self.connector.connect(keys, region)),
            Form::AssumeRole { role, base: Some(keys) } => Source::Role(role, Box::new(Source::Fixed(keys))),
            Form::AssumeRole { role, base: None } => Source::Role(role, Box::new(self.ambient()?)),
            Form::Ambient => self.ambient()?,
        };
        let (connector, clock) = (Arc::clone(&self.connector), Arc::clone(&self.clock));
        Ok(Arc::new(Renewing::new(source, connector, region.clone(), clock)))
    }

    /// A tenant who could use the operator's keys could use them against the operator.
    fn ambient(&self) -> Result<Source, ProviderError> {
        let allowed = self.ambient.as_ref().filter(|_| self.settings.ambient);
        allowed.map(|keys| Source::Ambient(Arc::clone(keys))).ok_or_else(|| {
            invalid(
                "the operator's own keys are not to be used here: name access_key_id and secret_access_key",
            )
        })
    }
}

#[async_trait]
impl CloudDriver for AwsDriver {
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
        Form::known_fields(kind)
    }

    async fn identify(&self, credential: &Credential) -> Result<Identity, ProviderError> {
        let region = self.settings.regions.first().ok_or_else(|| invalid("no region is configured"))?;
        identity_of(&*self.api(credential, region)?).await
    }

    async fn connect(
        &self,
        credential: &Credential,
        lane: &Lane,
        installation: InstallationId,
    ) -> Result<Arc<dyn CloudProvider>, ProviderError> {
        self.check(lane)?;
        let api = self.api(credential, &lane.region)?;
        let (settings, clock) = (Arc::clone(&self.settings), Arc::clone(&self.clock));
        let prices = Arc::clone(&self.prices);
        Ok(Arc::new(Ec2Provider::new(api, lane.clone(), installation, settings, clock, prices)))
    }
}
