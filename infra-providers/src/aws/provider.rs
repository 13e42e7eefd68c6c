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

use super::api::{ApiFailure, Ec2Api, MachineImage};
use super::errors::provider_error;
use super::prices::AwsPrices;
use super::settings::AwsSettings;
use super::{act, catalogue, firewall, key_pair, launch, list};
use crate::failure::{Verb, garbled, invalid, time_left};

/// Machines that one RunInstances may ask for.
///
/// EC2 would take a thousand; but a call is all or nothing (`MinCount` = `MaxCount`), so a large one fails for a
/// small lack of capacity, and whatever is lost with one unknown answer is at most this many.
pub(super) const MACHINES_PER_CALL: u16 = 50;

/// EC2 shows a terminated machine "for a short while (usually an hour)".
const GONE_SHOWN_FOR: Duration = Duration::from_secs(60 * 60);

/// A client token is good for at least 24 hours after its machines ended.
const TOKEN_KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// EC2 in one lane.
#[derive(Debug)]
pub struct Ec2Provider {
    pub(super) api: Arc<dyn Ec2Api>,
    pub(super) lane: Lane,
    pub(super) installation: InstallationId,
    pub(super) settings: Arc<AwsSettings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) prices: Arc<AwsPrices>,
    /// Disks of images, which never change for an id.
    pub(super) images: Mutex<BTreeMap<String, Arc<MachineImage>>>,
    facts: Facts,
}

impl Ec2Provider {
    /// Takes an API that is bound to the lane's key and region.
    #[must_use]
    pub fn new(
        api: Arc<dyn Ec2Api>,
        lane: Lane,
        installation: InstallationId,
        settings: Arc<AwsSettings>,
        clock: Arc<dyn Clock>,
        prices: Arc<AwsPrices>,
    ) -> Self {
        let facts = facts(&settings);
        Self { api, lane, installation, settings, clock, prices, images: Mutex::default(), facts }
    }

    /// How long a create call may still take; an error when it may not leave any more.
    pub(super) fn time_left(&self, send: &Send) -> Result<Duration, ProviderError> {
        time_left(self.clock.mono(), send.deadline, self.settings.call_timeout)
    }
}

/// What is true of EC2.
///
/// *Machines* carry a client token, kept 24 hours after the end, scoped to the zone that the call names.
/// *Firewalls and key pairs* have no token, but a name that is unique in its VPC or region: a second create of that
/// name is refused, and the refusal is answered with what stands there if it carries this attempt's mark. So a
/// replay is safe, like one with a token, with one difference: the name is free again the moment the thing ends,
/// hence `valid_after_end` zero.
///
/// Rates are EC2's documented request buckets per account and region: RunInstances 5, refilled by 2 a second;
/// TerminateInstances 100, refilled by 5. Other users of the account draw on the same buckets.
fn facts(settings: &AwsSettings) -> Facts {
    let kind = |kind, token, max_batch, gone_shown_for| KindFacts {
        kind,
        token,
        max_batch,
        visible_within: settings.visible_within,
        gone_shown_for,
        of_maker: false,
    };
    let named = TokenScope::Token { valid_after_end: Duration::ZERO, per_zone: false };
    let token = TokenScope::Token { valid_after_end: TOKEN_KEPT_FOR, per_zone: true };
    Facts {
        kinds: vec![
            kind(ResourceKind::Machine, token, MACHINES_PER_CALL, GONE_SHOWN_FOR),
            kind(ResourceKind::Firewall, named, 1, Duration::ZERO),
            kind(ResourceKind::KeyPair, named, 1, Duration::ZERO),
        ],
        off_modes: vec![PowerMode::Stop, PowerMode::Hibernate],
        create_rate: Rate { per_second: 2.0, burst: 5 },
        terminate_rate: Rate { per_second: 5.0, burst: 100 },
        open_creates_max: 20,
        reads: infra_core::contracts::provider::ReadPace::default(),
        login: infra_core::contracts::provider::LoginScheme::Ec2,
        simulated: settings.simulated,
    }
}

/// Asks STS.
pub(super) async fn identity_of(api: &dyn Ec2Api) -> Result<Identity, ProviderError> {
    let caller = api.caller_identity().await.map_err(looked)?;
    let account = AccountId::new(caller.account).map_err(|error| garbled(error.to_string()))?;
    Ok(Identity { account, principal: caller.arn })
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
impl CloudProvider for Ec2Provider {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn identify(&self) -> Result<Identity, ProviderError> {
        identity_of(&*self.api).await
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        catalogue::read(self).await
    }

    async fn launch(&self, frozen: &FrozenLaunch, send: &Send) -> Result<Vec<Observed>, ProviderError> {
        launch::check(frozen)?;
        match &frozen.body {
            LaunchBody::Machine(body) => launch::machines(self, frozen, body, send).await,
            LaunchBody::Firewall(body) => firewall::launch(self, frozen, body, send).await,
            LaunchBody::KeyPair { public_key } => key_pair::launch(self, frozen, public_key, send).await,
            other => Err(invalid(format!("EC2 is not used for a {} here", other.kind()))),
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
        Err(invalid(format!("metric {:?} is not read from AWS", query.metric)))
    }
}
