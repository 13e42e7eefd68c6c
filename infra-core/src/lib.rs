//! Capacity is leased, never owned: everything is a reservation, front doors change what is desired, and one
//! level-triggered engine makes it so.

pub mod connect;
pub mod contracts;
pub mod engine;
pub mod infra;
pub mod nouns;
pub mod plan;
pub mod records;
#[cfg(feature = "testing")]
pub mod testing;
pub mod words;

pub use contracts::allocator::Allocator;
pub use contracts::pricing::PricingEngine;
pub use contracts::provider::{CloudDriver, CloudProvider};
pub use contracts::store::ReservationStore;
pub use infra::{Infra, InfraBuilder, InfraError, Operator, UserHandle};
pub use words::clock::{Clock, SystemClock};
pub use words::entropy::{Entropy, SystemEntropy};
pub use words::fault::{Effect, Fault, FaultKind};
pub use words::limits::Limits;
