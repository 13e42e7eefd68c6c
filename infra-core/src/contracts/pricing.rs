//! Pricing: pure and synchronous. Sources refresh elsewhere and swap the tables it reads.

use std::collections::BTreeSet;
use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::nouns::offering::Catalogue;
use crate::nouns::request::{Market, Request};
use crate::nouns::reservation::Choice;
use crate::words::clock::Timestamp;
use crate::words::ids::{CredentialId, TypeName, Zone};
use crate::words::lane::{Lane, LaneId};
use crate::words::money::Money;

/// A lane that a user can use, with what it offers.
#[derive(Debug, Clone, Copy)]
pub struct PricedLane<'a> {
    /// Which.
    pub lane: &'a Lane,
    /// With which key of the user.
    pub credential: &'a CredentialId,
    /// What it offers.
    pub catalogue: &'a Catalogue,
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
    /// Now.
    pub now: Timestamp,
    /// Live prices older than this are marked, and rank after fresh equals.
    pub stale_after: std::time::Duration,
    /// How many quotes at most.
    pub limit: usize,
}

/// One way to fulfil the whole request, with what it costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// What is taken, and where.
    pub choice: Choice,
    /// All machines for one hour.
    pub per_hour: Money,
    /// All machines for the duration asked, by the cloud's billing rules; `None` when no duration was asked.
    pub total: Option<Money>,
    /// The price is live and old.
    pub stale: bool,
}

/// A limit that ruled everything out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedLimit {
    /// The request's field.
    pub field: String,
    /// What was asked and what there is.
    pub detail: String,
    /// The best there is, in the field's unit.
    pub limit: Option<String>,
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
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait PricingEngine: Send + Sync + Debug {
    /// All fitting offers, cheapest total first; ties by less waste, then by name. Unknown prices are never in it.
    fn rank<'a>(&self, need: &Request, context: &PriceContext<'a>) -> Ranking;
}
