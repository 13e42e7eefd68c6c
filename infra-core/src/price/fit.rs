//! One offering of one lane, held against a need: what it costs and which limits it misses.

use super::ROOT_DISK_GIB;
use super::cost::charge_nanos;
use super::limit::{Limit, Misses};
use super::need::{Need, Wish};
use crate::contracts::pricing::{Excluded, PriceContext, PricedLane};
use crate::nouns::offering::{Catalogue, Image, Offering, Price};
use crate::nouns::request::Arch;
use crate::words::clock::between;
use crate::words::ids::Zone;
use crate::words::money::Money;

/// A lane with what is the same for all its offerings, found once.
#[derive(Debug)]
pub(super) struct LaneView<'a> {
    pub(super) priced: &'a PricedLane<'a>,
    misses: Misses,
    x86_64: Boot<'a>,
    arm64: Boot<'a>,
    excluded: Vec<&'a Excluded>,
    now: crate::words::clock::Timestamp,
    stale_after: std::time::Duration,
}

/// What machines of one architecture boot in a lane.
#[derive(Debug, Clone, Copy)]
struct Boot<'a> {
    wanted: Option<&'a Image>,
    /// Something bootable, for naming near misses.
    any: Option<&'a Image>,
}

impl<'a> Boot<'a> {
    fn new(need: &Need<'_>, catalogue: &'a Catalogue, arch: Arch) -> Self {
        let wanted = match need.wish {
            Wish::Id(id) => catalogue.image(id).filter(|image| image.arch == arch),
            Wish::Os(os) => catalogue.newest_image(os, arch),
        };
        let newest = || {
            let of_arch = catalogue.images.iter().filter(|image| image.arch == arch);
            of_arch.max_by_key(|image| (image.created_at, &image.id))
        };
        Self { wanted, any: wanted.or_else(newest) }
    }
}

impl<'a> LaneView<'a> {
    pub(super) fn new(need: &Need<'_>, priced: &'a PricedLane<'a>, context: &PriceContext<'a>) -> Self {
        let mut misses = Misses::default();
        misses.add_if(need.provider.is_some_and(|it| it != &priced.lane.cloud), Limit::Provider);
        misses.add_if(need.region.is_some_and(|it| it != &priced.lane.region), Limit::Region);
        let excluded = if context.excluded.is_empty() {
            Vec::new()
        } else {
            let id = priced.lane.id();
            context.excluded.iter().filter(|it| it.lane == id).collect()
        };
        Self {
            priced,
            misses,
            x86_64: Boot::new(need, priced.catalogue, Arch::X86_64),
            arm64: Boot::new(need, priced.catalogue, Arch::Arm64),
            excluded,
            now: context.now,
            stale_after: context.stale_after,
        }
    }

    /// Is it the region and the cloud that was asked for?
    pub(super) const fn is_asked_for(&self) -> bool {
        self.misses.none()
    }

    /// Has it what should boot, for an architecture that is wanted?
    pub(super) fn can_boot(&self, need: &Need<'_>) -> bool {
        let arches = [Arch::X86_64, Arch::Arm64].into_iter();
        arches.filter(|it| need.arch.is_none_or(|arch| arch == *it)).any(|it| self.boot(it).wanted.is_some())
    }

    const fn boot(&self, arch: Arch) -> Boot<'a> {
        match arch {
            Arch::X86_64 => self.x86_64,
            Arch::Arm64 => self.arm64,
        }
    }

    /// Zones in which an offering may be taken now, by name; `[None]` where there are no zones.
    pub(super) fn open_zones(&self, offering: &'a Offering) -> Vec<Option<&'a Zone>> {
        let mut zones: Vec<Option<&Zone>> = offering.zones.iter().map(Some).collect();
        if zones.is_empty() {
            zones.push(None);
        }
        zones.sort_unstable();
        zones.dedup();
        let of_offering =
            |it: &&&Excluded| it.type_name == offering.type_name && it.market == offering.market;
        for excluded in self.excluded.iter().filter(of_offering) {
            zones.retain(|zone| excluded.zone.is_some() && excluded.zone.as_ref() != *zone);
        }
        zones
    }
}

/// An offering as this need would take it.
#[derive(Debug)]
pub(super) struct Fit<'a> {
    pub(super) lane: &'a LaneView<'a>,
    pub(super) offering: &'a Offering,
    pub(super) image: &'a Image,
    /// Disk to buy, GiB.
    pub(super) disk_gib: u32,
    /// One machine with its disk for one hour, billionths.
    pub(super) per_hour: i64,
    /// All machines for the time asked, or for an hour, billionths: what is minimised.
    pub(super) cost: i128,
    pub(super) stale: bool,
    pub(super) misses: Misses,
}

impl<'a> Fit<'a> {
    /// Holds an offering against a need; `None` when its price is not known or nothing could boot on it.
    pub(super) fn assess(need: &Need<'_>, lane: &'a LaneView<'a>, offering: &'a Offering) -> Option<Self> {
        let Price::Known { per_hour: compute, as_of, live, .. } = &offering.price else { return None };
        let boot = lane.boot(offering.arch);
        let image = boot.any.filter(|_| compute.nanos > 0)?;
        let mut misses = lane.misses;
        misses.add_if(boot.wanted.is_none(), need.image_limit());
        misses.add_if(u64::from(offering.vcpus_milli) < need.vcpus_milli, Limit::Vcpus);
        misses.add_if(offering.memory_mib < need.memory_mib, Limit::Memory);
        misses.add_if(offering.gpus < need.gpus, Limit::Gpus);
        misses.add_if(!model_fits(need.gpu_model, offering.gpu_model.as_deref()), Limit::GpuModel);
        misses.add_if(need.arch.is_some_and(|arch| arch != offering.arch), Limit::Arch);
        misses.add_if(need.market != offering.market, Limit::Market);
        let catalogue = lane.priced.catalogue;
        let bought = disk_to_buy(need.disk_gib, offering.disk_gib, catalogue.disk_gib_hour);
        let priced = bought.and_then(|gib| Some((gib, with_disk(*compute, gib, catalogue.disk_gib_hour)?)));
        misses.add_if(priced.is_none(), Limit::Disk);
        let (disk_gib, per_hour) = priced.unwrap_or((0, compute.nanos));
        misses.add_if(need.cap.is_some_and(|cap| per_hour > cap), Limit::MaxPrice);
        let closed = !lane.excluded.is_empty() && lane.open_zones(offering).is_empty();
        misses.add_if(closed, Limit::Capacity);
        let each =
            need.time.map_or(i128::from(per_hour), |time| charge_nanos(catalogue.billing, per_hour, time));
        Some(Self {
            lane,
            offering,
            image,
            disk_gib,
            per_hour,
            cost: each.saturating_mul(i128::from(need.count)),
            stale: *live && between(*as_of, lane.now) > lane.stale_after,
            misses,
        })
    }
}

fn model_fits(asked: Option<&str>, has: Option<&str>) -> bool {
    asked.is_none_or(|asked| has.is_some_and(|has| has.eq_ignore_ascii_case(asked)))
}

/// GiB of disk to buy beside the type's own; `None` when more is asked than can be had.
fn disk_to_buy(asked: u64, own: u32, gib_hour: Money) -> Option<u32> {
    let sold = gib_hour.nanos > 0;
    let wanted = if own == 0 && sold { asked.max(u64::from(ROOT_DISK_GIB)) } else { asked };
    let missing = wanted.saturating_sub(u64::from(own));
    u32::try_from(missing).ok().filter(|gib| *gib == 0 || sold)
}

/// The hourly price of a machine with its bought disk; `None` when no amount can say it.
fn with_disk(compute: Money, gib: u32, gib_hour: Money) -> Option<i64> {
    compute.nanos.checked_add(gib_hour.nanos.checked_mul(i64::from(gib))?)
}
