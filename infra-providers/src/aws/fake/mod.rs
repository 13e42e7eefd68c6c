//! EC2 and STS in process: a skin under the SDK's seam over the [sim](crate::sim).
//!
//! # Flow
//! What the provider asks of [`Ec2Api`] is asked of the sim, and answered in EC2's shapes, words and codes. The sim's
//! fault rules apply: a refusal is worded as EC2 words it, a lost reply is `Reached::Maybe`, an unreadable one a
//! success that cannot be read.
//!
//! # Guarantees
//! * Keys are the sim's: the access key `sim-<account>` reaches that account. Temporary keys, made by AssumeRole or
//!   [`Ec2Fake::issue`], end at their time.
//! * As at EC2: a client token's scope is the zone; tags stand in the call and the name is one of them; one unknown id
//!   fails a whole look-up; a group is empty until its rules are written; a machine that cannot be built is terminated
//!   by EC2; a subnet belongs to one zone and one VPC, and so does a group to a VPC; hibernation must be asked for in the launch, on an encrypted root disk;
//!   dates are whole seconds.
//! * What is kept here is what a sim has no place for: temporary keys, moments of starts, why machines failed.
//!
//! # Caveats
//! * Ids are the sim's, not `i-...`: what is true in the sim can be compared with what was seen.
//! * EC2 does not say that a listing is incomplete, so the sim's rule for that does nothing here.
//! * Rules for groups count as `get`: EC2's call for them has no counterpart in the sim.

mod calls;
mod networks;
mod refusal;
mod shapes;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use infra_core::nouns::request::Arch;
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::{Region, ResourceId};
use infra_core::words::secret::Secret;

use super::api::{Ec2Api, StaticKeys, TemporaryKeys};
use super::settings::{AwsSettings, ImageSource};
use super::{AmbientKeys, Ec2Connector};
use crate::failure::Answer;
use crate::sim::{RegionConfig, Shape, SimConfig, SimWorld};

/// EC2 over a sim.
#[derive(Debug)]
pub struct Ec2Fake {
    world: SimWorld,
    kept: Mutex<Kept>,
    requests: AtomicU64,
}

/// What a sim has no place for.
#[derive(Debug, Default)]
struct Kept {
    /// Ends of temporary keys, by session token.
    sessions: BTreeMap<String, Timestamp>,
    /// When a machine was last started again.
    starts: BTreeMap<ResourceId, Timestamp>,
    /// Why EC2 ended a machine by itself.
    failed: BTreeMap<ResourceId, String>,
    /// In which VPC a group is.
    vpcs: BTreeMap<ResourceId, String>,
    /// Every call by its operation's name, in order.
    calls: Vec<&'static str>,
}

/// The owner of the fake's images.
const OWNER: &str = "099720109477";

/// How long temporary keys are good.
const SESSION: Duration = Duration::from_secs(3600);

impl Ec2Fake {
    /// Puts the API before a world, which is best made with [`Self::config`].
    #[must_use]
    pub fn new(world: SimWorld) -> Arc<Self> {
        Arc::new(Self { world, kept: Mutex::default(), requests: AtomicU64::new(0) })
    }

    /// A sim that behaves as EC2 does: tokens per zone for a day, ended machines shown for an hour, regions
    /// `us-east-1` and `eu-west-1`.
    #[must_use]
    pub fn config(seed: u64) -> SimConfig {
        let region = |name: &str| RegionConfig {
            name: Region::new(name).expect("a literal name"),
            shape: Shape::Ec2,
            zones_max: 3,
        };
        SimConfig {
            cloud: "aws".parse().expect("a literal name"),
            regions: vec![region("us-east-1"), region("eu-west-1")],
            max_batch: 1000,
            off_modes: vec![
                infra_core::nouns::cloud::PowerMode::Stop,
                infra_core::nouns::cloud::PowerMode::Hibernate,
            ],
            ..SimConfig::small(seed)
        }
    }

    /// Settings that fit [`Self::config`]: its regions, its images, its lags.
    #[must_use]
    pub fn settings(&self) -> AwsSettings {
        let config = self.world.config();
        let image = |os: &str, arch, word: &str| ImageSource {
            os: os.to_owned(),
            owner: OWNER.to_owned(),
            pattern: format!("sim-{}-{word}-*", os.replace(' ', "-")),
            arch,
        };
        let both = |os| [image(os, Arch::X86_64, "x86_64"), image(os, Arch::Arm64, "arm64")];
        AwsSettings {
            name: config.cloud.clone(),
            endpoint: config.endpoint.clone(),
            regions: config.regions.iter().map(|region| region.name.clone()).collect(),
            images: ["ubuntu 24.04", "ubuntu 22.04", "debian 12"].into_iter().flat_map(both).collect(),
            visible_within: config.visible_within,
            simulated: true,
            ..AwsSettings::default()
        }
    }

    /// The truth behind it.
    #[must_use]
    pub fn world(&self) -> &SimWorld {
        &self.world
    }

    /// Temporary keys of an account, good for so long.
    #[must_use]
    pub fn issue(&self, account: &str, good_for: Duration) -> TemporaryKeys {
        let expires_at = later(self.world.now(), good_for);
        let token = format!("session-{}", self.requests.fetch_add(1, Ordering::Relaxed));
        self.kept(|kept| kept.sessions.insert(token.clone(), expires_at));
        TemporaryKeys {
            keys: StaticKeys {
                access_key_id: Secret::new(format!("sim-{account}")),
                secret_access_key: Secret::new("temporary".to_owned()),
                session_token: Some(Secret::new(token)),
            },
            expires_at: Some(expires_at),
        }
    }

    /// All temporary keys end now, whatever was said of them.
    pub fn end_sessions(&self) {
        self.kept(|kept| kept.sessions.clear());
    }

    /// Every call so far, by the names of EC2's operations.
    #[must_use]
    pub fn calls(&self) -> Vec<&'static str> {
        self.kept(|kept| kept.calls.clone())
    }

    /// The id of a zone's default subnet.
    #[must_use]
    pub fn subnet(zone: &str) -> String {
        format!("subnet-{zone}")
    }

    /// The id of a zone's subnet in another VPC than the default one.
    #[must_use]
    pub fn private_subnet(zone: &str) -> String {
        format!("subnet-private-{zone}")
    }

    fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.kept.lock().expect("nobody panics while looking"))
    }

    /// Whole seconds, as the API shows times.
    fn now(&self) -> Timestamp {
        shapes::second(self.world.now())
    }
}

/// One key in one region.
#[derive(Debug)]
struct Session {
    ec2: Arc<Ec2Fake>,
    keys: StaticKeys,
    region: Region,
}

impl Ec2Connector for Arc<Ec2Fake> {
    fn connect(&self, keys: StaticKeys, region: &Region) -> Arc<dyn Ec2Api> {
        Arc::new(Session { ec2: Self::clone(self), keys, region: region.clone() })
    }
}

/// The operator's keys on a machine of an account: temporary ones, issued anew with each fetch.
#[derive(Debug)]
pub struct AmbientFake {
    /// Who issues them.
    pub ec2: Arc<Ec2Fake>,
    /// Whose.
    pub account: String,
}

#[async_trait::async_trait]
impl AmbientKeys for AmbientFake {
    async fn fetch(&self) -> Answer<TemporaryKeys> {
        Ok(self.ec2.issue(&self.account, SESSION))
    }
}
