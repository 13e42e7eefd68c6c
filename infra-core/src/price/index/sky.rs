//! The skyline of one architecture and market: what can be the cheapest under some least size, and nothing else.
//!
//! # Guarantees
//! * For every pair of lower bounds the cheapest rows that meet them are in it, with all their equals that a tie may
//!   prefer.
//!
//! # Caveats
//! It has forgotten the next best: whoever excludes anything must look elsewhere.

use std::collections::BTreeMap;

/// One row of a skyline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peak {
    pub(super) memory_mib: u64,
    pub(super) vcpus_milli: u32,
    /// Which row.
    pub(super) row: u32,
}

/// What a row is to a skyline.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) peak: Peak,
    /// What it costs before anything that depends on the request.
    pub(super) plain: i64,
    /// Until when its price is fresh, in whatever unit; greater is longer.
    pub(super) fresh: i128,
    pub(super) name: &'a str,
}

/// Rows that are not beaten, the cheapest first.
#[derive(Debug, Default)]
pub(super) struct Skyline(Vec<Peak>);

impl Skyline {
    /// Of rows that come by price.
    pub(super) fn new(rows: &[Seen<'_>]) -> Self {
        let mut peaks = Vec::new();
        // Of all cheaper rows: the most memory that comes with at least so many processors. Falls as those rise.
        let mut frontier = BTreeMap::<u32, u64>::new();
        for group in rows.chunk_by(|a, b| a.plain == b.plain) {
            let mut equals: Vec<&Seen<'_>> = group.iter().filter(|it| !beaten(&frontier, it.peak)).collect();
            equals.sort_by(|a, b| {
                let size = |it: &Seen<'_>| (it.peak.vcpus_milli, it.peak.memory_mib);
                (size(a), a.name, b.fresh).cmp(&(size(b), b.name, a.fresh))
            });
            for same in equals.chunk_by(|a, b| {
                (a.peak.vcpus_milli, a.peak.memory_mib) == (b.peak.vcpus_milli, b.peak.memory_mib)
            }) {
                // A later name wins only by a price that stays fresh for longer.
                let mut best: Option<&Seen<'_>> = None;
                for it in same {
                    if best.is_none_or(|best| it.fresh > best.fresh || it.name == best.name) {
                        peaks.push(it.peak);
                        best = Some(it);
                    }
                }
            }
            group.iter().for_each(|it| add(&mut frontier, it.peak));
        }
        Self(peaks)
    }

    /// The rows that meet both bounds, the cheapest first.
    pub(super) fn meeting(&self, vcpus_milli: u64, memory_mib: u64) -> impl Iterator<Item = usize> {
        let meets = move |it: &&Peak| u64::from(it.vcpus_milli) >= vcpus_milli && it.memory_mib >= memory_mib;
        self.0.iter().filter(meets).map(|it| it.row as usize)
    }

    /// How many rows are left.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

/// Is something cheaper at least as large in both?
fn beaten(frontier: &BTreeMap<u32, u64>, peak: Peak) -> bool {
    frontier.range(peak.vcpus_milli..).next().is_some_and(|(_, memory)| *memory >= peak.memory_mib)
}

/// Makes a row one that later rows are beaten by.
fn add(frontier: &mut BTreeMap<u32, u64>, peak: Peak) {
    if beaten(frontier, peak) {
        return;
    }
    let under: Vec<u32> = frontier
        .range(..=peak.vcpus_milli)
        .rev()
        .take_while(|(_, memory)| **memory <= peak.memory_mib)
        .map(|(vcpus, _)| *vcpus)
        .collect();
    for vcpus in under {
        frontier.remove(&vcpus);
    }
    frontier.insert(peak.vcpus_milli, peak.memory_mib);
}
