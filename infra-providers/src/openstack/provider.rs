//! One key in one region, as the contract wants it. The verbs live in the files beside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::{
    CloudProvider, Facts, FindQuery, Identity, KindFacts, MetricQuery, OwnedHandle, ProviderError, Send,
    Series, TokenScope,
};
use infra_core::nouns::cloud::{Accepted, Act, Cursor, Observed, OwnedPage, PowerMode, Sighting};
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody};
use infra_core::nouns::offering::Catalogue;
use infra_core::words::clock::Clock;
use infra_core::words::ids::{AccountId, InstallationId, ResourceId};
use infra_core::words::lane::{Lane, ResourceKind};
use infra_core::words::limits::Rate;

use super::api::{Api, Session};
use super::errors::provider_error;
use super::settings::OpenStackSettings;
use super::{act, catalogue, firewall, key_pair, launch, list, snapshot};
use crate::failure::{ApiFailure, Verb, garbled, invalid, time_left};

/// OpenStack in one lane.
#[derive(Debug)]
pub struct OpenStackProvider {
    pub(super) api: Api,
    pub(super) lane: Lane,
    pub(super) installation: InstallationId,
    pub(super) settings: Arc<OpenStackSettings>,
    pub(super) clock: Arc<dyn Clock>,
    /// Ids of flavors by their names.
    pub(super) flavors: Mutex<BTreeMap<String, String>>,
    facts: Facts,
}

impl OpenStackProvider {
    /// Takes an API that is bound to the lane's key and region.
    pub(super) fn new(
        api: Api,
        lane: Lane,
        installation: InstallationId,
        settings: Arc<OpenStackSettings>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let facts = facts(&settings);
        Self { api, lane, installation, settings, clock, flavors: Mutex::default(), facts }
    }

    /// An error when a create call may not leave any more.
    pub(super) fn time_left(&self, send: &Send) -> Result<(), ProviderError> {
        time_left(self.clock.mono(), send.deadline, self.settings.call_timeout).map(drop)
    }
}

/// What is true of OpenStack: no idempotency token for any kind, one thing per call (`min_count` above one makes
/// servers that share a name), and what was deleted is not shown to its project any more.
///
/// There are no documented rates; a deployment's own limits answer 429. These are gentle ones.
fn facts(settings: &OpenStackSettings) -> Facts {
    let kind = |kind| KindFacts {
        kind,
        token: TokenScope::None,
        max_batch: 1,
        visible_within: settings.visible_within,
        gone_shown_for: Duration::ZERO,
        of_maker: kind == ResourceKind::KeyPair,
    };
    Facts {
        kinds: vec![
            kind(ResourceKind::Machine),
            kind(ResourceKind::Firewall),
            kind(ResourceKind::KeyPair),
            kind(ResourceKind::Snapshot),
        ],
        off_modes: vec![PowerMode::Stop, PowerMode::Shelve, PowerMode::Suspend],
        create_rate: Rate { per_second: 5.0, burst: 20 },
        terminate_rate: Rate { per_second: 10.0, burst: 40 },
        open_creates_max: 20,
        reads: infra_core::contracts::provider::ReadPace::default(),
        login: infra_core::contracts::provider::LoginScheme::ByImage,
        simulated: settings.simulated,
    }
}

/// Asks Keystone. The account is the project, because it is what pays and what listings show.
pub(super) async fn identity_of(session: &Session) -> Result<Identity, ProviderError> {
    let who = session.identify().await.map_err(looked)?;
    let account = AccountId::new(who.project).map_err(|error| garbled(error.to_string()))?;
    Ok(Identity { account, principal: who.user })
}

/// A look-up failed.
pub(super) fn looked(failure: ApiFailure) -> ProviderError {
    provider_error(Verb::Look, failure)
}

/// A changing call failed.
pub(super) fn changed(failure: ApiFailure) -> ProviderError {
    provider_error(Verb::Change, failure)
}

#[async_trait]
impl CloudProvider for OpenStackProvider {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn identify(&self) -> Result<Identity, ProviderError> {
        identity_of(&self.api.session).await
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        catalogue::read(self).await
    }

    async fn launch(&self, frozen: &FrozenLaunch, send: &Send) -> Result<Vec<Observed>, ProviderError> {
        launch::check(frozen)?;
        match &frozen.body {
            LaunchBody::Machine(body) => launch::machine(self, frozen, body, send).await,
            LaunchBody::Firewall(body) => firewall::launch(self, frozen, body, send).await,
            LaunchBody::KeyPair { public_key } => key_pair::launch(self, frozen, public_key, send).await,
            LaunchBody::Snapshot { of } => snapshot::launch(self, frozen, of, send).await,
            other => Err(invalid(format!("OpenStack is not used for a {} here", other.kind()))),
        }
    }

    async fn find(&self, query: &FindQuery) -> Result<Vec<Observed>, ProviderError> {
        list::find(self, query).await
    }

    async fn get(&self, kind: ResourceKind, ids: &[ResourceId]) -> Result<Vec<Sighting>, ProviderError> {
        list::get(self, kind, ids).await
    }

    async fn list_owned(&self, after: Option<Cursor>) -> Result<OwnedPage, ProviderError> {
        list::owned(self, after).await
    }

    async fn act(&self, on: &OwnedHandle, act: Act) -> Result<Accepted, ProviderError> {
        act::act(self, on, act).await
    }

    async fn measure(&self, _ids: &[ResourceId], query: &MetricQuery) -> Result<Vec<Series>, ProviderError> {
        Err(invalid(format!("metric {:?} is not read from OpenStack", query.metric)))
    }
}
