//! The sim: a real provider whose cloud is in memory, or in one file.
//!
//! # Flow
//! A [`SimWorld`] is the cloud: it holds the truth, answers calls, and breaks when told to. A [`SimDriver`] (or,
//! from another process, `RemoteSim`) connects keys to it; the provider it makes is the *client side*, which
//! checks the deadline, yields once (the socket write), and calls the world.
//!
//! # Guarantees
//! * State is a function of time: no background task, one mutex, so virtual time just works.
//! * Everything random is drawn from the world's own seed: the same calls at the same times repeat a run.
//! * What stands in [`SimWorld::truth`] is never lagged, hidden or faulty: tests compare against it.
//! * The cloud's clock is its own: it starts at the wall clock's time and then follows the monotonic clock, so
//!   a jump of our wall clock never reaches it.
//!
//! # Caveats
//! A call takes no time unless a rule says so, and there is no network in between unless it is served.

mod catalogue;
mod chance;
mod config;
mod driver;
mod hands;
mod launch;
mod persist;
mod provider;
mod rules;
mod server;
mod thing;
mod tick;
mod wire;
mod world;

pub use catalogue::{CatalogueSize, Shape};
pub use config::{RegionConfig, SimConfig, Span};
pub use driver::SimDriver;
pub use hands::{HandMade, TruthThing};
pub use persist::SimOpenError;
pub use rules::{CallRecord, FaultEffect, Match, Rule};
pub use tick::TickClock;
pub use world::SimWorld;
