//! The order of what fits, and the quotes made of it.
//!
//! # Flow
//! Fits come in by class: one for each market that the request wishes, the first wished first. Each class is ordered
//! by itself, gets its share of the list, and becomes quotes, one per open zone; then each
//! quote is told why it stands before the next.
//!
//! # Guarantees
//! * The order is total over everything that shows in a quote: however lanes and offerings come in, the quotes go
//!   out the same, and those cut off at the limit are the same too.
//! * Zones are no part of the order among offerings: those of one offering stay together.
//! * A fallback is never crowded out: where a later class fits, it has a quarter of the list at least, and one place.
//!
//! # Assumptions
//! Whatever comes in fits, and its cost was counted for the time asked: neither is looked at again here.
//!
//! # Caveats
//! A list is of its moment. Whoever keeps one keeps its prices, and pays what the choice in it says.

use std::cmp::Ordering;

use super::cost::{self, Meter, shown};
use super::fit::{Fit, LaneView};
use super::index;
use super::need::Need;
use crate::contracts::pricing::{Advantage, Quote};
use crate::nouns::reservation::Choice;
use crate::words::ids::Zone;

/// One part in so many of a list is kept for the fallback.
const FALLBACK_SHARE: usize = 4;

/// At most `limit` quotes of what misses nothing, best first.
pub(super) fn quotes<'a>(need: &Need<'_>, lanes: &'a [LaneView<'a>], limit: usize) -> Vec<Quote> {
    // Of each class all, or the best `limit` and more.
    let mut fits = index::top(need, lanes, limit);
    let classes = need.market.markets().len();
    let mut places: Vec<(usize, Option<&Zone>)> = Vec::new();
    if classes == 1 {
        // Each fit makes one quote at least, so only the best `limit` of them need an order among themselves.
        best_first(&mut fits, limit, order);
        places = in_zones(&fits, 0, limit);
    } else {
        fits.sort_unstable_by(order);
        let later = fits.partition_point(|fit| fit.class == 0);
        let second = in_zones(&fits[later..], later, limit).len();
        let kept = second.min((limit / FALLBACK_SHARE).max(1)).min(limit.saturating_sub(1));
        places.extend(in_zones(&fits[..later], 0, limit - kept));
        // Once more, for the room that there really is.
        let room = limit - places.len();
        places.extend(in_zones(&fits[later..], later, room));
    }
    let mut quotes: Vec<Quote> = places.iter().map(|(at, zone)| quote(need, &fits[*at], *zone)).collect();
    for (nth, pair) in places.windows(2).enumerate() {
        quotes[nth].beats_next =
            Some(advantage(&fits[pair[0].0], &fits[pair[1].0], (need, pair[0].0 == pair[1].0)));
    }
    quotes
}

/// The best `limit` of these fits in their open zones, each by its place when the first has the place `from`.
fn in_zones<'a>(fits: &[Fit<'a, 'a>], from: usize, limit: usize) -> Vec<(usize, Option<&'a Zone>)> {
    let places = fits.iter().enumerate().flat_map(|(nth, fit)| {
        let open = fit.lane.open_zones(fit.offering);
        open.into_iter().map(move |zone| (from + nth, zone))
    });
    places.take(limit).collect()
}

/// Leaves the best `limit` items, in order: the rest is split off without being sorted.
pub(super) fn best_first<T>(all: &mut Vec<T>, limit: usize, order: impl Fn(&T, &T) -> Ordering) {
    if limit < all.len() {
        all.select_nth_unstable_by(limit, &order);
        all.truncate(limit);
    }
    all.sort_unstable_by(order);
}

/// Best first. Needs no need: what was asked is the same for all, so less beyond it is less in all.
pub(super) fn order(a: &Fit<'_, '_>, b: &Fit<'_, '_>) -> Ordering {
    (a.class, a.cost, a.stale, a.offering.vcpus_milli, a.offering.memory_mib, &a.offering.type_name)
        .cmp(&(
            b.class,
            b.cost,
            b.stale,
            b.offering.vcpus_milli,
            b.offering.memory_mib,
            &b.offering.type_name,
        ))
        .then_with(|| a.lane.priced.lane.cmp(b.lane.priced.lane))
        .then_with(|| a.lane.priced.credential.cmp(b.lane.priced.credential))
        .then_with(|| row(a).cmp(&row(b)))
}

/// Equal in all that matters, yet not the same row: any order will do, but always the same one, so what came in
/// some order is sorted first.
fn row(fit: &Fit<'_, '_>) -> String {
    let mut offering = fit.offering.clone();
    offering.zones.sort_unstable();
    format!("{offering:?}{:?}", fit.image)
}

/// Why one fit stands before another, by the same rules as [`order`]; `same` when it is one offer in two zones.
fn advantage(a: &Fit<'_, '_>, b: &Fit<'_, '_>, (need, same): (&Need<'_>, bool)) -> Advantage {
    let (vcpus, memory) =
        (|it: &Fit<'_, '_>| it.offering.vcpus_milli, |it: &Fit<'_, '_>| it.offering.memory_mib);
    if same {
        Advantage::OtherZone
    } else if a.class < b.class {
        Advantage::SpotFirst
    } else if a.cost < b.cost {
        let parts = |it: &Fit<'_, '_>| cost::parts(need, it, it.meter());
        Advantage::Cheaper { by: shown(b.cost - a.cost), mostly: cost::mostly(&parts(a), &parts(b)) }
    } else if a.stale != b.stale {
        Advantage::Fresher
    } else if vcpus(a) < vcpus(b) {
        Advantage::FewerVcpus { by_milli: vcpus(b) - vcpus(a) }
    } else if memory(a) < memory(b) {
        Advantage::LessMemory { by_mib: memory(b) - memory(a) }
    } else {
        Advantage::Name
    }
}

/// The quote of a fit in a zone.
pub(super) fn quote(need: &Need<'_>, fit: &Fit<'_, '_>, zone: Option<&Zone>) -> Quote {
    let choice = Choice {
        lane: fit.lane.priced.lane.clone(),
        credential: fit.lane.priced.credential.clone(),
        offering: fit.offering.clone(),
        zone: zone.cloned(),
        image: fit.image.id.clone(),
        disk_gib: fit.disk_gib,
        per_hour: shown(i128::from(fit.per_hour)),
        tariff: None,
    };
    let meter = fit.meter();
    let offer = fit.offering;
    let saved_by = offer
        .price
        .per_hour()
        .and_then(|list| fit.lane.lowered_by(list.nanos, &offer.family, offer.market))
        .map(str::to_owned);
    Quote {
        per_hour: choice.per_hour.times(i64::from(need.count)),
        parts_per_hour: cost::parts(need, fit, Meter::HOUR),
        total: need.time.map(|_| shown(fit.cost)),
        parts_total: need.time.map(|_| cost::parts(need, fit, meter)),
        saved_per_hour: shown(i128::from(fit.saved) * i128::from(need.count)),
        saved_by,
        stale: fit.stale,
        beats_next: None,
        refused_until: None,
        choice,
    }
}
