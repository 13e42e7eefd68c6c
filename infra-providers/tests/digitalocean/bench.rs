//! A lane of DigitalOcean over a sim, and what a test does with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::{FindQuery, OwnedHandle, ProviderError, Send};
use infra_core::nouns::cloud::{Observed, Sighting};
use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::request::{Arch, Market};
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{InstallationId, LaunchToken, ResourceId};
use infra_core::words::lane::{Lane, Mark, ResourceKind, Version};
use infra_core::words::secret::Secret;
use infra_core::{Clock, CloudDriver, CloudProvider};
use infra_providers::digitalocean::fake::DigitalOceanFake;
use infra_providers::digitalocean::{DigitalOceanDriver, DigitalOceanSettings};
use infra_providers::http::{HttpRequest, HttpResponse, Transport, TransportError};
use infra_providers::sim::{SimConfig, SimWorld, TruthThing};

/// Writes down what passes, and lets a test bend answers.
#[derive(Debug)]
pub(crate) struct Wire {
    inner: DigitalOceanFake,
    seen: Mutex<Vec<(String, Option<serde_json::Value>)>>,
    bend: Mutex<Vec<(String, HttpResponse)>>,
}

impl Wire {
    /// `POST /v2/droplets`, in order, without queries.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").iter().map(|(call, _)| call.clone()).collect()
    }

    pub(crate) fn forget(&self) {
        self.seen.lock().expect("no panic").clear();
    }

    /// Bodies of the calls that begin so.
    pub(crate) fn bodies(&self, call: &str) -> Vec<serde_json::Value> {
        let seen = self.seen.lock().expect("no panic");
        seen.iter().filter(|(seen, _)| seen == call).filter_map(|(_, body)| body.clone()).collect()
    }

    /// The next call of this kind is answered so, and reaches nobody.
    pub(crate) fn answer(&self, call: &str, status: u16, headers: &[(&str, &str)], body: &str) {
        let headers = headers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let response = HttpResponse { status, headers, body: body.as_bytes().to_vec() };
        self.bend.lock().expect("no panic").push((call.to_owned(), response));
    }
}

#[async_trait]
impl Transport for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        assert!(request.url.starts_with("https://api.digitalocean.com/v2/"), "{}", request.url);
        let path = request.url["https://api.digitalocean.com".len()..].split('?').next().unwrap_or_default();
        let call = format!("{} {path}", request.method.word());
        let body = request.body.as_ref().map(|body| serde_json::from_slice(body).expect("JSON"));
        self.seen.lock().expect("no panic").push((call.clone(), body));
        let bent = {
            let mut bend = self.bend.lock().expect("no panic");
            bend.iter().position(|(of, _)| *of == call).map(|at| bend.remove(at).1)
        };
        match bent {
            Some(answer) => Ok(answer),
            None => self.inner.call(request).await,
        }
    }
}

pub(crate) struct Bench {
    pub(crate) world: SimWorld,
    pub(crate) wire: Arc<Wire>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) driver: DigitalOceanDriver,
    pub(crate) provider: Arc<dyn CloudProvider>,
    pub(crate) installation: InstallationId,
    pub(crate) machine: MachineBody,
    entropy: SeededEntropy,
}

pub(crate) fn lane(region: &str) -> Lane {
    Lane {
        cloud: "digitalocean".parse().expect("a literal name"),
        endpoint: infra_core::words::lane::Endpoint::default(),
        account: "lab".parse().expect("a literal name"),
        region: region.parse().expect("a literal name"),
    }
}

pub(crate) fn credential(kind: &str, fields: &[(&str, &str)]) -> Credential {
    let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), Secret::new((*value).to_owned())));
    Credential {
        provider: "digitalocean".parse().expect("a literal name"),
        kind: kind.to_owned(),
        fields: fields.collect(),
    }
}

pub(crate) fn key(token: &str) -> Credential {
    credential("token", &[("token", token)])
}

/// Both of the fake's regions, and small pages.
pub(crate) fn settings(page: u16) -> DigitalOceanSettings {
    let mut settings = DigitalOceanSettings::default();
    settings.regions = vec!["ams3".parse().expect("a literal name"), "nyc3".parse().expect("a literal name")];
    settings.page = page;
    settings.simulated = true;
    settings
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(DigitalOceanFake::config(1)).await
    }

    pub(crate) async fn with(config: SimConfig) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let world = SimWorld::new(config, clock.clone());
        let inner = DigitalOceanFake::new(world.clone());
        let wire = Arc::new(Wire { inner, seen: Mutex::default(), bend: Mutex::default() });
        let driver =
            DigitalOceanDriver::new(settings(2), Arc::clone(&wire) as Arc<dyn Transport>, clock.clone());
        let entropy = SeededEntropy::new(7);
        let installation = InstallationId::draw(clock.wall(), &entropy);
        let provider = driver.connect(&key("sim-lab"), &lane("ams3"), installation).await.expect("connects");
        let catalogue = provider.catalogue().await.expect("has a catalogue");
        let machine = MachineBody {
            type_name: "s-1vcpu-1gb".parse().expect("a literal name"),
            image: catalogue.newest_image("ubuntu 24.04", Arch::X86_64).expect("there is one").id.clone(),
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
        };
        wire.forget();
        Self { world, wire, clock, driver, provider, installation, machine, entropy }
    }

    pub(crate) async fn elsewhere(&self, region: &str, token: &str) -> Arc<dyn CloudProvider> {
        let connected = self.driver.connect(&key(token), &lane(region), self.installation).await;
        connected.expect("connects")
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
            zone: None,
            labels: BTreeMap::from([("Cost Center".to_owned(), "R&D".to_owned())]),
            body,
        }
    }

    pub(crate) fn droplet(&self) -> FrozenLaunch {
        self.frozen(LaunchBody::Machine(self.machine.clone()))
    }

    pub(crate) fn behind(&self, firewall: &Observed) -> FrozenLaunch {
        let firewall = Some(firewall.id.clone());
        self.frozen(LaunchBody::Machine(MachineBody { firewall, ..self.machine.clone() }))
    }

    pub(crate) fn firewall(&self, allow_from: &[&str]) -> FrozenLaunch {
        let allow_from = allow_from.iter().map(|block| (*block).to_owned()).collect();
        self.frozen(LaunchBody::Firewall(FirewallBody::open_to(allow_from)))
    }

    /// May leave for the next 30 seconds.
    pub(crate) fn send(&self) -> Send {
        Send { user_data: None, files: None, deadline: self.clock.mono() + Duration::from_secs(30) }
    }

    pub(crate) async fn launch(&self, frozen: &FrozenLaunch) -> Result<Vec<Observed>, ProviderError> {
        self.provider.launch(frozen, &self.send()).await
    }

    pub(crate) async fn made(&self, frozen: &FrozenLaunch) -> Observed {
        let made = self.launch(frozen).await.expect("is made");
        <[Observed; 1]>::try_from(made)
            .map_err(|made| made.len())
            .expect("one thing")
            .into_iter()
            .next()
            .expect("one")
    }

    pub(crate) async fn find(&self, frozen: &FrozenLaunch) -> Result<Vec<Observed>, ProviderError> {
        let query = FindQuery {
            token: frozen.token,
            kind: frozen.body.kind(),
            name: frozen.name.clone(),
            since: Timestamp::UNIX_EPOCH,
        };
        self.provider.find(&query).await
    }

    pub(crate) async fn look(&self, kind: ResourceKind, id: &ResourceId) -> Sighting {
        self.provider.get(kind, std::slice::from_ref(id)).await.expect("answers").remove(0)
    }

    /// Everything owned, all pages, and whether the last says that it is the whole.
    pub(crate) async fn owned(&self) -> (Vec<Observed>, bool) {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let page = self.provider.list_owned(after).await.expect("lists");
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                return (items, page.complete);
            }
        }
    }

    pub(crate) fn handle(&self, id: &ResourceId, frozen: &FrozenLaunch) -> OwnedHandle {
        OwnedHandle::unproven(id.clone(), frozen.body.kind(), lane("ams3"), frozen.mark)
    }

    /// After this everything shows, and everything ordered is done.
    pub(crate) fn settle(&self) {
        self.clock.advance(Duration::from_secs(120));
    }

    pub(crate) fn alive(&self, kind: ResourceKind) -> Vec<TruthThing> {
        self.world.truth().into_iter().filter(|thing| thing.kind == kind && thing.alive()).collect()
    }
}

impl Bench {
    /// A person's own call, with the same key; its answer must be a success.
    pub(crate) async fn raw(&self, method: &str, path: &str, body: Option<&str>) {
        let method = if method == "POST" {
            infra_providers::http::Method::Post
        } else {
            infra_providers::http::Method::Get
        };
        let header = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let request = HttpRequest {
            method,
            url: format!("https://api.digitalocean.com/v2/{path}"),
            headers: vec![
                header("authorization", "Bearer sim-lab"),
                header("content-type", "application/json"),
            ],
            body: body.map(|body| body.as_bytes().to_vec()),
            within: Duration::from_secs(30),
        };
        let answer = self.wire.call(request).await.expect("an answer");
        assert!((200..300).contains(&answer.status), "{}", String::from_utf8_lossy(&answer.body));
    }
}
