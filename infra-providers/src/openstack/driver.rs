//! Connects tenants' keys to regions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use infra_core::contracts::provider::{CloudDriver, CloudProvider, Identity, ProviderError};
use infra_core::nouns::credential::Credential;
use infra_core::words::clock::Clock;
use infra_core::words::ids::{CloudName, InstallationId, Region};
use infra_core::words::lane::{Endpoint, Lane};
use infra_core::words::secret::digest;

use super::api::{Api, Place, Session};
use super::auth::{Key, known_fields};
use super::provider::{OpenStackProvider, identity_of};
use super::settings::OpenStackSettings;
use crate::failure::invalid;
use crate::http::Transport;

/// Keys whose tokens are remembered.
const SESSIONS_MAX: usize = 256;

/// One OpenStack cloud as a [`CloudDriver`].
#[derive(Debug)]
pub struct OpenStackDriver {
    settings: Arc<OpenStackSettings>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    /// By the digest of the key: a key that is used in several regions, or connected again, logs in once.
    sessions: Mutex<BTreeMap<String, Arc<Session>>>,
}

impl OpenStackDriver {
    /// A cloud by its settings.
    #[must_use]
    pub fn new(settings: OpenStackSettings, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self { settings: Arc::new(settings), transport, clock, sessions: Mutex::default() }
    }

    fn session(&self, credential: &Credential) -> Result<(Key, Arc<Session>), ProviderError> {
        let auth_url = &self.settings.endpoint.0;
        let key = Key::of(credential, auth_url)?;
        let fields: Vec<_> =
            credential.fields.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        let text = serde_json::to_vec(&(&credential.kind, fields)).expect("texts are plain data");
        let mut sessions = self.sessions.lock().expect("nobody panics while holding the sessions");
        if sessions.len() >= SESSIONS_MAX {
            sessions.clear();
        }
        let session = sessions.entry(digest(&text)).or_insert_with(|| {
            let (transport, clock) = (Arc::clone(&self.transport), Arc::clone(&self.clock));
            let login = key.login.clone();
            let session = Session::new(transport, clock, auth_url, login, self.settings.call_timeout);
            Arc::new(session.exposed_if(self.settings.insecure))
        });
        let session = Arc::clone(session);
        Ok((key, session))
    }

    fn check(&self, lane: &Lane) -> Result<(), ProviderError> {
        if lane.cloud != self.settings.name || lane.endpoint != self.settings.endpoint {
            let (ours, endpoint) = (&self.settings.name, &self.settings.endpoint.0);
            return Err(invalid(format!("lane {} is not of {ours} at endpoint {endpoint:?}", lane.id())));
        }
        if !self.settings.regions.contains(&lane.region) {
            let known: Vec<&str> = self.settings.regions.iter().map(Region::as_str).collect();
            let (cloud, region) = (&lane.cloud, &lane.region);
            let known = known.join(", ");
            return Err(invalid(format!("region {region} is not configured for {cloud}; {known} are")));
        }
        Ok(())
    }
}

#[async_trait]
impl CloudDriver for OpenStackDriver {
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
        known_fields(kind)
    }

    async fn identify(&self, credential: &Credential) -> Result<Identity, ProviderError> {
        identity_of(&self.session(credential)?.1).await
    }

    async fn connect(
        &self,
        credential: &Credential,
        lane: &Lane,
        installation: InstallationId,
    ) -> Result<Arc<dyn CloudProvider>, ProviderError> {
        self.check(lane)?;
        let (key, session) = self.session(credential)?;
        if let Some(only) = key.region.filter(|only| only != lane.region.as_str()) {
            return Err(invalid(format!("the key's clouds.yaml is for region {only}, not {}", lane.region)));
        }
        let interface = key.interface.unwrap_or(self.settings.interface);
        let (project, region) = (lane.account.clone(), lane.region.clone());
        let api = Api { session, place: Place { project, region, interface } };
        let (settings, clock) = (Arc::clone(&self.settings), Arc::clone(&self.clock));
        Ok(Arc::new(OpenStackProvider::new(api, lane.clone(), installation, settings, clock)))
    }
}
