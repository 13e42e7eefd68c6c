//! Time comes in from outside: a wall clock for records, a monotonic one that counts suspend for leases.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
pub use jiff::Timestamp;

/// Where an engine gets its time from, and how it waits.
///
/// # Guarantees asked of implementers
/// * `mono` never goes back and *counts suspend* (`CLOCK_BOOTTIME`): a laptop lid is a gap, not a pause.
/// * `wall` may jump; whoever acts on it asks [`crate::plan::clock_guard`] first.
/// * `sleep` returns no earlier than asked, on the same scale as `mono`.
#[async_trait]
pub trait Clock: Send + Sync + Debug {
    /// What the wall says.
    fn wall(&self) -> Timestamp;
    /// Time since some fixed moment of this process.
    fn mono(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, for_: Duration);
}

/// The machine's own clocks. Needs a tokio runtime with time enabled to sleep.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where the wall clock enters")]
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn mono(&self) -> Duration {
        let now = rustix::time::clock_gettime(BOOTTIME);
        Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
    }

    #[allow(clippy::disallowed_methods, reason = "the one place where real waiting happens")]
    async fn sleep(&self, for_: Duration) {
        tokio::time::sleep(for_).await;
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOTTIME: rustix::time::ClockId = rustix::time::ClockId::Boottime;
// macOS: CLOCK_MONOTONIC keeps counting while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOTTIME: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// `at + by`, stopping at the end of representable time.
#[must_use]
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// `to - from`, zero when `to` is the earlier.
#[must_use]
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}
