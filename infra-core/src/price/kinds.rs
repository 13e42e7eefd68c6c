//! How much of a list one type may take before others are in it.
//!
//! Capacity lacks by type and by zone. A list that is used up by all the zones of a few types has nowhere to go when
//! those types are sold out, so each type has a few places before any other loses one to it.
//!
//! # Guarantees
//! * A kind is what a cloud can be sold out of: a type on a market in a lane. It is one kind with whichever key the lane is
//!   reached, and with however many prices: on the spot market zones of a type cost differently, which makes offerings of
//!   their own and not other types.
//!
//! # Caveats
//! Places are counted in the order in which they are asked for: whoever wants the cheapest first asks for those first.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::fit::Fit;
use crate::nouns::request::Market;
use crate::words::ids::TypeName;
use crate::words::lane::Lane;

/// Places that a kind has in a list before the next one has any.
pub(super) const PLACES_FIRST: usize = 3;

/// What a cloud can be sold out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind<'v> {
    type_name: &'v TypeName,
    market: Market,
    lane: &'v Lane,
}

impl Hash for Kind<'_> {
    /// By the name alone: lanes and markets are few, and names tell nearly all apart.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.type_name.hash(state);
    }
}

/// How many of its first places each kind has had. With fixed keys: what is counted must not hang on chance.
#[derive(Debug, Default)]
pub(super) struct Kinds<'v>(HashMap<Kind<'v>, usize, BuildHasherDefault<DefaultHasher>>);

impl<'v> Kinds<'v> {
    /// Gives an offering so many places, and answers how many of them are among the first of its kind.
    pub(super) fn take(&mut self, fit: &Fit<'v, '_>, places: usize) -> usize {
        let Fit { offering, lane, .. } = fit;
        let kind = Kind { type_name: &offering.type_name, market: offering.market, lane: lane.priced.lane };
        let had = self.0.entry(kind).or_default();
        let first = places.min(PLACES_FIRST - *had);
        *had += first;
        first
    }
}
