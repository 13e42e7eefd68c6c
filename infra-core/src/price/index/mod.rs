//! What is known of one catalogue before anybody asks: its rows by price, sets of them by what they are, and skylines.
//!
//! # Flow
//! Built once from a catalogue (`build`, this folder), for nobody in particular: neither the account nor what its team
//! pays is in it, so teams with equal catalogues share one. `find` looks for what fits, `miss` for what
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
mod build;
mod find;
mod miss;
mod pick;
mod sky;

use std::sync::OnceLock;

use super::ROOT_DISK_GIB;
use super::fit::LaneView;
use super::need::Need;
use crate::nouns::offering::{Catalogue, Offering};
use crate::nouns::request::{Arch, Market};
use bits::{Bits, Column, Names};
use sky::Skyline;

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

impl LaneIndex {
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

    /// Bounds stay true with a larger image: it only adds. What counts or compares exactly must not rest on the columns
    /// alone then, and holds row after row against the need.
    ///
    /// May what boots here make a disk larger than the request alone does, of any row?
    fn image_decides(&self, need: &Need<'_>, lane: &LaneView<'_>) -> bool {
        let least = lane.image_disk();
        if least == 0
            || (need.disk_gib == 0 && least <= ROOT_DISK_GIB && self.own_disk.most().unwrap_or(0) == 0)
        {
            return false;
        }
        if need.disk_gib > 0 || least > ROOT_DISK_GIB {
            return true;
        }
        let rows = |least: u32| {
            let mut rows = Bits::all(self.rows());
            self.own_disk.keep_at_least(least.into(), &mut rows);
            rows
        };
        // Types with a disk of their own that is too small.
        rows(1) != rows(least)
    }

    /// Rows and rows on skylines: what an index is made of, for whoever measures it.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.rows(), self.skylines.iter().flatten().map(Skyline::len).sum())
    }
}

/// What the disk costs an hour that comes with no wish for one.
fn default_disk(own: u32, gib_hour: i64) -> i64 {
    if own == 0 { gib_hour.max(0).saturating_mul(i64::from(ROOT_DISK_GIB)) } else { 0 }
}
