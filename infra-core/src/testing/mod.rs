//! For those who implement a contract or test against one: virtual time, seeded chance, and the laws.

mod drive;
pub mod fixtures;
pub mod laws;
pub mod price_world;
pub mod reference_allocator;
mod seeded;
mod virtual_clock;

pub use drive::in_virtual_time;
pub use seeded::SeededEntropy;
pub use virtual_clock::VirtualClock;
