//! What kind of cloud the sim is.

use std::collections::BTreeMap;
use std::time::Duration;

use infra_core::contracts::provider::{Facts, KindFacts, TokenScope};
use infra_core::nouns::cloud::PowerMode;
use infra_core::words::ids::{AccountId, CloudName, Region};
use infra_core::words::lane::{Endpoint, ResourceKind};
use infra_core::words::limits::Rate;

use super::catalogue::{CatalogueSize, Shape};

/// From how long to how long something takes; drawn evenly, to the millisecond, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// At least.
    pub min: Duration,
    /// At most.
    pub max: Duration,
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self { min: Duration::ZERO, max: Duration::ZERO };

    /// From `min` to `max` milliseconds.
    #[must_use]
    pub const fn millis(min: u64, max: u64) -> Self {
        Self { min: Duration::from_millis(min), max: Duration::from_millis(max) }
    }

    /// From `min` to `max` seconds.
    #[must_use]
    pub const fn secs(min: u64, max: u64) -> Self {
        Self { min: Duration::from_secs(min), max: Duration::from_secs(max) }
    }
}

/// One region of the sim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionConfig {
    /// Its name.
    pub name: Region,
    /// Which real cloud it is shaped like: types, prices, zones or none.
    pub shape: Shape,
    /// At most this many of the shape's zones.
    pub zones_max: usize,
}

/// What kind of cloud the sim is. Make one with [`SimConfig::default`] and change what matters.
#[derive(Debug, Clone, PartialEq)]
pub struct SimConfig {
    /// Its configured name.
    pub cloud: CloudName,
    /// Where it says its API is; part of every lane.
    pub endpoint: Endpoint,
    /// Keys by their `token`, and the account that each reaches.
    pub keys: BTreeMap<String, AccountId>,
    /// Does a key `sim-<account>` reach that account without being listed in `keys`?
    pub open_accounts: bool,
    /// Regions; every account has all of them.
    pub regions: Vec<RegionConfig>,
    /// Idempotency token of machine launches. Other kinds have unique names instead.
    pub token: TokenScope,
    /// Machines one call can make.
    pub max_batch: u16,
    /// What was created is shown everywhere at the latest after this; caps both lags.
    pub visible_within: Duration,
    /// How long a new thing stays out of listings and look-ups.
    pub list_lag: Span,
    /// How long a new thing is not known by its id.
    pub id_lag: Span,
    /// From create to running.
    pub boot: Span,
    /// From power-off to off, and from power-on to on.
    pub stop: Span,
    /// From terminate to ended.
    pub terminate: Span,
    /// From the order of a snapshot to its being usable.
    pub snapshot: Span,
    /// Ways to turn a machine off; the first is the default.
    pub off_modes: Vec<PowerMode>,
    /// An ended thing is shown as ended for this long.
    pub gone_shown_for: Duration,
    /// Items per page of a listing.
    pub page: usize,
    /// Machines an account may have at once.
    pub machines_max: u32,
    /// What is offered.
    pub catalogue: CatalogueSize,
    /// Documented rate of create calls. The sim itself throttles only when a rule says so.
    pub create_rate: Rate,
    /// Documented rate of terminate calls.
    pub terminate_rate: Rate,
    /// Documented number of create calls in flight at once.
    pub open_creates_max: u32,
    /// Repeats a run.
    pub seed: u64,
}

impl Default for SimConfig {
    /// Cloud `sim` with the regions `sim-east` (like EC2) and `sim-ams` (like DigitalOcean), tokens per zone,
    /// any account, boots of 2 to 5 s, and no visible lag beyond 3 s.
    fn default() -> Self {
        let region = |name: &str, shape| RegionConfig {
            name: Region::new(name).expect("a constant name is legal"),
            shape,
            zones_max: usize::MAX,
        };
        Self {
            cloud: CloudName::new("sim").expect("a constant name is legal"),
            endpoint: Endpoint::default(),
            keys: BTreeMap::new(),
            open_accounts: true,
            regions: vec![region("sim-east", Shape::Ec2), region("sim-ams", Shape::DigitalOcean)],
            token: TokenScope::Token { valid_after_end: Duration::from_secs(24 * 3600), per_zone: true },
            max_batch: 20,
            visible_within: Duration::from_secs(5),
            list_lag: Span::millis(0, 3000),
            id_lag: Span::millis(0, 300),
            boot: Span::secs(2, 5),
            stop: Span::secs(1, 3),
            terminate: Span::secs(1, 3),
            snapshot: Span::secs(3, 8),
            off_modes: vec![PowerMode::Stop],
            gone_shown_for: Duration::from_secs(3600),
            page: 100,
            machines_max: 10_000,
            catalogue: CatalogueSize::Full,
            create_rate: Rate::OPEN,
            terminate_rate: Rate::OPEN,
            open_creates_max: 1000,
            seed: 0,
        }
    }
}

impl SimConfig {
    /// A cloud with six types per region, for fast tests; otherwise the default.
    #[must_use]
    pub fn small(seed: u64) -> Self {
        Self { catalogue: CatalogueSize::Small, seed, ..Self::default() }
    }

    /// The same cloud without idempotency tokens, as DigitalOcean, Nova and EMR are: every send creates, and an
    /// ended thing vanishes at once.
    #[must_use]
    pub fn without_token(self) -> Self {
        Self { token: TokenScope::None, gone_shown_for: Duration::ZERO, ..self }
    }

    pub(super) fn facts(&self) -> Facts {
        let facts = |kind, token, max_batch| KindFacts {
            kind,
            token,
            max_batch,
            visible_within: self.visible_within,
            gone_shown_for: self.gone_shown_for,
            of_maker: false,
        };
        Facts {
            kinds: vec![
                facts(ResourceKind::Machine, self.token, self.max_batch),
                facts(ResourceKind::Firewall, TokenScope::None, 1),
                facts(ResourceKind::KeyPair, TokenScope::None, 1),
                facts(ResourceKind::Snapshot, TokenScope::None, 1),
            ],
            off_modes: self.off_modes.clone(),
            create_rate: self.create_rate,
            terminate_rate: self.terminate_rate,
            open_creates_max: self.open_creates_max,
            reads: infra_core::contracts::provider::ReadPace::default(),
            simulated: true,
            login: infra_core::contracts::provider::LoginScheme::ByImage,
        }
    }

    /// A lag is never longer than what the facts promise.
    pub(super) fn lag(&self, span: Span) -> Span {
        Span { min: span.min.min(self.visible_within), max: span.max.min(self.visible_within) }
    }
}
