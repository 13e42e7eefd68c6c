//! What can be had, and what it costs.

use infra_core::contracts::pricing;
use infra_core::infra::LaneOfferings;
use infra_core::nouns::offering::{self, Billing as Rule, Price};
use infra_core::nouns::request::{Arch, Market};
use infra_core::nouns::system::System;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{AccountId, CloudName, ImageId, Region, TypeName, Zone};
use infra_core::words::money::Money;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// One way to fulfil a whole request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quote {
    /// The cloud.
    pub provider: CloudName,
    /// The cloud's own name for who pays.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// The zone; `null` when the cloud has none.
    #[schema(required = true)]
    pub zone: Option<Zone>,
    /// The machine type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// Virtual processors of one machine.
    #[serde(serialize_with = "number")]
    pub vcpus: f64,
    /// Memory of one machine, GiB.
    #[serde(serialize_with = "number")]
    pub memory_gib: f64,
    /// Disk of one machine, GiB: its own and what is bought with it.
    #[schema(format = Int64)]
    pub disk_gib: u32,
    /// Accelerators of one machine.
    #[schema(format = Int64)]
    pub gpus: u32,
    /// Which accelerator.
    #[schema(required = true)]
    pub gpu_model: Option<String>,
    /// Architecture.
    pub arch: Arch,
    /// How it is bought.
    pub market: Market,
    /// The image by the cloud's id.
    pub image: ImageId,
    /// Family of the type, in the cloud's word; empty when it has none.
    pub family: String,
    /// Generation of the family; `null` when the cloud does not count them.
    #[schema(required = true)]
    pub generation: Option<u32>,
    /// May its processors be used fully only for a time?
    pub burstable: bool,
    /// One machine with everything for one hour.
    pub machine_per_hour: Money,
    /// All machines for one hour.
    pub per_hour: Money,
    /// What `per_hour` is made of.
    pub parts_per_hour: CostParts,
    /// All machines for the duration asked, by the cloud's billing rules; `null` when none was asked.
    #[schema(required = true)]
    pub total: Option<Money>,
    /// What `total` is made of.
    #[schema(required = true)]
    pub parts_total: Option<CostParts>,
    /// What the team's discounts take off all machines in one hour.
    pub saved_per_hour: Money,
    /// The name of the discount that this is by; `null` without one.
    #[serde(default)]
    #[schema(required = true)]
    pub saved_by: Option<String>,
    /// The price is old.
    pub stale: bool,
    /// Who named the price of the type.
    pub price_source: String,
    /// When the price was named.
    pub price_as_of: Timestamp,
    /// The system that the price is of.
    pub system: System,
    /// Why it stands before the next, for people; `null` for the last of a list.
    #[schema(required = true)]
    pub beats_next: Option<String>,
    /// It was refused a moment ago, as was everything else that fits, and is not asked for before; `null` when it may be had
    /// at once.
    #[serde(default)]
    #[schema(required = true)]
    pub refused_until: Option<Timestamp>,
}

/// What an amount is made of: the parts add up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostParts {
    /// The machines, at what the team pays, with billing minima.
    pub compute: Money,
    /// Disk that is bought.
    pub disk: Money,
    /// Public IPv4 addresses.
    pub ipv4: Money,
    /// What managed services take.
    pub fee: Money,
}

impl From<pricing::CostParts> for CostParts {
    fn from(parts: pricing::CostParts) -> Self {
        let pricing::CostParts { compute, disk, ipv4, fee } = parts;
        Self { compute, disk, ipv4, fee }
    }
}

impl From<&pricing::Quote> for Quote {
    fn from(quote: &pricing::Quote) -> Self {
        let choice = &quote.choice;
        let offer = &choice.offering;
        let (price_source, price_as_of) = named(&offer.price).unwrap_or_default();
        Self {
            provider: choice.lane.cloud.clone(),
            account: choice.lane.account.clone(),
            region: choice.lane.region.clone(),
            zone: choice.zone.clone(),
            type_name: offer.type_name.clone(),
            vcpus: f64::from(offer.vcpus_milli) / 1000.0,
            memory_gib: mib_as_gib(offer.memory_mib),
            disk_gib: offer.disk_gib.saturating_add(choice.disk_gib),
            gpus: offer.gpus,
            gpu_model: offer.gpu_model.clone(),
            arch: offer.arch,
            market: offer.market,
            image: choice.image.clone(),
            family: offer.family.clone(),
            generation: offer.generation,
            burstable: offer.burstable,
            machine_per_hour: choice.per_hour,
            per_hour: quote.per_hour,
            parts_per_hour: quote.parts_per_hour.into(),
            total: quote.total,
            parts_total: quote.parts_total.map(Into::into),
            saved_per_hour: quote.saved_per_hour,
            saved_by: quote.saved_by.clone(),
            stale: quote.stale,
            price_source,
            price_as_of,
            system: offer.system,
            beats_next: quote.beats_next.as_ref().map(ToString::to_string),
            refused_until: quote.refused_until,
        }
    }
}

/// Who named a price, and when.
fn named(price: &Price) -> Option<(String, Timestamp)> {
    match price {
        Price::Known { source, as_of, .. } => Some((source.clone(), *as_of)),
        _ => None,
    }
}

/// How running time becomes a charge, per machine with its disk and address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Billing {
    /// Begun units of so many seconds are paid.
    #[schema(format = Int64, example = 1)]
    pub unit_s: u32,
    /// Seconds paid at least.
    #[schema(format = Int64, example = 60)]
    pub min_s: u32,
    /// Amount paid at least.
    pub min_charge: Money,
    /// Hours paid at most per calendar month of UTC; `null` when every hour is paid.
    #[schema(required = true, format = Int64)]
    pub month_hours_max: Option<u32>,
}

impl Billing {
    /// `None` for a rule that is newer than this text.
    fn new(rule: Rule) -> Option<Self> {
        match rule {
            Rule::PerSecond { min_s, min_charge, month_hours_max } => {
                Some(Self { unit_s: 1, min_s, min_charge, month_hours_max })
            }
            Rule::PerHour => {
                Some(Self { unit_s: 3600, min_s: 3600, min_charge: Money::default(), month_hours_max: None })
            }
            _ => None,
        }
    }
}

/// One machine type in one region of one account, with its price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Offering {
    /// The cloud.
    pub provider: CloudName,
    /// The cloud's own name for who pays.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// Zones that have it; empty when the cloud has none.
    pub zones: Vec<Zone>,
    /// The machine type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// Virtual processors.
    #[serde(serialize_with = "number")]
    pub vcpus: f64,
    /// Memory, GiB.
    #[serde(serialize_with = "number")]
    pub memory_gib: f64,
    /// Disk that comes with it, GiB; 0 when disks are bought apart.
    #[schema(format = Int64)]
    pub disk_gib: u32,
    /// Accelerators.
    #[schema(format = Int64)]
    pub gpus: u32,
    /// Which accelerator.
    #[schema(required = true)]
    pub gpu_model: Option<String>,
    /// Architecture.
    pub arch: Arch,
    /// How it is bought.
    pub market: Market,
    /// Family of the type, in the cloud's word; empty when it has none.
    pub family: String,
    /// Generation of the family; `null` when the cloud does not count them.
    #[schema(required = true)]
    pub generation: Option<u32>,
    /// May its processors be used fully only for a time?
    pub burstable: bool,
    /// Memory of one accelerator, GiB; 0 when not known or without one.
    #[serde(serialize_with = "number")]
    pub gpu_memory_gib: f64,
    /// What a managed service takes per machine and hour beside the machine.
    pub fee_per_hour: Money,
    /// Disks of the host beside the one it boots from, GiB together; what is on them is lost at the first stop.
    #[schema(format = Int64)]
    pub local_disk_gib: u32,
    /// What a GiB of bought disk costs per hour; zero where none can be bought.
    pub disk_gib_hour: Money,
    /// What a machine's public IPv4 address costs per hour; zero where it comes with the machine.
    pub ipv4_hour: Money,
    /// How running time is charged; `null` when in a way that cannot be said here.
    #[schema(required = true)]
    pub billing: Option<Billing>,
    /// Who named the price; `null` when it is not known.
    #[schema(required = true)]
    pub price_source: Option<String>,
    /// When the price was named; `null` when it is not known.
    #[schema(required = true)]
    pub price_as_of: Option<Timestamp>,
    /// The price is old: asked live, and long ago. It ranks after its fresh equals.
    pub stale: bool,
    /// The system that the price is of; another one has a price of its own, or none.
    pub system: System,
    /// One machine for one hour; `null` when it is not known.
    #[schema(required = true)]
    pub per_hour: Option<Money>,
    /// Why the price is not known.
    #[schema(required = true)]
    pub price_unknown: Option<String>,
    /// When it was read.
    pub as_of: Timestamp,
}

impl Offering {
    /// One offering of a lane.
    #[must_use]
    pub fn new(lane: &LaneOfferings, offer: &offering::Offering) -> Self {
        let (price_source, price_as_of) = named(&offer.price).unzip();
        let (per_hour, price_unknown) = match &offer.price {
            Price::Known { per_hour, .. } => (Some(*per_hour), None),
            Price::Unknown { reason } => (None, Some(reason.clone())),
            _ => (None, Some("not known".to_owned())),
        };
        Self {
            provider: lane.lane.cloud.clone(),
            account: lane.lane.account.clone(),
            region: lane.lane.region.clone(),
            zones: offer.zones.clone(),
            type_name: offer.type_name.clone(),
            vcpus: f64::from(offer.vcpus_milli) / 1000.0,
            memory_gib: mib_as_gib(offer.memory_mib),
            disk_gib: offer.disk_gib,
            gpus: offer.gpus,
            gpu_model: offer.gpu_model.clone(),
            arch: offer.arch,
            market: offer.market,
            family: offer.family.clone(),
            generation: offer.generation,
            burstable: offer.burstable,
            gpu_memory_gib: mib_as_gib(offer.gpu_memory_mib),
            fee_per_hour: offer.fee_per_hour,
            local_disk_gib: offer.local_disk_gib,
            disk_gib_hour: lane.catalogue.disk_gib_hour,
            ipv4_hour: lane.catalogue.ipv4_hour,
            billing: Billing::new(lane.catalogue.billing_of(offer.system)),
            price_source,
            price_as_of,
            stale: offer.price.is_stale(lane.old_before),
            system: offer.system,
            per_hour,
            price_unknown,
            as_of: lane.catalogue.as_of,
        }
    }
}

/// Exact below 8 EiB of memory, which no machine has.
#[allow(clippy::cast_precision_loss, reason = "a machine's memory in MiB is far below 2^52")]
fn mib_as_gib(mib: u64) -> f64 {
    mib as f64 / 1024.0
}

/// Whole numbers without a decimal point: `2`, not `2.0`.
#[allow(clippy::cast_possible_truncation, reason = "checked to be whole and small just before")]
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn number<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        to.serialize_i64(*value as i64)
    } else {
        to.serialize_f64(*value)
    }
}

#[cfg(test)]
mod tests {
    use infra_core::testing::fixtures;

    use super::*;

    #[test]
    fn a_machine_that_buys_what_its_own_disk_lacks_is_shown_the_larger_of_the_two() {
        for (own, bought, whole) in [(25, 75, 100), (25, 0, 25), (0, 30, 30), (1, u32::MAX, u32::MAX)] {
            let mut choice = fixtures::choice();
            (choice.offering.disk_gib, choice.disk_gib) = (own, bought);
            let quote = pricing::Quote {
                choice,
                per_hour: Money::default(),
                parts_per_hour: pricing::CostParts::default(),
                total: None,
                parts_total: None,
                saved_per_hour: Money::default(),
                saved_by: None,
                stale: false,
                beats_next: None,
                refused_until: None,
            };
            assert_eq!(Quote::from(&quote).disk_gib, whole, "{own} + {bought}");
        }
    }
}
