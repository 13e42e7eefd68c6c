//! Stores for `infra-core`: [`MemoryStore`] for tests, simulations and examples, and (feature `sqlite`, on by
//! default) `SqliteStore`, the embedded durable one.
//!
//! Both are held to the same laws: `infra_core::testing::laws::store`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod memory;
mod rules;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{SQLITE_SCHEMA, SqliteStore};
