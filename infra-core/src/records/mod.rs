//! Typed records over a [`crate::ReservationStore`]: what stands where, found by what, and commits that survive a lost reply.

mod keys;
mod pricing;
mod repo;
mod seen;
mod txn;

pub use keys::{
    Stored, TokenRef, history_prefix, launch_prefix, shard_of, state, system_tenant, unit_prefix,
};
pub use repo::{Repo, RepoError, Versioned};
pub(crate) use seen::Seen;
pub use txn::Txn;
