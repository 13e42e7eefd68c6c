//! The skyline of one architecture and market: what can be the cheapest under some least size, and nothing else.
//!
//! # Guarantees
//! * For every pair of lower bounds the cheapest rows that meet them are in it, with all their equals that a tie may
//!   prefer.
//!
//! # Caveats
//! It has forgotten the next best: whoever excludes anything must look elsewhere.

use super::build::Row;
use super::{ARCHES, MARKETS};

/// One row of a skyline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peak {
    pub(super) memory_mib: u64,
    pub(super) vcpus_milli: u32,
    /// Which row.
    pub(super) row: u32,
}

/// Rows that are not beaten, the cheapest first.
#[derive(Debug, Default)]
pub(super) struct Skyline(Vec<Peak>);

impl Skyline {
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

/// Skylines by architecture, then by market, of rows that come by price. `tie` says what decides between equals: the
/// name, and until when the price is fresh. It is asked of few.
pub(super) fn skylines<'n>(rows: &[Row], tie: impl Fn(&Row) -> (&'n str, i128)) -> [[Skyline; 2]; 2] {
    let mut lines: [[Line<'n>; 2]; 2] = Default::default();
    let mut numbered = (0_u32..).zip(rows).peekable();
    while let Some((row, it)) = numbered.next() {
        let line = &mut lines[usize::from(it.arch != ARCHES[0])][usize::from(it.market != MARKETS[0])];
        if !line.frontier.beats(it.vcpus_milli, it.memory_mib) {
            let (name, fresh) = tie(it);
            let peak = Peak { memory_mib: it.memory_mib, vcpus_milli: it.vcpus_milli, row };
            line.equals.push((peak, name, fresh));
        }
        // Only then: rows of one price do not beat each other.
        if numbered.peek().is_none_or(|(_, next)| next.plain != it.plain) {
            lines.iter_mut().flatten().for_each(Line::settle);
        }
    }
    lines.map(|arch| arch.map(|line| Skyline(line.peaks)))
}

/// A skyline as it grows.
#[derive(Debug, Default)]
struct Line<'n> {
    peaks: Vec<Peak>,
    frontier: Frontier,
    /// Rows of the price that is being looked at, with their names and until when their prices are fresh.
    equals: Vec<(Peak, &'n str, i128)>,
}

impl Line<'_> {
    /// Takes the equals that a tie may prefer: by size, then name, the freshest first.
    fn settle(&mut self) {
        let size = |it: &Peak| (it.vcpus_milli, it.memory_mib);
        self.equals.sort_by(|(a, a_name, a_fresh), (b, b_name, b_fresh)| {
            (size(a), a_name, b_fresh).cmp(&(size(b), b_name, a_fresh))
        });
        for same in self.equals.chunk_by(|(a, ..), (b, ..)| size(a) == size(b)) {
            // A later name wins only by a price that stays fresh for longer.
            let mut best: Option<(&str, i128)> = None;
            for (peak, name, fresh) in same {
                if best.is_none_or(|(best, until)| *fresh > until || *name == best) {
                    self.peaks.push(*peak);
                    best = Some((name, *fresh));
                }
            }
        }
        for (peak, ..) in self.equals.drain(..) {
            self.frontier.add(peak.vcpus_milli, peak.memory_mib);
        }
    }
}

/// Of all cheaper rows the largest: processors rise, and memory falls.
#[derive(Debug, Default)]
struct Frontier(Vec<(u32, u64)>);

impl Frontier {
    /// Is something cheaper at least as large in both?
    fn beats(&self, vcpus_milli: u32, memory_mib: u64) -> bool {
        let at = self.0.partition_point(|(vcpus, _)| *vcpus < vcpus_milli);
        self.0.get(at).is_some_and(|(_, memory)| *memory >= memory_mib)
    }

    /// Makes a row one that later rows are beaten by.
    fn add(&mut self, vcpus_milli: u32, memory_mib: u64) {
        if self.beats(vcpus_milli, memory_mib) {
            return;
        }
        let to = self.0.partition_point(|(vcpus, _)| *vcpus <= vcpus_milli);
        let from = self.0[..to].partition_point(|(_, memory)| *memory > memory_mib);
        self.0.splice(from..to, [(vcpus_milli, memory_mib)]);
    }
}
