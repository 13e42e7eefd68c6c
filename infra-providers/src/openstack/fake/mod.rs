//! Keystone, Nova, Glance and Neutron in process: a protocol skin over the [sim](crate::sim).
//!
//! # Flow
//! The real client's request is taken apart, asked of the sim, and answered as the services answer: field names,
//! status codes, error bodies, paging by markers, microversions, and `Date` from the sim's clock. The sim's fault rules
//! apply: a refusal is worded as the service words it, a lost reply is a transport error, an unreadable one is a
//! success cut off in the middle.
//!
//! # Guarantees
//! * A password (or the secret of an application credential) is a key of the sim: `sim-<account>` reaches the project
//!   whose id and name are that account. Tokens are Keystone's own: they expire, and can be revoked.
//! * As at Nova: what was deleted is not found, a server that is being made has no host and so no actions, a key pair's
//!   name is its id, personality is refused after microversion 2.56.
//!
//! # Caveats
//! * Only the calls that the client makes are answered.
//! * Missing capacity is refused at once; the real Nova takes the order and builds a server in ERROR, for which there
//!   is the fault rule `error_state`.
//! * Tokens, rules of security groups, locks and the way a server was turned off are kept here; everything else is in
//!   the [`SimWorld`].

mod glance;
mod keystone;
mod neutron;
mod nova;
mod reply;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::cloud::{Act, Cursor, Observed, PowerMode, ThingState};
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{AccountId, InstallationId, LaunchToken, Region, ResourceId};
use infra_core::words::lane::{Mark, ResourceKind, Version};
use serde_json::Value;
use uuid::Uuid;

use self::reply::{Of, Outcome, Refusal};
use crate::http::{HttpRequest, HttpResponse, Method, Transport, TransportError};
use crate::sim::skin::{Answer, Asked, Call, Port};
use crate::sim::{FaultEffect, Match, RegionConfig, Rule, Shape, SimConfig, SimWorld, Span, TruthThing};

/// How long a token is good for unless said otherwise.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// Where it says it is. Nothing listens there.
const HOME: &str = "http://openstack.test";

#[derive(Debug, Default)]
struct Kept {
    tokens: BTreeMap<String, Granted>,
    /// Blocks that may enter a group, by its id.
    rules: BTreeMap<String, Vec<Value>>,
    /// How servers were turned off.
    off: BTreeMap<String, PowerMode>,
    locked: BTreeSet<String>,
    /// Key pairs by their names, which are unique here.
    pairs: BTreeMap<String, Pair>,
    /// Users who see every project.
    admins: BTreeSet<String>,
    /// Where the page after a marker begins.
    places: BTreeMap<String, Cursor>,
}

#[derive(Debug)]
struct Pair {
    user: String,
    public_key: String,
}

#[derive(Clone)]
struct Granted {
    key: String,
    account: AccountId,
    user: String,
    until: Timestamp,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[token of {} until {}]", self.account, self.until)
    }
}

/// OpenStack over a sim.
#[derive(Debug)]
pub struct OpenStackFake {
    world: SimWorld,
    token_life: Duration,
    kept: Mutex<Kept>,
    requests: AtomicU64,
    logins: AtomicU64,
    cell_down: AtomicBool,
}

/// One request, taken apart.
#[derive(Debug)]
struct Asking {
    of: Of,
    method: Method,
    region: Region,
    path: Vec<String>,
    query: BTreeMap<String, String>,
    body: Value,
    /// `2.69` as 69.
    microversion: u32,
    granted: Granted,
}

impl OpenStackFake {
    /// Puts the API before a world, which is best made with [`Self::config`].
    #[must_use]
    pub fn new(world: SimWorld) -> Self {
        Self {
            world,
            token_life: TOKEN_LIFE,
            kept: Mutex::default(),
            requests: AtomicU64::new(0),
            logins: AtomicU64::new(0),
            cell_down: AtomicBool::new(false),
        }
    }

    /// Tokens live this long.
    #[must_use]
    pub const fn with_token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// A sim that behaves as OpenStack does: no tokens, nothing shown of what has ended, region `RegionOne` with zones.
    #[must_use]
    pub fn config(seed: u64) -> SimConfig {
        let name = Region::new("RegionOne").expect("a literal name");
        SimConfig {
            cloud: "openstack".parse().expect("a literal name"),
            regions: vec![RegionConfig { name, shape: Shape::Ec2, zones_max: 3 }],
            max_batch: 1,
            off_modes: vec![PowerMode::Stop, PowerMode::Shelve, PowerMode::Suspend],
            ..SimConfig::small(seed).without_token()
        }
    }

    /// The same on a bad day: new servers are listed up to 10 s late.
    #[must_use]
    pub fn lagging(seed: u64) -> SimConfig {
        let list_lag = Span::millis(0, 10_000);
        SimConfig { list_lag, visible_within: Duration::from_secs(12), ..Self::config(seed) }
    }

    /// From now on, of 1,000 builds so many end in ERROR, and of 1,000 deletes so many are taken and never done.
    pub fn trouble(&self, builds_per_mille: u16, deletes_per_mille: u16) {
        let machines = Match { kind: Some(ResourceKind::Machine), ..Match::default() };
        for (op, effect, per_mille) in [
            ("launch", FaultEffect::ErrorState, builds_per_mille),
            ("terminate", FaultEffect::Stuck, deletes_per_mille),
        ] {
            let rule = Rule::once(op, effect).times(None).per_mille(per_mille);
            self.world.rule(rule.only(machines.clone()));
        }
    }

    /// Keystone's address.
    #[must_use]
    pub fn auth_url() -> String {
        format!("{HOME}/identity/v3")
    }

    /// What the services call a thing of the sim: a key pair by its name, everything else by the sim's id.
    #[must_use]
    pub fn id_of(thing: &TruthThing) -> Option<ResourceId> {
        match thing.kind {
            ResourceKind::KeyPair => ResourceId::new(thing.name.clone()?).ok(),
            _ => Some(thing.id.clone()),
        }
    }

    /// The truth behind it.
    #[must_use]
    pub const fn world(&self) -> &SimWorld {
        &self.world
    }

    /// Every token ends now.
    pub fn revoke_tokens(&self) {
        self.kept().tokens.clear();
    }

    /// How often somebody logged in.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.logins.load(Ordering::Relaxed)
    }

    /// A cell of Nova goes down, or comes back: of its servers, id and `UNKNOWN` are all that is shown.
    pub fn set_cell_down(&self, down: bool) {
        self.cell_down.store(down, Ordering::Relaxed);
    }

    /// Somebody locks a server.
    pub fn lock(&self, id: &ResourceId) {
        self.kept().locked.insert(id.to_string());
    }

    /// From now on this user is an administrator: Neutron shows them the groups of every project.
    pub fn make_admin(&self, user: &str) {
        self.kept().admins.insert(user.to_owned());
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nobody panics while holding what is kept")
    }

    fn home(&self) -> Region {
        let first = self.world.config().regions.first();
        first.map(|region| region.name.clone()).expect("a sim has a region")
    }

    async fn ask(&self, key: &str, region: &Region, call: Call) -> Result<Answer, ProviderError> {
        // The socket write: whoever waits for it may be cancelled just here.
        tokio::task::yield_now().await;
        self.world.call(Asked { key: key.to_owned(), region: region.clone(), call }).await
    }

    async fn asked(&self, asking: &Asking, call: Call) -> Result<Answer, Refusal> {
        let answer = self.ask(&asking.granted.key, &asking.region, call).await;
        answer.map_err(|error| Refusal { of: asking.of, error })
    }

    /// One thing by its id; what has ended is not found.
    async fn one(&self, asking: &Asking, kind: ResourceKind, id: &str) -> Result<Observed, Refusal> {
        let ids = ResourceId::new(id).map(|id| vec![id]).unwrap_or_default();
        let Answer::Sightings(seen) = self.asked(asking, Call::Get { kind, ids }).await? else {
            return Err(Refusal::another_call(asking.of));
        };
        let seen = seen.into_iter().flatten().find(|one| one.state != ThingState::Ended);
        seen.ok_or_else(|| Refusal::not_found(asking.of, id))
    }

    /// Things of this exact name.
    async fn named(&self, asking: &Asking, kind: ResourceKind, name: &str) -> Result<Vec<Observed>, Refusal> {
        let (token, since) = (LaunchToken(Uuid::nil()), Timestamp::UNIX_EPOCH);
        let call = Call::Find { token, kind, name: name.to_owned(), since };
        match self.asked(asking, call).await? {
            Answer::Things(found) => {
                Ok(found.into_iter().filter(|one| one.state != ThingState::Ended).collect())
            }
            _ => Err(Refusal::another_call(asking.of)),
        }
    }

    /// One page after the query's marker, and whether there is more. `marker_of` is what the service calls a thing by.
    async fn page(
        &self,
        asking: &Asking,
        kind: ResourceKind,
        marker_of: impl Fn(&Observed) -> String,
    ) -> Result<(Vec<Observed>, bool), Refusal> {
        let after = match asking.query.get("marker") {
            None => None,
            Some(marker) => {
                let place = self.kept().places.get(marker).cloned();
                let message = || format!("marker [{marker}] not found");
                Some(place.ok_or_else(|| Refusal::invalid(asking.of, &message()))?)
            }
        };
        let Answer::Page { items, next, .. } = self.asked(asking, Call::List { kind, after }).await? else {
            return Err(Refusal::another_call(asking.of));
        };
        if let (Some(last), Some(place)) = (items.last(), &next) {
            self.kept().places.insert(marker_of(last), place.clone());
        }
        let more = next.is_some();
        Ok((items.into_iter().filter(|one| one.state != ThingState::Ended).collect(), more))
    }

    async fn launch(
        &self,
        asking: &Asking,
        frozen: FrozenLaunch,
        user_data: Option<String>,
    ) -> Result<Observed, Refusal> {
        let call = Call::Launch { frozen: Box::new(frozen), user_data };
        match self.asked(asking, call).await? {
            Answer::Things(mut made) => made.pop().ok_or_else(|| Refusal::another_call(asking.of)),
            _ => Err(Refusal::another_call(asking.of)),
        }
    }

    async fn act(&self, asking: &Asking, kind: ResourceKind, id: &str, act: Act) -> Result<(), Refusal> {
        let Ok(id) = ResourceId::new(id) else { return Err(Refusal::not_found(asking.of, id)) };
        self.asked(asking, Call::Act { id, kind, mark: no_mark(kind), act }).await.map(drop)
    }

    async fn route(&self, request: &HttpRequest) -> Result<Outcome, TransportError> {
        let (path, query) = match parts(&request.url) {
            Some(parts) => parts,
            None => return Err(reply::unreachable()),
        };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let header = |name: &str| {
            let found = request.headers.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let body = request.body.as_deref().map_or(Ok(Value::Null), serde_json::from_slice);
        let Ok(body) = body else { return Ok(Err(Refusal::invalid(Of::Keystone, "malformed JSON"))) };
        if let ["identity", "v3", rest @ ..] = path.as_slice() {
            let tokens = (header("x-auth-token"), header("x-subject-token"));
            return Ok(keystone::route(self, request.method, rest, &body, tokens).await);
        }
        let (of, region, rest) = match path.as_slice() {
            [region, "compute", "v2.1", rest @ ..] => (Of::Nova, *region, rest),
            [region, "image", "v2", rest @ ..] => (Of::Glance, *region, rest),
            [region, "network", "v2.0", rest @ ..] => (Of::Neutron, *region, rest),
            _ => return Err(reply::unreachable()),
        };
        let Ok(region) = Region::new(region) else { return Err(reply::unreachable()) };
        let Some(granted) = keystone::granted(self, header("x-auth-token")) else {
            return Ok(Err(Refusal::unauthorized(of)));
        };
        let asking = Asking {
            of,
            method: request.method,
            region,
            path: rest.iter().map(ToString::to_string).collect(),
            query,
            body,
            microversion: minor(header("openstack-api-version")),
            granted,
        };
        Ok(match of {
            Of::Nova => nova::route(self, &asking).await,
            Of::Glance => glance::route(self, &asking).await,
            _ => neutron::route(self, &asking).await,
        })
    }
}

/// `compute 2.69` is 69; Nova takes 2.1 when nothing is said.
fn minor(version: &str) -> u32 {
    version.rsplit_once('.').and_then(|(_, minor)| minor.parse().ok()).unwrap_or(1)
}

/// Path segments and query of an address here, decoded.
fn parts(url: &str) -> Option<(Vec<String>, BTreeMap<String, String>)> {
    let rest = url.strip_prefix(HOME)?.strip_prefix('/')?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    };
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
    Some((path.split('/').map(decoded).collect(), query))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A launch for the sim, of one thing.
fn frozen(mark: Option<Mark>, name: &str, body: LaunchBody) -> FrozenLaunch {
    let mark = mark.unwrap_or_else(|| no_mark(body.kind()));
    let (zone, labels) = (None, BTreeMap::new());
    FrozenLaunch { token: mark.token, mark, name: name.to_owned(), count: 1, zone, labels, body }
}

/// The sim writes no tags for it.
fn no_mark(kind: ResourceKind) -> Mark {
    let (installation, token) = (InstallationId(Uuid::nil()), LaunchToken(Uuid::nil()));
    Mark { installation, token, kind, seq: Version(0) }
}

/// To the second, as the services show it.
fn time(at: Timestamp) -> Value {
    Value::from(Timestamp::from_second(at.as_second()).unwrap_or(at).to_string())
}

#[async_trait]
impl Transport for OpenStackFake {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let reply = match self.route(&request).await? {
            Ok(reply) => reply,
            Err(refusal) => refusal.reply()?,
        };
        Ok(reply.response(self.world.now(), number))
    }
}
