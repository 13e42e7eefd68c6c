//! What nearly fits, when nothing does: the rows that miss the fewest limits.
//!
//! # Flow
//! For each lane, one set of rows per limit that the request sets: those that miss it. Adding the sets up, a column of
//! bits at a time, counts for 64 rows at once how many limits each misses. Only rows with the fewest, and as many of
//! the next as near misses are named, are then held against the need.
//!
//! # Guarantees
//! * All rows that miss the fewest limits are answered: which limit stands in the way is a question about all of them.
//! * Counts are those of [`Fit::assess`]. Where an amount would have to be known row by row (overlays under a cap, disks
//!   of several sizes), the lane is looked through whole.
//!
//! # Assumptions
//! Single rows miss fewer than sixteen limits of one request: a count has four bits. What the whole lane misses is
//! counted once beside them, however much that is.
//!
//! # Caveats
//! Only a refusal comes here, so it may take longer than an answer does; it still reads no text but the names that were
//! asked for, and each of those once.

use super::bits::{Bits, WORD, rows_of};
use super::{ARCHES, LaneIndex, MARKETS, default_disk};
use crate::nouns::policy::Burstable;
use crate::price::NEAREST_MAX;
use crate::price::fit::{Fit, LaneView};
use crate::price::need::Need;

/// Bits of a count: more limits than a request can set for single rows at once.
const PLANES: usize = 4;

/// All that miss the fewest limits, and enough of the next to name the nearest; in no order.
pub(in crate::price) fn near<'a>(need: &Need<'_>, lanes: &'a [LaneView<'a>]) -> Vec<Fit<'a, 'a>> {
    let mut whole: Vec<Fit<'a, 'a>> = Vec::new();
    let mut counted = Vec::new();
    for lane in lanes {
        match lane.index().and_then(|index| Some((index, index.counts(need, lane)?))) {
            Some((index, counts)) => counted.push((lane, index, counts)),
            None => whole
                .extend(lane.priced.catalogue.offerings.iter().filter_map(|it| Fit::assess(need, lane, it))),
        }
    }
    for misses in 0.. {
        let nearer = whole.iter().filter(|it| it.misses.count() < misses).count();
        if nearer >= NEAREST_MAX || counted.iter().all(|(.., counts)| counts.most() < misses) {
            break;
        }
        for (lane, index, counts) in &counted {
            let rows = counts.rows_with(misses);
            let fits =
                rows.filter_map(|row| Fit::assess(need, lane, index.offering(lane.priced.catalogue, row)));
            whole.extend(fits);
        }
    }
    whole
}

/// How many limits each row of a lane misses.
struct Counts {
    /// What every row here misses: the lane's own.
    of_lane: u32,
    /// Rows that count: something boots on them.
    rows: Bits,
    /// For each word of rows the bits of their counts, the lowest first.
    planes: Vec<[u64; PLANES]>,
}

impl Counts {
    /// The largest count there can be.
    const fn most(&self) -> u32 {
        self.of_lane + (1 << PLANES) - 1
    }

    /// Adds one to the rows of a set.
    fn add(&mut self, missed: &Bits) {
        for (planes, word) in self.planes.iter_mut().zip(&missed.0) {
            let mut carry = *word;
            for plane in planes {
                (*plane, carry) = (*plane ^ carry, *plane & carry);
            }
        }
    }

    /// The rows that miss just so many.
    fn rows_with(&self, misses: u32) -> impl Iterator<Item = usize> {
        let own = misses.checked_sub(self.of_lane).filter(|own| *own < 1 << PLANES);
        let words = self.rows.0.iter().zip(&self.planes).enumerate();
        words.filter(move |_| own.is_some()).flat_map(move |(nth, (rows, planes))| {
            let own = own.unwrap_or(0);
            let equal = |(bit, plane): (usize, &u64)| if own >> bit & 1 == 1 { *plane } else { !*plane };
            rows_of(nth, planes.iter().enumerate().map(equal).fold(*rows, |all, plane| all & plane))
        })
    }
}

impl LaneIndex {
    /// Counts what every row misses; `None` where that takes a look at every row.
    fn counts(&self, need: &Need<'_>, lane: &LaneView<'_>) -> Option<Counts> {
        let costs = self.row_costs(need, lane)?;
        let mut rows = Bits::all(self.rows());
        for (arch, of_arch) in ARCHES.iter().zip(&self.arches) {
            if lane.boots_anything(*arch) {
                rows.drop_all(&self.below(lane.least_mib(*arch), of_arch));
            } else {
                rows.drop_all(of_arch);
            }
        }
        let planes = vec![[0; PLANES]; self.rows().div_ceil(WORD)];
        let mut counts = Counts { of_lane: lane.misses_of_all(), rows, planes };
        for (arch, of_arch) in ARCHES.iter().zip(&self.arches) {
            if need.arch.is_some_and(|asked| asked != *arch) {
                counts.add(of_arch);
            }
            if lane.boots(*arch) {
                counts.add(&self.below(lane.needs_mib(*arch), of_arch));
            } else {
                counts.add(of_arch);
            }
        }
        for (market, of_market) in MARKETS.iter().zip(&self.markets) {
            if need.class(*market).is_none() {
                counts.add(of_market);
            }
        }
        self.count_sizes(need, lane, &mut counts);
        self.count_rules(need, &mut counts);
        if let (Some(cap), added) = (need.cap, costs) {
            let dear = self.plain.partition_point(|plain| plain.saturating_add(added) <= cap);
            counts.add(&self.from(dear));
        }
        if lane.excludes() {
            counts.add(&self.closed(lane));
        }
        Some(counts)
    }

    /// What is added to the plain price of every row to get what it costs an hour; `None` when that differs by row.
    fn row_costs(&self, need: &Need<'_>, lane: &LaneView<'_>) -> Option<i64> {
        if self.image_decides(need, lane) {
            return None;
        }
        let gib_hour = lane.priced.catalogue.disk_gib_hour.nanos.max(0);
        let asked = i64::try_from(need.disk_gib).ok().filter(|gib| *gib <= i64::from(u32::MAX))?;
        let whole = gib_hour.checked_mul(asked)?;
        // Where nothing can overflow, what a row misses does not hang on what it costs.
        let dearest = self.plain.last().copied().unwrap_or(0);
        dearest.checked_add(whole)?.checked_add(lane.ipv4)?.checked_add(default_disk(0, gib_hour))?;
        if need.cap.is_none() {
            return Some(0);
        }
        let bare = self.own_disk.most().unwrap_or(0) == 0;
        let covered = self.own_disk.least().is_some_and(|own| own > 0 && own >= need.disk_gib);
        let disk = match (gib_hour, need.disk_gib) {
            (0, _) | (_, 0) => 0,
            _ if bare => (whole - default_disk(0, gib_hour)).max(0),
            _ if covered => 0,
            _ => return None,
        };
        lane.overlays.is_empty().then_some(lane.ipv4 + disk)
    }

    /// Sizes: what has less misses.
    fn count_sizes(&self, need: &Need<'_>, lane: &LaneView<'_>, counts: &mut Counts) {
        let sold = lane.priced.catalogue.disk_gib_hour.nanos > 0;
        for (column, least) in [
            (&self.vcpus, need.vcpus_milli),
            (&self.memory, need.memory_mib),
            (&self.gpus, need.gpus.into()),
            (&self.own_disk, if sold { 0 } else { need.disk_gib }),
        ] {
            if least > 0 {
                let mut enough = Bits::all(self.rows());
                column.keep_at_least(least, &mut enough);
                counts.add(&self.but(&enough));
            }
        }
    }

    /// Accelerators by model, and the rules of a policy.
    fn count_rules(&self, need: &Need<'_>, counts: &mut Counts) {
        if let Some(model) = need.gpu_model {
            counts.add(&self.but(&self.models.listed(self.rows(), [model])));
        }
        if need.policy.burstable == Burstable::Deny {
            counts.add(&self.burstable);
        }
        if let Some(least) = need.policy.min_generation {
            let mut enough = Bits::all(self.rows());
            self.generation.keep_at_least(u64::from(least) + 1, &mut enough);
            counts.add(&self.but(&enough));
        }
        if !need.policy.families.is_any() {
            let mut taken = Bits::all(self.rows());
            self.keep_families(need, &mut taken);
            counts.add(&self.but(&taken));
        }
    }

    /// All rows but these.
    fn but(&self, rows: &Bits) -> Bits {
        let mut all = Bits::all(self.rows());
        all.drop_all(rows);
        all
    }

    /// Of a set the rows with less memory than so much.
    fn below(&self, mib: u64, of: &Bits) -> Bits {
        if mib == 0 {
            return Bits::none(self.rows());
        }
        let mut enough = Bits::all(self.rows());
        self.memory.keep_at_least(mib, &mut enough);
        let mut below = of.clone();
        below.drop_all(&enough);
        below
    }

    /// All rows from one on.
    fn from(&self, first: usize) -> Bits {
        let mut all = Bits::all(self.rows());
        all.0.iter_mut().take(first / WORD).for_each(|word| *word = 0);
        if let Some(word) = all.0.get_mut(first / WORD) {
            *word &= u64::MAX << (first % WORD);
        }
        all
    }

    /// Rows without an open zone.
    fn closed(&self, lane: &LaneView<'_>) -> Bits {
        let mut closed = Bits::none(self.rows());
        let catalogue = lane.priced.catalogue;
        let type_of = |row: &u32| &self.offering(catalogue, *row as usize).type_name;
        let by_type = self.by_type.get_or_init(|| {
            let mut all: Vec<u32> = (0..).take(self.rows()).collect();
            all.sort_unstable_by_key(type_of);
            all
        });
        for name in lane.excluded_types() {
            let first = by_type.partition_point(|row| type_of(row) < name);
            for row in by_type[first..].iter().take_while(|row| type_of(row) == name) {
                if lane.open_zones(self.offering(catalogue, *row as usize)).is_empty() {
                    closed.set(*row);
                }
            }
        }
        closed
    }
}
