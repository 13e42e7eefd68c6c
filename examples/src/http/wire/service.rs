//! The installation: health, brakes, what happened to its store.

use infra_core::infra::{self, Component, Condition, Health as Health_, InFlight};
use infra_core::nouns::installation::{self, Frozen, Recovery};
use infra_core::nouns::switch::{Switch, SwitchValue};
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{CloudName, InstallationId, LaunchToken, Region, ResourceId};
use infra_core::words::lane::{Lane, LaneId, Version};
use infra_providers::prices::PriceAge;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the process lives, or may work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok` or `ready`.
    pub status: String,
}

/// Whether requests may be sent here, part by part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// `ready`, or `degraded` when some part is and the rest goes on.
    pub status: String,
    /// The store answers, and nothing is frozen.
    pub store: Component,
    /// Reservations are being looked at.
    pub engine: Component,
    /// Clouds are being listed.
    pub lanes: Component,
    /// What happened is being told.
    pub events: Component,
    /// Prices that are read from somewhere: how old they are, and whether that still works. Prices that fail make nothing
    /// unready: the last good ones stay in use.
    #[serde(default)]
    pub prices: Vec<PriceSource>,
}

/// Where prices of a region come from, and how old they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceSource {
    /// The cloud.
    pub provider: CloudName,
    /// Its region.
    pub region: Region,
    /// `list`, `spot` or `file`.
    pub feed: String,
    /// Who said so; empty while nobody did.
    pub source: String,
    /// Since its prices were true, seconds; null while there are none.
    #[schema(required = true)]
    pub age_s: Option<u64>,
    /// How many have a price.
    pub known: u64,
    /// Failures to read them since the last success.
    pub failures: u32,
    /// Rows of a price file that nothing sold in the region took a price from so far: a name may be mistyped. A row of no
    /// region counts in each region where its type is not sold; rows of regions that are not in use count in all.
    #[serde(default)]
    pub unused: u64,
    /// Some of them: types, each with market, system and zone where said, or `region` and its name.
    #[serde(default)]
    #[schema(max_items = 5)]
    pub unused_examples: Vec<String>,
}

impl From<PriceAge> for PriceSource {
    fn from(age: PriceAge) -> Self {
        // Not the error itself: this is open to everybody, and a cloud's words name whoever asked.
        Self {
            provider: age.cloud,
            region: age.region,
            feed: age.feed.to_owned(),
            source: age.source,
            age_s: age.age.map(|age| age.as_secs()),
            known: u64::try_from(age.known).unwrap_or(u64::MAX),
            failures: age.failures,
            unused: u64::try_from(age.unused).unwrap_or(u64::MAX),
            unused_examples: age.unused_examples,
        }
    }
}

impl Readiness {
    /// What is known of an installation and of its prices.
    #[must_use]
    pub fn new(health: &infra::Health, prices: Vec<PriceAge>) -> Self {
        let prices = prices.into_iter().map(PriceSource::from).collect();
        Self { prices, ..Self::from(health) }
    }
}

impl From<&infra::Health> for Readiness {
    fn from(health: &infra::Health) -> Self {
        let Health_ { store, engine, lanes, events, .. } = health.clone();
        let well = |part: &Component| matches!(part.condition, Condition::Ok | Condition::Absent);
        let all = [&store, &engine, &lanes, &events].into_iter().all(well);
        let status = if all { "ready" } else { "degraded" }.to_owned();
        Self { status, store, engine, lanes, events, prices: Vec::new() }
    }
}

/// A thing that carries our mark and has no record: a restored store has forgotten it, or somebody copied a mark. It is
/// shown for as long as it stands there, and nothing is done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dropping {
    /// The cloud's id.
    pub thing: ResourceId,
    /// `machine`, `firewall`, ...
    pub kind: String,
    /// The attempt that its mark names.
    #[schema(required = true)]
    pub token: Option<LaunchToken>,
    /// Made at, by the cloud's clock.
    pub created_at: Timestamp,
    /// Reported at.
    pub noticed_at: Timestamp,
}

/// A brake, and who threw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Brake {
    /// What it covers: `global`, `lane:<id>` or `tenant:<id>`.
    pub scope: String,
    /// What it forbids.
    pub value: SwitchValue,
    /// Who threw it.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// It opens by itself then; `null` never.
    #[schema(required = true)]
    pub until: Option<Timestamp>,
}

impl From<&Switch> for Brake {
    fn from(switch: &Switch) -> Self {
        Self {
            scope: switch.scope.id(),
            value: switch.value,
            by: switch.by.clone(),
            why: switch.why.clone(),
            at: switch.at,
            until: switch.until,
        }
    }
}

/// A brake to throw, or to open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"scope": "global", "value": "no_creates", "why": "looking into it"}))]
pub struct NewBrake {
    /// What it covers: `global`, `lane:<id>` of a lane that was used, or `tenant:<id>` of a team with users.
    #[schema(pattern = "^(global$|lane:|tenant:)")]
    pub scope: String,
    /// What it forbids.
    pub value: SwitchValue,
    /// Why.
    #[serde(default)]
    pub why: String,
    /// It opens by itself then; never when not said.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// A thrown brake, and what it came too late for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ThrownBrake {
    /// What it covers: `global`, `lane:<id>` or `tenant:<id>`.
    pub scope: String,
    /// What it forbids.
    pub value: SwitchValue,
    /// Who threw it.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// It opens by itself then; `null` never.
    #[schema(required = true)]
    pub until: Option<Timestamp>,
    /// Create calls that may still land; none beyond them will.
    pub in_flight: Vec<InFlight>,
}

impl ThrownBrake {
    /// A brake that was just thrown.
    #[must_use]
    pub fn new(switch: &Switch, in_flight: Vec<InFlight>) -> Self {
        let Brake { scope, value, by, why, at, until } = switch.into();
        Self { scope, value, by, why, at, until, in_flight }
    }
}

/// What a person says about a store that was moved, copied or restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"what": "moved"}))]
pub struct Recover {
    /// What happened.
    pub what: Recovery,
}

/// A lane (cloud, endpoint, account and region) and what covers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LaneStatus {
    /// Its canonical text, as in a brake's scope.
    pub id: LaneId,
    /// Which.
    pub lane: Lane,
    /// Since when.
    pub created_at: Timestamp,
    /// Keys that reach it, of all teams.
    #[schema(format = Int64)]
    pub keys: u64,
    /// Its own brake, when one was ever thrown.
    #[schema(required = true)]
    pub switch: Option<Brake>,
    /// Marked things without a record that stand here now; at most a hundred.
    pub droppings: Vec<Dropping>,
    /// How many of them there are.
    #[schema(format = Int64)]
    pub droppings_count: u32,
}

/// The installation at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Part of every mark of ownership.
    pub installation: InstallationId,
    /// Bumped at every restore or clone.
    #[schema(format = Int64)]
    pub epoch: u32,
    /// Where the store lives.
    pub home: String,
    /// Where it is open now.
    pub opened_at: String,
    /// Why nothing is changed, when nothing is.
    #[schema(required = true)]
    pub frozen: Option<Frozen>,
    /// No deadline fires before.
    #[schema(required = true)]
    pub deadlines_held_until: Option<Timestamp>,
    /// The store's newest commit.
    pub newest: Version,
    /// Configured clouds.
    pub providers: Vec<CloudName>,
    /// Lanes ever used.
    pub lanes: Vec<LaneStatus>,
    /// All brakes ever thrown.
    pub switches: Vec<Brake>,
}

impl From<&infra::Status> for Status {
    fn from(status: &infra::Status) -> Self {
        let dropping = |known: &installation::Dropping| Dropping {
            thing: known.thing.clone(),
            kind: known.kind.to_string(),
            token: known.token,
            created_at: known.created_at,
            noticed_at: known.noticed_at,
        };
        let lane = |known: &infra::LaneStatus| LaneStatus {
            id: known.lane.id(),
            lane: known.lane.clone(),
            created_at: known.created_at,
            keys: known.keys as u64,
            switch: known.switch.as_ref().map(Brake::from),
            droppings: known.droppings.iter().map(dropping).collect(),
            droppings_count: known.droppings_count,
        };
        Self {
            installation: status.installation,
            epoch: status.epoch,
            home: status.home.clone(),
            opened_at: status.opened_at.clone(),
            frozen: status.frozen.clone(),
            deadlines_held_until: status.deadlines_held_until,
            newest: status.newest,
            providers: status.providers.clone(),
            lanes: status.lanes.iter().map(lane).collect(),
            switches: status.switches.iter().map(Brake::from).collect(),
        }
    }
}
