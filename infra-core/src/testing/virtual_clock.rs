//! Time that moves only when told.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;

use crate::words::clock::{Clock, Timestamp, later};

/// A clock that a test moves. `sleep` moves it too: a lone sleeper never waits for real.
#[derive(Debug)]
pub struct VirtualClock(Mutex<Times>);

#[derive(Debug, Clone, Copy)]
struct Times {
    wall: Timestamp,
    mono: Duration,
}

impl VirtualClock {
    /// Starts at a moment.
    #[must_use]
    pub const fn at(wall: Timestamp) -> Self {
        Self(Mutex::new(Times { wall, mono: Duration::from_secs(1) }))
    }

    /// Time passes: both clocks move.
    pub fn advance(&self, by: Duration) {
        let mut times = self.0.lock().expect("nobody panics while moving time");
        times.wall = later(times.wall, by);
        times.mono += by;
    }

    /// The wall clock alone is set: a bad time server, a restored machine.
    pub fn set_wall(&self, to: Timestamp) {
        self.0.lock().expect("nobody panics while moving time").wall = to;
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
        self.0.lock().expect("nobody panics while moving time").wall
    }

    fn mono(&self) -> Duration {
        self.0.lock().expect("nobody panics while moving time").mono
    }

    async fn sleep(&self, for_: Duration) {
        self.advance(for_);
    }
}
