//! The order of what fits, and the quotes made of it.
//!
//! # Guarantees
//! * The order is total over everything that shows in a quote: however lanes and offerings come in, the quotes go
//!   out the same, and those cut off at the limit are the same too.
//! * Zones are no part of the order among offerings: those of one offering stay together.

use std::cmp::Ordering;

use super::cost::shown;
use super::fit::{Fit, LaneView};
use super::need::Need;
use crate::contracts::pricing::Quote;
use crate::nouns::reservation::Choice;
use crate::words::ids::Zone;

/// At most `limit` quotes of what misses nothing, best first.
pub(super) fn quotes<'a>(need: &Need<'_>, lanes: &'a [LaneView<'a>], limit: usize) -> Vec<Quote> {
    let asked_for = lanes.iter().filter(|lane| lane.is_asked_for());
    let all = asked_for
        .flat_map(|lane| lane.priced.catalogue.offerings.iter().filter_map(|it| Fit::assess(need, lane, it)));
    let mut fits: Vec<Fit<'a>> = all.filter(|fit| fit.misses.none()).collect();
    // Each fit makes one quote at least, so only the best `limit` of them need an order among themselves.
    best_first(&mut fits, limit, order);
    let in_zones = |fit: &Fit<'a>| {
        let zones = fit.lane.open_zones(fit.offering);
        zones.into_iter().map(|zone| quote(need, fit, zone)).collect::<Vec<_>>()
    };
    fits.iter().flat_map(in_zones).take(limit).collect()
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
pub(super) fn order(a: &Fit<'_>, b: &Fit<'_>) -> Ordering {
    let names = |fit: &Fit<'_>| (fit.lane.priced.lane.clone(), fit.lane.priced.credential.clone());
    (a.cost, a.stale, a.offering.vcpus_milli, a.offering.memory_mib, &a.offering.type_name)
        .cmp(&(b.cost, b.stale, b.offering.vcpus_milli, b.offering.memory_mib, &b.offering.type_name))
        .then_with(|| names(a).cmp(&names(b)))
        .then_with(|| row(a).cmp(&row(b)))
}

/// Equal in all that matters, yet not the same row: any order will do, but always the same one, so what came in
/// some order is sorted first.
fn row(fit: &Fit<'_>) -> String {
    let mut offering = fit.offering.clone();
    offering.zones.sort_unstable();
    format!("{offering:?}{:?}", fit.image)
}

/// The quote of a fit in a zone.
pub(super) fn quote(need: &Need<'_>, fit: &Fit<'_>, zone: Option<&Zone>) -> Quote {
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
    Quote {
        per_hour: choice.per_hour.times(i64::from(need.count)),
        total: need.time.map(|_| shown(fit.cost)),
        stale: fit.stale,
        choice,
    }
}
