//! DigitalOcean's API in process: a protocol skin over the [sim](crate::sim).
//!
//! # Flow
//! The real client's request is taken apart, asked of the sim, and answered as DigitalOcean answers: field names,
//! status codes, error bodies, paging, rate-limit headers, and `Date` from the sim's clock. The sim's fault rules apply:
//! a refusal is worded as DigitalOcean words it, a lost reply is a transport error, an unreadable one is a success cut
//! off in the middle.
//!
//! # Guarantees
//! * Keys are the sim's: the token `sim-<account>` reaches that account, whose name is its team's `uuid`.
//! * As at DigitalOcean: a firewall is the account's and ends whatever stands behind it; the order for a snapshot does
//!   not name what it makes, which shows only once it is whole; a tag keeps its first spelling; names of droplets are
//!   unique to nobody.
//! * Nothing is kept here but the spelling of tags and each droplet's last order; everything else is in the [`SimWorld`].
//!
//! # Caveats
//! * Only the calls that the client makes are answered.
//! * Of two tags with the same part before the colon, a droplet keeps the last.
//! * Firewalls know one list of blocks, for all protocols and ports.

mod catalogue;
mod droplets;
mod firewalls;
mod images;
mod reply;
mod request;
#[cfg(feature = "sim-server")]
mod serve;
mod tags;

#[cfg(feature = "sim-server")]
pub use serve::router;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::cloud::{Act, Observed};
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{InstallationId, LaunchToken, Region, ResourceId};
use infra_core::words::lane::{Mark, ResourceKind, Version};
use serde_json::Value;
use uuid::Uuid;

use self::reply::{Outcome, Refusal, Reply};
use self::request::Asking;
use crate::http::{HttpRequest, HttpResponse, Method, Transport, TransportError};
use crate::sim::skin::{Answer, Asked, Call, Port};
use crate::sim::{RegionConfig, Shape, SimConfig, SimWorld, TruthThing};

/// DigitalOcean over a sim.
#[derive(Debug)]
pub struct DigitalOceanFake {
    world: SimWorld,
    /// Tags by their lower case, in their first spelling.
    tags: Mutex<BTreeMap<String, String>>,
    /// The last order of each droplet, and when it was given.
    orders: Mutex<BTreeMap<u64, (String, Timestamp)>>,
    requests: AtomicU64,
}

impl DigitalOceanFake {
    /// Puts the API before a world, which is best made with [`Self::config`].
    #[must_use]
    pub fn new(world: SimWorld) -> Self {
        Self { world, tags: Mutex::default(), orders: Mutex::default(), requests: AtomicU64::new(0) }
    }

    /// A sim that behaves as DigitalOcean does: no tokens, nothing shown of what has ended, regions `ams3` and `nyc3`.
    #[must_use]
    pub fn config(seed: u64) -> SimConfig {
        let region = |name: &str| RegionConfig {
            name: Region::new(name).expect("a literal name"),
            shape: Shape::DigitalOcean,
            zones_max: 0,
        };
        SimConfig {
            cloud: "digitalocean".parse().expect("a literal name"),
            regions: vec![region("ams3"), region("nyc3")],
            max_batch: 1,
            ..SimConfig::small(seed).without_token()
        }
    }

    /// What the client calls a thing of the sim: droplets and snapshots by their number, a firewall by its uuid and the
    /// token of the attempt that made it.
    #[must_use]
    pub fn id_of(thing: &TruthThing) -> Option<ResourceId> {
        let number = number_of(&thing.id)?;
        let shown = match thing.kind {
            ResourceKind::Firewall => format!("{}/{}", firewalls::uuid(number), thing.made_under?),
            _ => number.to_string(),
        };
        ResourceId::new(shown).ok()
    }

    /// The truth behind it.
    #[must_use]
    pub fn world(&self) -> &SimWorld {
        &self.world
    }

    async fn route(&self, asking: &Asking) -> Outcome {
        let path: Vec<&str> = asking.path.iter().map(String::as_str).collect();
        match (asking.method, path.as_slice()) {
            (Method::Get, ["account"]) => catalogue::account(self, asking).await,
            (Method::Get, ["sizes"]) => catalogue::sizes(self, asking).await,
            (Method::Get, ["images"]) => images::list(self, asking).await,
            (Method::Get, ["images", id]) => images::get(self, asking, id).await,
            (Method::Delete, ["images", id]) => images::delete(self, asking, id).await,
            (Method::Get, ["droplets"]) => droplets::list(self, asking).await,
            (Method::Post, ["droplets"]) => droplets::create(self, asking).await,
            (Method::Get, ["droplets", id]) => droplets::get(self, asking, id).await,
            (Method::Delete, ["droplets", id]) => droplets::delete(self, asking, id).await,
            (Method::Get, ["droplets", id, "actions"]) => droplets::orders(self, asking, id).await,
            (Method::Post, ["droplets", id, "actions"]) => droplets::order(self, asking, id).await,
            (Method::Get, ["firewalls"]) => firewalls::list(self, asking).await,
            (Method::Post, ["firewalls"]) => firewalls::create(self, asking).await,
            (Method::Get, ["firewalls", id]) => firewalls::get(self, asking, id).await,
            (Method::Delete, ["firewalls", id]) => firewalls::delete(self, asking, id).await,
            (Method::Post, ["tags"]) => tags::create(self, asking).await,
            (Method::Delete, ["tags", tag]) => tags::delete(self, asking, tag).await,
            (Method::Post | Method::Delete, ["tags", tag, "resources"]) => tags::put(self, asking, tag).await,
            _ => Err(Refusal::not_found()),
        }
    }

    /// The regions, in their order; what is the account's lives in the first.
    fn regions(&self) -> impl Iterator<Item = &Region> {
        self.world.config().regions.iter().map(|region| &region.name)
    }

    fn home(&self) -> Region {
        self.regions().next().cloned().expect("a sim has a region")
    }

    async fn ask(&self, asking: &Asking, region: &Region, call: Call) -> Result<Answer, Refusal> {
        let asked = Asked { key: asking.key.clone(), region: region.clone(), call };
        // The socket write: whoever waits for it may be cancelled just here.
        tokio::task::yield_now().await;
        self.world.call(asked).await.map_err(Refusal::Of)
    }

    /// Everything of a kind in the account, in all regions.
    async fn everything(
        &self,
        asking: &Asking,
        kind: ResourceKind,
    ) -> Result<Vec<(Region, Observed)>, Refusal> {
        let mut all = Vec::new();
        for region in self.regions().cloned().collect::<Vec<_>>() {
            let mut after = None;
            loop {
                let Answer::Page { items, next, .. } =
                    self.ask(asking, &region, Call::List { kind, after }).await?
                else {
                    return Err(Refusal::another_call());
                };
                all.extend(items.into_iter().map(|one| (region.clone(), one)));
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(all)
    }

    /// One thing by its number, wherever it is. A number that nothing has is asked for as well: keys are checked and
    /// faults happen before anybody knows that.
    async fn one(
        &self,
        asking: &Asking,
        kind: ResourceKind,
        number: u64,
    ) -> Result<(Region, Observed), Refusal> {
        let truth = self.truth(number);
        let region = truth.as_ref().map_or_else(|| self.home(), |truth| truth.region.clone());
        let id =
            truth.map_or_else(|| ResourceId::new("nothing"), |truth| Ok(truth.id)).expect("a plain name");
        match self.ask(asking, &region, Call::Get { kind, ids: vec![id] }).await? {
            Answer::Sightings(mut seen) => {
                let seen = seen.pop().flatten().ok_or_else(Refusal::not_found)?;
                Ok((region, seen))
            }
            _ => Err(Refusal::another_call()),
        }
    }

    async fn act(&self, asking: &Asking, kind: ResourceKind, number: u64, act: Act) -> Result<(), Refusal> {
        let truth = self.truth(number).filter(|truth| truth.kind == kind);
        let region = truth.as_ref().map_or_else(|| self.home(), |truth| truth.region.clone());
        let id =
            truth.map_or_else(|| ResourceId::new("nothing"), |truth| Ok(truth.id)).expect("a plain name");
        let call = Call::Act { id, kind, mark: no_mark(LaunchToken(Uuid::nil()), kind), act };
        self.ask(asking, &region, call).await.map(drop)
    }

    async fn launch(
        &self,
        asking: &Asking,
        region: &Region,
        frozen: FrozenLaunch,
        user_data: Option<String>,
    ) -> Result<Observed, Refusal> {
        let call = Call::Launch { frozen: Box::new(frozen), user_data };
        match self.ask(asking, region, call).await? {
            Answer::Things(mut made) => made.pop().ok_or_else(Refusal::another_call),
            _ => Err(Refusal::another_call()),
        }
    }

    fn truth(&self, number: u64) -> Option<TruthThing> {
        self.world.truth().into_iter().find(|thing| number_of(&thing.id) == Some(number))
    }

    /// A launch for the sim, of one thing.
    fn frozen(&self, mark: Option<Mark>, name: &str, body: LaunchBody) -> FrozenLaunch {
        let token = LaunchToken(Uuid::from_u128(u128::from(self.requests.load(Ordering::Relaxed))));
        let mark = mark.unwrap_or_else(|| no_mark(token, body.kind()));
        FrozenLaunch {
            token: mark.token,
            mark,
            name: name.to_owned(),
            count: 1,
            zone: None,
            labels: [].into(),
            body,
        }
    }
}

/// The sim writes no tags for it.
fn no_mark(token: LaunchToken, kind: ResourceKind) -> Mark {
    Mark { installation: InstallationId(Uuid::nil()), token, kind, seq: Version(0) }
}

/// DigitalOcean counts droplets and images: the sim's ids have their number before eight digits of noise.
fn number_of(id: &ResourceId) -> Option<u64> {
    let digits = id.as_str().rsplit('-').next()?;
    u64::from_str_radix(digits.get(..digits.len().checked_sub(8)?)?, 16).ok()
}

/// To the second, as the API shows it.
fn time(at: Timestamp) -> Value {
    let second = Timestamp::from_second(at.as_second()).unwrap_or(at);
    Value::from(second.to_string())
}

#[async_trait]
impl Transport for DigitalOceanFake {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let outcome = match Asking::of(&request) {
            Ok(asking) => self.route(&asking).await,
            Err(refusal) => Err(refusal),
        };
        let reply = match outcome {
            Ok(reply) => reply,
            Err(Refusal::Of(ProviderError::Garbled { .. })) => Reply::cut_off(),
            Err(refusal) => refusal.reply()?,
        };
        Ok(reply.response(self.world.now(), number))
    }
}
