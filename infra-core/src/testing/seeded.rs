//! Chance that a seed repeats.
//!
//! # Guarantees
//! The same seed gives the same draws in the same order on every machine, so that a failure found by chance can be
//! found again. Tasks that share one take turns: what each of them draws hangs on who came first.

use std::sync::Mutex;

use crate::words::entropy::{Entropy, scale};

/// SplitMix64 behind a lock: small, fast, and the same on every machine. Not for keys.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// Starts a sequence.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.lock().expect("nobody panics while drawing");
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    fn below(&self, bound: u64) -> u64 {
        scale(self.next(), bound)
    }
}
