//! For those who implement a contract or test against one: virtual time, seeded chance, and the laws.

pub mod fixtures;
pub mod laws;
mod seeded;
mod virtual_clock;

pub use seeded::SeededEntropy;
pub use virtual_clock::VirtualClock;
