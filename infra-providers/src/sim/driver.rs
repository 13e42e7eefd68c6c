//! Connects keys to a sim.

use std::sync::Arc;

use async_trait::async_trait;
use infra_core::contracts::provider::{Facts, Identity, ProviderError};
use infra_core::nouns::credential::Credential;
use infra_core::words::clock::Clock;
use infra_core::words::ids::{CloudName, InstallationId, Region};
use infra_core::words::lane::{Endpoint, Lane};
use infra_core::words::secret::Secret;
use infra_core::{CloudDriver, CloudProvider};

use super::provider::SimProvider;
use super::wire::{Answer, Asked, Call, Port, invalid, said};
use super::world::SimWorld;

/// The sim as a cloud. A credential is `kind = "static"` with a field `token`; `sim-<account>` reaches that
/// account without registration.
#[derive(Debug, Clone)]
pub struct SimDriver {
    pub(super) port: Arc<dyn Port>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) about: About,
}

/// What a driver must know of its sim without asking.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) cloud: CloudName,
    pub(super) endpoint: Endpoint,
    pub(super) regions: Vec<Region>,
    pub(super) facts: Facts,
}

impl SimDriver {
    /// Connects to a world in this process. Deadlines are read from the world's clock.
    #[must_use]
    pub fn new(world: SimWorld) -> Self {
        let clock = world.clock();
        Self::with_clock(world, clock)
    }

    /// Connects to a world in this process, on the clock of the replica that uses it.
    #[must_use]
    pub fn with_clock(world: SimWorld, clock: Arc<dyn Clock>) -> Self {
        let config = world.config();
        let about = About {
            cloud: config.cloud.clone(),
            endpoint: config.endpoint.clone(),
            regions: config.regions.iter().map(|region| region.name.clone()).collect(),
            facts: world.facts().clone(),
        };
        Self { port: Arc::new(world), clock, about }
    }
}

fn key_of(credential: &Credential) -> Result<Secret, ProviderError> {
    if credential.kind != "static" {
        let message = format!("kind {:?} is not known; \"static\" is", credential.kind);
        return Err(invalid("InvalidCredential", message));
    }
    let token = credential.fields.get("token");
    token.cloned().ok_or_else(|| invalid("InvalidCredential", "field token is missing"))
}

#[async_trait]
impl CloudDriver for SimDriver {
    fn name(&self) -> CloudName {
        self.about.cloud.clone()
    }

    fn endpoint(&self) -> Endpoint {
        self.about.endpoint.clone()
    }

    fn regions(&self) -> Vec<Region> {
        self.about.regions.clone()
    }

    fn key_fields(&self, kind: &str) -> Option<Vec<&'static str>> {
        (kind == "static").then(|| vec!["token"])
    }

    async fn identify(&self, credential: &Credential) -> Result<Identity, ProviderError> {
        let key = key_of(credential)?.expose().to_owned();
        let region = self
            .about
            .regions
            .first()
            .cloned()
            .ok_or_else(|| invalid("NoRegion", "the sim has no region"))?;
        match self.port.call(Asked { key, region, call: Call::Identify }).await? {
            Answer::Identity { account, principal } => Ok(Identity { account, principal }),
            _ => Err(ProviderError::Garbled { said: said("Garbled", "the answer is of another call") }),
        }
    }

    async fn connect(
        &self,
        credential: &Credential,
        lane: &Lane,
        installation: InstallationId,
    ) -> Result<Arc<dyn CloudProvider>, ProviderError> {
        if lane.cloud != self.about.cloud || lane.endpoint != self.about.endpoint {
            return Err(invalid("OtherCloud", format!("{lane} is not a lane of {}", self.about.cloud)));
        }
        if !self.about.regions.contains(&lane.region) {
            return Err(invalid("UnknownRegion", format!("region {} is not known", lane.region)));
        }
        Ok(Arc::new(SimProvider {
            port: self.port.clone(),
            clock: self.clock.clone(),
            key: key_of(credential)?,
            lane: lane.clone(),
            installation,
            facts: self.about.facts.clone(),
        }))
    }
}
