//! Keeps what a source said, and asks again when it is time.
//!
//! # Flow
//! Whoever wants prices calls [`PriceFeed::known`] with a source that could be asked. A table that is young enough is the
//! answer. An older one is the answer, too, while one task asks anew. Only where nothing was ever heard does the caller
//! wait, once, for as long as the pace allows; the others wait for the same answer.
//!
//! # Guarantees
//! * One question at a time for each scope, and each is cut after [`Pace::within`].
//! * A failure leaves the last good table and is asked again after a pause that doubles, up to the interval; what the
//!   source itself says about coming back counts when it is longer.
//! * What a table says in vain is told once for each table and region, and stays in sight until some catalogue takes it.
//! * Pauses are spread by a tenth, so that a thousand scopes that began together do not stay together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use infra_core::words::clock::{Clock, SystemClock, Timestamp, between};
use infra_core::words::entropy::{Entropy, SystemEntropy};
use infra_core::words::ids::{AccountId, CloudName, Region};

use super::PriceSource;
use super::error::PriceError;
use super::rates::Rates;
use super::table::{PriceTable, Unused};

/// How often a source is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After a success.
    pub every: Duration,
    /// A question is cut after this.
    pub within: Duration,
    /// After the first failure; doubles up to `every`.
    pub retry: Duration,
}

impl Default for Pace {
    /// List prices change some times a year: four times a day, a minute after a failure. A question is cut well below the
    /// minute that a whole catalogue may take.
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self { every: secs(6 * 3600), within: secs(20), retry: secs(60) }
    }
}

/// Of what a table is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The region.
    pub region: Region,
    /// One account, where accounts see different things; `None` for what is true of everybody.
    pub account: Option<AccountId>,
}

/// How old a feed's prices are, and what went wrong last. Names no account: of several the worst is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PriceAge {
    /// The cloud.
    pub cloud: CloudName,
    /// The region.
    pub region: Region,
    /// The feed's word: `list`, `spot`, `file`.
    pub feed: &'static str,
    /// Who said so; empty while nobody did.
    pub source: String,
    /// Since its table was true; `None` while there is none.
    pub age: Option<Duration>,
    /// Does it age?
    pub live: bool,
    /// Rows with a price.
    pub known: usize,
    /// Failures since the last success.
    pub failures: u32,
    /// The last of them.
    pub last_error: Option<String>,
    /// Rows that no catalogue of the region took a price from so far; 0 until the first of them came.
    pub unused: usize,
    /// Some of them, as people name them.
    pub unused_examples: Vec<String>,
}

/// Unused rows that are named at most.
const EXAMPLES_MAX: usize = 5;

/// One source's tables, by scope.
#[derive(Debug)]
pub struct PriceFeed {
    cloud: CloudName,
    word: &'static str,
    pace: Pace,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    slots: Mutex<BTreeMap<Scope, Arc<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    /// Held while the source is asked.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct State {
    table: Option<Arc<PriceTable>>,
    /// By the monotonic clock.
    due: Option<Duration>,
    used: Duration,
    failures: u32,
    last_error: Option<String>,
    /// What no catalogue took of this very table; `None` until one was asked for it.
    unused: Option<Unused>,
}

/// Scopes that are remembered; the one that was not used for longest goes.
const SCOPES_MAX: usize = 256;

impl PriceFeed {
    /// A feed that knows nothing yet. `word` names it beside others of the same cloud.
    #[must_use]
    pub fn new(
        cloud: CloudName,
        word: &'static str,
        pace: Pace,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { cloud, word, pace, clock, entropy, slots: Mutex::default() }
    }

    /// What is known, at once.
    #[must_use]
    pub fn table(&self, scope: &Scope) -> Option<Arc<PriceTable>> {
        self.with_slots(|slots| slots.get(scope).cloned())
            .and_then(|slot| slot.read(|state| state.table.clone()))
    }

    /// Why nothing, or nothing new, is known.
    #[must_use]
    pub fn last_error(&self, scope: &Scope) -> Option<String> {
        self.with_slots(|slots| slots.get(scope).cloned())
            .and_then(|slot| slot.read(|state| state.last_error.clone()))
    }

    /// Keeps a table that came with something else: nobody is asked for it. One without any price is passed over.
    pub fn heard(&self, scope: &Scope, table: PriceTable) {
        if table.counts().0 == 0 {
            return;
        }
        let used = self.clock.mono();
        let slot = self.slot(scope);
        slot.write(|state| *state = State { table: Some(Arc::new(table)), used, ..State::default() });
    }

    /// What is known; asks the source in the background when it is time, and waits for it only where nothing was ever
    /// heard of this scope.
    pub async fn known(
        self: &Arc<Self>,
        scope: &Scope,
        source: Arc<dyn PriceSource>,
    ) -> Option<Arc<PriceTable>> {
        let slot = self.slot(scope);
        let (table, due) = slot.read(|state| (state.table.clone(), state.due));
        let ever_asked = due.is_some();
        if due.is_some_and(|due| self.clock.mono() < due) {
            return table;
        }
        // A task of its own: whoever asked may go away, and the next would have to begin anew.
        let (feed, at) = (Arc::clone(self), Arc::clone(&slot));
        let asked = tokio::spawn(async move {
            let held = if ever_asked { at.asking.try_lock().ok() } else { Some(at.asking.lock().await) };
            let still_due = at.read(|state| state.due.is_none_or(|due| feed.clock.mono() >= due));
            if held.is_some() && still_due {
                feed.ask(&at, &*source).await;
            }
        });
        if !ever_asked && let Err(broken) = asked.await {
            tracing::error!(cloud = %self.cloud, feed = self.word, %broken, "asking for prices ended badly");
        }
        slot.read(|state| state.table.clone())
    }

    /// Notes what a table says in vain for one catalogue of a scope. Accounts see different types: what any of them takes is
    /// of use. A table that was replaced meanwhile is passed over.
    pub fn joined(&self, scope: &Scope, table: &Arc<PriceTable>, unused: &Unused) {
        let slot = self.slot(scope);
        let first = slot.write(|state| {
            if state.table.as_ref().is_none_or(|current| !Arc::ptr_eq(current, table)) {
                return false;
            }
            match &mut state.unused {
                Some(known) => {
                    known.retain(|row, _| unused.contains_key(row));
                    false
                }
                none => {
                    *none = Some(unused.clone());
                    !unused.is_empty()
                }
            }
        });
        if first {
            let (rows, examples) = (unused.values().sum::<usize>(), examples(unused).join(", "));
            let (cloud, region, source) = (&self.cloud, &scope.region, table.source());
            tracing::warn!(%cloud, %region, source, rows, examples, "prices of what is not sold here: a slip of the pen?");
        }
    }

    /// The ages of everything that is known, one per region.
    #[must_use]
    pub fn ages(&self) -> Vec<PriceAge> {
        let now = self.clock.wall();
        let slots: Vec<_> = self.with_slots(|slots| {
            slots.iter().map(|(scope, slot)| (scope.clone(), Arc::clone(slot))).collect()
        });
        let mut worst = BTreeMap::<Region, PriceAge>::new();
        for (scope, slot) in slots {
            let age = slot.read(|state| self.age(&scope, state, now));
            let badness = |age: &PriceAge| (age.age.is_none(), age.age, age.failures);
            let shown = worst.entry(scope.region).or_insert_with(|| age.clone());
            if badness(&age) > badness(shown) {
                *shown = age;
            }
        }
        worst.into_values().collect()
    }

    fn age(&self, scope: &Scope, state: &State, now: Timestamp) -> PriceAge {
        let table = state.table.as_deref();
        PriceAge {
            cloud: self.cloud.clone(),
            region: scope.region.clone(),
            feed: self.word,
            source: table.map(|table| table.source().to_owned()).unwrap_or_default(),
            age: table.map(|table| between(table.as_of(), now)),
            live: table.is_some_and(PriceTable::live),
            known: table.map_or(0, |table| table.counts().0),
            failures: state.failures,
            last_error: state.last_error.clone(),
            unused: state.unused.iter().flat_map(Unused::values).sum(),
            unused_examples: state.unused.as_ref().map(examples).unwrap_or_default(),
        }
    }

    async fn ask(&self, slot: &Slot, source: &dyn PriceSource) {
        let within = self.pace.within;
        let read = tokio::select! {
            biased;
            read = source.read() => read,
            () = self.clock.sleep(within) => Err(PriceError::Slow { within }),
        };
        // A list without any price would take away every price there is.
        let read = read.and_then(|table| match table.counts() {
            (0, rows) => Err(PriceError::Empty { source_name: table.source().to_owned(), rows }),
            _ => Ok(table),
        });
        let now = self.clock.mono();
        match read {
            Ok(table) => {
                let due = Some(now + self.spread(self.pace.every));
                let (was, unused) = slot.read(|state| (state.table.clone(), state.unused.clone()));
                // The same text again is the same table: what is known of it stays.
                let (table, unused) = match was.filter(|was| **was == table) {
                    Some(was) => (was, unused),
                    None => (Arc::new(table), None),
                };
                slot.write(|state| {
                    *state = State { table: Some(table), due, used: now, unused, ..State::default() };
                });
            }
            Err(error) => {
                tracing::warn!(cloud = %self.cloud, feed = self.word, %error, "prices were not read");
                let failures = slot.read(|state| state.failures);
                let pause = self.pace.retry.saturating_mul(1 << failures.min(16)).min(self.pace.every);
                let pause = self.spread(pause).max(error.retry_after().unwrap_or_default());
                slot.write(|state| {
                    state.due = Some(now + pause);
                    state.failures = failures.saturating_add(1);
                    state.last_error = Some(error.to_string());
                });
            }
        }
    }

    /// Between nine and eleven tenths.
    fn spread(&self, pause: Duration) -> Duration {
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / 10;
        pause - Duration::from_millis(millis)
            + Duration::from_millis(self.entropy.below(millis.saturating_mul(2)))
    }

    fn slot(&self, scope: &Scope) -> Arc<Slot> {
        let now = self.clock.mono();
        self.with_slots(|slots| {
            if slots.len() >= SCOPES_MAX && !slots.contains_key(scope) {
                let oldest = slots.iter().min_by_key(|(_, slot)| slot.read(|state| state.used));
                if let Some(oldest) = oldest.map(|(scope, _)| scope.clone()) {
                    slots.remove(&oldest);
                }
            }
            let slot = slots.entry(scope.clone()).or_default();
            slot.write(|state| state.used = now);
            Arc::clone(slot)
        })
    }

    fn with_slots<T>(&self, work: impl FnOnce(&mut BTreeMap<Scope, Arc<Slot>>) -> T) -> T {
        work(&mut self.slots.lock().expect("nobody panics while looking for a scope"))
    }
}

fn examples(unused: &Unused) -> Vec<String> {
    unused.keys().take(EXAMPLES_MAX).cloned().collect()
}

impl Slot {
    fn read<T>(&self, work: impl FnOnce(&State) -> T) -> T {
        work(&self.state.lock().expect("nobody panics while reading a state"))
    }

    fn write<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().expect("nobody panics while writing a state"))
    }
}

/// What all feeds of an installation share, and where they are found.
#[derive(Debug)]
pub struct PriceBook {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    rates: Arc<Rates>,
    list: Pace,
    spot: Pace,
    feeds: Mutex<Vec<Arc<PriceFeed>>>,
}

impl Default for PriceBook {
    /// The machine's clock and chance, no rates.
    fn default() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(SystemEntropy))
    }
}

impl PriceBook {
    /// No feeds yet, no rates, list prices four times a day, spot prices every ten minutes.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let spot = Pace { every: Duration::from_secs(600), ..Pace::default() };
        let (rates, feeds) = (Arc::default(), Mutex::default());
        Self { clock, entropy, rates, list: Pace::default(), spot, feeds }
    }

    /// Converts by these.
    #[must_use]
    pub fn with_rates(self, rates: Rates) -> Self {
        Self { rates: Arc::new(rates), ..self }
    }

    /// Asks for list prices, and for spot prices, as often as this.
    #[must_use]
    pub fn with_intervals(mut self, list: Duration, spot: Duration) -> Self {
        self.list.every = list;
        self.spot.every = spot;
        self
    }

    /// The rates in force.
    #[must_use]
    pub fn rates(&self) -> Arc<Rates> {
        Arc::clone(&self.rates)
    }

    /// A feed of list prices, or of what is named in their place.
    #[must_use]
    pub fn list_feed(&self, cloud: &CloudName, word: &'static str) -> Arc<PriceFeed> {
        self.feed(cloud, word, self.list)
    }

    /// A feed of spot prices.
    #[must_use]
    pub fn spot_feed(&self, cloud: &CloudName) -> Arc<PriceFeed> {
        self.feed(cloud, "spot", self.spot)
    }

    /// Ages of all feeds, by cloud, region and feed.
    #[must_use]
    pub fn ages(&self) -> Vec<PriceAge> {
        let feeds = self.feeds.lock().expect("nobody panics while adding a feed").clone();
        let mut ages: Vec<_> = feeds.iter().flat_map(|feed| feed.ages()).collect();
        ages.sort_by(|a, b| (&a.cloud, &a.region, a.feed).cmp(&(&b.cloud, &b.region, b.feed)));
        ages
    }

    fn feed(&self, cloud: &CloudName, word: &'static str, pace: Pace) -> Arc<PriceFeed> {
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let feed = Arc::new(PriceFeed::new(cloud.clone(), word, pace, clock, entropy));
        self.feeds.lock().expect("nobody panics while adding a feed").push(Arc::clone(&feed));
        feed
    }
}

#[cfg(test)]
mod tests;
