//! Pricing: the cheapest offer that fits, over all lanes a user can reach, for as long as it is needed.
//!
//! It is one engine behind the contract [`PricingEngine`], and what is said here of requests holds for every other.
//!
//! # Flow
//! The request is read once into whole units (`need.rs`); every offering of every lane is held against it,
//! which answers what it costs and *which limits it misses*; those that miss none are ordered and quoted. When
//! there are none, the same misses say why: no second set of rules can drift from the first.
//!
//! # Guarantees
//! * Pure: the same need and context give the same ranking, whatever the order of lanes, offerings, images, zones.
//! * What is compared is the total: machines x (compute at what the team pays + bought disk + public address + fee)
//!   x the time as the cloud bills it. Without a duration it is one hour. Totals are compared exactly, in 128 bits; only
//!   what is shown is cut to [`Money`].
//! * Ties: fresh before stale prices, then fewer vCPUs and less memory beyond what was asked, then type, lane, key.
//! * A price that is Unknown, or claims to be Known and is zero or less, is never quoted, not even as a near miss.
//! * A size that is no number, infinite or below zero fits nothing. Nothing overflows and nothing panics.
//!
//! # What the fields of a request mean here
//! * Sizes are "at least", per machine. Half a GiB more than a type has is more than it has.
//! * `gpu_model` alone asks for at least one of it. A machine with accelerators may serve a need without.
//! * `image` wins over `os`; without both, the newest [`DEFAULT_OS`] of the machine's architecture.
//! * `max_price_per_hour` caps one machine with all of that.
//! * `market: spot_then_on_demand` ranks all spot offers before those on demand, however their prices stand; part of the
//!   list is kept for the latter.
//! * `private_only` saves the public address where it is sold apart.
//! * Disk: a type with a disk of its own serves up to that; the *missing part* is bought where the lane sells disk
//!   ([`Catalogue::disk_gib_hour`] above zero). A type without its own disk gets a bought one, of the size asked
//!   and at least [`ROOT_DISK_GIB`]. Where no disk is sold, such a type serves only those who asked for none.
//! * Zones: an offering with zones is quoted once per open zone, by name, each directly behind the one before:
//!   on a capacity error the next quote is the same machine at the same price in another zone.
//!
//! # Caveats
//! Traffic is in no total: what a machine will send nobody knows before.

mod cost;
mod explain;
mod fit;
mod index;
mod limit;
mod need;
mod rank;
mod rules;
pub mod usage;

#[cfg(doc)]
use crate::words::money::Money;

use crate::contracts::pricing::{Prepared, PriceContext, PricingEngine, Ranking};
use crate::nouns::offering::Catalogue;
use crate::nouns::request::Request;
use fit::LaneView;
use index::LaneIndex;
use need::Need;

pub use cost::charge;
pub use index::Pick;
pub use rules::rule_costs;

/// What a machine boots when neither `os` nor `image` is said.
pub const DEFAULT_OS: &str = "ubuntu 24.04";

/// The smallest disk bought for a type that has none, GiB: the size of EC2's Ubuntu images, below which it refuses.
pub const ROOT_DISK_GIB: u32 = 8;

/// How many near misses are named when nothing fits.
pub const NEAREST_MAX: usize = 5;

/// The engine: looks for offers in what it [prepared](PricingEngine::prepare) of each catalogue, and holds every offering
/// of the others against the need. The answer is the same either way; it keeps nothing between calls.
///
/// ```
/// use infra_core::contracts::pricing::{PriceContext, PricingEngine, Ranking};
/// use infra_core::nouns::request::Request;
/// use infra_core::price::CheapestFit;
/// use infra_core::words::clock::Timestamp;
///
/// let context = PriceContext {
///     lanes: &[],
///     excluded: &Default::default(),
///     overlays: &[],
///     now: Timestamp::UNIX_EPOCH,
///     stale_after: std::time::Duration::from_secs(30 * 24 * 3600),
///     limit: 20,
/// };
/// let Ranking::Nothing(why) = CheapestFit.rank(&Request::default(), &context) else { unreachable!() };
/// assert_eq!(why.failed.detail, "no key reaches any cloud");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CheapestFit;

impl PricingEngine for CheapestFit {
    fn rank<'a>(&self, need: &Request, context: &PriceContext<'a>) -> Ranking {
        let (need, nonsense) = Need::read(need, context.now);
        let lanes: Vec<LaneView<'_>> =
            context.lanes.iter().map(|lane| LaneView::new(&need, lane, context)).collect();
        if nonsense.is_none() {
            let quotes = rank::quotes(&need, &lanes, context.limit.max(1));
            if !quotes.is_empty() {
                return Ranking::Fits(quotes);
            }
        }
        Ranking::Nothing(Box::new(explain::no_fit(&need, &lanes, nonsense)))
    }

    fn prepare(&self, catalogue: &Catalogue) -> Prepared {
        Prepared::new(LaneIndex::new(catalogue))
    }
}

impl CheapestFit {
    /// The ranking's first offer, pointing into what it was chosen from; `None` when nothing fits, and why is not asked.
    ///
    /// Allocates nothing where sizes, architecture, region and market are all that is asked of prepared lanes.
    #[must_use]
    pub fn pick<'a>(self, need: &'a Request, context: &PriceContext<'a>) -> Option<Pick<'a>> {
        let (need, nonsense) = Need::read(need, context.now);
        if nonsense.is_some() {
            return None;
        }
        if let Some(told) = index::pick(&need, context) {
            return told;
        }
        let lanes: Vec<LaneView<'a>> =
            context.lanes.iter().map(|lane| LaneView::new(&need, lane, context)).collect();
        let mut fits = index::top(&need, &lanes, 1);
        rank::best_first(&mut fits, 1, rank::order);
        fits.first().map(Pick::of)
    }

    /// How many rows an index of this engine has, and how many of them stand on its skylines; `None` for anything else.
    #[must_use]
    pub fn index_size(self, prepared: &Prepared) -> Option<(usize, usize)> {
        prepared.get::<LaneIndex>().map(LaneIndex::size)
    }
}
