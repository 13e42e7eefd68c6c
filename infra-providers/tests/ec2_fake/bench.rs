//! A lane of EC2 over a sim, and what a test does with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::provider::{OwnedHandle, ProviderError, Send};
use infra_core::nouns::cloud::{Act, Observed, Sighting, ThingState};
use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::request::{Arch, Market};
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::ids::{InstallationId, LaunchToken, Zone};
use infra_core::words::lane::{Lane, Mark, ResourceKind, Version};
use infra_core::words::secret::Secret;
use infra_core::{Clock, CloudDriver, CloudProvider};
use infra_providers::aws::fake::{AmbientFake, Ec2Fake};
use infra_providers::aws::{AwsDriver, AwsSettings};
use infra_providers::sim::SimWorld;

/// The account that every key of these tests reaches.
pub(crate) const ACCOUNT: &str = "123456789012";

pub(crate) struct Bench {
    pub(crate) ec2: Arc<Ec2Fake>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) driver: AwsDriver,
    pub(crate) provider: Arc<dyn CloudProvider>,
    pub(crate) installation: InstallationId,
    pub(crate) machine: MachineBody,
    /// Those that have the machine's type.
    pub(crate) zones: Vec<Zone>,
    entropy: SeededEntropy,
}

pub(crate) fn lane() -> Lane {
    Lane {
        cloud: "aws".parse().expect("a literal name"),
        endpoint: infra_core::words::lane::Endpoint::default(),
        account: ACCOUNT.parse().expect("a literal name"),
        region: "us-east-1".parse().expect("a literal name"),
    }
}

pub(crate) fn credential(kind: &str, fields: &[(&str, &str)]) -> Credential {
    let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), Secret::new((*value).to_owned())));
    Credential {
        provider: "aws".parse().expect("a literal name"),
        kind: kind.to_owned(),
        fields: fields.collect(),
    }
}

pub(crate) fn key(id: &str) -> Credential {
    credential("static", &[("access_key_id", id), ("secret_access_key", "hunter2")])
}

pub(crate) fn ours() -> Credential {
    key(&format!("sim-{ACCOUNT}"))
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(1, |_| ()).await
    }

    pub(crate) async fn with(seed: u64, adjust: impl FnOnce(&mut AwsSettings)) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let mut config = Ec2Fake::config(seed);
        config.page = 2;
        let ec2 = Ec2Fake::new(SimWorld::new(config, clock.clone()));
        let mut settings = ec2.settings();
        adjust(&mut settings);
        let ambient = AmbientFake { ec2: Arc::clone(&ec2), account: ACCOUNT.to_owned() };
        let connector = Arc::new(Arc::clone(&ec2));
        let driver =
            AwsDriver::with_connector(settings, connector, clock.clone()).with_ambient(Arc::new(ambient));
        let entropy = SeededEntropy::new(seed);
        let installation = InstallationId::draw(clock.wall(), &entropy);
        let provider = driver.connect(&ours(), &lane(), installation).await.expect("connects");
        let catalogue = provider.catalogue().await.expect("has a catalogue");
        let offering = catalogue.offerings.iter().find(|one| one.type_name.as_str() == "t3.micro");
        let zones = offering.expect("is offered").zones.clone();
        let machine = MachineBody {
            type_name: "t3.micro".parse().expect("a literal name"),
            image: catalogue.newest_image("ubuntu 24.04", Arch::X86_64).expect("there is one").id.clone(),
            disk_gib: 20,
            market: Market::OnDemand,
            user_data: None,
            ssh_public_keys: Vec::new(),
            firewall: None,
            key_pair: None,
            private_only: false,
            options: Default::default(),
            files: None,
            spot_max: None,
        };
        Self { ec2, clock, driver, provider, installation, machine, zones, entropy }
    }

    pub(crate) fn frozen(&self, body: LaunchBody) -> FrozenLaunch {
        let token = LaunchToken::draw(self.clock.wall(), &self.entropy);
        let mark = Mark { installation: self.installation, token, kind: body.kind(), seq: Version(3) };
        let machine = body.kind() == ResourceKind::Machine;
        FrozenLaunch {
            token,
            mark,
            name: if machine { format!("infra-{token}") } else { mark.to_name() },
            count: 1,
            zone: self.zones.first().cloned().filter(|_| machine),
            labels: BTreeMap::from([("team".to_owned(), "lab".to_owned())]),
            body,
        }
    }

    pub(crate) fn machine(&self, adjust: impl FnOnce(&mut MachineBody)) -> FrozenLaunch {
        let mut body = self.machine.clone();
        adjust(&mut body);
        self.frozen(LaunchBody::Machine(body))
    }

    /// May leave for the next 30 seconds.
    pub(crate) fn send(&self) -> Send {
        Send { user_data: None, files: None, deadline: self.clock.mono() + Duration::from_secs(30) }
    }

    pub(crate) async fn launch(&self, frozen: &FrozenLaunch) -> Result<Vec<Observed>, ProviderError> {
        self.provider.launch(frozen, &self.send()).await
    }

    pub(crate) fn handle(&self, one: &Observed, frozen: &FrozenLaunch) -> OwnedHandle {
        OwnedHandle::unproven(one.id.clone(), one.kind, lane(), frozen.mark)
    }

    pub(crate) async fn act(
        &self,
        one: &Observed,
        frozen: &FrozenLaunch,
        act: Act,
    ) -> Result<(), ProviderError> {
        self.provider.act(&self.handle(one, frozen), act).await.map(drop)
    }

    pub(crate) async fn state(&self, one: &Observed) -> Option<ThingState> {
        let mut seen = self.provider.get(one.kind, std::slice::from_ref(&one.id)).await.expect("an answer");
        match seen.pop() {
            Some(Sighting::Present(one)) => Some(one.state),
            _ => None,
        }
    }

    /// Looks until it is in this state.
    pub(crate) async fn until(&self, one: &Observed, state: ThingState) {
        for _ in 0..200 {
            if self.state(one).await == Some(state) {
                return;
            }
            self.clock.advance(Duration::from_millis(100));
        }
        panic!("{} never became {state:?}", one.id);
    }
}
