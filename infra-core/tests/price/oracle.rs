//! Brute force: every offer in every zone, held against the request in the plainest way, sorted whole. It shares no
//! code with the engine, floats and loops included.

use infra_core::contracts::pricing::{Excluded, Quote};
use infra_core::nouns::offering::{Billing, Image, Offering, Price};
use infra_core::nouns::overlay::Off;
use infra_core::nouns::policy::Burstable;
use infra_core::nouns::request::{Market, MarketWish, Request};
use infra_core::testing::price_world::{PriceWorld, WorldLane};

/// What one way to fulfil a request comes to, ordered as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) class: usize,
    pub(crate) total: i128,
    pub(crate) stale: bool,
    pub(crate) vcpus: u32,
    pub(crate) memory: u64,
    pub(crate) names: [String; 4],
    pub(crate) zone: Option<String>,
    pub(crate) image: String,
    pub(crate) disk: u32,
    pub(crate) each: i64,
}

impl Row {
    /// What the order is by: rows may differ in the rest, zones among it, and still be equal in rank.
    pub(crate) fn rank(&self) -> (usize, i128, bool, u32, u64, &[String; 4]) {
        (self.class, self.total, self.stale, self.vcpus, self.memory, &self.names)
    }

    /// A quote as a row; the total of one without a duration is its hour's.
    pub(crate) fn of(quote: &Quote, need: &Request) -> Self {
        let choice = &quote.choice;
        Self {
            class: class(need, choice.offering.market).unwrap_or(usize::MAX),
            total: quote.total.unwrap_or(quote.per_hour).nanos.into(),
            stale: quote.stale,
            vcpus: choice.offering.vcpus_milli,
            memory: choice.offering.memory_mib,
            names: [
                choice.offering.type_name.to_string(),
                choice.lane.cloud.to_string(),
                choice.lane.region.to_string(),
                choice.credential.to_string(),
            ],
            zone: choice.zone.as_ref().map(ToString::to_string),
            image: choice.image.to_string(),
            disk: choice.disk_gib,
            each: choice.per_hour.nanos,
        }
    }
}

/// The list that is shown of all rows: where two markets are wished, a quarter of it, and one place at least, is kept
/// for the second.
pub(crate) fn shown(rows: &[Row], need: &Request, limit: usize) -> Vec<Row> {
    if need.market != Some(MarketWish::SpotThenOnDemand) {
        return rows.iter().take(limit).cloned().collect();
    }
    let (first, second): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|row| row.class == 0);
    let kept = [second.len(), limit.max(4) / 4, limit - 1].into_iter().min().expect("three figures");
    first.into_iter().take(limit - kept).chain(second).take(limit).collect()
}

/// 0 for the market wished first, 1 for the other.
pub(crate) fn class(need: &Request, market: Market) -> Option<usize> {
    match (need.market.unwrap_or_default(), market) {
        (MarketWish::OnDemand, Market::OnDemand) | (MarketWish::Spot, Market::Spot) => Some(0),
        (MarketWish::SpotThenOnDemand, Market::Spot) => Some(0),
        (MarketWish::SpotThenOnDemand, Market::OnDemand) => Some(1),
        _ => None,
    }
}

/// Every way to fulfil a request, best first.
pub(crate) fn rows(world: &PriceWorld, need: &Request) -> Vec<Row> {
    let mut rows = Vec::new();
    for lane in &world.lanes {
        for offering in &lane.catalogue.offerings {
            for zone in open_zones(world, lane, offering) {
                rows.extend(row(world, lane, offering, need).map(|row| Row { zone, ..row }));
            }
        }
    }
    rows.sort();
    rows
}

/// Zones in which an offering is not excluded, by name; `None` for that of a cloud without.
pub(crate) fn open_zones(
    world: &PriceWorld,
    lane: &WorldLane,
    offering: &Offering,
) -> impl Iterator<Item = Option<String>> {
    let mut zones: Vec<_> = offering.zones.iter().cloned().map(Some).collect();
    if zones.is_empty() {
        zones.push(None);
    }
    zones.sort();
    zones.dedup();
    let mut barred = Excluded {
        lane: lane.lane.id(),
        type_name: offering.type_name.clone(),
        zone: None,
        market: offering.market,
    };
    let everywhere = world.excluded.contains(&barred);
    zones.retain(|zone| {
        barred.zone.clone_from(zone);
        !everywhere && !world.excluded.contains(&barred)
    });
    zones.into_iter().map(|zone| zone.map(|zone| zone.to_string()))
}

fn row(world: &PriceWorld, lane: &WorldLane, offering: &Offering, need: &Request) -> Option<Row> {
    let at_least =
        |has: f64, asked: Option<f64>| asked.is_none_or(|asked| asked >= 0.0 && has >= asked - 1e-9);
    let same = |has: bool| has.then_some(());
    let Price::Known { per_hour, as_of, live, .. } = &offering.price else { return None };
    same(per_hour.nanos > 0)?;
    same(need.count != Some(0))?;
    same(need.region.as_ref().is_none_or(|it| *it == lane.lane.region))?;
    same(need.provider.as_ref().is_none_or(|it| *it == lane.lane.cloud))?;
    same(at_least(f64::from(offering.vcpus_milli) / 1000.0, need.vcpus))?;
    same(at_least(offering.memory_mib as f64 / 1024.0, need.memory_gib))?;
    same(offering.gpus >= need.gpus.unwrap_or(0))?;
    same(need.gpu_model.is_none() || (offering.gpus > 0 && offering.gpu_model == need.gpu_model))?;
    same(need.arch.is_none_or(|it| it == offering.arch))?;
    let class = class(need, offering.market)?;
    policy(lane, offering, need)?;
    let image = image(lane, offering, need)?;
    same(image.system == offering.system)?;
    same(image.min_memory_mib <= offering.memory_mib)?;
    let disk = disk(lane, offering, need.disk_gib)?;
    let lowered = lowered(world, lane, offering, per_hour.nanos);
    let address = if need.private_only { 0 } else { lane.catalogue.ipv4_hour.nanos };
    let extras = i128::from(address) + i128::from(offering.fee_per_hour.nanos);
    let with_disk =
        i128::from(lowered) + extras + i128::from(lane.catalogue.disk_gib_hour.nanos) * i128::from(disk);
    let each = i64::try_from(with_disk).ok().filter(|_| offering.fee_per_hour.nanos >= 0)?;
    same(need.max_price_per_hour.is_none_or(|cap| cap.is_finite() && each as f64 / 1e9 <= cap))?;
    let age = world.now.duration_since(*as_of).as_secs();
    Some(Row {
        class,
        total: total(lane, offering, each, need) * i128::from(need.count.unwrap_or(1)),
        stale: *live && age > 30 * 24 * 3600,
        vcpus: offering.vcpus_milli,
        memory: offering.memory_mib,
        names: [
            offering.type_name.to_string(),
            lane.lane.cloud.to_string(),
            lane.lane.region.to_string(),
            lane.credential.to_string(),
        ],
        zone: None,
        image: image.id.to_string(),
        disk,
        each,
    })
}

fn policy(lane: &WorldLane, offering: &Offering, need: &Request) -> Option<()> {
    let rules = &need.policy;
    let named = |list: &[String]| list.iter().any(|it| it.to_lowercase() == offering.family);
    let family_ok = (rules.families.allow.is_empty() || named(&rules.families.allow))
        && (offering.family.is_empty() || !named(&rules.families.deny));
    let region_ok = (rules.regions.allow.is_empty() || rules.regions.allow.contains(&lane.lane.region))
        && !rules.regions.deny.contains(&lane.lane.region);
    let cloud_ok = (rules.providers.allow.is_empty() || rules.providers.allow.contains(&lane.lane.cloud))
        && !rules.providers.deny.contains(&lane.lane.cloud);
    let new_enough =
        rules.min_generation.is_none_or(|least| offering.generation.is_some_and(|it| it >= least));
    let steady = rules.burstable == Burstable::Allow || !offering.burstable;
    (family_ok && region_ok && cloud_ok && new_enough && steady).then_some(())
}

/// The lowest price that any overlay of the team makes of a listed one.
pub(crate) fn lowered(world: &PriceWorld, lane: &WorldLane, offering: &Offering, list: i64) -> i64 {
    let mut lowest = list;
    for overlay in &world.overlays {
        let meant = overlay.provider.as_ref().is_none_or(|it| *it == lane.lane.cloud)
            && overlay.region.as_ref().is_none_or(|it| *it == lane.lane.region)
            && overlay.market.is_none_or(|it| it == offering.market)
            && overlay
                .family
                .as_ref()
                .is_none_or(|it| it.to_lowercase() == offering.family && !it.is_empty());
        let price = match overlay.off {
            #[allow(clippy::cast_possible_truncation, reason = "the worlds know halves of percents only")]
            Off::Percent(off) => {
                let left = 200 - (off * 2.0) as i128;
                i64::try_from((i128::from(list) * left + 199) / 200).expect("below the list price")
            }
            // An amount that would leave less than a twentieth is for something dearer.
            Off::PerHour(off) if list.saturating_sub(off.nanos).saturating_mul(20) < list => list,
            Off::PerHour(off) => list - off.nanos,
        };
        if meant && price.max(1) < lowest {
            lowest = price.max(1);
        }
    }
    lowest
}

pub(crate) fn image<'a>(lane: &'a WorldLane, offering: &Offering, need: &Request) -> Option<&'a Image> {
    let mut found: Option<&Image> = None;
    for image in lane.catalogue.images.iter().filter(|it| it.arch == offering.arch) {
        let wanted = match &need.image {
            Some(id) => image.id == *id,
            None => image.os == need.os.as_deref().unwrap_or("ubuntu 24.04"),
        };
        let newer =
            |than: &Image| (image.created_at, image.id.as_str()) > (than.created_at, than.id.as_str());
        if wanted && found.is_none_or(newer) {
            found = Some(image);
        }
    }
    found
}

pub(crate) fn disk(lane: &WorldLane, offering: &Offering, asked: Option<f64>) -> Option<u32> {
    let asked = asked.unwrap_or(0.0);
    let sold = lane.catalogue.disk_gib_hour.nanos > 0;
    if !asked.is_finite() || asked < 0.0 {
        return None;
    }
    match (offering.disk_gib, sold) {
        (0, true) => Some(whole(asked.max(8.0))),
        (own, _) if asked <= f64::from(own) => Some(0),
        (own, true) => Some(whole(asked - f64::from(own))),
        (_, false) => None,
    }
}

/// The smallest whole number not below: by counting, as nobody would write it in earnest.
fn whole(at_least: f64) -> u32 {
    (0..=10_000).find(|n| f64::from(*n) >= at_least).expect("the worlds ask for no more")
}

fn total(lane: &WorldLane, offering: &Offering, each: i64, need: &Request) -> i128 {
    let Some(seconds) = need.duration_s else { return each.into() };
    let own = lane.catalogue.billing_by_system.iter().find(|(system, _)| **system == offering.system);
    let round_up = |amount: i128, by: i128| (amount + by - 1) / by;
    match own.map_or(lane.catalogue.billing, |(_, billing)| *billing) {
        Billing::PerHour => i128::from(each) * round_up(seconds.into(), 3600).max(1),
        Billing::PerSecond { min_s, min_charge, month_hours_max } => {
            // The worlds begin with a January and last for two months at most.
            let january = seconds.min(31 * 24 * 3600);
            let most = month_hours_max.map_or(u64::MAX, |hours| u64::from(hours) * 3600);
            let paid = january.min(most) + (seconds - january).min(most);
            let billed = paid.max(min_s.into());
            round_up(i128::from(each) * i128::from(billed), 3600).max(min_charge.nanos.into())
        }
        _ => unreachable!("the worlds bill in no other way"),
    }
}
