//! What a user asks for, before anything is chosen.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::options::MachineOptions;
use super::policy::Policy;
use crate::words::clock::Timestamp;
use crate::words::ids::{CloudName, ImageId, Region};
use crate::words::money::Money;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Virtual machines.
    #[default]
    Vm,
    /// A cluster with roles.
    Cluster,
    /// A device of a pool.
    Device,
}

/// A processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    #[serde(rename = "arm64")]
    Arm64,
}

/// How capacity is bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Market {
    /// At the list price, ours until we end it.
    #[default]
    OnDemand,
    /// Cheaper, and the cloud may take it back.
    Spot,
}

/// How capacity may be bought: a market, or one before the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MarketWish {
    /// On demand only.
    #[default]
    OnDemand,
    /// Spot only.
    Spot,
    /// Spot, and on demand where no spot can be had. Part of the ranking is kept for the latter.
    SpotThenOnDemand,
}

impl MarketWish {
    /// The markets, the first wished first.
    #[must_use]
    pub const fn markets(self) -> &'static [Market] {
        match self {
            Self::OnDemand => &[Market::OnDemand],
            Self::Spot => &[Market::Spot],
            Self::SpotThenOnDemand => &[Market::Spot, Market::OnDemand],
        }
    }
}

impl From<Market> for MarketWish {
    fn from(market: Market) -> Self {
        match market {
            Market::OnDemand => Self::OnDemand,
            Market::Spot => Self::Spot,
        }
    }
}

/// A request for capacity. Absent means "not said": the cheapest that fits wins.
///
/// Names and types are the wire contract's; sizes are per machine, in GiB and whole vCPUs or fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "utoipa", schema(as = ReservationRequest))]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Request {
    /// What is asked for.
    pub resource: Resource,
    /// How many machines; 1 when not said.
    #[cfg_attr(feature = "utoipa", schema(minimum = 1, maximum = 1000, example = 2))]
    pub count: Option<u32>,
    /// Virtual processors at least.
    #[cfg_attr(feature = "utoipa", schema(exclusive_minimum = 0, maximum = 4096, example = 2))]
    pub vcpus: Option<f64>,
    /// Memory at least, GiB.
    #[cfg_attr(feature = "utoipa", schema(exclusive_minimum = 0, maximum = 65536, example = 4))]
    pub memory_gib: Option<f64>,
    /// Disk at least, GiB.
    #[cfg_attr(feature = "utoipa", schema(exclusive_minimum = 0, maximum = 65536))]
    pub disk_gib: Option<f64>,
    /// Accelerators at least.
    #[cfg_attr(feature = "utoipa", schema(minimum = 0, maximum = 64))]
    pub gpus: Option<u32>,
    /// Which accelerator, lower case.
    #[cfg_attr(
        feature = "utoipa",
        schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")
    )]
    pub gpu_model: Option<String>,
    /// Which architecture.
    pub arch: Option<Arch>,
    /// Which operating system: `ubuntu 24.04`. The newest image of that name is taken.
    #[cfg_attr(
        feature = "utoipa",
        schema(
            min_length = 1,
            max_length = 100,
            pattern = r"^[^\x00-\x1f\x7f-\x9f]*$",
            example = "ubuntu 24.04"
        )
    )]
    pub os: Option<String>,
    /// A name for people.
    #[cfg_attr(
        feature = "utoipa",
        schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")
    )]
    pub name: Option<String>,
    /// Only in this region.
    pub region: Option<Region>,
    /// Only at this cloud.
    pub provider: Option<CloudName>,
    /// How to buy; on demand when not said.
    pub market: Option<MarketWish>,
    /// Ends this long after it became ready, seconds.
    #[cfg_attr(feature = "utoipa", schema(minimum = 1, maximum = 31536000, example = 3600))]
    pub duration_s: Option<u64>,
    /// Ends at this moment.
    pub ends_at: Option<Timestamp>,
    /// Ends after this long without use, seconds.
    #[cfg_attr(feature = "utoipa", schema(minimum = 0))]
    pub idle_timeout_s: Option<u64>,
    /// Never dearer than this per machine and hour, US dollars.
    #[cfg_attr(feature = "utoipa", schema(minimum = 0.000000001, maximum = 1000000))]
    pub max_price_per_hour: Option<f64>,
    /// Software wanted on it.
    pub software: Vec<String>,
    /// Labels that also reach the cloud.
    #[cfg_attr(feature = "utoipa", schema(schema_with = crate::words::schema::tags))]
    pub tags: BTreeMap<String, String>,
    /// OpenSSH public keys that may log in.
    #[cfg_attr(feature = "utoipa", schema(schema_with = crate::words::schema::ssh_public_keys))]
    pub ssh_public_keys: Vec<String>,
    /// CIDR blocks that may connect; nobody when empty.
    #[cfg_attr(feature = "utoipa", schema(schema_with = crate::words::schema::blocks))]
    pub allow_from: Vec<String>,
    /// No public address.
    pub private_only: bool,
    /// An image by the cloud's id, instead of `os`.
    pub image: Option<ImageId>,
    /// A script for the first boot; sealed at rest because people put secrets there.
    #[cfg_attr(feature = "utoipa", schema(max_length = 12288))]
    pub setup: Option<String>,
    /// What only some clouds have: network, profile, way of being off.
    #[serde(deserialize_with = "object")]
    pub options: MachineOptions,
    /// What may be chosen, beside the sizes.
    // Left out when it rules out nothing: a repeated call is known by what was sent, also by an older program.
    #[serde(skip_serializing_if = "Policy::is_any", deserialize_with = "object")]
    pub policy: Policy,
    /// What to do when a machine vanishes; `report` when not said.
    pub heal: Option<super::reservation::Heal>,
}

/// Reads a struct from an object alone: serde would take a list for it, too, field by field.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    from.deserialize_map(Object(PhantomData))
}

impl Request {
    /// How many machines: 1 when not said.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count.unwrap_or(1)
    }

    /// The price cap per machine and hour as money; `None` when there is none.
    #[must_use]
    pub fn price_cap(&self) -> Option<Money> {
        self.max_price_per_hour.and_then(|usd| Money::parse_usd(&format!("{usd:.9}")))
    }
}
