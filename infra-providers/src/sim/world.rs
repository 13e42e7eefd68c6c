//! The world: what is true in the cloud, behind one lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use infra_core::contracts::provider::Facts;
use infra_core::nouns::launch::FrozenLaunch;
use infra_core::nouns::offering::Image;
use infra_core::words::clock::{Clock, Timestamp, later};
use infra_core::words::ids::{AccountId, Region, ResourceId, TypeName, Zone};
use serde::{Deserialize, Serialize};

use super::catalogue::{Shelf, first_images};
use super::chance::Chance;
use super::config::SimConfig;
use super::persist::Journal;
use super::rules::{CallRecord, Rule};
use super::thing::SimThing;
use super::tick::TickClock;

/// Most calls that are remembered one by one; counts go on.
pub(super) const CALLS_KEPT: usize = 100_000;

/// A cloud in memory. Cheap to clone; all clones are one cloud.
#[derive(Debug, Clone)]
pub struct SimWorld {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) config: SimConfig,
    pub(super) facts: Facts,
    pub(super) shelves: BTreeMap<Region, Shelf>,
    pub(super) clock: Arc<TickClock>,
    /// The cloud's time at `mono_at_start`.
    pub(super) epoch: Timestamp,
    pub(super) mono_at_start: Duration,
    pub(super) state: Mutex<State>,
}

/// Not its keys, nor first-boot data that waits in a queue: a driver is printed with whatever holds it.
impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("cloud", &self.config.cloud).finish_non_exhaustive()
    }
}

/// What a token made; the memory behind idempotent launches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenRow {
    pub(super) body: String,
    pub(super) made: Vec<u64>,
}

/// A request that sits in a queue and will be done although its caller has long been answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LateRequest {
    pub(super) at: Timestamp,
    pub(super) account: AccountId,
    pub(super) key: String,
    pub(super) region: Region,
    pub(super) frozen: FrozenLaunch,
    pub(super) user_data: Option<String>,
}

/// Everything that is neither a thing nor a token: small, and saved whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Small {
    pub(super) next: u64,
    pub(super) chance: Chance,
    pub(super) offset: Duration,
    pub(super) rules: Vec<Rule>,
    pub(super) late: Vec<LateRequest>,
    pub(super) images: Vec<Image>,
    pub(super) no_capacity: BTreeSet<(TypeName, Option<Zone>)>,
    pub(super) revoked: BTreeSet<String>,
    pub(super) machines_max: BTreeMap<AccountId, u32>,
    #[serde(default)]
    pub(super) led: BTreeMap<String, AccountId>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) small: Small,
    pub(super) things: BTreeMap<u64, SimThing>,
    pub(super) by_id: HashMap<ResourceId, u64>,
    pub(super) by_name: HashMap<String, Vec<u64>>,
    /// Numbers that may still be shown: everything else is history.
    pub(super) current: BTreeSet<u64>,
    pub(super) tokens: BTreeMap<String, TokenRow>,
    pub(super) calls: std::collections::VecDeque<CallRecord>,
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) changed: Changed,
    pub(super) journal: Option<Journal>,
}

/// What the journal has not been told yet.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) things: BTreeSet<u64>,
    pub(super) tokens: BTreeSet<String>,
    pub(super) small: bool,
}

impl State {
    pub(super) fn new(config: &SimConfig) -> Self {
        let small = Small {
            next: 1,
            chance: Chance::new(config.seed),
            offset: Duration::ZERO,
            rules: Vec::new(),
            late: Vec::new(),
            images: first_images(),
            no_capacity: BTreeSet::new(),
            revoked: BTreeSet::new(),
            machines_max: BTreeMap::new(),
            led: BTreeMap::new(),
        };
        Self {
            small,
            things: BTreeMap::new(),
            by_id: HashMap::new(),
            by_name: HashMap::new(),
            current: BTreeSet::new(),
            tokens: BTreeMap::new(),
            calls: std::collections::VecDeque::new(),
            counts: BTreeMap::new(),
            changed: Changed::default(),
            journal: None,
        }
    }

    /// Adds or replaces a thing.
    pub(super) fn put(&mut self, thing: SimThing) {
        let number = thing.number;
        self.by_id.insert(thing.id.clone(), number);
        if let Some(name) = &thing.name {
            let numbers = self.by_name.entry(name.clone()).or_default();
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        self.current.insert(number);
        self.changed.things.insert(number);
        self.things.insert(number, thing);
    }

    /// Changes a thing, by its number; the number must exist.
    pub(super) fn change(&mut self, number: u64, change: impl FnOnce(&mut SimThing)) {
        self.changed.things.insert(number);
        // A vanished thing may be shown again by hand, so it comes back into view.
        self.current.insert(number);
        change(self.things.get_mut(&number).expect("numbers come from the maps of this state"));
    }

    pub(super) fn number_of(&self, id: &ResourceId) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    pub(super) fn draw_id(&mut self, word: &str) -> (u64, ResourceId) {
        let number = self.small.next;
        self.small.next += 1;
        self.changed.small = true;
        let noise = self.small.chance.next() & 0xffff_ffff;
        let id = ResourceId::new(format!("{word}-{number:06x}{noise:08x}"));
        (number, id.expect("words of kinds are plain"))
    }
}

impl SimWorld {
    /// A cloud that lives as long as its last clone.
    #[must_use]
    pub fn new(config: SimConfig, clock: Arc<dyn Clock>) -> Self {
        let state = State::new(&config);
        Self::assemble(config, clock, state, None)
    }

    pub(super) fn assemble(
        config: SimConfig,
        clock: Arc<dyn Clock>,
        state: State,
        not_before: Option<Timestamp>,
    ) -> Self {
        let clock = Arc::new(TickClock::new(clock, state.small.offset));
        let shelf = |region: &super::RegionConfig| {
            (region.name.clone(), Shelf::of(region.shape, config.catalogue, region.zones_max))
        };
        let inner = Inner {
            facts: config.facts(),
            shelves: config.regions.iter().map(shelf).collect(),
            // A cloud's time does not go back because our machine was restarted with a wrong clock.
            epoch: not_before.map_or_else(|| clock.wall(), |at| at.max(clock.wall())),
            mono_at_start: clock.mono(),
            clock,
            config,
            state: Mutex::new(state),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The clock that the cloud runs on. An engine that shares it is pushed forward by [`Self::tick`], too.
    #[must_use]
    pub fn clock(&self) -> Arc<TickClock> {
        self.inner.clock.clone()
    }

    /// The cloud's own time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        later(self.inner.epoch, self.inner.clock.mono().saturating_sub(self.inner.mono_at_start))
    }

    /// Time passes at once, for the cloud and for all who share its clock. Saved with the world.
    pub fn tick(&self, by: Duration) {
        self.inner.clock.tick(by);
        self.with(|state, _| {
            state.small.offset = self.inner.clock.offset();
            state.changed.small = true;
        });
    }

    /// What kind of cloud it is.
    #[must_use]
    pub fn config(&self) -> &SimConfig {
        &self.inner.config
    }

    /// Capabilities as data.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.inner.facts
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().expect("nobody panics while changing the world")
    }

    /// Does something to the world at the cloud's present moment and saves what changed.
    pub(super) fn with<T>(&self, what: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let mut state = self.lock();
        let now = self.now();
        self.settle(&mut state, now);
        let result = what(&mut state, now);
        state.save(now);
        result
    }

    /// Does what is due: requests that sat in a queue. History leaves the set of current things.
    fn settle(&self, state: &mut State, now: Timestamp) {
        let shown_for = self.inner.config.gone_shown_for;
        let State { current, things, .. } = state;
        current.retain(|number| things[number].shown(now, shown_for) || things[number].alive(now));
        while let Some(at) = state.small.late.iter().position(|late| late.at <= now) {
            let late = state.small.late.remove(at);
            state.changed.small = true;
            self.arrive(state, late);
        }
    }
}
