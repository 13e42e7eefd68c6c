//! The world's own chance: one number of state, so that it is saved with the world.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::Span;

/// SplitMix64. Not for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must be above 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the high half of a 128-bit product fits 64 bits")
    }

    /// A time within a span, to the millisecond.
    pub(super) fn within(&mut self, span: Span) -> Duration {
        let millis = span.max.saturating_sub(span.min).as_millis();
        let more = self.below(u64::try_from(millis).unwrap_or(u64::MAX - 1) + 1);
        span.min + Duration::from_millis(more)
    }
}
