//! One key in one region, as the contract wants it. The verbs live in the files beside.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::{
    CloudProvider, Facts, FindQuery, Identity, KindFacts, MetricQuery, OwnedHandle, ProviderError, ReadPace,
    Send, Series, TokenScope,
};
use infra_core::nouns::cloud::{Accepted, Act, Cursor, Observed, OwnedPage, PowerMode, Sighting};
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody};
use infra_core::nouns::offering::Catalogue;
use infra_core::words::clock::Clock;
use infra_core::words::ids::{AccountId, InstallationId, ResourceId};
use infra_core::words::lane::{Lane, ResourceKind};
use infra_core::words::limits::Rate;

use super::api::Api;
use super::errors::provider_error;
use super::settings::DigitalOceanSettings;
use super::{act, catalogue, firewall, launch, list, snapshot};
use crate::failure::{ApiFailure, Verb, garbled, invalid, time_left};
use crate::prices::PriceFeed;

/// DigitalOcean in one lane.
#[derive(Debug)]
pub struct DigitalOceanProvider {
    pub(super) api: Api,
    pub(super) lane: Lane,
    pub(super) installation: InstallationId,
    pub(super) settings: Arc<DigitalOceanSettings>,
    pub(super) clock: Arc<dyn Clock>,
    /// Where it is noted how old prices are.
    pub(super) prices: Option<Arc<PriceFeed>>,
    facts: Facts,
}

impl DigitalOceanProvider {
    /// Takes an API that is bound to the lane's key.
    #[must_use]
    pub fn new(
        api: Api,
        lane: Lane,
        installation: InstallationId,
        settings: Arc<DigitalOceanSettings>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let facts = facts(&settings);
        Self { api, lane, installation, settings, clock, prices: None, facts }
    }

    /// The same, noting in a feed what it hears of prices.
    #[must_use]
    pub fn with_prices(self, prices: Option<Arc<PriceFeed>>) -> Self {
        Self { prices, ..self }
    }

    /// How long a create call may still take; an error when it may not leave any more.
    pub(super) fn time_left(&self, send: &Send) -> Result<Duration, ProviderError> {
        time_left(self.clock.mono(), send.deadline, self.settings.call_timeout)
    }
}

/// Between two looks at what is in motion.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Between two listings; each is four requests or more.
const LIST_EVERY: Duration = Duration::from_secs(30);

/// What is true of DigitalOcean.
///
/// *Machines and snapshots* have no token, and their names are unique to nobody. *Firewalls* have a name that is
/// unique in the account, which makes a replay as safe as a token does, until the firewall has ended.
///
/// A key may make 250 requests a minute and 5,000 an hour, of all kinds together; there is no rate of its own for
/// creating or ending. So it is looked at seldom: a lane in motion takes 360 looks and 120 listings of four requests
/// an hour, 840 of 5,000, and leaves the rest to other regions, to creates and to ends.
fn facts(settings: &DigitalOceanSettings) -> Facts {
    let kind = |kind, token, visible_within| KindFacts {
        kind,
        token,
        max_batch: 1,
        visible_within,
        gone_shown_for: Duration::ZERO,
        of_maker: false,
    };
    let named = TokenScope::Token { valid_after_end: Duration::ZERO, per_zone: false };
    Facts {
        kinds: vec![
            kind(ResourceKind::Machine, TokenScope::None, settings.visible_within),
            kind(ResourceKind::Firewall, named, settings.visible_within),
            kind(ResourceKind::Snapshot, TokenScope::None, settings.snapshot_within),
        ],
        off_modes: vec![PowerMode::Snapshot],
        create_rate: Rate { per_second: 1.0, burst: 10 },
        terminate_rate: Rate { per_second: 2.5, burst: 10 },
        open_creates_max: 10,
        reads: if settings.unmetered {
            ReadPace::default()
        } else {
            ReadPace { look_every: LOOK_EVERY, list_every: LIST_EVERY }
        },
        login: infra_core::contracts::provider::LoginScheme::Root,
        simulated: settings.simulated,
    }
}

/// Who the key is: the team, or else the account, that pays.
pub(super) async fn identity_of(api: &Api) -> Result<Identity, ProviderError> {
    let account = api.account().await.map_err(looked)?;
    let (payer, name) = match account.team {
        Some(team) => (team.uuid, team.name),
        None => (account.uuid, None),
    };
    let principal = name.map_or(account.email, |name| format!("team {name}"));
    Ok(Identity { account: AccountId::new(payer).map_err(|error| garbled(error.to_string()))?, principal })
}

/// A look-up failed.
pub(super) fn looked(failure: ApiFailure) -> ProviderError {
    provider_error(Verb::Look, failure)
}

/// A changing call failed.
pub(super) fn changed(failure: ApiFailure) -> ProviderError {
    provider_error(Verb::Change, failure)
}

pub(super) fn not_made(kind: ResourceKind) -> ProviderError {
    invalid(format!("DigitalOcean is not used for a {kind} here"))
}

#[async_trait]
impl CloudProvider for DigitalOceanProvider {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    async fn identify(&self) -> Result<Identity, ProviderError> {
        identity_of(&self.api).await
    }

    async fn catalogue(&self) -> Result<Catalogue, ProviderError> {
        catalogue::read(self).await
    }

    async fn launch(&self, frozen: &FrozenLaunch, send: &Send) -> Result<Vec<Observed>, ProviderError> {
        launch::check(frozen)?;
        match &frozen.body {
            LaunchBody::Machine(body) => launch::machine(self, frozen, body, send).await,
            LaunchBody::Firewall(body) => firewall::launch(self, frozen, body, send).await,
            LaunchBody::Snapshot { of } => snapshot::launch(self, frozen, of, send).await,
            other => Err(not_made(other.kind())),
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
        Err(invalid(format!("metric {:?} is not read from DigitalOcean", query.metric)))
    }
}
