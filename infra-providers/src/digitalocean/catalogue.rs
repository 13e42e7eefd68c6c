//! Sizes with today's prices, and images, of one region.

use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::cloud::PowerMode;
use infra_core::nouns::offering::{Billing, Catalogue, Image, OffBilling, Offering, Price};
use infra_core::nouns::options::MachineOption;
use infra_core::nouns::request::{Arch, Market};
use infra_core::nouns::system::System;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ImageId, TypeName};
use infra_core::words::money::Money;

use super::api::Images;
use super::list::Pages;
use super::provider::DigitalOceanProvider;
use super::wire;
use crate::families;
use crate::prices::{Amount, CurrencyCode, PriceOf, PriceTable, Scope};

/// Who says what a size costs.
const SOURCE: &str = "digitalocean /v2/sizes";
/// At least one cent for each machine.
const MIN_CHARGE: Money = Money::usd_nanos(10_000_000);
/// 28 days; the rest of a month is not charged ([`Billing`] names the source).
const MONTH_HOURS_MAX: u32 = 672;

pub(super) async fn read(provider: &DigitalOceanProvider) -> Result<Catalogue, ProviderError> {
    // Before the call: prices must not look fresher than they are.
    let before = provider.clock.wall();
    let mut sizes = Pages::new();
    while let Some(page) = sizes.next {
        sizes.take(provider.api.sizes(page).await)?;
    }
    let as_of = sizes.as_of.unwrap_or(before);
    let region = provider.lane.region.as_str();
    let mut images = Vec::new();
    for which in [Images::Distributions, Images::Private] {
        let mut found = Pages::new();
        while let Some(page) = found.next {
            found.take(provider.api.images(which, page).await)?;
        }
        let here = found.items.iter().filter(|one| one.regions.iter().any(|slug| slug == region));
        images.extend(here.flat_map(|one| named(which, one)));
    }
    let offerings: Vec<Offering> =
        sizes.items.iter().filter_map(|size| offering(region, size, as_of)).collect();
    note(provider, &offerings, as_of);
    Ok(Catalogue {
        offerings,
        images,
        // A disk comes with its size; volumes are not made here.
        disk_gib_hour: Money::default(),
        ipv4_hour: Money::default(),
        billing: Billing::PerSecond {
            min_s: 60,
            min_charge: MIN_CHARGE,
            month_hours_max: Some(MONTH_HOURS_MAX),
        },
        billing_by_system: [].into(),
        off_billing: OffBilling::Everything,
        options: [MachineOption::Network, MachineOption::Off(PowerMode::Snapshot)].into(),
        as_of,
    })
}

/// Notes how old these prices are, where somebody looks. A list without a price leaves the last one in sight.
fn note(provider: &DigitalOceanProvider, offerings: &[Offering], as_of: Timestamp) {
    let Some(feed) = &provider.prices else { return };
    let mut table = PriceTable::new(SOURCE, as_of, true);
    for one in offerings {
        let says = match &one.price {
            Price::Unknown { reason } => Err(reason.clone()),
            price => Amount::of_nanos(price.per_hour().unwrap_or_default().nanos, CurrencyCode::USD),
        };
        table.add(PriceOf::on_demand(one.type_name.as_str()), says);
    }
    feed.heard(&Scope { region: provider.lane.region.clone(), account: None }, table);
}

/// `None` for what cannot be ordered here.
fn offering(region: &str, size: &wire::Size, as_of: Timestamp) -> Option<Offering> {
    let here = size.available && size.regions.iter().any(|slug| slug == region);
    let gpu = size.gpu_info.as_ref().filter(|gpu| gpu.count > 0);
    here.then_some(())?;
    let type_name = TypeName::new(size.slug.clone()).ok()?;
    Some(Offering {
        family: families::digitalocean(type_name.as_str()).to_owned(),
        burstable: families::digitalocean_is_shared(type_name.as_str()),
        vcpus_milli: size.vcpus.saturating_mul(1000),
        memory_mib: size.memory,
        disk_gib: size.disk,
        gpus: gpu.map_or(0, |gpu| gpu.count),
        gpu_model: gpu.and_then(|gpu| gpu.model.as_deref()).map(model),
        gpu_memory_mib: gpu.and_then(|gpu| gpu.vram.as_ref()).map_or(0, mib),
        price: price(size.price_hourly.as_ref(), size.price_monthly.as_ref(), as_of),
        ..Offering::new(type_name, Arch::X86_64, Market::OnDemand)
    })
}

/// `nvidia_h100` as people say it: `h100`.
fn model(model: &str) -> String {
    let lower = model.to_lowercase();
    let plain = lower.strip_prefix("nvidia_").or_else(|| lower.strip_prefix("amd_")).unwrap_or(&lower);
    plain.to_owned()
}

fn mib(vram: &wire::Vram) -> u64 {
    let gib = vram.unit.eq_ignore_ascii_case("gib");
    if gib { vram.amount.saturating_mul(1024) } else { 0 }
}

/// Read as it is written: no float stands between the API's digits and ours. An hour that costs as much as a month is
/// somebody's mistake, and not ours to pay.
pub(crate) fn price(
    per_hour: Option<&serde_json::Number>,
    per_month: Option<&serde_json::Number>,
    as_of: Timestamp,
) -> Price {
    let unknown = |why: String| Price::Unknown { reason: format!("{SOURCE} says {why}") };
    let read = |number: &serde_json::Number| Amount::read(&number.to_string(), CurrencyCode::USD);
    let Some(number) = per_hour else {
        return Price::Unknown { reason: format!("{SOURCE} names no price") };
    };
    let month = per_month.and_then(|number| Money::parse_usd(&number.to_string()));
    match read(number) {
        Ok(hour) if month.is_some_and(|month| month.nanos > 0 && month.nanos <= hour.nanos()) => {
            unknown(format!("{number} for an hour, and no more for a month"))
        }
        Ok(hour) => Price::Known {
            per_hour: Money::usd_nanos(hour.nanos()),
            as_of,
            source: SOURCE.to_owned(),
            live: true,
        },
        Err(why) => unknown(why),
    }
}

/// An image under the names people call it by: `ubuntu 24.04` and its slug, or its own name for an account's own. Its
/// id is the number, which stands for the same bytes for ever.
fn named(which: Images, one: &wire::Image) -> Vec<Image> {
    let usable = one.status.is_empty() || one.status == "available";
    let Some(id) = ImageId::new(one.id.to_string()).ok().filter(|_| usable) else { return Vec::new() };
    let names = match which {
        Images::Private => vec![one.name.to_lowercase()],
        Images::Distributions => {
            let release = one.name.split_whitespace().next().unwrap_or_default();
            let os = format!("{} {release}", one.distribution).to_lowercase();
            [Some(os), one.slug.clone()].into_iter().flatten().collect()
        }
    };
    let arch = if one.name.contains("arm64") { Arch::Arm64 } else { Arch::X86_64 };
    let name = format!("{} {}", one.distribution, one.name);
    // Droplets cost the same whatever they boot: no licences are sold.
    let system = System::Linux;
    let min_disk_gib = one.min_disk_size.unwrap_or(0);
    let image = |os| Image {
        id: id.clone(),
        name: name.clone(),
        os,
        arch,
        created_at: one.created_at,
        system,
        min_disk_gib,
        // DigitalOcean knows no such thing.
        min_memory_mib: 0,
    };
    names.into_iter().map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_the_digits_that_were_sent_or_unknown() {
        for (sent, nanos) in [
            ("0.00744", Some(7_440_000)),
            ("3.5", Some(3_500_000_000)),
            ("25", Some(25_000_000_000)),
            ("0.0", None),
            ("-1", None),
            ("1e-12", None),
        ] {
            let number: serde_json::Number = serde_json::from_str(sent).expect("a number");
            let price = price(Some(&number), None, Timestamp::UNIX_EPOCH);
            assert_eq!(price.per_hour().map(|money| money.nanos), nanos, "{sent}");
        }
        assert!(matches!(price(None, None, Timestamp::UNIX_EPOCH), Price::Unknown { .. }));
    }

    #[test]
    fn a_months_price_in_the_hours_place_is_not_paid_by_the_hour() {
        let number = |text: &str| serde_json::from_str::<serde_json::Number>(text).expect("a number");
        for (hour, month, known) in
            [("0.00893", "6", true), ("6", "0.00893", false), ("6", "6", false), ("12000", "12000000", false)]
        {
            let price = price(Some(&number(hour)), Some(&number(month)), Timestamp::UNIX_EPOCH);
            assert_eq!(price.per_hour().is_some(), known, "{hour} {month}");
        }
    }

    #[test]
    fn accelerators_are_called_what_people_call_them() {
        assert_eq!(["nvidia_h100", "AMD_MI300X", "h200"].map(model), ["h100", "mi300x", "h200"]);
    }
}
