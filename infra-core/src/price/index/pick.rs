//! The one cheapest, without allocating: what the ranking's first quote would be.
//!
//! # Flow
//! Each lane answers with its skyline where that is exact; the best of all lanes is kept. The first lane that cannot
//! answer so ends it, and the ranking decides.
//!
//! # When a skyline is exact
//! Nothing of the request may prefer a dearer row, or rule out a row by anything but size, architecture and market: no
//! accelerators, no rules about types, no exclusions, no overlays in this place, and one and the same disk to buy for
//! every row. And the time asked must cost more for a dearer row: under a minimum or for some seconds two prices may
//! come to one charge, and then the smaller machine wins although its price is the higher one.
//!
//! # Guarantees
//! * The answer is the ranking's first, ties included. `None` means that nothing fits, as the ranking says.

use std::cmp::Ordering;

use super::{ARCHES, MARKETS};
use crate::contracts::pricing::{PriceContext, PricedLane};
use crate::nouns::offering::{Image, Offering};
use crate::nouns::policy::Burstable;
use crate::nouns::request::Market;
use crate::price::fit::{Fit, LaneView};
use crate::price::limit::Limit;
use crate::price::need::Need;
use crate::price::{cost, rank};
use crate::words::ids::Zone;
use crate::words::money::Money;

/// The best offer, pointing into what it was chosen from.
#[derive(Debug, Clone, Copy)]
pub struct Pick<'a> {
    /// Where, and with which key.
    pub lane: &'a PricedLane<'a>,
    /// What.
    pub offering: &'a Offering,
    /// In which zone; `None` when the cloud has none.
    pub zone: Option<&'a Zone>,
    /// From which image.
    pub image: &'a Image,
    /// Disk to buy, GiB.
    pub disk_gib: u32,
    /// One machine with everything for one hour.
    pub machine_per_hour: Money,
    /// All machines: for the time asked, or for one hour when none was.
    pub cost: Money,
}

impl<'a> Pick<'a> {
    /// A fit in its first open zone.
    pub(in crate::price) fn of(fit: &Fit<'_, 'a>) -> Self {
        Self {
            lane: fit.lane.priced,
            offering: fit.offering,
            zone: fit.lane.first_zone(fit.offering),
            image: fit.image,
            disk_gib: fit.disk_gib,
            machine_per_hour: cost::shown(fit.per_hour.into()),
            cost: cost::shown(fit.cost),
        }
    }
}

/// The best of a lane, and what decides between lanes beyond what it shows.
#[derive(Debug, Clone, Copy)]
struct Found<'a> {
    pick: Pick<'a>,
    cost: i128,
    stale: bool,
}

impl Found<'_> {
    /// As in the ranking, without its last words: those are about two rows of one lane.
    fn order(&self, other: &Self) -> Ordering {
        let (a, b) = (self.pick.offering, other.pick.offering);
        (self.cost, self.stale, a.vcpus_milli, a.memory_mib, &a.type_name)
            .cmp(&(other.cost, other.stale, b.vcpus_milli, b.memory_mib, &b.type_name))
            .then_with(|| self.pick.lane.lane.cmp(other.pick.lane.lane))
            .then_with(|| self.pick.lane.credential.cmp(other.pick.lane.credential))
    }
}

/// The best by skylines alone: `Some(None)` when nothing fits, `None` when skylines cannot tell.
pub(in crate::price) fn pick<'a>(need: &Need<'a>, context: &PriceContext<'a>) -> Option<Option<Pick<'a>>> {
    if !only_sizes(need) || !context.excluded.is_empty() {
        return None;
    }
    for market in need.market.markets() {
        let mut best: Option<Found<'a>> = None;
        for lane in context.lanes {
            let Some(found) = of_lane(need, context, lane, *market)? else { continue };
            match best.map(|best| best.order(&found)) {
                Some(Ordering::Equal) => return None,
                Some(Ordering::Less) => {}
                _ => best = Some(found),
            }
        }
        if let Some(best) = best {
            return Some(Some(best.pick));
        }
    }
    Some(None)
}

/// Does it ask for nothing of a type but sizes, architecture and market?
fn only_sizes(need: &Need<'_>) -> bool {
    let policy = need.policy;
    need.gpus == 0
        && need.gpu_model.is_none()
        && policy.burstable == Burstable::Allow
        && policy.min_generation.is_none()
        && policy.families.is_any()
}

/// The best of one lane: `Some(None)` when nothing of it fits, `None` when its skyline cannot tell.
fn of_lane<'a>(
    need: &Need<'a>,
    context: &PriceContext<'a>,
    priced: &'a PricedLane<'a>,
    market: Market,
) -> Option<Option<Found<'a>>> {
    if !LaneView::lane_misses(need, priced.lane).none() {
        return Some(None);
    }
    let view = LaneView::new(need, priced, context);
    let index = view.index()?;
    let sold = priced.catalogue.disk_gib_hour.nanos > 0;
    let same_disk = need.disk_gib == 0 || (sold && index.own_disk.most().unwrap_or(0) == 0);
    if !view.overlays.is_empty() || !same_disk || index.image_decides(need, &view) {
        return None;
    }
    let mut best: Option<Fit<'_, 'a>> = None;
    for (arch, skylines) in ARCHES.into_iter().zip(&index.skylines) {
        if need.arch.is_some_and(|asked| asked != arch) || !view.boots(arch) {
            continue;
        }
        let mut lowest = None;
        let memory_mib = need.memory_mib.max(view.needs_mib(arch));
        for row in skylines[usize::from(market == MARKETS[1])].meeting(need.vcpus_milli, memory_mib) {
            if lowest.is_some_and(|lowest| index.plain[row] > lowest) {
                break;
            }
            lowest = Some(index.plain[row]);
            let fit = Fit::assess(need, &view, index.offering(priced.catalogue, row))?;
            let strict = view.meter.charge(fit.per_hour.checked_add(1)?) > view.meter.charge(fit.per_hour);
            if !(strict && fit.misses.none_but(Limit::MaxPrice)) {
                return None;
            }
            if best.as_ref().is_none_or(|best| rank::order(&fit, best).is_lt()) {
                best = Some(fit);
            }
        }
    }
    let fits = best.filter(|fit| fit.misses.none());
    Some(fits.map(|fit| Found { pick: Pick::of(&fit), cost: fit.cost, stale: fit.stale }))
}
