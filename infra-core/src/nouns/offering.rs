//! What a cloud offers in one lane, and what it costs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::options::{MachineOption, MachineOptions};
use super::request::{Arch, Market};
use super::system::System;
use crate::words::clock::Timestamp;
use crate::words::ids::{ImageId, TypeName, Zone};
use crate::words::money::Money;

/// A price that is known, or the reason why it is not. Unknown prices are never chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Price {
    /// Per machine and hour.
    Known {
        /// The amount for one hour; always above zero.
        per_hour: Money,
        /// When the source said so.
        as_of: Timestamp,
        /// Who said so.
        source: String,
        /// Was it asked live (then it ages), or is it a table an operator named (then it does not)?
        live: bool,
    },
    /// Zero, negative, missing or unreadable.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl Price {
    /// A known price, or Unknown when the amount is zero or negative.
    #[must_use]
    pub fn from_table(per_hour: Option<Money>, as_of: Timestamp, source: &str) -> Self {
        match per_hour {
            Some(per_hour) if per_hour.nanos > 0 => {
                Self::Known { per_hour, as_of, source: source.to_owned(), live: false }
            }
            Some(other) => Self::Unknown { reason: format!("{source} says {other}") },
            None => Self::Unknown { reason: format!("{source} names no price") },
        }
    }

    /// Was it asked live, and before this moment? What an operator named never ages.
    #[must_use]
    pub fn is_stale(&self, old_before: Timestamp) -> bool {
        matches!(self, Self::Known { live: true, as_of, .. } if *as_of < old_before)
    }

    /// The hourly amount when known.
    #[must_use]
    pub const fn per_hour(&self) -> Option<Money> {
        match self {
            Self::Known { per_hour, .. } => Some(*per_hour),
            Self::Unknown { .. } => None,
        }
    }
}

/// One machine type on one market in one lane, with the zones that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offering {
    /// The cloud's name for the type.
    pub type_name: TypeName,
    /// Virtual processors, in thousandths (some clouds sell fractions).
    pub vcpus_milli: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Disk that comes with the type, GiB; 0 when disks are bought apart.
    pub disk_gib: u32,
    /// Accelerators.
    pub gpus: u32,
    /// Which accelerator, lower case.
    pub gpu_model: Option<String>,
    /// Architecture.
    pub arch: Arch,
    /// How it is bought.
    pub market: Market,
    /// Zones that have it; empty when the cloud has no zones.
    pub zones: Vec<Zone>,
    /// What it costs.
    pub price: Price,
    /// The cloud's word for what types belong together, lower case: `m5`, `s`; empty when it has none.
    #[serde(default)]
    pub family: String,
    /// Which generation of its family; `None` when the cloud does not count them.
    #[serde(default)]
    pub generation: Option<u32>,
    /// May its processors be used fully only for a time?
    #[serde(default)]
    pub burstable: bool,
    /// Memory of one accelerator, MiB; 0 when not known or without one.
    #[serde(default)]
    pub gpu_memory_mib: u64,
    /// What a managed service takes per machine and hour beside the machine; never below zero.
    #[serde(default)]
    pub fee_per_hour: Money,
    /// Disks of the host that come beside the one it boots from, GiB together, rounded down; 0 for none. What is on them
    /// is lost at the first stop, so they serve no wish for a disk.
    #[serde(default)]
    pub local_disk_gib: u32,
    /// Which system the price is of: only images of it are taken here.
    #[serde(default, skip_serializing_if = "System::is_linux")]
    pub system: System,
}

impl Offering {
    /// A type without disk, accelerators, zones or a price: a start for whoever reads a cloud's list.
    #[must_use]
    pub fn new(type_name: TypeName, arch: Arch, market: Market) -> Self {
        Self {
            type_name,
            vcpus_milli: 0,
            memory_mib: 0,
            disk_gib: 0,
            gpus: 0,
            gpu_model: None,
            arch,
            market,
            zones: Vec::new(),
            price: Price::Unknown { reason: "nobody named a price".to_owned() },
            family: String::new(),
            generation: None,
            burstable: false,
            gpu_memory_mib: 0,
            fee_per_hour: Money::default(),
            local_disk_gib: 0,
            system: System::default(),
        }
    }
}

/// An image a machine can boot from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The cloud's id.
    pub id: ImageId,
    /// The cloud's name for it.
    pub name: String,
    /// Operating system as people say it: `ubuntu 24.04`.
    pub os: String,
    /// Architecture.
    pub arch: Arch,
    /// When it was made: the newest of a name wins.
    pub created_at: Timestamp,
    /// What the cloud charges for what boots from it.
    #[serde(default, skip_serializing_if = "System::is_linux")]
    pub system: System,
    /// The smallest disk it boots from, GiB: clouds refuse a smaller one. 0 where the cloud does not say.
    ///
    /// * EC2: the size of the root device in the image's block device mapping; a root disk may be larger, never smaller.
    /// * OpenStack: Glance's `min_disk`, which a flavor's own disk must reach.
    /// * DigitalOcean: `min_disk_size`, which a droplet's own disk must reach.
    #[serde(default)]
    pub min_disk_gib: u32,
    /// The least memory of a machine that boots it, MiB: clouds refuse a machine with less. 0 where the cloud does not say.
    ///
    /// * OpenStack: Glance's `min_ram`, in MiB as a flavor's own `ram`; Nova answers `FlavorMemoryTooSmall`
    ///   (<https://docs.openstack.org/glance/latest/user/common-image-properties.html>).
    /// * EC2 and DigitalOcean have no such word.
    #[serde(default)]
    pub min_memory_mib: u64,
}

/// How a cloud turns an hourly price and a running time into a charge, per machine with its disk.
///
/// What the clouds document today, each read by the provider that fills its catalogue:
/// * EC2 on Linux (Red Hat's among it) and on Windows, and EBS volumes: by the second, 60 seconds at least; with SUSE by
///   the begun hour (<https://repost.aws/knowledge-center/ec2-instance-hour-billing>; of spot instances
///   <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-for-interrupted-spot-instances.html>).
/// * DigitalOcean, since 2026-01-01: by the second, 60 seconds or 0.01 US dollars at least, whichever is more; by
///   the begun hour before (DigitalOcean's own update in
///   <https://www.digitalocean.com/community/questions/pricing-for-droplets-if-used-for-less-than-an-hour>). At most
///   672 hours of a calendar month are charged, which is 28 days
///   (<https://www.digitalocean.com/community/questions/how-does-hourly-charging-work-for-fractional-hours>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Billing {
    /// By the begun second.
    PerSecond {
        /// Seconds paid at least.
        min_s: u32,
        /// Amount paid at least, per machine.
        #[serde(default)]
        min_charge: Money,
        /// Hours paid at most per calendar month (UTC); `None` when every hour is paid.
        #[serde(default)]
        month_hours_max: Option<u32>,
    },
    /// By the begun hour, one at least.
    PerHour,
}

impl Default for Billing {
    /// By the second, 60 of them at least.
    fn default() -> Self {
        Self::PerSecond { min_s: 60, min_charge: Money::default(), month_hours_max: None }
    }
}

/// What a cloud goes on charging for of a machine that is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OffBilling {
    /// All of it, as if it were on: its place on a host stays taken. What is meant where nobody says, since who pays must
    /// not be promised less.
    ///
    /// DigitalOcean charges for a droplet until it is destroyed
    /// (<https://docs.digitalocean.com/reference/doctl/reference/compute/droplet-action/power-off>).
    /// OpenStack keeps the place of a stopped server, too; what that costs is the operator's to say.
    #[default]
    Everything,
    /// The disk that was bought for it, and nothing else: neither the machine and its licence nor its address, which it
    /// gives back.
    ///
    /// EC2 charges for the volumes of a stopped instance alone, and takes its public address away
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/how-ec2-instance-stop-start-works.html>).
    Disks,
}

/// What one lane offers: read by pricing, and by freezing (image and zone are resolved once, into the body).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    /// Types and prices.
    pub offerings: Vec<Offering>,
    /// Images.
    pub images: Vec<Image>,
    /// Price of a GiB of disk per hour where disks are bought apart; zero where none can be bought.
    pub disk_gib_hour: Money,
    /// Price of a machine's public IPv4 address per hour; zero where it comes with the machine.
    #[serde(default)]
    pub ipv4_hour: Money,
    /// How running time is charged.
    #[serde(default)]
    pub billing: Billing,
    /// How it is charged with systems that are charged in another way; the others as [`Catalogue::billing`] says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub billing_by_system: BTreeMap<System, Billing>,
    /// What is charged of a machine that is off.
    #[serde(default)]
    pub off_billing: OffBilling,
    /// Which options of a request machines here can be made with.
    #[serde(default)]
    pub options: BTreeSet<MachineOption>,
    /// When it was read, by the provider's clock.
    pub as_of: Timestamp,
}

impl Catalogue {
    /// The newest image of an operating system and architecture; ties go to the greater id.
    #[must_use]
    pub fn newest_image(&self, os: &str, arch: Arch) -> Option<&Image> {
        self.images
            .iter()
            .filter(|image| image.arch == arch && image.os.eq_ignore_ascii_case(os))
            .max_by_key(|image| (image.created_at, &image.id))
    }

    /// The first option asked for that machines here cannot be made with.
    #[must_use]
    pub fn lacks(&self, options: &MachineOptions) -> Option<MachineOption> {
        options.asked().into_iter().find(|option| !self.options.contains(option))
    }

    /// How the running time of a machine with this system is charged, its disk and its address included: a cloud may charge
    /// those by a finer rule, but no machine is without them.
    #[must_use]
    pub fn billing_of(&self, system: System) -> Billing {
        self.billing_by_system.get(&system).copied().unwrap_or(self.billing)
    }

    /// What a machine costs per hour while it is off, by [`Catalogue::off_billing`]: `per_hour` is what it costs while it
    /// is on, `disk_gib` the disk that was bought for it.
    #[must_use]
    pub fn off_per_hour(&self, per_hour: Money, disk_gib: u32) -> Money {
        match self.off_billing {
            OffBilling::Everything => per_hour,
            OffBilling::Disks => self.disk_gib_hour.times(i64::from(disk_gib)),
        }
    }

    /// The image with this id.
    #[must_use]
    pub fn image(&self, id: &ImageId) -> Option<&Image> {
        self.images.iter().find(|image| &image.id == id)
    }
}
