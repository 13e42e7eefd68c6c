//! The logic of the EC2 provider over an EC2 in memory: no SDK, no socket, virtual time.

mod fake;
mod firewalls;
mod looking;
mod machines;
mod pricing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::provider::{CloudDriver, CloudProvider, OwnedHandle, Send};
use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::request::{Arch, Market};
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::clock::Clock;
use infra_core::words::ids::{InstallationId, LaunchToken, ResourceId};
use infra_core::words::lane::{Lane, Mark, ResourceKind, Version};
use infra_core::words::secret::Secret;
use infra_providers::aws::{AwsDriver, AwsSettings, ImageSource};

use fake::{FakeEc2, ToFake};

pub(crate) struct Bench {
    pub(crate) ec2: Arc<FakeEc2>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) driver: AwsDriver,
    pub(crate) provider: Arc<dyn CloudProvider>,
    pub(crate) installation: InstallationId,
    entropy: SeededEntropy,
}

pub(crate) fn lane() -> Lane {
    Lane {
        cloud: "aws".parse().expect("a literal name"),
        endpoint: infra_core::words::lane::Endpoint::default(),
        account: "123456789012".parse().expect("a literal name"),
        region: "us-east-1".parse().expect("a literal name"),
    }
}

pub(crate) fn credential(fields: &[(&str, &str)]) -> Credential {
    let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), Secret::new((*value).to_owned())));
    Credential {
        provider: "aws".parse().expect("a literal name"),
        kind: "static".into(),
        fields: fields.collect(),
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// `slow_images`: looking at an image takes ten seconds.
    pub(crate) async fn slow_images() -> Self {
        Self::with(|(ec2, clock): (&mut FakeEc2, &Arc<VirtualClock>)| ec2.clock = Some(Arc::clone(clock)))
            .await
    }

    async fn with(adjust: impl FnOnce((&mut FakeEc2, &Arc<VirtualClock>))) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let mut ec2 = FakeEc2::default();
        adjust((&mut ec2, &clock));
        let ec2 = Arc::new(ec2);
        let mut settings = AwsSettings::default();
        let source = |os: &str, arch| ImageSource {
            os: os.into(),
            owner: "self".into(),
            pattern: "ami-*".into(),
            arch,
        };
        settings.images = vec![source("ubuntu 24.04", Arch::X86_64)];
        let connector = Arc::new(ToFake(Arc::clone(&ec2)));
        let driver = AwsDriver::with_connector(settings, connector, Arc::clone(&clock) as Arc<dyn Clock>);
        let entropy = SeededEntropy::new(7);
        let installation = InstallationId::draw(clock.wall(), &entropy);
        let key = credential(&[("access_key_id", "AKIA"), ("secret_access_key", "hunter2")]);
        let provider = driver.connect(&key, &lane(), installation).await.expect("a good key and lane");
        Self { ec2, clock, driver, provider, installation, entropy }
    }

    pub(crate) fn frozen(&self, count: u16, body: LaunchBody) -> FrozenLaunch {
        let token = LaunchToken::draw(self.clock.wall(), &self.entropy);
        let mark = Mark { installation: self.installation, token, kind: body.kind(), seq: Version(3) };
        let machine = body.kind() == ResourceKind::Machine;
        FrozenLaunch {
            token,
            mark,
            name: if machine { format!("infra-{token}") } else { mark.to_name() },
            count,
            zone: Some("us-east-1a".parse().expect("a literal name")),
            labels: BTreeMap::from([("team".into(), "lab".into()), ("infra-kind".into(), "forged".into())]),
            body,
        }
    }

    pub(crate) fn machine(&self, count: u16) -> FrozenLaunch {
        self.frozen(count, LaunchBody::Machine(machine_body()))
    }

    pub(crate) fn firewall(&self, allow_from: &[&str]) -> FrozenLaunch {
        let allow_from = allow_from.iter().map(|block| (*block).to_owned()).collect();
        self.frozen(1, LaunchBody::Firewall(FirewallBody::open_to(allow_from)))
    }

    /// May leave for the next 30 seconds.
    pub(crate) fn send(&self) -> Send {
        Send { user_data: None, files: None, deadline: self.clock.mono() + Duration::from_secs(30) }
    }

    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.ec2.with(|world| world.calls.clone())
    }

    pub(crate) fn handle(&self, id: &ResourceId, frozen: &FrozenLaunch) -> OwnedHandle {
        OwnedHandle::unproven(id.clone(), frozen.body.kind(), lane(), frozen.mark)
    }
}

pub(crate) fn machine_body() -> MachineBody {
    MachineBody {
        type_name: "t3.micro".parse().expect("a literal name"),
        image: "ami-1".parse().expect("a literal name"),
        disk_gib: 20,
        market: Market::OnDemand,
        user_data: None,
        ssh_public_keys: Vec::new(),
        firewall: Some("sg-1".parse().expect("a literal name")),
        key_pair: Some("infra-key".into()),
        private_only: true,
        options: Default::default(),
        files: None,
        spot_max: None,
    }
}
