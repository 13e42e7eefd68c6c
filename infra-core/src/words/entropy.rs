//! Chance comes in from outside, so that a seed repeats a run.

use std::fmt::Debug;

/// A source of random bytes.
pub trait Entropy: Send + Sync + Debug {
    /// Fills the buffer with bytes nobody can guess (or that a seed repeats, in tests).
    fn fill(&self, buffer: &mut [u8]);

    /// A number below `bound`; `0` when `bound` is `0`. The bias is below 2^-32 for bounds below 2^32.
    fn below(&self, bound: u64) -> u64;
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[allow(clippy::disallowed_methods, reason = "the one place where chance enters")]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system has randomness");
    }

    fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0_u8; 8];
        self.fill(&mut bytes);
        scale(u64::from_le_bytes(bytes), bound)
    }
}

/// Maps a uniform `u64` onto `0..bound` by multiplication, without a division's bias towards small values.
pub(crate) fn scale(uniform: u64, bound: u64) -> u64 {
    let wide = u128::from(uniform) * u128::from(bound);
    u64::try_from(wide >> 64).expect("the high half of a 128-bit product fits 64 bits")
}
