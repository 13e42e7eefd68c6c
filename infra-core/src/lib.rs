//! Capacity is leased, never owned: everything is a reservation, front doors change what is desired, and one
//! level-triggered engine makes it so.
//!
//! # Flow
//! [`Infra::builder`] takes a store, clouds, a pricing engine and settings. [`Infra::user`] is what front
//! doors call:
//! quote, reserve, extend, stop, start, release. Each call changes what is *desired*, in one commit. The
//! engine reads
//! that, plans in pure functions, writes down what it is about to do, does it, and looks again.
//!
//! # Layers
//! From below; each knows only those under it, and a test keeps it so.
//!
//! | layer | what it holds |
//! |---|---|
//! | [`words`] | ids, lanes and marks, time, money, secrets, limits |
//! | [`nouns`] | what is recorded, and what clouds show |
//! | [`contracts`] | the traits that clouds, stores, pools and prices implement |
//! | [`records`] | where each record stands, and commits that survive a lost reply |
//! | [`plan`], [`price`] | decisions, without I/O, clock or chance |
//! | [`connect`], [`engine`] | keys to connections; shards that write and lanes that act |
//! | [`infra`] | the handle |
//!
//! # Guarantees
//! * A crash at any point is the same as a pause: what was begun is found again, finished or undone.
//! * Nothing is made without an acknowledged row, nothing is ended without a fresh proof that it is ours.
//! * Nothing process-wide is installed, nothing is printed, and everything ends with [`Infra::shutdown`].
//!
//! # Example
//! Decisions are functions; this one says when something is not there any more. One "not found" is no
//! answer, and
//! neither are two without a complete listing between them:
//!
//! ```
//! use std::time::Duration;
//!
//! use infra_core::plan::absence::{not_found, not_listed, proof};
//! use infra_core::words::clock::Timestamp;
//! use infra_core::words::planted::Planted;
//!
//! let at = |second| Timestamp::from_second(second).expect("in range");
//! let visible_within = Duration::from_secs(300);
//! let mut missing = None;
//! not_found(&mut missing, at(0));
//! not_found(&mut missing, at(301));
//! assert!(proof(missing.as_ref(), visible_within, Planted::NONE).is_none());
//! not_listed(&mut missing, at(302));
//! not_found(&mut missing, at(303));
//! assert!(proof(missing.as_ref(), visible_within, Planted::NONE).is_some());
//! ```
//!
//! The whole handle is shown in the repository's README, and why all of this is so in its ARCHITECTURE.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod budgets;
pub mod connect;
pub mod contracts;
pub mod engine;
pub mod infra;
pub mod nouns;
pub mod plan;
pub mod price;
pub mod records;
#[cfg(feature = "testing")]
pub mod testing;
pub mod words;

pub use contracts::allocator::Allocator;
pub use contracts::pricing::PricingEngine;
pub use contracts::provider::{CloudDriver, CloudProvider};
pub use contracts::store::ReservationStore;
pub use infra::{Infra, InfraBuilder, InfraError, Operator, UserHandle};
pub use price::CheapestFit;
pub use words::clock::{Clock, SystemClock};
pub use words::entropy::{Entropy, SystemEntropy};
pub use words::fault::{Effect, Fault, FaultKind};
pub use words::limits::Limits;
