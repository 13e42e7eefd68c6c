//! Flavors, zones, prices, images of one region.

use std::collections::BTreeMap;

use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::cloud::PowerMode;
use infra_core::nouns::offering::{Billing, Catalogue, Image, OffBilling, Offering};
use infra_core::nouns::options::MachineOption;
use infra_core::nouns::request::{Arch, Market};
use infra_core::nouns::system::System;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ImageId, TypeName, Zone};
use infra_core::words::money::Money;

use super::api::{Ask, Service};
use super::prices;
use super::provider::{OpenStackProvider, looked};
use super::shapes::{Flavor, FlavorsAnswer, Image as Picture, ImagesAnswer, ZonesAnswer, has_next};
use crate::failure::garbled;
use crate::families;
use crate::http::encoded;

/// Pages that one listing of the catalogue may have.
const PAGES_MAX: usize = 200;

/// Operating systems that images are known to name themselves after.
const SYSTEMS: [&str; 14] = [
    "ubuntu",
    "debian",
    "fedora",
    "centos",
    "rocky",
    "almalinux",
    "alma",
    "rhel",
    "opensuse",
    "sles",
    "arch",
    "alpine",
    "cirros",
    "flatcar",
];

pub(super) async fn read(provider: &OpenStackProvider) -> Result<Catalogue, ProviderError> {
    let before = provider.clock.wall();
    let (flavors, as_of) = flavors(provider).await?;
    let zones = zones(provider).await?;
    let images = images(provider).await?;
    Ok(Catalogue {
        offerings: flavors.iter().filter_map(|flavor| offering(provider, flavor, &zones)).collect(),
        images,
        // No disk can be bought apart: a flavor brings its own.
        disk_gib_hour: Money::default(),
        ipv4_hour: Money::default(),
        billing: Billing::default(),
        billing_by_system: [].into(),
        // A stopped server keeps its place, and only its operator knows what that costs. There are no disks to be bought.
        off_billing: if provider.settings.off_is_free { OffBilling::Disks } else { OffBilling::Everything },
        options: [MachineOption::Network, MachineOption::ConfigDrive, MachineOption::Files]
            .into_iter()
            .chain([PowerMode::Stop, PowerMode::Shelve, PowerMode::Suspend].map(MachineOption::Off))
            .collect(),
        as_of: as_of.unwrap_or(before),
    })
}

/// All flavors; their ids are remembered for creates.
pub(super) async fn flavors(
    provider: &OpenStackProvider,
) -> Result<(Vec<Flavor>, Option<Timestamp>), ProviderError> {
    let (mut all, mut marker, mut as_of) = (Vec::<Flavor>::new(), String::new(), None);
    for _ in 0..PAGES_MAX {
        let path = format!("/flavors/detail?limit={}{marker}", provider.settings.page);
        let answer = provider.api.json::<FlavorsAnswer>(&Ask::get(Service::Compute, path)).await;
        let answer = answer.map_err(looked)?;
        as_of = as_of.or(answer.at);
        all.extend(answer.value.flavors);
        let last = all.last().filter(|_| has_next(&answer.value.flavors_links));
        match last.map(|flavor| format!("&marker={}", encoded(&flavor.id))) {
            Some(next) if next != marker => marker = next,
            _ => {
                let ids = all.iter().map(|flavor| (flavor.name.clone(), flavor.id.clone())).collect();
                *provider.flavors.lock().expect("nobody panics while holding the flavors") = ids;
                return Ok((all, as_of));
            }
        }
    }
    Err(garbled(format!("the listing of flavors has more than {PAGES_MAX} pages")))
}

async fn zones(provider: &OpenStackProvider) -> Result<Vec<Zone>, ProviderError> {
    let ask = Ask::get(Service::Compute, "/os-availability-zone");
    let answer = provider.api.json::<ZonesAnswer>(&ask).await.map_err(looked)?;
    let open = answer.value.zones.into_iter().filter(|zone| zone.state.available);
    let mut zones: Vec<Zone> = open.filter_map(|zone| Zone::new(zone.name).ok()).collect();
    zones.sort();
    Ok(zones)
}

async fn images(provider: &OpenStackProvider) -> Result<Vec<Image>, ProviderError> {
    let (mut all, mut marker) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let path = format!("/images?status=active&limit={}{marker}", provider.settings.page);
        let answer = provider.api.json::<ImagesAnswer>(&Ask::get(Service::Image, path)).await;
        let ImagesAnswer { images, next } = answer.map_err(looked)?.value;
        let last = images.last().filter(|_| next.is_some()).map(|image| image.id.clone());
        all.extend(images.into_iter().filter_map(|image| named(image, provider.settings.arch)));
        match last.map(|id| format!("&marker={}", encoded(&id))) {
            Some(next) if next != marker => marker = next,
            _ => return Ok(all),
        }
    }
    Err(garbled(format!("the listing of images has more than {PAGES_MAX} pages")))
}

/// An image that says what it is; copies of machines are nobody's operating system.
fn named(image: Picture, usual: Arch) -> Option<Image> {
    if image.property("image_type") == Some("snapshot") || image.property("base_image_ref").is_some() {
        return None;
    }
    let name = image.name.clone()?;
    let os = match (image.property("os_distro"), image.property("os_version")) {
        (Some(distro), Some(version)) => format!("{} {version}", distro.to_lowercase()),
        _ => os_in(&name)?,
    };
    let told = image.property("hw_architecture").or_else(|| image.property("architecture"));
    let arch = told.map_or_else(|| arch_in(&name).or(Some(usual)), arch_in)?;
    let created_at = image.created_at.parse().ok()?;
    // What a licence costs here is the operator's to say, of each of them.
    let windows = image.property("os_type").is_some_and(|kind| kind.eq_ignore_ascii_case("windows"));
    let system = if windows { System::Windows } else { System::of_os(&os) };
    // Whole GiB of disk and MiB of memory; a flavor with less of either is refused.
    let least = |field: &str| image.properties.get(field).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let min_disk_gib = u32::try_from(least("min_disk")).unwrap_or(u32::MAX);
    let min_memory_mib = least("min_ram");
    let id = ImageId::new(image.id).ok()?;
    Some(Image { id, name, os, arch, created_at, system, min_disk_gib, min_memory_mib })
}

/// `debian-12-generic-amd64` is a `debian 12`.
fn os_in(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split([' ', '-', '_', '/']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|word| SYSTEMS.contains(word))?;
    let version = |word: &&&str| word.starts_with(|c: char| c.is_ascii_digit());
    let version = words[at + 1..].iter().take(2).find(version)?;
    Some(format!("{} {version}", words[at]))
}

fn arch_in(text: &str) -> Option<Arch> {
    let text = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["aarch64", "arm64"]) {
        return Some(Arch::Arm64);
    }
    has(&["x86_64", "amd64", "x86-64"]).then_some(Arch::X86_64)
}

fn offering(provider: &OpenStackProvider, flavor: &Flavor, zones: &[Zone]) -> Option<Offering> {
    // Without a disk of its own a flavor boots from volumes alone, and none are bought here: Nova refuses it.
    if flavor.disabled || flavor.disk == 0 {
        return None;
    }
    let (gpus, gpu_model) = gpus(&flavor.extra_specs);
    let told = ["hw:architecture", "capabilities:cpu_info:arch", "architecture"];
    let told = told.iter().find_map(|key| flavor.extra_specs.get(*key));
    let arch = told.map_or(Some(provider.settings.arch), |told| arch_in(told))?;
    let type_name = TypeName::new(flavor.name.clone()).ok()?;
    let (family, generation) = family(&flavor.extra_specs);
    let offering = Offering {
        family,
        generation,
        burstable: shares_processors(&flavor.extra_specs),
        local_disk_gib: flavor.ephemeral,
        vcpus_milli: flavor.vcpus.saturating_mul(1000),
        memory_mib: flavor.ram,
        disk_gib: flavor.disk,
        gpus,
        gpu_model,
        zones: zones.to_vec(),
        ..Offering::new(type_name, arch, Market::OnDemand)
    };
    Some(prices::priced(provider.settings.prices.as_ref(), offering))
}

/// `ecs:generation = s3`: the third of `s`, as the clouds that are built like Huawei's say it
/// (<https://support.huaweicloud.com/api-ecs/ecs_05_0003.md>). OpenStack itself has no word for families, and names of
/// flavors follow no rule that all clouds share: a flavor that says nothing has no family.
fn family(specs: &BTreeMap<String, String>) -> (String, Option<u32>) {
    let family = specs.get("ecs:generation").map(|family| family.to_lowercase()).unwrap_or_default();
    let generation = families::ec2(&family).generation;
    (family, generation)
}

/// `scs:cpu-type = shared-core`: its processors are promised to several, as the Sovereign Cloud Stack's standard for
/// flavors says it (scs-0103 in <https://github.com/SovereignCloudStack/standards>). What says nothing counts as not
/// shared, as at the other clouds.
fn shares_processors(specs: &BTreeMap<String, String>) -> bool {
    specs.get("scs:cpu-type").is_some_and(|kind| matches!(kind.as_str(), "shared-core" | "crowded-core"))
}

/// `pci_passthrough:alias = a100:2`, or `resources:VGPU = 1`.
fn gpus(specs: &BTreeMap<String, String>) -> (u32, Option<String>) {
    if let Some(alias) = specs.get("pci_passthrough:alias") {
        let (model, count) = alias.split_once(':').unwrap_or((alias, "1"));
        return (count.parse().unwrap_or(1), Some(model.to_lowercase()));
    }
    (specs.get("resources:VGPU").and_then(|count| count.parse().ok()).unwrap_or(0), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(json: serde_json::Value) -> Option<(String, Arch)> {
        let image = serde_json::from_value(json).expect("an image");
        named(image, Arch::X86_64).map(|image| (image.os, image.arch))
    }

    #[test]
    fn an_image_says_what_it_is_by_property_or_name() {
        for (name, os) in [
            ("Ubuntu 24.04 LTS (noble)", Some("ubuntu 24.04")),
            ("ubuntu-server-22.04", Some("ubuntu 22.04")),
            ("debian-12-generic-amd64", Some("debian 12")),
            ("cirros-0.6.2-x86_64-disk", Some("cirros 0.6.2")),
            ("golden image of the accounting team", None),
            ("debian-latest", None),
        ] {
            assert_eq!(os_in(name).as_deref(), os, "{name}");
        }
        let seen = image(serde_json::json!({
            "id": "1", "name": "noble", "status": "active", "created_at": "2026-01-31T12:00:00Z", "size": 1,
            "os_distro": "Ubuntu", "os_version": "24.04", "hw_architecture": "aarch64", "min_disk": 0,
        }));
        assert_eq!(seen, Some(("ubuntu 24.04".to_owned(), Arch::Arm64)));
        let system = |property: &str, value: &str| {
            let mut image = serde_json::json!({
                "id": "1", "name": "golden", "status": "active", "created_at": "2026-01-31T12:00:00Z",
                "os_distro": "golden", "os_version": "1",
            });
            image[property] = value.into();
            let image = serde_json::from_value(image).expect("an image");
            named(image, Arch::X86_64).map(|image| image.system)
        };
        assert_eq!(system("os_type", "Windows"), Some(System::Windows), "by what Nova is told of it");
        assert_eq!(system("os_distro", "windows"), Some(System::Windows));
        assert_eq!(system("os_type", "linux"), Some(System::Linux));
        let least = serde_json::json!({
            "id": "1", "name": "debian 12", "status": "active", "created_at": "2026-01-31T12:00:00Z",
            "min_disk": 30, "min_ram": 2048,
        });
        let least = named(serde_json::from_value(least).expect("an image"), Arch::X86_64);
        let least = least.map(|image| (image.min_disk_gib, image.min_memory_mib));
        assert_eq!(least, Some((30, 2048)), "a smaller flavor is refused");
        let copy = image(serde_json::json!({
            "id": "1", "name": "debian 12", "status": "active", "created_at": "2026-01-31T12:00:00Z",
            "image_type": "snapshot",
        }));
        assert_eq!(copy, None, "somebody's machine is no operating system");
    }

    fn specs(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_flavor_without_a_family_gets_one_from_its_name_or_shared_processors_count_as_whole() {
        assert_eq!(family(&specs("ecs:generation", "S3")), ("s3".to_owned(), Some(3)));
        assert_eq!(family(&specs("name", "m5.large")), (String::new(), None));
        let shared = |kind| shares_processors(&specs("scs:cpu-type", kind));
        assert_eq!(
            ["shared-core", "crowded-core", "dedicated-thread", "dedicated-core"].map(shared),
            [true, true, false, false]
        );
        assert!(!shares_processors(&BTreeMap::new()));
    }

    #[test]
    fn a_disk_beside_the_first_is_not_seen() {
        let flavor = |more: &str| {
            let text = format!(
                "{{\"id\": \"1\", \"name\": \"m1\", \"vcpus\": 1, \"ram\": 512, \"disk\": 10{more}}}"
            );
            serde_json::from_str::<Flavor>(&text).expect("a flavor")
        };
        assert_eq!(flavor(", \"OS-FLV-EXT-DATA:ephemeral\": 40").ephemeral, 40);
        assert_eq!(flavor("").ephemeral, 0);
    }

    #[test]
    fn a_flavor_says_its_accelerators() {
        assert_eq!(gpus(&specs("pci_passthrough:alias", "A100:2")), (2, Some("a100".to_owned())));
        assert_eq!(gpus(&specs("resources:VGPU", "1")), (1, None));
        assert_eq!(gpus(&BTreeMap::new()), (0, None));
    }
}
