//! Laws: what every implementation of a contract must do, one sentence and one function each.
//!
//! Whoever implements a contract runs its laws against the implementation; we also run each of them against one
//! that is broken in just that point, because a law that cannot fail says nothing.

pub mod pricing;
mod report;

pub use report::LawReport;

/// Why a law does not hold.
pub type Verdict = Result<(), String>;

/// Fails the law unless the condition holds.
macro_rules! hold {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use hold;
