//! What a user asks for, before anything is chosen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::options::MachineOptions;
use crate::words::clock::Timestamp;
use crate::words::ids::{CloudName, ImageId, Region};
use crate::words::money::Money;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
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
#[serde(rename_all = "snake_case")]
pub enum Market {
    /// At the list price, ours until we end it.
    #[default]
    OnDemand,
    /// Cheaper, and the cloud may take it back.
    Spot,
}

/// A request for capacity. Absent means "not said": the cheapest that fits wins.
///
/// Names and types are the wire contract's; sizes are per machine, in GiB and whole vCPUs or fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Request {
    /// What is asked for.
    pub resource: Resource,
    /// How many machines; 1 when not said.
    pub count: Option<u32>,
    /// Virtual processors at least.
    pub vcpus: Option<f64>,
    /// Memory at least, GiB.
    pub memory_gib: Option<f64>,
    /// Disk at least, GiB.
    pub disk_gib: Option<f64>,
    /// Accelerators at least.
    pub gpus: Option<u32>,
    /// Which accelerator, lower case.
    pub gpu_model: Option<String>,
    /// Which architecture.
    pub arch: Option<Arch>,
    /// Which operating system: `ubuntu 24.04`. The newest image of that name is taken.
    pub os: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// Only in this region.
    pub region: Option<Region>,
    /// Only at this cloud.
    pub provider: Option<CloudName>,
    /// How to buy; on demand when not said.
    pub market: Option<Market>,
    /// Ends this long after it became ready, seconds.
    pub duration_s: Option<u64>,
    /// Ends at this moment.
    pub ends_at: Option<Timestamp>,
    /// Ends after this long without use, seconds.
    pub idle_timeout_s: Option<u64>,
    /// Never dearer than this per machine and hour, US dollars.
    pub max_price_per_hour: Option<f64>,
    /// Software wanted on it.
    pub software: Vec<String>,
    /// Labels that also reach the cloud.
    pub tags: BTreeMap<String, String>,
    /// OpenSSH public keys that may log in.
    pub ssh_public_keys: Vec<String>,
    /// CIDR blocks that may connect; nobody when empty.
    pub allow_from: Vec<String>,
    /// No public address.
    pub private_only: bool,
    /// An image by the cloud's id, instead of `os`.
    pub image: Option<ImageId>,
    /// A script for the first boot; sealed at rest because people put secrets there.
    pub setup: Option<String>,
    /// What only some clouds have: network, profile, way of being off.
    pub options: MachineOptions,
    /// What to do when a machine vanishes; `report` when not said.
    pub heal: Option<super::reservation::Heal>,
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
