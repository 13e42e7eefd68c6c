//! What is known of one catalogue before anybody asks: its rows by price, sets of them by what they are, and skylines.
//!
//! # Flow
//! Built once from a catalogue ([`LaneIndex::new`]), for nobody in particular: neither the account nor what its team
//! pays is in it, so teams with equal catalogues share one. `find` (this folder) looks for what fits, `miss` for what
//! nearly does, `pick` for the one cheapest.
//!
//! # Guarantees
//! * An index only says which rows are worth holding against a need, and in which order. What fits, what it costs and
//!   which one is better is decided by the same code that decides without an index, so a row that is shown is right;
//!   and no row is left out unless it provably cannot be among the best.
//! * Rows stand by what they cost at least (`plain`): compute as listed, fee, and the disk that comes with no wish. All
//!   that is added later (a larger disk, an address) adds, and overlays keep the order; so a bound for a row is one
//!   for all rows behind it.
//!
//! # Why not only a skyline
//! A skyline answers one question: the cheapest with at least so much of two sizes. It cannot say what comes next, nor
//! what is cheapest when something is ruled out (excluded, denied, capped, bursting, too old), because what it dropped
//! may then be the best. Rows by price with a set of bits for everything that can be asked answer all of these in one
//! way: intersect, then walk from the cheapest.
//!
//! # Caveats
//! * An index belongs to one catalogue: rows are places in its list.
//! * With deep discounts for single families the walk goes further before it may stop: exact, but slower.

mod bits;
mod find;
mod miss;
mod pick;
mod sky;

use std::sync::OnceLock;

use super::ROOT_DISK_GIB;
use crate::nouns::offering::{Catalogue, Offering, Price};
use crate::nouns::request::{Arch, Market};
use bits::{Bits, Column, Names};
use sky::{Peak, Seen, Skyline};

pub(super) use find::top;
pub(super) use miss::near;
pub use pick::Pick;
pub(super) use pick::pick;

const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Arm64];
const MARKETS: [Market; 2] = [Market::OnDemand, Market::Spot];

/// What is known of one catalogue before anybody asks.
#[derive(Debug)]
pub(super) struct LaneIndex {
    /// How long the list is that rows are places in.
    list_len: usize,
    /// Which offering each row is, cheapest first.
    offerings: Vec<u32>,
    /// What each row costs at least, billionths per hour.
    plain: Vec<i64>,
    vcpus: Column,
    memory: Column,
    gpus: Column,
    own_disk: Column,
    /// One more than the generation; 0 for none.
    generation: Column,
    arches: [Bits; 2],
    markets: [Bits; 2],
    burstable: Bits,
    models: Names,
    families: Names,
    /// Rows by the name of their type: made when somebody first excludes one.
    by_type: OnceLock<Vec<u32>>,
    /// By architecture, then by market.
    skylines: [[Skyline; 2]; 2],
}

/// A row that can be chosen at all, before rows have numbers.
struct Row<'a> {
    nth: u32,
    plain: i64,
    fresh: i128,
    offering: &'a Offering,
}

impl LaneIndex {
    /// The index of a catalogue. Rows without a price above zero are not in it: they are never chosen, nor near.
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        let gib_hour = catalogue.disk_gib_hour.nanos;
        let mut rows: Vec<Row<'_>> =
            (0..).zip(&catalogue.offerings).filter_map(|(nth, it)| row(nth, it, gib_hour)).collect();
        rows.sort_by_key(|it| it.plain);
        let column = |of: fn(&Offering) -> u64| {
            Column::new(&rows.iter().map(|it| of(it.offering)).collect::<Vec<_>>())
        };
        let set = |of: &dyn Fn(&Offering) -> bool| {
            let mut bits = Bits::none(rows.len());
            (0..).zip(&rows).filter(|(_, it)| of(it.offering)).for_each(|(row, _)| bits.set(row));
            bits
        };
        Self {
            list_len: catalogue.offerings.len(),
            offerings: rows.iter().map(|it| it.nth).collect(),
            plain: rows.iter().map(|it| it.plain).collect(),
            vcpus: column(|it| it.vcpus_milli.into()),
            memory: column(|it| it.memory_mib),
            gpus: column(|it| it.gpus.into()),
            own_disk: column(|it| it.disk_gib.into()),
            generation: column(|it| it.generation.map_or(0, |it| u64::from(it) + 1)),
            arches: ARCHES.map(|arch| set(&|it| it.arch == arch)),
            markets: MARKETS.map(|market| set(&|it| it.market == market)),
            burstable: set(&|it| it.burstable),
            models: Names::new(rows.iter().map(|it| model(it.offering))),
            families: Names::new(
                rows.iter().map(|it| Some(it.offering.family.as_str()).filter(|it| !it.is_empty())),
            ),
            by_type: OnceLock::new(),
            skylines: ARCHES.map(|arch| MARKETS.map(|market| skyline(&rows, arch, market))),
        }
    }

    /// Is it of this catalogue, as far as can be told? Rows are places in its list.
    pub(super) const fn is_of(&self, catalogue: &Catalogue) -> bool {
        self.list_len == catalogue.offerings.len()
    }

    /// How many rows there are.
    fn rows(&self) -> usize {
        self.plain.len()
    }

    /// The offering that a row is.
    fn offering<'a>(&self, catalogue: &'a Catalogue, row: usize) -> &'a Offering {
        &catalogue.offerings[self.offerings[row] as usize]
    }

    /// Rows and rows on skylines: what an index is made of, for whoever measures it.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.rows(), self.skylines.iter().flatten().map(Skyline::len).sum())
    }
}

/// A row that can be chosen; `None` without a price, and for prices of what is sold beside the machine: who boots that
/// is answered without an index.
fn row(nth: u32, offering: &Offering, gib_hour: i64) -> Option<Row<'_>> {
    let Price::Known { per_hour, as_of, live, .. } = &offering.price else { return None };
    let (compute, fee) = (per_hour.nanos, offering.fee_per_hour.nanos);
    if compute <= 0 || fee < 0 || !offering.system.is_linux() {
        return None;
    }
    let fresh = if *live { as_of.as_nanosecond() } else { i128::MAX };
    let plain = compute.saturating_add(fee).saturating_add(default_disk(offering.disk_gib, gib_hour));
    Some(Row { nth, plain, fresh, offering })
}

/// The accelerator, of what has one.
fn model(offering: &Offering) -> Option<&str> {
    offering.gpu_model.as_deref().filter(|_| offering.gpus > 0)
}

/// What the disk costs an hour that comes with no wish for one.
fn default_disk(own: u32, gib_hour: i64) -> i64 {
    if own == 0 { gib_hour.max(0).saturating_mul(i64::from(ROOT_DISK_GIB)) } else { 0 }
}

/// The skyline of an architecture and market, of rows that stand by price.
fn skyline(rows: &[Row<'_>], arch: Arch, market: Market) -> Skyline {
    let seen = |(row, it): (u32, &Row<'_>)| Peak {
        memory_mib: it.offering.memory_mib,
        vcpus_milli: it.offering.vcpus_milli,
        row,
    };
    let here = (0..).zip(rows).filter(|(_, it)| it.offering.arch == arch && it.offering.market == market);
    let all: Vec<Seen<'_>> = here
        .map(|(row, it)| Seen {
            peak: seen((row, it)),
            plain: it.plain,
            fresh: it.fresh,
            name: it.offering.type_name.as_str(),
        })
        .collect();
    Skyline::new(&all)
}
