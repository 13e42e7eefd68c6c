//! Types, zones, prices, images of one region.

use std::collections::BTreeMap;

use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::offering::{Billing, Catalogue, Image, OffBilling, Offering};
use infra_core::nouns::request::Market;
use infra_core::nouns::system::System;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ImageId, TypeName, Zone};

use super::api::{ImageQuery, MachineImage, MachineType};
use super::launch::OPTIONS;
use super::prices;
use super::provider::{Ec2Provider, looked};
use super::settings::ImageSource;
use crate::failure::garbled;
use crate::families;

/// Pages that one listing of the catalogue may have: EC2 gives at least 100 types a page and has about a thousand.
const PAGES_MAX: usize = 200;

pub(super) async fn read(provider: &Ec2Provider) -> Result<Catalogue, ProviderError> {
    let before = provider.clock.wall();
    let (types, as_of) = types(provider).await?;
    let zones = zones(provider).await?;
    let mut images = Vec::new();
    for source in &provider.settings.images {
        images.extend(images_of(provider, source).await?);
    }
    // What is sold is asked for where it can boot, and nowhere else: a list is ten pages.
    let systems = images.iter().map(|image| image.system).chain([System::Linux]).collect();
    let today = provider.prices.today(&provider.api, &provider.lane, &provider.clock, systems).await;
    Ok(Catalogue {
        offerings: types
            .iter()
            .flat_map(|one| offerings(one, &zones))
            .flat_map(|one| today.of(one))
            .collect(),
        images,
        disk_gib_hour: today.disk_gib_hour(provider.lane.region.as_str()),
        ipv4_hour: prices::IPV4_HOUR,
        billing: Billing::default(),
        // By the second but for SUSE; [`Billing`] and [`OffBilling`] name the sources.
        billing_by_system: [(System::Suse, Billing::PerHour)].into(),
        off_billing: OffBilling::Disks,
        options: OPTIONS.into(),
        as_of: as_of.unwrap_or(before),
    })
}

async fn types(provider: &Ec2Provider) -> Result<(Vec<MachineType>, Option<Timestamp>), ProviderError> {
    let (mut all, mut page, mut as_of) = (Vec::new(), None, None);
    for _ in 0..PAGES_MAX {
        let answer = provider.api.describe_types(page).await.map_err(looked)?;
        all.extend(answer.items);
        as_of = as_of.or(answer.as_of);
        page = answer.next;
        if page.is_none() {
            return Ok((all, as_of));
        }
    }
    Err(garbled(format!("the listing of types has more than {PAGES_MAX} pages")))
}

async fn zones(provider: &Ec2Provider) -> Result<BTreeMap<String, Vec<Zone>>, ProviderError> {
    let mut zones = BTreeMap::<String, Vec<Zone>>::new();
    let mut page = None;
    for _ in 0..PAGES_MAX {
        let answer = provider.api.describe_type_zones(page).await.map_err(looked)?;
        for (type_name, zone) in answer.items {
            zones.entry(type_name).or_default().extend(Zone::new(zone).ok());
        }
        page = answer.next;
        if page.is_none() {
            zones.values_mut().for_each(|zones| zones.sort());
            return Ok(zones);
        }
    }
    Err(garbled(format!("the listing of zones has more than {PAGES_MAX} pages")))
}

async fn images_of(provider: &Ec2Provider, source: &ImageSource) -> Result<Vec<Image>, ProviderError> {
    let query = ImageQuery::Named { owner: source.owner.clone(), pattern: source.pattern.clone() };
    let (mut all, mut page) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let answer = provider.api.describe_images(&query, page).await.map_err(looked)?;
        all.extend(answer.items.into_iter().filter_map(|image| named(source, image)));
        page = answer.next;
        if page.is_none() {
            return Ok(all);
        }
    }
    Err(garbled(format!("the listing of images has more than {PAGES_MAX} pages")))
}

/// All of a source's images, not its newest alone: a person may name an older one by id.
fn named(source: &ImageSource, image: MachineImage) -> Option<Image> {
    let system = image.platform.as_deref().map_or_else(|| System::of_os(&source.os), billed_as);
    Some(Image {
        id: ImageId::new(image.id).ok()?,
        name: image.name,
        os: source.os.clone(),
        arch: image.arch.filter(|arch| *arch == source.arch)?,
        created_at: image.created_at?,
        system,
        min_disk_gib: image.root_gib.unwrap_or(0),
        // EC2 knows no such thing.
        min_memory_mib: 0,
    })
}

/// GB, as disks are sold, in whole GiB, rounded down.
fn gib(gb: u64) -> u32 {
    u32::try_from((u128::from(gb) * 1_000_000_000) >> 30).unwrap_or(u32::MAX)
}

/// What EC2 charges for an image by its platform details; what comes with a licence of its own is charged as Linux
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-info-fields.html>).
fn billed_as(platform: &str) -> System {
    match platform {
        "Linux/UNIX" | "Windows BYOL" => System::Linux,
        "Windows" => System::Windows,
        "Red Hat Enterprise Linux" => System::Rhel,
        "SUSE Linux" => System::Suse,
        _ => System::Other,
    }
}

/// One offering per architecture and market, without a price yet; none when no zone has the type.
fn offerings(one: &MachineType, zones: &BTreeMap<String, Vec<Zone>>) -> Vec<Offering> {
    let Some(zones) = zones.get(&one.name).filter(|zones| !zones.is_empty()) else { return Vec::new() };
    let Ok(type_name) = TypeName::new(one.name.clone()) else { return Vec::new() };
    let markets: &[Market] = if one.spot { &[Market::OnDemand, Market::Spot] } else { &[Market::OnDemand] };
    let mut all = Vec::new();
    for arch in &one.archs {
        for market in markets {
            all.push(Offering {
                family: families::ec2(&one.name).family.to_owned(),
                generation: families::ec2(&one.name).generation,
                burstable: one.burstable,
                gpu_memory_mib: one.gpu_memory_mib,
                local_disk_gib: gib(one.local_disk_gb),
                vcpus_milli: one.vcpus.saturating_mul(1000),
                memory_mib: one.memory_mib,
                gpus: one.gpus,
                gpu_model: one.gpu_model.as_ref().map(|model| model.to_lowercase()),
                zones: zones.clone(),
                // No disk to boot from: those are bought apart.
                ..Offering::new(type_name.clone(), *arch, *market)
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_promised_larger_than_it_is() {
        assert_eq!([0, 1, 75, 1900].map(gib), [0, 0, 69, 1769]);
        assert_eq!(gib(u64::MAX), u32::MAX);
    }
}
