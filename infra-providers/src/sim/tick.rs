//! A clock that can be pushed forward while it runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use infra_core::words::clock::{Clock, Timestamp, later};
use tokio::sync::watch;

/// Another clock plus an offset that only grows: a demonstration or a process test need not wait for an hour.
///
/// Whoever sleeps on it wakes when the offset jumps past the moment waited for.
#[derive(Debug)]
pub struct TickClock {
    base: Arc<dyn Clock>,
    offset: watch::Sender<Duration>,
    // Reads of wall and mono must see one offset even while it is moved.
    moving: Mutex<()>,
}

impl TickClock {
    /// Starts with an offset, usually zero.
    #[must_use]
    pub fn new(base: Arc<dyn Clock>, offset: Duration) -> Self {
        Self { base, offset: watch::Sender::new(offset), moving: Mutex::new(()) }
    }

    /// Time passes at once, on both clocks.
    pub fn tick(&self, by: Duration) {
        let _one_at_a_time = self.moving.lock().expect("nobody panics while moving time");
        self.offset.send_modify(|offset| *offset = offset.saturating_add(by));
    }

    /// How far it has been pushed.
    #[must_use]
    pub fn offset(&self) -> Duration {
        *self.offset.borrow()
    }
}

#[async_trait]
impl Clock for TickClock {
    fn wall(&self) -> Timestamp {
        later(self.base.wall(), self.offset())
    }

    fn mono(&self) -> Duration {
        self.base.mono().saturating_add(self.offset())
    }

    async fn sleep(&self, for_: Duration) {
        let until = self.mono().saturating_add(for_);
        let mut ticks = self.offset.subscribe();
        loop {
            let left = until.saturating_sub(self.mono());
            if left.is_zero() {
                return;
            }
            let ticked = std::pin::pin!(ticks.changed());
            match select(self.base.sleep(left), ticked).await {
                Either::Left(_) => return,
                Either::Right(_) => {}
            }
        }
    }
}
