//! A store in memory: nothing survives the process. For tests, simulations and first steps.

mod state;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::store::{
    Changes, Commit, DueQuery, Key, ListQuery, Page, Record, ReservationStore, StoreError, StoreLimits,
};
use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::lane::Version;
use tokio::sync::Notify;

use crate::rules::{LIMITS, check_shape};
use state::State;

/// Records in memory behind one lock. Every call runs to its end when first polled, except `changes` with a
/// `wait` above zero: so under a seeded scheduler and a virtual clock it adds no order of its own.
///
/// # Caveats
/// Commit ids are remembered for the last 16,384 commits (and by the records they wrote), not for an hour.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    written: Notify,
    clock: Arc<dyn Clock>,
    shared: bool,
}

impl MemoryStore {
    /// An empty store that waits by the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store whose `changes` waits by this clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { state: Mutex::default(), written: Notify::new(), clock, shared: false }
    }

    /// Says that several replicas work on this store: claims are then taken over only after they ran out.
    #[must_use]
    pub const fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// An independent copy as of now, on the same clock: a backup to restore, or a data folder copied elsewhere.
    /// Version numbers and remembered commit ids are copied too, so both go on counting from the same number.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self {
            state: Mutex::new(self.state().clone()),
            written: Notify::new(),
            clock: Arc::clone(&self.clock),
            shared: self.shared,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the records")
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl ReservationStore for MemoryStore {
    fn limits(&self) -> StoreLimits {
        StoreLimits { exclusive: !self.shared, ..LIMITS }
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        Ok(self.state().get(keys))
    }

    async fn commit(&self, commit: &Commit) -> Result<Version, StoreError> {
        check_shape(commit)?;
        let version = self.state().commit(commit)?;
        self.written.notify_waiters();
        Ok(version)
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Record>, StoreError> {
        Ok(self.state().list(query))
    }

    async fn due(&self, query: &DueQuery) -> Result<Vec<Record>, StoreError> {
        Ok(self.state().due(query))
    }

    async fn changes(&self, after: Version, wait: Duration) -> Result<Changes, StoreError> {
        if wait.is_zero() {
            return Ok(self.state().changes(after));
        }
        let mut timer = self.clock.sleep(wait);
        loop {
            // Registered before looking, so that a commit in between wakes it.
            let written = self.written.notified();
            let changes = self.state().changes(after);
            if !changes.keys.is_empty() {
                return Ok(changes);
            }
            tokio::select! {
                biased;
                () = written => {}
                () = &mut timer => return Ok(self.state().changes(after)),
            }
        }
    }
}
