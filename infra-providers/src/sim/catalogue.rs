//! What the sim offers: two real, dated price tables, parsed once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use infra_core::nouns::offering::{Billing, Image, OffBilling, Offering, Price};
use infra_core::nouns::request::{Arch, Market};
use infra_core::nouns::system::System;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ImageId, TypeName, Zone};
use infra_core::words::money::Money;

use crate::families;

const EC2_TABLE: &str = include_str!("../../data/aws_us-east-1_ondemand_2026-07.csv");
const DO_TABLE: &str = include_str!("../../data/do_sizes_2025-08.tsv");
/// 2026-07-20 and 2025-08-20, the days on which the tables were true.
const EC2_AS_OF_S: i64 = 1_784_505_600;
const DO_AS_OF_S: i64 = 1_755_648_000;
/// The sim's own price: no table of ours names one for disks.
const DISK_GIB_HOUR_NANOS: i64 = 110_000;
/// What Windows costs beside the machine, per virtual processor and hour: what EC2's list asks for it on most types
/// (`m5.large` in Ireland: 0.107 US dollars with Linux and 0.199 with Windows). Neither table names it.
const WINDOWS_VCPU_HOUR_NANOS: i64 = 46_000_000;
/// What Windows needs to be installed with its desktop (Microsoft, "Hardware requirements for Windows Server"), and as large
/// as EC2's images of it are.
const WINDOWS_LEAST: (u64, u32) = (2048, 30);
/// A droplet costs a cent at least, since 2026-01-01 (DigitalOcean's own update in
/// <https://www.digitalocean.com/community/questions/pricing-for-droplets-if-used-for-less-than-an-hour>).
const DO_MIN_CHARGE_NANOS: i64 = 10_000_000;
/// Hours that DigitalOcean charges of a month at most ([`Billing`] names the source).
const DO_MONTH_HOURS_MAX: u32 = 672;
const SMALL: [&str; 12] = [
    "t3.micro",
    "t3.small",
    "m5.large",
    "m5.xlarge",
    "t4g.small",
    "m6g.large",
    "s-1vcpu-1gb",
    "s-1vcpu-2gb",
    "s-2vcpu-2gb",
    "s-2vcpu-4gb",
    "s-4vcpu-8gb",
    "c-2",
];

/// Which real cloud a region is shaped like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// EC2's types, prices and zones of us-east-1; disks are bought apart.
    Ec2,
    /// DigitalOcean's sizes and prices; no zones, disk included.
    DigitalOcean,
}

/// How much of the tables is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogueSize {
    /// All 1,340 and 147 types.
    Full,
    /// Six types per shape.
    Small,
}

/// What one region offers, without its images, which change.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) zones: Vec<Zone>,
    pub(super) offerings: Vec<Offering>,
    pub(super) disk_gib_hour: Money,
    pub(super) billing: Billing,
    pub(super) off_billing: OffBilling,
    by_type: BTreeMap<TypeName, usize>,
}

impl Shelf {
    pub(super) fn offering(&self, type_name: &TypeName) -> Option<&Offering> {
        self.by_type.get(type_name).map(|at| &self.offerings[*at])
    }

    pub(super) fn of(shape: Shape, size: CatalogueSize, zones_max: usize) -> Self {
        let mut offerings = table(shape).to_vec();
        if size == CatalogueSize::Small {
            offerings.retain(|offering| SMALL.contains(&offering.type_name.as_str()));
        }
        let mut zones: Vec<Zone> = offerings.iter().flat_map(|offering| offering.zones.clone()).collect();
        zones.sort();
        zones.dedup();
        zones.truncate(zones_max);
        let zoned = !zones.is_empty();
        for offering in &mut offerings {
            offering.zones.retain(|zone| zones.contains(zone));
        }
        offerings.retain(|offering| !zoned || !offering.zones.is_empty());
        let by_type = offerings.iter().enumerate().map(|(at, o)| (o.type_name.clone(), at)).collect();
        if shape == Shape::Ec2 {
            // Behind the others: a type's own place in the list is that of its price with Linux.
            let windows: Vec<Offering> = offerings.iter().filter_map(with_windows).collect();
            offerings.extend(windows);
        }
        let disk = if shape == Shape::Ec2 { DISK_GIB_HOUR_NANOS } else { 0 };
        // As the clouds do that the shapes are of; [`OffBilling`] names the sources.
        let off_billing = match shape {
            Shape::Ec2 => OffBilling::Disks,
            Shape::DigitalOcean => OffBilling::Everything,
        };
        let disk_gib_hour = Money::usd_nanos(disk);
        Self { zones, offerings, disk_gib_hour, billing: billing(shape), off_billing, by_type }
    }
}

/// The same type with Windows on it, at a price of its own; `None` where it does not run or has no price.
fn with_windows(one: &Offering) -> Option<Offering> {
    let Price::Known { per_hour, as_of, source, live } = &one.price else { return None };
    let licence = WINDOWS_VCPU_HOUR_NANOS * i64::from(one.vcpus_milli) / 1000;
    let price = Price::Known {
        per_hour: per_hour.plus(Money::usd_nanos(licence)),
        as_of: *as_of,
        source: format!("{source}, with the simulator's Windows"),
        live: *live,
    };
    (one.arch == Arch::X86_64).then(|| Offering { system: System::Windows, price, ..one.clone() })
}

/// As the clouds themselves charge; [`Billing`] names the sources.
fn billing(shape: Shape) -> Billing {
    match shape {
        Shape::Ec2 => Billing::default(),
        Shape::DigitalOcean => Billing::PerSecond {
            min_s: 60,
            min_charge: Money::usd_nanos(DO_MIN_CHARGE_NANOS),
            month_hours_max: Some(DO_MONTH_HOURS_MAX),
        },
    }
}

/// The images of the first day, for every architecture that they are made for.
pub(super) fn first_images() -> Vec<Image> {
    let made = second(DO_AS_OF_S);
    ["ubuntu 24.04", "ubuntu 22.04", "debian 12", "windows 2022"]
        .iter()
        .flat_map(|os| images(os, 1, made))
        .collect()
}

/// Images of one operating system for both architectures; of Windows for the one that it is sold for.
pub(super) fn images(os: &str, serial: u64, created_at: Timestamp) -> Vec<Image> {
    let (slug, system) = (os.replace(' ', "-"), System::of_os(os));
    let windows = system == System::Windows;
    let (min_memory_mib, min_disk_gib) = if windows { WINDOWS_LEAST } else { (0, 0) };
    [Arch::X86_64, Arch::Arm64]
        .into_iter()
        .filter(|arch| !windows || *arch == Arch::X86_64)
        .map(|arch| {
            let word = if arch == Arch::X86_64 { "x86_64" } else { "arm64" };
            let name = format!("sim-{slug}-{word}-{serial}");
            let id = ImageId::new(name.clone()).expect("operating systems have plain names");
            Image { id, name, os: os.to_owned(), arch, created_at, system, min_disk_gib, min_memory_mib }
        })
        .collect()
}

fn table(shape: Shape) -> &'static [Offering] {
    static EC2: OnceLock<Arc<[Offering]>> = OnceLock::new();
    static DIGITALOCEAN: OnceLock<Arc<[Offering]>> = OnceLock::new();
    match shape {
        Shape::Ec2 => EC2.get_or_init(|| ec2().into()),
        Shape::DigitalOcean => DIGITALOCEAN.get_or_init(|| digitalocean().into()),
    }
}

/// One row of EC2's table by the names of its header.
#[derive(serde::Deserialize)]
struct Ec2Row {
    #[serde(rename = "InstanceType")]
    type_name: TypeName,
    #[serde(rename = "vCPUs")]
    vcpus: f64,
    #[serde(rename = "MemoryGiB")]
    memory_gib: f64,
    #[serde(rename = "Price")]
    price: String,
    #[serde(rename = "AvailabilityZone")]
    zone: Zone,
    #[serde(rename = "Arch")]
    arch: Arch,
}

fn ec2() -> Vec<Offering> {
    let mut types: BTreeMap<TypeName, Offering> = BTreeMap::new();
    for row in csv::Reader::from_reader(EC2_TABLE.as_bytes()).deserialize() {
        let row: Ec2Row = row.expect("the shipped table is well formed");
        let (gpus, gpu_model, gpu_memory_gib) = ec2_accelerators(row.type_name.as_str());
        let offering = types.entry(row.type_name.clone()).or_insert_with(|| Offering {
            gpus,
            gpu_model: gpu_model.map(str::to_owned),
            gpu_memory_mib: gpu_memory_gib * 1024,
            family: families::ec2(row.type_name.as_str()).family.to_owned(),
            generation: families::ec2(row.type_name.as_str()).generation,
            burstable: families::ec2(row.type_name.as_str()).burstable,
            vcpus_milli: whole(row.vcpus * 1000.0),
            memory_mib: u64::from(whole(row.memory_gib * 1024.0)),
            price: priced(&row.price, EC2_AS_OF_S, "ec2 us-east-1 2026-07"),
            ..Offering::new(row.type_name, row.arch, Market::OnDemand)
        });
        offering.zones.push(row.zone);
    }
    types.into_values().collect()
}

/// How many accelerators a type has, which, and GiB of memory of each: the table says nothing of them. Only families of
/// which EC2's pages say all three without doubt; what is not here offers none.
fn ec2_accelerators(type_name: &str) -> (u32, Option<&'static str>, u64) {
    let (family, size) = type_name.split_once('.').unwrap_or((type_name, ""));
    let (model, gib) = match family {
        "g4dn" => ("t4", 16),
        "g5" => ("a10g", 24),
        "p3dn" => ("v100", 32),
        "p4d" => ("a100", 40),
        "p4de" => ("a100", 80),
        "p5" => ("h100", 80),
        "p5en" => ("h200", 141),
        _ => return (0, None, 0),
    };
    let count = match (family, size) {
        ("g4dn", "metal") | ("g5" | "p5" | "p5en", "48xlarge") | ("p3dn" | "p4d" | "p4de", _) => 8,
        ("g4dn" | "g5", "12xlarge") | ("g5", "24xlarge") => 4,
        _ => 1,
    };
    (count, Some(model), gib)
}

/// One row of DigitalOcean's table by the names of its header.
#[derive(serde::Deserialize)]
struct DoRow {
    slug: TypeName,
    memory_mib: u64,
    vcpus: u32,
    disk_gib: u32,
    price_hourly_usd: String,
}

fn digitalocean() -> Vec<Offering> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').from_reader(DO_TABLE.as_bytes());
    let rows = reader.deserialize().map(|row| {
        let row: DoRow = row.expect("the shipped table is well formed");
        let (gpus, gpu_model, gpu_memory_gib) = accelerators(row.slug.as_str());
        Offering {
            family: families::digitalocean(row.slug.as_str()).to_owned(),
            burstable: families::digitalocean_is_shared(row.slug.as_str()),
            vcpus_milli: row.vcpus * 1000,
            memory_mib: row.memory_mib,
            disk_gib: row.disk_gib,
            gpus,
            gpu_model,
            gpu_memory_mib: gpu_memory_gib * 1024,
            price: priced(&row.price_hourly_usd, DO_AS_OF_S, "digitalocean 2025-08"),
            ..Offering::new(row.slug, Arch::X86_64, Market::OnDemand)
        }
    });
    rows.collect()
}

/// DigitalOcean says it in the name: `gpu-h100x8-640gb` has eight of `h100`, with 640 GiB together. Answers the GiB of one.
fn accelerators(slug: &str) -> (u32, Option<String>, u64) {
    let said = slug.strip_prefix("gpu-").and_then(|rest| {
        let (kind, memory) = rest.split_once('-')?;
        let (model, count) = kind.rsplit_once('x')?;
        let (count, all): (u32, u64) = (count.parse().ok()?, memory.strip_suffix("gb")?.parse().ok()?);
        Some((count, model.to_owned(), all.checked_div(count.into())?))
    });
    said.map_or((0, None, 0), |(count, model, gib)| (count, Some(model), gib))
}

fn priced(text: &str, as_of_s: i64, source: &str) -> Price {
    Price::from_table(Money::parse_usd(text), second(as_of_s), source)
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a constant moment is within range")
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of machines, from our own table"
)]
fn whole(amount: f64) -> u32 {
    amount.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_are_read_whole() {
        let ec2 = Shelf::of(Shape::Ec2, CatalogueSize::Full, usize::MAX);
        let (linux, windows): (Vec<_>, Vec<_>) = ec2.offerings.iter().partition(|it| it.system.is_linux());
        assert_eq!((linux.len(), ec2.zones.len()), (1340, 6));
        assert_eq!(linux.iter().map(|o| o.zones.len()).sum::<usize>(), 6306);
        assert_eq!(windows.len(), linux.iter().filter(|it| it.arch == Arch::X86_64).count());
        let large = ec2.offering(&"m5.large".parse().expect("a name")).expect("is there");
        assert!(large.system.is_linux(), "a type is looked up as what it is without a licence");
        let ams = Shelf::of(Shape::DigitalOcean, CatalogueSize::Full, usize::MAX);
        assert_eq!((ams.offerings.len(), ams.zones.len()), (147, 0));
        let every = ec2.offerings.iter().chain(&ams.offerings);
        for offering in every {
            assert!(matches!(offering.price, Price::Known { live: false, .. }), "{}", offering.type_name);
        }
        for shape in [Shape::Ec2, Shape::DigitalOcean] {
            let small = Shelf::of(shape, CatalogueSize::Small, 2).offerings;
            assert_eq!(small.iter().filter(|it| it.system.is_linux()).count(), 6, "{shape:?}");
        }
    }

    #[test]
    fn accelerators_are_read_from_the_name() {
        assert_eq!(accelerators("gpu-h100x8-640gb"), (8, Some("h100".to_owned()), 80));
        assert_eq!(accelerators("gpu-h200x8-1128gb"), (8, Some("h200".to_owned()), 141));
        assert_eq!(accelerators("s-1vcpu-1gb"), (0, None, 0));
    }

    #[test]
    fn a_type_with_accelerators_has_none_or_their_memory_is_not_known() {
        for (name, wanted) in [
            ("g4dn.xlarge", (1, Some("t4"), 16)),
            ("g4dn.12xlarge", (4, Some("t4"), 16)),
            ("g4dn.metal", (8, Some("t4"), 16)),
            ("g5.16xlarge", (1, Some("a10g"), 24)),
            ("g5.24xlarge", (4, Some("a10g"), 24)),
            ("g5.48xlarge", (8, Some("a10g"), 24)),
            ("p4d.24xlarge", (8, Some("a100"), 40)),
            ("p5.4xlarge", (1, Some("h100"), 80)),
            ("p5.48xlarge", (8, Some("h100"), 80)),
            ("g5g.xlarge", (0, None, 0)),
            ("m5.large", (0, None, 0)),
        ] {
            assert_eq!(ec2_accelerators(name), wanted, "{name}");
        }
        for (shape, least) in [(Shape::Ec2, 20), (Shape::DigitalOcean, 9)] {
            let shelf = Shelf::of(shape, CatalogueSize::Full, usize::MAX);
            let with: Vec<_> = shelf.offerings.iter().filter(|one| one.gpus > 0).collect();
            assert!(with.len() >= least, "{shape:?}: {}", with.len());
            assert!(with.iter().all(|one| one.gpu_model.is_some() && one.gpu_memory_mib >= 16 * 1024));
        }
    }
}
