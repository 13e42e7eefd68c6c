//! Cloud providers for `infra-core`.
//!
//! * [`sim`]: a real provider whose cloud is in memory (or in one file): always on, needs no key.

pub mod sim;
