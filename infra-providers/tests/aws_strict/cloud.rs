//! Where the emulator is, and providers in it. Every test has a region of its own, so that none sees another's things.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::provider::{CloudDriver, CloudProvider, FindQuery, OwnedHandle, Send};
use infra_core::nouns::cloud::{Observed, Sighting, ThingState};
use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::request::{Arch, Market};
use infra_core::words::clock::{Clock, Timestamp};
use infra_core::words::ids::{InstallationId, LaunchToken, ResourceId};
use infra_core::words::lane::{Endpoint, Lane, Mark, ResourceKind, Version};
use infra_core::words::secret::Secret;
use infra_core::{SystemClock, SystemEntropy};
use infra_providers::aws::{AwsDriver, AwsSettings, ImageSource};
use tokio::sync::{RwLock, RwLockReadGuard};

/// An image that the emulator has in every region.
pub(crate) const IMAGE: &str = "ami-12c6146b";

/// Whoever makes the emulator check signatures holds it alone.
pub(crate) static CHECKING: RwLock<()> = RwLock::const_new(());

/// `http://127.0.0.1:PORT` of one of the counterparts, or `None` with a loud word; a panic in the stage on CI.
#[allow(clippy::print_stderr, reason = "nobody may take a skipped test for a passed one")]
pub(crate) fn counterpart(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
        assert!(
            !(is("CI", "true") && is("INFRA_STAGE", "aws")),
            "{variable} is not set, and CI skips nothing"
        );
        eprintln!("SKIPPED, because {variable} is not set: run scripts/test --only aws");
    }
    found
}

/// One region of the emulator, reached straight or through the proxy.
pub(crate) struct Cloud {
    pub(crate) driver: AwsDriver,
    pub(crate) provider: Arc<dyn CloudProvider>,
    pub(crate) lane: Lane,
    pub(crate) installation: InstallationId,
    /// A plain client of the SDK, to see what is really there.
    pub(crate) truth: aws_sdk_ec2::Client,
    unchecked: Option<RwLockReadGuard<'static, ()>>,
}

pub(crate) fn settings(endpoint: &str, region: &str) -> AwsSettings {
    let mut settings = AwsSettings::default();
    settings.endpoint = Endpoint(endpoint.to_owned());
    settings.regions = vec![region.parse().expect("a literal name")];
    settings.simulated = true;
    settings.call_timeout = Duration::from_secs(10);
    settings.images = vec![ImageSource {
        os: "ubuntu 16.04".into(),
        owner: "099720109477".into(),
        pattern: "ubuntu/images/hvm-ssd/ubuntu-xenial-16.04-amd64-server-*".into(),
        arch: Arch::X86_64,
    }];
    settings
}

pub(crate) fn lane(endpoint: &str, region: &str) -> Lane {
    Lane {
        cloud: "aws".parse().expect("a literal name"),
        endpoint: Endpoint(endpoint.to_owned()),
        account: "123456789012".parse().expect("a literal name"),
        region: region.parse().expect("a literal name"),
    }
}

pub(crate) fn credential(id: &str, secret: &str) -> Credential {
    let field = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
    Credential {
        provider: "aws".parse().expect("a literal name"),
        kind: "static".into(),
        fields: BTreeMap::from([field("access_key_id", id), field("secret_access_key", secret)]),
    }
}

pub(crate) fn driver(settings: AwsSettings) -> AwsDriver {
    AwsDriver::new(settings, Arc::new(SystemClock))
}

impl Cloud {
    /// Straight to the emulator.
    pub(crate) async fn in_region(region: &str) -> Option<Self> {
        Some(Self::at(&counterpart("INFRA_TEST_EC2_ENDPOINT")?, region).await)
    }

    pub(crate) async fn at(endpoint: &str, region: &str) -> Self {
        Self::with(settings(endpoint, region), endpoint, region).await
    }

    pub(crate) async fn with(settings: AwsSettings, endpoint: &str, region: &str) -> Self {
        let unchecked = CHECKING.read().await;
        let mut cloud = Self::unguarded(settings, endpoint, region).await;
        cloud.unchecked = Some(unchecked);
        cloud
    }

    /// Another installation in the same region. It needs no guard of its own, and waiting for one behind whoever waits
    /// for this one's to end would last for ever.
    pub(crate) async fn stranger(&self) -> Self {
        let (endpoint, region) = (&self.lane.endpoint.0, self.lane.region.as_str());
        Self::unguarded(settings(endpoint, region), endpoint, region).await
    }

    async fn unguarded(settings: AwsSettings, endpoint: &str, region: &str) -> Self {
        let straight = std::env::var("INFRA_TEST_EC2_ENDPOINT").expect("asked before");
        // States take their time, listings lag, look-ups by id only just after birth: as at EC2.
        let strict = r#"{"STRICT_BOOT_S": 0.3, "STRICT_STOP_S": 0.3, "STRICT_LIST_LAG_S": 0.4, "STRICT_ID_LAG_S": 0.1}"#;
        http(&straight, "POST", "/moto-api/strict", &[("Content-Type", "application/json")], strict);
        let (driver, lane) = (driver(settings), lane(endpoint, region));
        let installation = InstallationId::draw(SystemClock.wall(), &SystemEntropy);
        let provider =
            driver.connect(&credential("free", "free"), &lane, installation).await.expect("a good key");
        let truth = aws_sdk_ec2::Config::builder()
            .behavior_version(aws_sdk_ec2::config::BehaviorVersion::latest())
            .region(aws_sdk_ec2::config::Region::new(region.to_owned()))
            .endpoint_url(straight)
            .credentials_provider(aws_sdk_ec2::config::Credentials::new("free", "free", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let truth = aws_sdk_ec2::Client::from_conf(truth);
        Self { driver, provider, lane, installation, truth, unchecked: None }
    }

    /// From now on, new machines of this region are missing for so many seconds: by id, and in listings.
    pub(crate) fn lags(&self, id_s: u32, list_s: u32) {
        let straight = std::env::var("INFRA_TEST_EC2_ENDPOINT").expect("asked before");
        let region = &self.lane.region;
        let lags =
            format!(r#"{{"region": "{region}", "STRICT_ID_LAG_S": {id_s}, "STRICT_LIST_LAG_S": {list_s}}}"#);
        http(&straight, "POST", "/moto-api/strict", &[("Content-Type", "application/json")], &lags);
    }

    pub(crate) fn frozen(&self, count: u16, zone: &str, body: LaunchBody) -> FrozenLaunch {
        frozen(self.installation, count, &format!("{}{zone}", self.lane.region), body)
    }

    pub(crate) fn machine(&self, count: u16) -> FrozenLaunch {
        self.frozen(count, "a", LaunchBody::Machine(body()))
    }

    pub(crate) fn firewall(&self, allow_from: &[&str]) -> FrozenLaunch {
        let allow_from = allow_from.iter().map(|block| (*block).to_owned()).collect();
        self.frozen(1, "a", LaunchBody::Firewall(FirewallBody::open_to(allow_from)))
    }

    pub(crate) fn handle(&self, id: &ResourceId, frozen: &FrozenLaunch) -> OwnedHandle {
        OwnedHandle::unproven(id.clone(), frozen.body.kind(), self.lane.clone(), frozen.mark)
    }

    /// Waits until a thing is seen by id in a state.
    pub(crate) async fn seen(&self, kind: ResourceKind, id: &ResourceId, state: ThingState) -> Observed {
        for _ in 0..100 {
            let ids = std::slice::from_ref(id);
            let mut seen = self.provider.get(kind, ids).await.expect("looked");
            match seen.pop() {
                Some(Sighting::Present(one)) if one.state == state => return *one,
                _ => SystemClock.sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("{id} did not become {state:?}");
    }
}

pub(crate) fn frozen(installation: InstallationId, count: u16, zone: &str, body: LaunchBody) -> FrozenLaunch {
    let token = LaunchToken::draw(SystemClock.wall(), &SystemEntropy);
    let mark = Mark { installation, token, kind: body.kind(), seq: Version(5) };
    let machine = body.kind() == ResourceKind::Machine;
    FrozenLaunch {
        token,
        mark,
        name: if machine { format!("infra-{token}") } else { mark.to_name() },
        count,
        zone: Some(zone.parse().expect("a zone")),
        labels: BTreeMap::from([("team".to_owned(), "lab".to_owned())]),
        body,
    }
}

pub(crate) fn body() -> MachineBody {
    MachineBody {
        type_name: "t3.micro".parse().expect("a literal name"),
        image: IMAGE.parse().expect("a literal name"),
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
    }
}

/// May leave for the next 30 seconds.
pub(crate) fn send() -> Send {
    Send { user_data: None, files: None, deadline: SystemClock.mono() + Duration::from_secs(30) }
}

pub(crate) fn query(frozen: &FrozenLaunch) -> FindQuery {
    let (token, kind, name) = (frozen.token, frozen.body.kind(), frozen.name.clone());
    FindQuery { token, kind, name, since: Timestamp::UNIX_EPOCH }
}

/// One HTTP call to a control API; answers the body.
pub(crate) fn http(base: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let host = base.strip_prefix("http://").expect("loopback, without TLS");
    let mut stream = TcpStream::connect(host).expect("the counterpart runs");
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .expect("sent");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout above zero");
    let mut lines = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    // Not until the end of the connection: the proxy's control API keeps it.
    while !head.ends_with("\r\n\r\n") {
        let from = head.len();
        assert!(lines.read_line(&mut head).expect("answered") > 0, "{method} {path} ended after {head:?}");
        let line = head[from..].to_ascii_lowercase();
        length = line
            .strip_prefix("content-length:")
            .map_or(length, |text| text.trim().parse().expect("a length"));
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).expect("answered whole");
    let body = String::from_utf8(body).expect("text");
    assert!(
        head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')),
        "{method} {path}: {head}{body}"
    );
    body
}
