//! One offering of one lane, held against a need: what it costs and which limits it misses.
//!
//! # Flow
//! What is the same for a whole lane (is it the region asked for, what boots there, what is excluded there) is found
//! once, in a [`LaneView`]. Each offering then becomes a [`Fit`] without allocating, whether it fits or not.
//!
//! # Guarantees
//! * An offering without a known price above zero, or on which nothing could boot (no image of its architecture and
//!   system, or none that its memory is enough for), becomes no fit at all: it can neither be chosen nor be named as near.
//! * An image that needs more memory than an offering has is not there for that offering, as if it were of another
//!   architecture: it is the image that stands in the way, and no wish for memory.
//! * A price counts for the system that it is of, and for no other.
//! * An hourly price that no amount can say counts as disk that cannot be had.
//!
//! # Assumptions
//! A view is made for one need and one moment, and is dropped with the answer: what it found once for its lane is true
//! of no other need.
//!
//! # Caveats
//! A place that was not asked for is a limit that is missed, like a size: so what would do elsewhere can be named as
//! near. Whoever wants only what fits asks whether nothing is missed.

use std::cmp::Reverse;

use super::ROOT_DISK_GIB;
use super::cost::Meter;
use super::index::LaneIndex;
use super::limit::{Limit, Misses};
use super::need::{Need, Wish};
use crate::contracts::pricing::{Excluded, PriceContext, PricedLane};
use crate::nouns::offering::{Catalogue, Image, Offering, Price};
use crate::nouns::overlay::Overlay;
use crate::nouns::policy::Burstable;
use crate::nouns::request::{Arch, Market};
use crate::nouns::system::System;
use crate::words::clock::between;
use crate::words::ids::{TypeName, Zone};
use crate::words::lane::Lane;
use crate::words::money::Money;

/// A lane with what is the same for all its offerings, found once.
#[derive(Debug)]
pub(super) struct LaneView<'a> {
    /// The lane as the context has it.
    pub(super) priced: &'a PricedLane<'a>,
    /// What every offering here misses: the cloud, the region.
    misses: Misses,
    x86_64: Boot<'a>,
    arm64: Boot<'a>,
    /// Exclusions of this lane.
    excluded: Vec<&'a Excluded>,
    /// What the team pays less in this place.
    pub(super) overlays: Vec<&'a Overlay>,
    /// How the time asked is paid here with what costs nothing, which is all that an index knows; an hour when none was
    /// asked. Of a fit: [`Fit::meter`].
    pub(super) meter: Meter,
    /// A machine's public address for an hour, billionths; 0 when it has none.
    pub(super) ipv4: i64,
    now: crate::words::clock::Timestamp,
    stale_after: std::time::Duration,
}

/// What machines of one architecture boot in a lane.
#[derive(Debug, Clone, Copy)]
struct Boot<'a> {
    /// What was asked for.
    wanted: Option<&'a Image>,
    /// Something bootable, for naming near misses.
    any: Option<&'a Image>,
    /// Memory of which no image could be booted with less, MiB: of those that a price of this system counts for.
    least_mib: u64,
    /// How the time asked is paid with its system.
    meter: Meter,
}

impl<'a> Boot<'a> {
    /// `meter` says how the time asked is paid with a system.
    fn new(need: &Need<'_>, catalogue: &'a Catalogue, arch: Arch, meter: impl Fn(System) -> Meter) -> Self {
        let wanted = match need.wish {
            Wish::Id(id) => catalogue.image(id).filter(|image| image.arch == arch),
            Wish::Os(os) => catalogue.newest_image(os, arch),
        };
        let of_arch = || catalogue.images.iter().filter(|image| image.arch == arch);
        // What is not sold: its near misses have prices. And what the most machines can boot.
        let newest = || {
            let free = of_arch().filter(|image| image.system.is_linux());
            free.max_by_key(|image| (Reverse(image.min_memory_mib), image.created_at, &image.id))
        };
        let any = wanted.or_else(newest);
        let least_mib = match any {
            Some(image) if image.min_memory_mib > 0 => {
                let same = of_arch().filter(|other| other.system == image.system);
                same.map(|other| other.min_memory_mib).min().unwrap_or(0)
            }
            _ => 0,
        };
        let meter = meter(wanted.map_or_else(System::default, |image| image.system));
        Self { wanted, any, least_mib, meter }
    }

    /// Memory of which what was asked for boots with no less, MiB.
    fn needs_mib(&self) -> u64 {
        self.wanted.map_or(0, |image| image.min_memory_mib)
    }

    /// Of which system a price must be: that of what boots.
    fn system(&self) -> System {
        self.wanted.map_or_else(System::default, |image| image.system)
    }
}

impl<'a> LaneView<'a> {
    /// Looks at a lane for a need.
    pub(super) fn new(need: &Need<'_>, priced: &'a PricedLane<'a>, context: &PriceContext<'a>) -> Self {
        let place = priced.lane;
        let misses = Self::lane_misses(need, place);
        let excluded = if context.excluded.is_empty() {
            Vec::new()
        } else {
            let id = priced.lane.id();
            context.excluded.iter().filter(|it| it.lane == id).collect()
        };
        let here = |it: &&Overlay| it.is_for_place(&place.cloud, &place.region);
        let ipv4 = priced.catalogue.ipv4_hour.nanos.max(0);
        let catalogue = priced.catalogue;
        let meter_of = |system| {
            let billing = catalogue.billing_of(system);
            need.time.map_or(Meter::HOUR, |time| Meter::new(billing, context.now, time))
        };
        let meter = meter_of(System::Linux);
        let with = |system: System| if system.is_linux() { meter } else { meter_of(system) };
        Self {
            priced,
            misses,
            overlays: context.overlays.iter().filter(here).collect(),
            meter,
            ipv4: if need.public { ipv4 } else { 0 },
            x86_64: Boot::new(need, catalogue, Arch::X86_64, with),
            arm64: Boot::new(need, catalogue, Arch::Arm64, with),
            excluded,
            now: context.now,
            stale_after: context.stale_after,
        }
    }

    /// What all offers of a lane miss by being there.
    pub(super) fn lane_misses(need: &Need<'_>, place: &Lane) -> Misses {
        let mut misses = Misses::default();
        misses.add_if(need.provider.is_some_and(|it| it != &place.cloud), Limit::Provider);
        misses.add_if(need.region.is_some_and(|it| it != &place.region), Limit::Region);
        misses.add_if(!need.policy.regions.takes(|it| it == &place.region), Limit::Regions);
        misses.add_if(!need.policy.providers.takes(|it| it == &place.cloud), Limit::Providers);
        misses
    }

    /// How many limits all offers here miss.
    pub(super) const fn misses_of_all(&self) -> u32 {
        self.misses.count()
    }

    /// What was prepared for this lane, if it was, and of this very list; it knows prices of Linux alone.
    pub(super) fn index(&self) -> Option<&'a LaneIndex> {
        if [self.x86_64, self.arm64].iter().any(|boot| !boot.system().is_linux()) {
            return None;
        }
        let index = self.priced.prepared.get::<LaneIndex>()?;
        index.is_of(self.priced.catalogue).then_some(index)
    }

    /// Does what was asked for boot on machines of this architecture?
    pub(super) const fn boots(&self, arch: Arch) -> bool {
        self.boot(arch).wanted.is_some()
    }

    /// The largest of the smallest disks that what boots here needs, GiB.
    pub(super) fn image_disk(&self) -> u32 {
        let images = [self.x86_64, self.arm64].into_iter().filter_map(|boot| boot.any);
        images.map(|image| image.min_disk_gib).max().unwrap_or(0)
    }

    /// Does anything boot on machines of this architecture?
    pub(super) const fn boots_anything(&self, arch: Arch) -> bool {
        self.boot(arch).any.is_some()
    }

    /// Memory that what was asked for needs on machines of this architecture, MiB; 0 where it is not there, or does not say.
    pub(super) fn needs_mib(&self, arch: Arch) -> u64 {
        self.boot(arch).needs_mib()
    }

    /// Memory without which nothing boots on machines of this architecture, MiB.
    pub(super) const fn least_mib(&self, arch: Arch) -> u64 {
        self.boot(arch).least_mib
    }

    /// Is anything here excluded?
    pub(super) const fn excludes(&self) -> bool {
        !self.excluded.is_empty()
    }

    /// The types of which anything is excluded.
    pub(super) fn excluded_types(&self) -> impl Iterator<Item = &'a TypeName> {
        self.excluded.iter().map(|it| &it.type_name)
    }

    /// The first zone in which an offering may be taken now; `None` where there is none, or no zones.
    pub(super) fn first_zone(&self, offering: &'a Offering) -> Option<&'a Zone> {
        if self.excluded.is_empty() {
            return offering.zones.iter().min();
        }
        self.open_zones(offering).into_iter().next().flatten()
    }

    /// May anything here be taken?
    pub(super) const fn is_asked_for(&self) -> bool {
        self.misses.none()
    }

    /// Is it the region and the cloud that was named, whatever the rules say of them?
    pub(super) const fn is_named(&self) -> bool {
        !self.misses.has(Limit::Region) && !self.misses.has(Limit::Provider)
    }

    /// What the team pays for compute that is listed at a price: the lowest of what its overlays make of it.
    pub(super) fn lowered(&self, list: i64, family: &str, market: Market) -> i64 {
        let matching = self.overlays.iter().filter(|it| it.is_for_kind(family, market));
        matching.map(|it| it.off.lowered(list)).min().unwrap_or(list)
    }

    /// The name of the overlay that [`Self::lowered`] is by; of several that come to the same the first by name.
    pub(super) fn lowered_by(&self, list: i64, family: &str, market: Market) -> Option<&'a str> {
        let matching = self.overlays.iter().filter(|it| it.is_for_kind(family, market));
        let all = matching.map(|it| (it.off.lowered(list), it.name.as_str()));
        all.filter(|(lowered, _)| *lowered < list).min().map(|(_, name)| name)
    }

    /// Has it what should boot, for an architecture that is wanted?
    pub(super) fn can_boot(&self, need: &Need<'_>) -> bool {
        let arches = [Arch::X86_64, Arch::Arm64].into_iter();
        arches.filter(|it| need.arch.is_none_or(|arch| arch == *it)).any(|it| self.boot(it).wanted.is_some())
    }

    /// A system that boots here and that no offering has a price of, the last of them; `None` when one that boots can be
    /// paid for.
    pub(super) fn unpriced(&self, need: &Need<'_>) -> Option<System> {
        let arches = [Arch::X86_64, Arch::Arm64].into_iter();
        let bootable = arches
            .filter(|arch| need.arch.is_none_or(|asked| asked == *arch) && self.boots(*arch))
            .map(|arch| self.boot(arch).system());
        let priced = |system: &System| {
            let mut offerings = self.priced.catalogue.offerings.iter();
            offerings.any(|it| it.system == *system && it.price.per_hour().is_some())
        };
        if bootable.clone().any(|system| priced(&system)) { None } else { bootable.max() }
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
pub(super) struct Fit<'v, 'a> {
    /// Where.
    pub(super) lane: &'v LaneView<'a>,
    /// What.
    pub(super) offering: &'a Offering,
    /// From which image; some other one when the wanted one is missed.
    pub(super) image: &'a Image,
    /// Disk to buy, GiB.
    pub(super) disk_gib: u32,
    /// One machine with everything for one hour, billionths.
    pub(super) per_hour: i64,
    /// Of that the disk.
    pub(super) disk: i64,
    /// Of that the public address.
    pub(super) ipv4: i64,
    /// Of that what a managed service takes.
    pub(super) fee: i64,
    /// What overlays took off the list price of one machine and hour.
    pub(super) saved: i64,
    /// Which wish of the request its market is; the last when it is none.
    pub(super) class: usize,
    /// All machines for the time asked, or for an hour, billionths: what is minimised.
    pub(super) cost: i128,
    /// Its price is live and old.
    pub(super) stale: bool,
    /// What it misses; it fits when that is nothing.
    pub(super) misses: Misses,
}

impl<'v, 'a> Fit<'v, 'a> {
    /// Holds an offering against a need; `None` when its price is not known or nothing could boot on it.
    pub(super) fn assess(need: &Need<'_>, lane: &'v LaneView<'a>, offering: &'a Offering) -> Option<Self> {
        let Price::Known { per_hour: compute, as_of, live, .. } = &offering.price else { return None };
        let boot = lane.boot(offering.arch);
        let fee = offering.fee_per_hour.nanos;
        let bootable = boot.system() == offering.system && boot.least_mib <= offering.memory_mib;
        let image = boot.any.filter(|_| compute.nanos > 0 && fee >= 0 && bootable)?;
        let mut misses = lane.misses;
        misses.add_if(boot.wanted.is_none() || boot.needs_mib() > offering.memory_mib, need.image_limit());
        misses.add_if(u64::from(offering.vcpus_milli) < need.vcpus_milli, Limit::Vcpus);
        misses.add_if(offering.memory_mib < need.memory_mib, Limit::Memory);
        misses.add_if(offering.gpus < need.gpus, Limit::Gpus);
        misses.add_if(need.gpu_model.is_some_and(|asked| !has_model(offering, asked)), Limit::GpuModel);
        misses.add_if(need.arch.is_some_and(|arch| arch != offering.arch), Limit::Arch);
        let class = need.class(offering.market);
        misses.add_if(class.is_none(), Limit::Market);
        let policy = need.policy;
        misses.add_if(policy.burstable == Burstable::Deny && offering.burstable, Limit::Burstable);
        misses.add_if(policy.min_generation > offering.generation, Limit::Generation);
        misses.add_if(!policy.takes_family(&offering.family), Limit::Families);
        let gib_hour = lane.priced.catalogue.disk_gib_hour;
        let lowered = lane.lowered(compute.nanos, &offering.family, offering.market);
        let bought = disk_to_buy(need.disk_gib, image.min_disk_gib, offering.disk_gib, gib_hour);
        let priced = bought.and_then(|gib| {
            let disk = gib_hour.nanos.checked_mul(i64::from(gib))?;
            let sum = lowered.checked_add(fee)?.checked_add(lane.ipv4)?.checked_add(disk)?;
            Some((gib, disk, sum))
        });
        misses.add_if(priced.is_none(), Limit::Disk);
        let bare = || lowered.saturating_add(fee).saturating_add(lane.ipv4);
        let (disk_gib, disk, per_hour) = priced.unwrap_or_else(|| (0, 0, bare()));
        misses.add_if(need.cap.is_some_and(|cap| per_hour > cap), Limit::MaxPrice);
        let closed = !lane.excluded.is_empty() && lane.open_zones(offering).is_empty();
        misses.add_if(closed, Limit::Capacity);
        Some(Self {
            lane,
            offering,
            image,
            disk_gib,
            per_hour,
            disk,
            ipv4: lane.ipv4,
            fee,
            saved: compute.nanos - lowered,
            class: class.unwrap_or(need.market.markets().len()),
            cost: boot.meter.charge(per_hour).saturating_mul(i128::from(need.count)),
            stale: *live && between(*as_of, lane.now) > lane.stale_after,
            misses,
        })
    }
}

impl Fit<'_, '_> {
    /// How the time asked is paid with the system that boots.
    pub(super) const fn meter(&self) -> Meter {
        self.lane.boot(self.offering.arch).meter
    }

    /// Is what was asked for there, and needs more memory than this has? Then so much, MiB.
    pub(super) fn image_needs_mib(&self) -> Option<u64> {
        Some(self.image.min_memory_mib).filter(|mib| *mib > self.offering.memory_mib)
    }

    /// Images that boot on it at its price.
    pub(super) fn images(&self) -> impl Iterator<Item = &Image> {
        let Offering { arch, system, memory_mib, .. } = self.offering;
        let all = self.lane.priced.catalogue.images.iter();
        all.filter(|it| it.arch == *arch && it.system == *system && it.min_memory_mib <= *memory_mib)
    }
}

/// Is there an accelerator, and the one asked for? Case does not matter: clouds do not agree on it.
fn has_model(offering: &Offering, asked: &str) -> bool {
    offering.gpus > 0 && offering.gpu_model.as_deref().is_some_and(|has| has.eq_ignore_ascii_case(asked))
}

/// GiB of disk to buy beside the type's own; `None` when more is asked than can be had, or than the own disk has that
/// the image needs.
///
/// A disk that is bought holds the image, too: where a type's own disk is no root disk, that one is. A type without a disk
/// of its own, where none is sold, has one as large as its image.
fn disk_to_buy(asked: u64, image: u32, own: u32, gib_hour: Money) -> Option<u32> {
    let (sold, image) = (gib_hour.nanos > 0, u64::from(image));
    let wanted = match (own, sold) {
        (0, true) => asked.max(image).max(u64::from(ROOT_DISK_GIB)),
        (0, false) => asked,
        _ => asked.max(image),
    };
    let missing = wanted.saturating_sub(u64::from(own));
    let bought = if missing > 0 && sold { missing.max(image) } else { missing };
    u32::try_from(bought).ok().filter(|gib| *gib == 0 || sold)
}
