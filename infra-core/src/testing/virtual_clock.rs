//! Time that moves only when told.
//!
//! # Guarantees
//! Wall and monotonic time move together unless `set_wall` is called, and nothing but a test or a sleep moves them.
//!
//! # Caveats
//! A manual clock that nobody moves lets its sleepers wait for ever: `in_virtual_time` moves it for them.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;

use crate::words::clock::{Clock, Timestamp, later};

/// A clock that a test moves. Clones share the time.
///
/// Made by [`VirtualClock::default`] or [`VirtualClock::at`], `sleep` itself moves the time: a lone sleeper never
/// waits for real. Made [`VirtualClock::manual`], sleepers wait until the test moves the time past them.
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<Mutex<Times>>);

/// Both clocks, and who waits for which moment. Sleepers of one moment are woken in the order they came, so that a
/// run can be repeated.
#[derive(Debug)]
struct Times {
    wall: Timestamp,
    mono: Duration,
    manual: bool,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    next_sleeper: u64,
}

impl VirtualClock {
    /// Starts at a moment. The monotonic clock starts at one second, so that a deadline a moment ago can be said.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        let mono = Duration::from_secs(1);
        let times = Times { wall, mono, manual: false, sleepers: BTreeMap::new(), next_sleeper: 0 };
        Self(Arc::new(Mutex::new(times)))
    }

    /// The same clock, whose sleepers wait for the test. For work of several tasks: were each sleep to move the time,
    /// the one that asks first would decide how late it is for all the others.
    #[must_use]
    pub fn manual(self) -> Self {
        self.times().manual = true;
        self
    }

    /// Time passes: both clocks move, and sleepers whose time has come are woken. Wakes outside of the lock, since
    /// whoever is woken may read the clock at once.
    pub fn advance(&self, by: Duration) {
        let woken = {
            let mut times = self.times();
            times.wall = later(times.wall, by);
            times.mono += by;
            let now = times.mono;
            let later = times.sleepers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut times.sleepers, later)
        };
        woken.into_values().for_each(Waker::wake);
    }

    /// Moves to the earliest sleeper; `false` when nobody sleeps. A driver that calls this in a loop reaches every
    /// deadline in turn and jumps over none.
    #[must_use]
    pub fn advance_to_sleeper(&self) -> bool {
        let (now, first) = {
            let times = self.times();
            (times.mono, times.sleepers.first_key_value().map(|((at, _), _)| *at))
        };
        first.inspect(|at| self.advance(at.saturating_sub(now))).is_some()
    }

    /// The wall clock alone is set: a bad time server, a restored machine. Deadlines kept on the monotonic clock must
    /// not notice; the laws use this to find out who kept them elsewhere.
    pub fn set_wall(&self, to: Timestamp) {
        self.times().wall = to;
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().expect("nobody panics while moving time")
    }
}

impl Default for VirtualClock {
    /// 2026-01-01, midnight UTC.
    fn default() -> Self {
        Self::at(Timestamp::from_second(1_767_225_600).expect("a second within range"))
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn wall(&self) -> Timestamp {
        self.times().wall
    }

    fn mono(&self) -> Duration {
        self.times().mono
    }

    async fn sleep(&self, for_: Duration) {
        let (manual, until) = {
            let times = self.times();
            (times.manual, times.mono + for_)
        };
        if manual {
            Sleep { clock: self.clone(), until, key: None }.await;
        } else {
            self.advance(for_);
        }
    }
}

/// A sleeper; leaves the queue when it is dropped.
struct Sleep {
    clock: VirtualClock,
    until: Duration,
    key: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut times = clock.times();
        if times.mono >= self.until {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            times.next_sleeper += 1;
            (self.until, times.next_sleeper)
        });
        times.sleepers.insert(key, context.waker().clone());
        drop(times);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.clock.times().sleepers.remove(&key);
        }
    }
}
