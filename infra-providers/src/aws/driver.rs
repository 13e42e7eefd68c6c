//! Connects tenants' keys to regions.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use infra_core::contracts::provider::{CloudDriver, CloudProvider, Identity, ProviderError};
use infra_core::nouns::credential::Credential;
use infra_core::words::clock::Clock;
use infra_core::words::ids::{CloudName, InstallationId, Region};
use infra_core::words::lane::{Endpoint, Lane};
use infra_core::words::secret::Secret;

use super::api::Ec2Api;
use super::provider::{Ec2Provider, identity_of};
use super::settings::AwsSettings;
use crate::failure::invalid;

/// The fields of a credential of kind `static`.
#[derive(Debug, Clone)]
pub struct StaticKeys {
    /// `access_key_id`.
    pub access_key_id: Secret,
    /// `secret_access_key`.
    pub secret_access_key: Secret,
    /// `session_token`, of temporary keys.
    pub session_token: Option<Secret>,
}

impl StaticKeys {
    /// Takes a credential apart.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] for another kind, a missing, empty or unknown field.
    pub fn of(credential: &Credential) -> Result<Self, ProviderError> {
        if credential.kind != "static" {
            return Err(invalid(format!("credential kind {:?} is not known; static is", credential.kind)));
        }
        let known = ["access_key_id", "secret_access_key", "session_token"];
        if let Some(other) = credential.fields.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(invalid(format!(
                "credential field {other:?} is not known; {} are",
                known.join(", ")
            )));
        }
        let field =
            |name: &str| credential.fields.get(name).filter(|value| !value.expose().is_empty()).cloned();
        let must =
            |name: &str| field(name).ok_or_else(|| invalid(format!("credential field {name} is missing")));
        Ok(Self {
            access_key_id: must("access_key_id")?,
            secret_access_key: must("secret_access_key")?,
            session_token: field("session_token"),
        })
    }
}

/// Makes the API of one key in one region. Does no I/O.
pub trait Ec2Connector: Debug + Send + Sync {
    /// Binds keys to a region.
    fn connect(&self, keys: StaticKeys, region: &Region) -> Arc<dyn Ec2Api>;
}

/// AWS as a [`CloudDriver`].
#[derive(Debug)]
pub struct AwsDriver {
    settings: Arc<AwsSettings>,
    connector: Arc<dyn Ec2Connector>,
    clock: Arc<dyn Clock>,
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
        Self { settings: Arc::new(settings), connector, clock }
    }

    fn check(&self, lane: &Lane) -> Result<(), ProviderError> {
        if lane.cloud != self.settings.name || lane.endpoint != self.settings.endpoint {
            let (ours, endpoint) = (&self.settings.name, &self.settings.endpoint.0);
            return Err(invalid(format!("lane {} is not of {ours} at endpoint {endpoint:?}", lane.id())));
        }
        if !self.settings.regions.contains(&lane.region) {
            return Err(invalid(format!("region {} is not configured for {}", lane.region, lane.cloud)));
        }
        Ok(())
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

    async fn identify(&self, credential: &Credential) -> Result<Identity, ProviderError> {
        let keys = StaticKeys::of(credential)?;
        let region = self.settings.regions.first().ok_or_else(|| invalid("no region is configured"))?;
        identity_of(&*self.connector.connect(keys, region)).await
    }

    async fn connect(
        &self,
        credential: &Credential,
        lane: &Lane,
        installation: InstallationId,
    ) -> Result<Arc<dyn CloudProvider>, ProviderError> {
        self.check(lane)?;
        let api = self.connector.connect(StaticKeys::of(credential)?, &lane.region);
        let (settings, clock) = (Arc::clone(&self.settings), Arc::clone(&self.clock));
        Ok(Arc::new(Ec2Provider::new(api, lane.clone(), installation, settings, clock)))
    }
}
