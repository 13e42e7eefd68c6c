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

mod acts;
mod catalogue;
mod chance;
mod config;
#[cfg(feature = "sim-server")]
mod control;
mod driver;
mod hands;
mod launch;
mod persist;
mod provider;
#[cfg(feature = "sim-remote")]
mod remote;
mod rules;
#[cfg(feature = "sim-server")]
mod serve;
mod server;
mod thing;
mod tick;
mod wire;
mod world;

/// The door for protocol skins: fakes of real clouds whose truth is a sim.
#[cfg(feature = "fakes")]
#[allow(unused_imports, reason = "each skin uses its part")]
pub(crate) mod skin {
    use std::collections::BTreeMap;

    use infra_core::nouns::launch::LaunchBody;
    use infra_core::nouns::offering::Image;
    use infra_core::words::ids::{AccountId, Region, ResourceId, Zone};

    use super::SimWorld;
    pub(crate) use super::wire::{Answer, Asked, Call, Port};

    /// All images, in an order that never changes: protocols that number them need one.
    pub(crate) fn images(world: &SimWorld) -> Vec<Image> {
        world.lock().small.images.clone()
    }

    /// Whom a key reaches now; `None` when it is not known.
    pub(crate) fn account_of(world: &SimWorld, key: &str) -> Option<AccountId> {
        world.account_of(&world.lock(), key)
    }

    /// Every zone of a region; none where the region is unknown or has none.
    pub(crate) fn zones(world: &SimWorld, region: &Region) -> Vec<Zone> {
        world.inner.shelves.get(region).map(|shelf| shelf.zones.clone()).unwrap_or_default()
    }

    /// Looks at, and may change, whom a firewall lets in: protocols may write rules one by one. `None` when the id is no
    /// firewall's.
    pub(crate) fn blocks<T>(
        world: &SimWorld,
        id: &ResourceId,
        look: impl FnOnce(&mut Vec<String>) -> T,
    ) -> Option<T> {
        world.with(|state, _| {
            let number = state.number_of(id)?;
            let mut looked = None;
            state.change(number, |thing| {
                if let LaunchBody::Firewall(firewall) = &mut thing.body {
                    looked = Some(look(&mut firewall.allow_from));
                }
            });
            looked
        })
    }

    /// Looks at what was asked for. `None` when the id is unknown.
    pub(crate) fn body<T>(
        world: &SimWorld,
        id: &ResourceId,
        look: impl FnOnce(&LaunchBody) -> T,
    ) -> Option<T> {
        let state = world.lock();
        let number = state.number_of(id)?;
        Some(look(&state.things[&number].body))
    }

    /// Changes single tags of a thing, as protocols do whose marks are written tag by tag. `false` when the id is
    /// unknown.
    pub(crate) fn retag(
        world: &SimWorld,
        id: &ResourceId,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> bool {
        world.with(|state, _| {
            let Some(number) = state.number_of(id) else { return false };
            state.change(number, |thing| change(&mut thing.tags));
            true
        })
    }
}

pub use catalogue::{CatalogueSize, Shape};
pub use config::{RegionConfig, SimConfig, Span};
#[cfg(feature = "sim-server")]
pub use control::control_router;
pub use driver::SimDriver;
pub use hands::{HandMade, TruthThing};
pub use persist::SimOpenError;
#[cfg(feature = "sim-remote")]
pub use remote::{RemoteSim, RemoteSimError};
pub use rules::{CallRecord, FaultEffect, Match, Rule};
#[cfg(feature = "sim-server")]
pub use serve::api_router;
pub use tick::TickClock;
pub use world::SimWorld;
