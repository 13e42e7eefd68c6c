//! Where the cloud is, and providers in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::provider::{
    CloudDriver, CloudProvider, FindQuery, OwnedHandle, ProviderError, Send,
};
use infra_core::nouns::cloud::{Observed, Sighting, ThingState};
use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::offering::Catalogue;
use infra_core::nouns::options::MachineOptions;
use infra_core::nouns::request::{Arch, Market};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{InstallationId, LaunchToken};
use infra_core::words::lane::{Lane, Mark, ResourceKind, Version};
use infra_core::words::secret::Secret;
use infra_core::{Clock, SystemClock, SystemEntropy};
use infra_providers::http::client::Client;
use infra_providers::http::{HttpRequest, Method, Transport};
use infra_providers::openstack::{OpenStackDriver, OpenStackSettings};
use serde_json::{Value, json};

/// Anything ordered is done within this.
pub(crate) const SETTLES: Duration = Duration::from_secs(40);

/// `http://127.0.0.1:PORT` of one of the services, or `None` with a loud word; a panic in the stage on CI.
#[allow(clippy::print_stderr, reason = "nobody may take a skipped test for a passed one")]
pub(crate) fn counterpart(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
        assert!(
            !(is("CI", "true") && is("INFRA_STAGE", "openstack")),
            "{variable} is not set, and CI skips nothing"
        );
        eprintln!("SKIPPED, because {variable} is not set: run scripts/test --only openstack");
    }
    found
}

pub(crate) fn password(project: &str, secret: &str) -> Credential {
    let field = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
    Credential {
        provider: "lab".parse().expect("a literal name"),
        kind: "password".into(),
        fields: BTreeMap::from([
            field("username", project),
            field("password", secret),
            field("project_name", project),
        ]),
    }
}

pub(crate) fn credential(kind: &str, fields: &[(&str, &str)]) -> Credential {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
    Credential { fields: fields.collect(), kind: kind.to_owned(), ..password("", "") }
}

pub(crate) fn settings(auth_url: &str) -> OpenStackSettings {
    let region = "RegionOne".parse().expect("a literal name");
    let mut settings = OpenStackSettings::new("lab".parse().expect("a literal name"), auth_url, vec![region]);
    settings.simulated = true;
    settings.network = "none".to_owned();
    // On its way from Nova's API to its cell, a server is for a moment in no listing.
    settings.visible_within = Duration::from_secs(2);
    // Pages are followed wherever there is more than a little.
    settings.page = 3;
    settings
}

/// One project of the cloud, for one installation.
pub(crate) struct Cloud {
    pub(crate) driver: OpenStackDriver,
    pub(crate) provider: Arc<dyn CloudProvider>,
    pub(crate) lane: Lane,
    pub(crate) installation: InstallationId,
    pub(crate) catalogue: Catalogue,
    pub(crate) network: String,
}

impl Cloud {
    /// As the user of a project.
    pub(crate) async fn of(project: &str) -> Option<Self> {
        let auth_url = counterpart("INFRA_TEST_OPENSTACK")?;
        let transport = Arc::new(Client::new().expect("a client"));
        let driver = OpenStackDriver::new(settings(&auth_url), transport, Arc::new(SystemClock));
        let identity = driver.identify(&password(project, "secret")).await.expect("a good key");
        let region = "RegionOne".parse().expect("a literal name");
        let lane =
            Lane { cloud: driver.name(), endpoint: driver.endpoint(), account: identity.account, region };
        let installation = draw();
        let connected = driver.connect(&password(project, "secret"), &lane, installation).await;
        let provider = connected.expect("a good key");
        let catalogue = provider.catalogue().await.expect("has one");
        let hand = Hand::of(project).await;
        let networks = hand.get("INFRA_TEST_NEUTRON", "/v2.0/networks").await;
        let network = networks["networks"][0]["id"].as_str().expect("there is one").to_owned();
        Some(Self { driver, provider, lane, installation, catalogue, network })
    }

    /// A small machine on the shared network.
    pub(crate) fn body(&self) -> MachineBody {
        let image = self.catalogue.newest_image("ubuntu 24.04", Arch::X86_64).expect("there is one");
        let mut options = MachineOptions::default();
        options.network = Some(self.network.clone());
        MachineBody {
            type_name: "m1.tiny".parse().expect("a literal name"),
            image: image.id.clone(),
            disk_gib: 0,
            market: Market::OnDemand,
            user_data: None,
            ssh_public_keys: Vec::new(),
            firewall: None,
            key_pair: None,
            private_only: false,
            options,
            files: None,
            spot_max: None,
        }
    }

    pub(crate) fn frozen(&self, body: LaunchBody) -> FrozenLaunch {
        let token = LaunchToken::draw(SystemClock.wall(), &SystemEntropy);
        let kind = body.kind();
        let mark = Mark { installation: self.installation, token, kind, seq: Version(7) };
        let machine = kind == ResourceKind::Machine;
        let labels = BTreeMap::from([("team".to_owned(), "engines".to_owned())]);
        let name = if machine { format!("web-{token}") } else { mark.to_name() };
        let zone = machine.then(|| "nova".parse().expect("a literal name"));
        FrozenLaunch { token, mark, name, count: 1, zone, labels, body }
    }

    pub(crate) fn firewall(&self, allow_from: &[&str]) -> FrozenLaunch {
        let allow_from = allow_from.iter().map(ToString::to_string).collect();
        self.frozen(LaunchBody::Firewall(FirewallBody::open_to(allow_from)))
    }

    pub(crate) async fn launch(&self, frozen: &FrozenLaunch) -> Result<Observed, ProviderError> {
        self.launch_with(frozen, &send()).await
    }

    pub(crate) async fn launch_with(
        &self,
        frozen: &FrozenLaunch,
        send: &Send,
    ) -> Result<Observed, ProviderError> {
        Ok(self.provider.launch(frozen, send).await?.remove(0))
    }

    pub(crate) fn handle(&self, thing: &Observed, frozen: &FrozenLaunch) -> OwnedHandle {
        OwnedHandle::unproven(thing.id.clone(), thing.kind, self.lane.clone(), frozen.mark)
    }

    /// Looks until the thing is so, or is gone where `None` is waited for.
    pub(crate) async fn until(&self, thing: &Observed, wanted: Option<ThingState>) -> Option<Observed> {
        let patience = SystemClock.mono() + SETTLES;
        loop {
            let mut seen =
                self.provider.get(thing.kind, std::slice::from_ref(&thing.id)).await.expect("is shown");
            let seen = match seen.remove(0) {
                Sighting::Present(seen) => Some(*seen),
                Sighting::Absent(_) => None,
            };
            if seen.as_ref().map(|seen| seen.state) == wanted {
                return seen;
            }
            assert!(SystemClock.mono() < patience, "waiting for {wanted:?}, it is {seen:?}");
            SystemClock.sleep(Duration::from_millis(200)).await;
        }
    }

    /// Everything of this installation.
    pub(crate) async fn owned(&self) -> Vec<Observed> {
        let mut page = self.provider.list_owned(None).await.expect("lists");
        let mut items = std::mem::take(&mut page.items);
        while let Some(next) = page.next.take() {
            page = self.provider.list_owned(Some(next)).await.expect("lists");
            items.append(&mut page.items);
        }
        assert!(page.complete, "the last page says so");
        items
    }
}

pub(crate) fn send() -> Send {
    Send { user_data: None, files: None, deadline: SystemClock.mono() + Duration::from_secs(30) }
}

pub(crate) fn draw() -> InstallationId {
    InstallationId::draw(SystemClock.wall(), &SystemEntropy)
}

pub(crate) fn query(frozen: &FrozenLaunch) -> FindQuery {
    let (token, kind, name) = (frozen.token, frozen.body.kind(), frozen.name.clone());
    FindQuery { token, kind, name, since: Timestamp::UNIX_EPOCH }
}

/// What a person does with the services' own APIs.
pub(crate) struct Hand {
    client: Client,
    token: String,
    user: String,
    /// The project's id.
    pub(crate) project: String,
}

impl Hand {
    pub(crate) async fn of(user: &str) -> Self {
        let client = Client::new().expect("a client");
        let domain = json!({"id": "default"});
        let user_json = json!({"name": user, "domain": domain, "password": "secret"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user_json}},
            "scope": {"project": {"name": user, "domain": domain}},
        }});
        let url = format!("{}/auth/tokens", counterpart("INFRA_TEST_OPENSTACK").expect("asked before"));
        let answer = client.call(request(Method::Post, url, Some(&body), "")).await.expect("answers");
        let token = answer.header("x-subject-token").expect("a token").to_owned();
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let project = body["token"]["project"]["id"].as_str().expect("a project").to_owned();
        let user = body["token"]["user"]["id"].as_str().expect("a user").to_owned();
        Self { client, token, user, project }
    }

    async fn call(&self, method: Method, service: &str, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}{path}", counterpart(service).expect("asked before"));
        let answer = self.client.call(request(method, url, body, &self.token)).await.expect("answers");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(answer.status < 300, "{method:?} {path}: {} {text}", answer.status);
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    pub(crate) async fn get(&self, service: &str, path: &str) -> Value {
        self.call(Method::Get, service, path, None).await
    }

    pub(crate) async fn put(&self, service: &str, path: &str, body: &Value) {
        self.call(Method::Put, service, path, Some(body)).await;
    }

    pub(crate) async fn post(&self, service: &str, path: &str, body: &Value) -> Value {
        self.call(Method::Post, service, path, Some(body)).await
    }

    pub(crate) async fn action(&self, server: &Observed, word: &str) {
        self.post("INFRA_TEST_NOVA", &format!("/v2.1/servers/{}/action", server.id), &json!({ word: null }))
            .await;
    }

    /// Ends every server of the project: laws leave theirs behind, and all listings grow by them.
    pub(crate) async fn sweep(&self) {
        let seen = self.get("INFRA_TEST_NOVA", "/v2.1/servers").await;
        for server in seen["servers"].as_array().expect("a list") {
            let path = format!("/v2.1/servers/{}", server["id"].as_str().expect("an id"));
            let url = format!("{}{path}", counterpart("INFRA_TEST_NOVA").expect("asked before"));
            self.client.call(request(Method::Delete, url, None, &self.token)).await.expect("answers");
        }
    }

    /// Makes an application credential of the user: id and secret.
    pub(crate) async fn application_credential(&self) -> (String, String) {
        let user = self.user.as_str();
        let name = draw().to_string();
        let body = json!({"application_credential": {"name": name}});
        let path = format!("/users/{user}/application_credentials");
        let made = self.post("INFRA_TEST_OPENSTACK", &path, &body).await;
        let text = |key: &str| made["application_credential"][key].as_str().expect("a text").to_owned();
        (text("id"), text("secret"))
    }

    /// Ends the token of a session, as an operator does.
    pub(crate) async fn log_out(self) {
        let url = format!("{}/auth/tokens", counterpart("INFRA_TEST_OPENSTACK").expect("asked before"));
        let mut request = request(Method::Delete, url, None, &self.token);
        request.headers.push(("x-subject-token".to_owned(), self.token.clone()));
        assert_eq!(self.client.call(request).await.expect("answers").status, 204);
    }

    /// The token, to log in with.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

fn request(method: Method, url: String, body: Option<&Value>, token: &str) -> HttpRequest {
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("openstack-api-version".to_owned(), "compute 2.69".to_owned()),
    ];
    if !token.is_empty() {
        headers.push(("x-auth-token".to_owned(), token.to_owned()));
    }
    let body = body.map(|body| body.to_string().into_bytes());
    HttpRequest { method, url, headers, body, within: Duration::from_secs(30) }
}
