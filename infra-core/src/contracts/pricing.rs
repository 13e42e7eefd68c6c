//! Pricing: pure and synchronous. Sources refresh elsewhere and swap the tables it reads.
//!
//! # Flow
//! When a catalogue arrives, the engine may [`PricingEngine::prepare`] it once: an index, a sorted copy, or nothing.
//! What it made stands beside the catalogue for as long as that is current, shared by all teams with an equal one.
//! Each request is then a [`PricingEngine::rank`] over the lanes that a team reaches.
//!
//! # Guarantees asked of implementers
//! * Same need, same context, same answer, with what was prepared and without it.
//! * What a field of a request means, and in which order quotes stand: [`PricingEngine`], and [`crate::price`] at length.
//! * What a team pays less ([`PriceContext::overlays`]) is applied while ranking, never while preparing.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::nouns::offering::Catalogue;
use crate::nouns::overlay::Overlay;
use crate::nouns::request::{Market, Request};
use crate::nouns::reservation::Choice;
use crate::words::clock::Timestamp;
use crate::words::ids::{CredentialId, TypeName, Zone};
use crate::words::lane::{Lane, LaneId};
use crate::words::money::Money;

/// What an engine made of one catalogue, for itself alone. Cheap to clone; all clones share it.
#[derive(Clone, Default)]
pub struct Prepared(Option<Arc<dyn Any + Send + Sync>>);

/// Nothing: what an engine without an index prepares.
static UNPREPARED: Prepared = Prepared(None);

impl Prepared {
    /// Something of the engine's own.
    #[must_use]
    pub fn new<T: Any + Send + Sync>(made: T) -> Self {
        Self(Some(Arc::new(made)))
    }

    /// Nothing: the engine reads the catalogue itself.
    #[must_use]
    pub fn none() -> &'static Self {
        &UNPREPARED
    }

    /// What was made, when it was made as a `T`; `None` for what another engine made, and for nothing.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }
}

impl Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Prepared" } else { "Unprepared" })
    }
}

/// A lane that a user can use, with what it offers.
#[derive(Debug, Clone, Copy)]
pub struct PricedLane<'a> {
    /// Which.
    pub lane: &'a Lane,
    /// With which key of the user.
    pub credential: &'a CredentialId,
    /// What it offers.
    pub catalogue: &'a Catalogue,
    /// What the engine made of just this catalogue, if it did.
    pub prepared: &'a Prepared,
}

/// An offer that failed lately for capacity or quota.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Excluded {
    /// Where.
    pub lane: LaneId,
    /// Which type.
    pub type_name: TypeName,
    /// In which zone; `None` for all.
    pub zone: Option<Zone>,
    /// On which market.
    pub market: Market,
}

/// Everything a ranking depends on: same context, same ranking.
#[derive(Debug, Clone, Copy)]
pub struct PriceContext<'a> {
    /// All lanes the user can use.
    pub lanes: &'a [PricedLane<'a>],
    /// Offers not to take now.
    pub excluded: &'a BTreeSet<Excluded>,
    /// What the team pays less than the lists say.
    pub overlays: &'a [Overlay],
    /// Now.
    pub now: Timestamp,
    /// Live prices older than this are marked, and rank after fresh equals.
    pub stale_after: std::time::Duration,
    /// How many quotes at most.
    pub limit: usize,
}

/// What an amount is made of. The parts add up to it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct CostParts {
    /// The machines, at what the team pays. Billing minima and what is rounded up are in here.
    pub compute: Money,
    /// Disk that is bought.
    pub disk: Money,
    /// Public IPv4 addresses.
    pub ipv4: Money,
    /// What managed services take.
    pub fee: Money,
}

impl CostParts {
    /// All parts together.
    #[must_use]
    pub const fn sum(&self) -> Money {
        self.compute.plus(self.disk).plus(self.ipv4).plus(self.fee)
    }
}

/// The name of a part, as in [`CostParts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CostPart {
    /// [`CostParts::compute`].
    Compute,
    /// [`CostParts::disk`].
    Disk,
    /// [`CostParts::ipv4`].
    Ipv4,
    /// [`CostParts::fee`].
    Fee,
}

impl fmt::Display for CostPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compute => "the machine",
            Self::Disk => "its disk",
            Self::Ipv4 => "its public address",
            Self::Fee => "the service's fee",
        })
    }
}

/// Why a quote stands before the next one. Rules are asked in this order; the first that tells the two apart decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Advantage {
    /// Spot was asked for first, and the next is on demand.
    SpotFirst,
    /// All machines cost less, for the time asked or else for an hour.
    Cheaper {
        /// By so much.
        by: Money,
        /// The part that most of it comes from.
        mostly: CostPart,
    },
    /// It costs the same, and the next one's price is old.
    Fresher,
    /// It costs the same with fewer virtual processors beyond the need.
    FewerVcpus {
        /// Thousandths of a processor fewer.
        by_milli: u32,
    },
    /// It costs the same with less memory beyond the need.
    LessMemory {
        /// MiB less.
        by_mib: u64,
    },
    /// Equal in all that counts: the names decide, so that the answer is always the same.
    Name,
    /// The very same offer in the next zone.
    OtherZone,
}

impl fmt::Display for Advantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpotFirst => f.write_str("spot was asked for first; the next is on demand"),
            Self::Cheaper { by, mostly } => write!(f, "{by} USD cheaper than the next, mostly for {mostly}"),
            Self::Fresher => f.write_str("costs the same as the next, whose price is old"),
            Self::FewerVcpus { by_milli } => {
                let (whole, part) = (by_milli / 1000, by_milli % 1000);
                let text = format!("{whole}.{part:03}");
                let fewer = text.trim_end_matches('0').trim_end_matches('.');
                write!(f, "costs the same as the next with {fewer} vCPUs fewer to waste")
            }
            Self::LessMemory { by_mib } => {
                write!(f, "costs the same as the next with {by_mib} MiB of memory less to waste")
            }
            Self::Name => f.write_str("equal to the next in all that counts; comes first by name"),
            Self::OtherZone => f.write_str("the next is the same offer in another zone"),
        }
    }
}

/// One way to fulfil the whole request, with what it costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// What is taken, and where.
    pub choice: Choice,
    /// All machines for one hour.
    pub per_hour: Money,
    /// What `per_hour` is made of.
    pub parts_per_hour: CostParts,
    /// All machines for the duration asked, by the cloud's billing rules; `None` when no duration was asked.
    pub total: Option<Money>,
    /// What `total` is made of.
    pub parts_total: Option<CostParts>,
    /// What the team's overlays take off all machines in one hour.
    pub saved_per_hour: Money,
    /// The name of the overlay that it is by: the one of those that match which leaves the least; `None` when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_by: Option<String>,
    /// The price is live and old.
    pub stale: bool,
    /// Why it stands before the next; `None` for the last of what fits, and for near misses.
    pub beats_next: Option<Advantage>,
    /// Refused a moment ago, like everything else that fits, and not asked for until then: who asked the clouds knows, so
    /// that an engine says `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_until: Option<Timestamp>,
}

/// What one rule of a request costs: the best offer with it, beside the best one without it and all else as asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCost {
    /// The request's field: `policy.burstable`.
    pub field: String,
    /// The rule, as people write it: `burstable=deny`.
    pub rule: String,
    /// The best with the rule: all machines, for the time asked or else for an hour.
    pub with: Money,
    /// The best without it, of the same.
    pub without: Money,
    /// What would be taken without it, as [`Choice::offer`] says it.
    pub offer_without: String,
    /// By how many thousandths the rule makes it dearer; 0 when it costs nothing.
    pub dearer_permille: u64,
}

impl fmt::Display for RuleCost {
    /// `+28 %: burstable=deny`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, tenth) = (self.dearer_permille / 10, self.dearer_permille % 10);
        match tenth {
            0 => write!(f, "+{whole} %: {}", self.rule),
            _ => write!(f, "+{whole}.{tenth} %: {}", self.rule),
        }
    }
}

/// A limit that ruled everything out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedLimit {
    /// The request's field.
    pub field: String,
    /// What was asked and what there is.
    pub detail: String,
    /// The best there is, in the field's unit. Asked for with all else as it was it fits, but for places, images and
    /// values that make no sense, where it is what there is. `None` where there is no such thing, and where it would not
    /// help alone.
    pub limit: Option<String>,
    /// The other fields that the nearest offers miss as well, where no offer misses `field` alone; empty where one does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

/// Why nothing fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoFit {
    /// Why: an unknown region, an unknown image, or a limit.
    pub reason: NoFitReason,
    /// The limit whose relaxing helps most.
    pub failed: FailedLimit,
    /// Offers that miss by the least, best first; at most 5.
    pub nearest: Vec<Quote>,
}

/// What kind of "nothing".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoFitReason {
    /// No key reaches any lane.
    NoLanes,
    /// No lane in the region, or at the cloud, that was asked for.
    UnknownRegion,
    /// No such image anywhere it could be used.
    UnknownImage,
    /// Sizes, price cap or market rule everything out.
    TooDemanding,
}

/// The answer: cheapest first, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Ranking {
    /// At least one.
    Fits(Vec<Quote>),
    /// None.
    Nothing(Box<NoFit>),
}

/// Ranks offers. Not async: it neither waits nor asks.
///
/// # What every engine answers
/// [`crate::price`] says at length what the fields of a request mean and what a total is made of; its engine,
/// [`CheapestFit`](crate::CheapestFit), is the reference. What is not said by the request itself:
/// * **Boots**: `image`, or else the newest image of `os`, or else of [`DEFAULT_OS`]; of the machine's architecture, at a
///   price of the image's system, with the memory and disk it needs. Where there is none, the offer does not fit.
/// * **Disk**: a type without a disk of its own gets a bought one where the lane sells disk, of [`ROOT_DISK_GIB`] at
///   least; of a type with one only the missing part is bought. It is in every price, and the cap counts it.
/// * **Accelerators**: `gpu_model` alone asks for one at least; letters' case does not matter.
/// * **Order**: with spot first and on demand as the fallback, all of spot stands first. Then the total, fresh before
///   stale, fewer vCPUs, less memory, the type's name, the lane, the key. Each open zone of an offering is a quote, by name,
///   all directly behind each other.
/// * **Length**: at most [`PriceContext::limit`] quotes, of which the fallback has a quarter, and one at least, where it
///   fits; a list of one is the best alone, and a limit of none is one. [`Ranking::Fits`] of nothing is a fault: what
///   cannot be served is [`Ranking::Nothing`].
/// * **Refusals**: one [`FailedLimit`], and at most [`NEAREST_MAX`] quotes of what is near: what misses the fewest limits, by
///   the least share. The limit is the one that the most of these miss; of equals the first of `max_price_per_hour`,
///   `memory_gib`, `vcpus`, `disk_gib`, `gpus`, `gpu_model`, `market`, `arch`, the rules of the policy, places, images. No
///   price that is unknown, zero or below is ever quoted, near or not.
/// * **Left alone**: [`Choice::tariff`] and [`Quote::refused_until`] are `None`: who asks the clouds fills them in.
///
#[cfg_attr(
    feature = "testing",
    doc = "The laws are in [`testing::laws::pricing`](crate::testing::laws::pricing)."
)]
#[cfg_attr(
    not(feature = "testing"),
    doc = "The laws are in `testing::laws::pricing` behind the feature `testing`."
)]
/// An example there runs all of them against an engine of its own. One that keeps them may be given to
/// [`InfraBuilder::with_pricing`](crate::infra::InfraBuilder::with_pricing).
///
/// [`DEFAULT_OS`]: crate::price::DEFAULT_OS
/// [`NEAREST_MAX`]: crate::price::NEAREST_MAX
/// [`ROOT_DISK_GIB`]: crate::price::ROOT_DISK_GIB
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait PricingEngine: Send + Sync + Debug {
    /// The best of what fits, best first, as many as the context wants; or why nothing does.
    fn rank<'a>(&self, need: &Request, context: &PriceContext<'a>) -> Ranking;

    /// Makes what it wants to find beside a catalogue when it ranks: called once when a catalogue arrives, while
    /// others still rank by the old one. An engine that wants nothing answers a clone of [`Prepared::none`].
    ///
    /// What it makes is shared by all catalogues that offer the same, of whichever team, and is handed back beside any of
    /// them. The same are those with equal offerings in the same order, at equal prices, disks, addresses and billing.
    /// They may differ in all that follows, none of which it may hold:
    /// * zones, images and options;
    /// * when a catalogue or a price was read: of the moments of its known prices only the order is the same, equals
    ///   included;
    /// * who said a price ([`Price::Known::source`]), and why there is none ([`Price::Unknown::reason`]).
    ///
    /// The law is `what_was_prepared_serves_all_that_offer_the_same`.
    ///
    /// [`Price::Known::source`]: crate::nouns::offering::Price::Known::source
    /// [`Price::Unknown::reason`]: crate::nouns::offering::Price::Unknown::reason
    fn prepare(&self, catalogue: &Catalogue) -> Prepared;
}
