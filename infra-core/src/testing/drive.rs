//! Runs a whole installation in virtual time.

use std::future::Future;
use std::pin::pin;

use super::VirtualClock;

/// Rounds in which nobody made the work ready, until everybody is taken to be waiting for time to pass. One round polls
/// every task that is awake once, and a wake-up goes through a few hands: a channel, a lock, a join.
const ROUNDS: usize = 64;

/// Runs `work` on a current-thread runtime. Whenever all of its tasks wait, the clock goes on to the earliest of them: an
/// hour with nothing in it takes no time. Nothing on the runtime may wait for anything but the clock (a socket, another
/// thread), or time runs away from it.
///
/// # Panics
/// When all wait and nobody waits for the clock: then nothing will ever happen again.
pub async fn in_virtual_time<T>(clock: &VirtualClock, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        for _ in 0..ROUNDS {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::task::yield_now() => {}
            }
        }
        assert!(clock.advance_to_sleeper(), "everybody waits, and nobody for the clock");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::words::clock::Clock;

    #[tokio::test]
    async fn a_day_of_two_sleepers_takes_no_time_and_keeps_their_order() {
        let clock = VirtualClock::default().manual();
        let other = clock.clone();
        let work = async {
            let slow = tokio::spawn(async move {
                other.sleep(Duration::from_secs(86_400)).await;
                other.mono()
            });
            clock.sleep(Duration::from_secs(60)).await;
            (clock.mono(), slow.await.expect("it only sleeps"))
        };
        let (first, last) = in_virtual_time(&clock, work).await;
        assert_eq!((first.as_secs(), last.as_secs()), (61, 86_401));
    }
}
