//! What fits, the best of each class: from the cheapest row on, until nothing behind can be better.
//!
//! # Flow
//! For each lane, intersect the sets of what is asked; walk what is left by price; hold each row against the need; stop
//! where even the least that a row can cost is more than the worst of the best so far. Lanes share that worst.
//!
//! # Guarantees
//! * All rows that could stand among the best are held against the need, with all that cost the same: ties are decided
//!   by the ranking, never by where a walk ended.
//! * Lanes that nothing was prepared for are looked through whole.
//!
//! # Caveats
//! How far a walk goes depends on how far the least possible cost lies below the real one: a deep discount on one
//! family, or disks that differ much, lower the bound for all rows of a lane, and more of them are held against the need.

use std::collections::BinaryHeap;

use super::bits::Bits;
use super::{ARCHES, LaneIndex, MARKETS, default_disk};
use crate::nouns::overlay::Overlay;
use crate::nouns::policy::Burstable;
use crate::nouns::request::Market;
use crate::price::fit::{Fit, LaneView};
use crate::price::need::Need;

/// At least the best `limit` fits of every class, in no order.
pub(in crate::price) fn top<'v, 'a>(
    need: &Need<'_>,
    lanes: &'v [LaneView<'a>],
    limit: usize,
) -> Vec<Fit<'v, 'a>> {
    let mut found = Vec::new();
    for market in need.market.markets() {
        let mut best = Best { limit, costs: BinaryHeap::new(), found: Vec::new() };
        for lane in lanes.iter().filter(|lane| lane.is_asked_for()) {
            match lane.index() {
                Some(index) => index.walk(need, lane, *market, &mut best),
                None => {
                    let here = lane.priced.catalogue.offerings.iter().filter(|it| it.market == *market);
                    here.filter_map(|it| Fit::assess(need, lane, it)).for_each(|fit| best.offer(fit));
                }
            }
        }
        found.append(&mut best.found);
    }
    found
}

/// The best so far, and what the worst of them costs.
struct Best<'v, 'a> {
    limit: usize,
    /// The lowest costs, `limit` of them at most; the highest on top.
    costs: BinaryHeap<i128>,
    found: Vec<Fit<'v, 'a>>,
}

impl<'v, 'a> Best<'v, 'a> {
    /// Takes a fit unless enough others cost less.
    fn offer(&mut self, fit: Fit<'v, 'a>) {
        if !fit.misses.none() || self.is_beyond(fit.cost) {
            return;
        }
        self.costs.push(fit.cost);
        if self.costs.len() > self.limit {
            self.costs.pop();
        }
        self.found.push(fit);
    }

    /// Do enough others cost less than this?
    fn is_beyond(&self, cost: i128) -> bool {
        self.costs.len() >= self.limit && self.costs.peek().is_some_and(|worst| cost > *worst)
    }
}

impl LaneIndex {
    /// Walks one lane's rows of one market.
    fn walk<'v, 'a>(&self, need: &Need<'_>, lane: &'v LaneView<'a>, market: Market, best: &mut Best<'v, 'a>) {
        let catalogue = lane.priced.catalogue;
        let bound = Bound::new(self, need, lane, market);
        let count = i128::from(need.count);
        for row in self.candidates(need, lane, market).rows() {
            let least = bound.of(self.plain[row]);
            if need.cap.is_some_and(|cap| least > cap)
                || best.is_beyond(lane.meter.charge(least).saturating_mul(count))
            {
                return;
            }
            if let Some(fit) = Fit::assess(need, lane, self.offering(catalogue, row)) {
                best.offer(fit);
            }
        }
    }

    /// Rows of a market that may fit. May hold some that do not: what depends on amounts is asked of each row.
    fn candidates(&self, need: &Need<'_>, lane: &LaneView<'_>, market: Market) -> Bits {
        let mut rows = self.markets[usize::from(MARKETS[1] == market)].clone();
        for (arch, of_arch) in ARCHES.iter().zip(&self.arches) {
            if need.arch.is_some_and(|asked| asked != *arch) || !lane.boots(*arch) {
                rows.drop_all(of_arch);
            }
        }
        self.vcpus.keep_at_least(need.vcpus_milli, &mut rows);
        // What images need more of is asked of each row.
        self.memory.keep_at_least(need.memory_mib, &mut rows);
        self.gpus.keep_at_least(need.gpus.into(), &mut rows);
        if lane.priced.catalogue.disk_gib_hour.nanos <= 0 {
            self.own_disk.keep_at_least(need.disk_gib, &mut rows);
        }
        if let Some(model) = need.gpu_model {
            rows.keep(&self.models.listed(self.rows(), [model]));
        }
        if need.policy.burstable == Burstable::Deny {
            rows.drop_all(&self.burstable);
        }
        if let Some(least) = need.policy.min_generation {
            self.generation.keep_at_least(u64::from(least) + 1, &mut rows);
        }
        self.keep_families(need, &mut rows);
        rows
    }

    /// Keeps the rows whose family may be taken.
    pub(super) fn keep_families(&self, need: &Need<'_>, rows: &mut Bits) {
        let families = &need.policy.families;
        let listed = |list: &[String]| self.families.listed(self.rows(), list.iter().map(String::as_str));
        if !families.allow.is_empty() {
            rows.keep(&listed(&families.allow));
        }
        if !families.deny.is_empty() {
            rows.drop_all(&listed(&families.deny));
        }
    }
}

/// What rows cost at least under one need: rises with what they cost plainly.
struct Bound<'a> {
    /// Overlays of the place for this market, whatever their family.
    overlays: Vec<&'a Overlay>,
    /// What is added to every row: its address, and the least that its disk is larger.
    added: i64,
}

impl<'a> Bound<'a> {
    fn new(index: &LaneIndex, need: &Need<'_>, lane: &LaneView<'a>, market: Market) -> Self {
        let for_market = |it: &&&Overlay| it.market.is_none_or(|it| it == market);
        Self {
            overlays: lane.overlays.iter().filter(for_market).copied().collect(),
            added: lane.ipv4.saturating_add(index.disk_added_least(need, lane)),
        }
    }

    /// The least that a row of this plain price costs in an hour. An overlay lowers compute alone, and makes of a sum
    /// no more than of its part: lowering all of it stays below, also where the part is too small for the overlay.
    fn of(&self, plain: i64) -> i64 {
        let lowered = self.overlays.iter().map(|it| it.off.least(plain)).min();
        lowered.unwrap_or(plain).saturating_add(self.added)
    }
}

impl LaneIndex {
    /// By how much the disk asked for costs more than the one that is in the plain price, at least over all rows.
    fn disk_added_least(&self, need: &Need<'_>, lane: &LaneView<'_>) -> i64 {
        let gib_hour = lane.priced.catalogue.disk_gib_hour.nanos.max(0);
        let price = |gib: u64| gib_hour.saturating_mul(i64::try_from(gib).unwrap_or(i64::MAX));
        let (least, most) = (self.own_disk.least().unwrap_or(0), self.own_disk.most().unwrap_or(0));
        let without = price(need.disk_gib).saturating_sub(default_disk(0, gib_hour)).max(0);
        let with_most = price(need.disk_gib.saturating_sub(most));
        match (least, most) {
            (_, 0) => without,
            (0, _) => without.min(with_most),
            _ => with_most,
        }
    }
}
