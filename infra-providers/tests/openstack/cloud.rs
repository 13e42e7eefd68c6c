//! A fake cloud, and providers in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::Clock;
use infra_core::contracts::provider::{CloudDriver, CloudProvider, FindQuery, OwnedHandle, Send};
use infra_core::nouns::cloud::{Observed, Sighting, ThingState};
use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::request::Market;
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{InstallationId, LaunchToken, Region, ResourceId};
use infra_core::words::lane::{Lane, Mark, ResourceKind, Version};
use infra_core::words::secret::Secret;
use infra_providers::openstack::{OpenStackDriver, OpenStackFake, OpenStackSettings};
use infra_providers::sim::{Rule, SimConfig, SimWorld, TruthThing};

pub(crate) fn settings(config: &SimConfig) -> OpenStackSettings {
    let regions = config.regions.iter().map(|region| region.name.clone()).collect();
    let mut settings = OpenStackSettings::new(config.cloud.clone(), &OpenStackFake::auth_url(), regions);
    settings.visible_within = config.visible_within;
    settings.simulated = true;
    settings
}

pub(crate) fn credential(kind: &str, fields: &[(&str, &str)]) -> Credential {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
    let provider = "openstack".parse().expect("a literal name");
    Credential { provider, kind: kind.to_owned(), fields: fields.collect() }
}

pub(crate) fn password(secret: &str) -> Credential {
    credential("password", &[("username", "ada"), ("password", secret), ("project_name", "laws")])
}

/// One project of a fresh cloud.
pub(crate) struct Cloud {
    pub(crate) fake: Arc<OpenStackFake>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) driver: OpenStackDriver,
    pub(crate) lane: Lane,
    pub(crate) installation: InstallationId,
    pub(crate) entropy: Arc<SeededEntropy>,
}

impl Cloud {
    pub(crate) fn new(config: SimConfig) -> Self {
        Self::with(config, |fake| fake)
    }

    pub(crate) fn with(config: SimConfig, change: impl FnOnce(OpenStackFake) -> OpenStackFake) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let settings = settings(&config);
        let fake = Arc::new(change(OpenStackFake::new(SimWorld::new(config, clock.clone()))));
        let driver = OpenStackDriver::new(settings, fake.clone(), clock.clone());
        let entropy = Arc::new(SeededEntropy::new(1));
        let lane = Lane {
            cloud: driver.name(),
            endpoint: driver.endpoint(),
            account: "laws".parse().expect("a literal name"),
            region: Region::new("RegionOne").expect("a literal name"),
        };
        let installation = InstallationId::draw(clock.wall(), entropy.as_ref());
        Self { fake, clock, driver, lane, installation, entropy }
    }

    pub(crate) async fn provider(&self, secret: &str) -> Arc<dyn CloudProvider> {
        let connected = self.driver.connect(&password(secret), &self.lane, self.installation).await;
        connected.expect("a key of the right form")
    }

    pub(crate) fn frozen(&self, body: LaunchBody) -> FrozenLaunch {
        let token = LaunchToken::draw(self.clock.wall(), self.entropy.as_ref());
        let kind = body.kind();
        let mark = Mark { installation: self.installation, token, kind, seq: Version(7) };
        let machine = kind == ResourceKind::Machine;
        FrozenLaunch {
            token,
            mark,
            name: if machine { format!("web-{token}") } else { mark.to_name() },
            count: 1,
            zone: machine.then(|| "use1-az1".parse().expect("a literal name")),
            labels: BTreeMap::from([("team".to_owned(), "engines".to_owned())]),
            body,
        }
    }

    pub(crate) fn machine(&self) -> FrozenLaunch {
        self.frozen(LaunchBody::Machine(machine()))
    }

    pub(crate) fn firewall(&self, allow_from: &[&str]) -> FrozenLaunch {
        let allow_from = allow_from.iter().map(ToString::to_string).collect();
        self.frozen(LaunchBody::Firewall(FirewallBody::open_to(allow_from)))
    }

    pub(crate) fn send(&self) -> Send {
        Send { user_data: None, files: None, deadline: self.clock.mono() + Duration::from_secs(30) }
    }

    pub(crate) fn rule(&self, rule: Rule) {
        self.fake.world().rule(rule);
    }

    pub(crate) fn alive(&self) -> Vec<TruthThing> {
        self.fake.world().truth().into_iter().filter(TruthThing::alive).collect()
    }

    pub(crate) fn handle(&self, thing: &Observed, frozen: &FrozenLaunch) -> OwnedHandle {
        OwnedHandle::unproven(thing.id.clone(), thing.kind, self.lane.clone(), frozen.mark)
    }
}

pub(crate) fn machine() -> MachineBody {
    MachineBody {
        type_name: "t3.small".parse().expect("a literal name"),
        image: "sim-ubuntu-24.04-x86_64-1".parse().expect("a literal name"),
        disk_gib: 0,
        market: Market::OnDemand,
        user_data: None,
        ssh_public_keys: Vec::new(),
        firewall: None,
        key_pair: None,
        private_only: false,
        options: Default::default(),
        files: None,
        spot_max: None,
    }
}

pub(crate) fn query(frozen: &FrozenLaunch) -> FindQuery {
    let (token, kind, name) = (frozen.token, frozen.body.kind(), frozen.name.clone());
    FindQuery { token, kind, name, since: Timestamp::UNIX_EPOCH }
}

pub(crate) async fn look(provider: &dyn CloudProvider, kind: ResourceKind, id: &ResourceId) -> Sighting {
    let mut seen = provider.get(kind, std::slice::from_ref(id)).await.expect("can be looked at");
    seen.remove(0)
}

pub(crate) fn state(seen: &Sighting) -> Option<ThingState> {
    match seen {
        Sighting::Present(thing) => Some(thing.state),
        Sighting::Absent(_) => None,
    }
}
