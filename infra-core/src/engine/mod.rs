//! The engine: level-triggered, so that a crash at any point is the same as a pause.
//!
//! # Flow
//! *Shards* of tenants plan: deadlines, slots, attempts; they write records and never talk to a cloud. *Lanes*
//! execute: one listing for all, and the only place from which a cloud is changed. Both work under fenced
//! claims, and read everything they decide upon again after every write.
//!
//! # Guarantees
//! * Nothing is created without an acknowledged row that says so; nothing is ended without a fresh proof.
//! * Switches and the reservation's own state are checked in the very commit that writes a send.
//! * Dropping a tick's future at any await is a crash, and crashes are harmless.
//!
//! # Assumptions
//! The store keeps its contract; a cloud that says "refused" did nothing; no two stores share an installation.
//!
//! # Caveats
//! Between the last check and the socket there is always a moment: at most the calls already written as Sent
//! may land after a switch is acknowledged.

mod claims;
mod dirty;
mod housekeeping;
mod lane;
mod outbox;
mod run;
mod shard;
mod world;

pub use claims::Ownership;
pub use world::{Engine, EngineParts, TickReport};
