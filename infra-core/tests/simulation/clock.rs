//! A replica's own wall clock, which may be wrong while everything else agrees.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::testing::VirtualClock;
use infra_core::words::clock::{Clock, Timestamp, later};

/// True time plus a skew of the wall; the monotonic clock is always right.
#[derive(Debug)]
pub struct SkewedClock {
    base: VirtualClock,
    ahead: Mutex<Duration>,
}

impl SkewedClock {
    pub fn new(base: VirtualClock) -> Self {
        Self { base, ahead: Mutex::new(Duration::ZERO) }
    }

    /// The wall jumps ahead of the truth by this much; zero mends it.
    pub fn set_ahead(&self, ahead: Duration) {
        *self.ahead.lock().expect("no panic under this lock") = ahead;
    }
}

#[async_trait]
impl Clock for SkewedClock {
    fn wall(&self) -> Timestamp {
        later(self.base.wall(), *self.ahead.lock().expect("no panic under this lock"))
    }

    fn mono(&self) -> Duration {
        self.base.mono()
    }

    async fn sleep(&self, for_: Duration) {
        self.base.sleep(for_).await;
    }
}
