//! When a call is sent again, and how long to wait before: a pure decision.

use std::time::Duration;

/// How long a client goes on before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A call is sent at most so often.
    pub sends_max: u32,
    /// Wait before the second; doubled each time.
    pub first: Duration,
    /// Longest wait of our own.
    pub longest: Duration,
    /// Longest wait that a server may ask for with `Retry-After`; a longer one is an error at once.
    pub asked_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            sends_max: 6,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(8),
            asked_max: Duration::from_secs(60),
        }
    }
}

/// May a call be sent twice?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twice {
    /// Twice is as good as once: it only looks, carries a key, or says what shall be and not what to add.
    Fine,
    /// Only when the server has surely done nothing.
    Never,
}

/// How one send ended, as far as sending again is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// No connection: nothing was received.
    Unreached,
    /// Sent, and no whole answer came.
    Lost,
    /// A status that is no success, and the seconds of its `Retry-After`.
    Status(u16, Option<u64>),
}

/// How long to wait before the next send; `None` to give up. `sends` counts those so far, `was_lost` says that an
/// earlier one of this call may have arrived; `jitter` is 0 to 255, a part of our own wait.
pub(super) fn pause(
    patience: &Patience,
    twice: Twice,
    sends: u32,
    was_lost: bool,
    ended: Ended,
    jitter: u8,
) -> Option<Duration> {
    if sends >= patience.sends_max {
        return None;
    }
    let own = own_pause(patience, sends, jitter);
    match ended {
        // At first nothing was ever there: a wrong address, most likely. Later: it is restarting.
        Ended::Unreached => was_lost.then_some(own),
        Ended::Lost => (twice == Twice::Fine).then_some(own),
        Ended::Status(status, asked) => {
            let done_nothing = status == 429;
            let passing = matches!(status, 408 | 429 | 502 | 503 | 504) || (status == 409 && asked.is_some());
            if !passing || (twice == Twice::Never && !done_nothing) {
                return None;
            }
            match asked.map(Duration::from_secs) {
                Some(asked) => (asked <= patience.asked_max).then(|| asked.max(own)),
                // A cloud that does not answer is no matter of seconds, unless it says so.
                None if status == 503 => None,
                None => Some(own),
            }
        }
    }
}

/// Doubles each time, up to the longest; a half of it is chance, so that many clients do not come back as one.
fn own_pause(patience: &Patience, sends: u32, jitter: u8) -> Duration {
    let doubled = patience.first.saturating_mul(1 << sends.saturating_sub(1).min(16));
    let whole = doubled.min(patience.longest);
    whole / 2 + whole / 2 * u32::from(jitter) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Patience = Patience {
        sends_max: 4,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(3),
        asked_max: Duration::from_secs(60),
    };

    fn wait(twice: Twice, sends: u32, was_lost: bool, ended: Ended) -> Option<u64> {
        pause(&P, twice, sends, was_lost, ended, 255).map(|wait| wait.as_secs())
    }

    #[test]
    fn what_may_not_be_done_twice_is_never_sent_again_unless_nothing_was_done() {
        assert_eq!(wait(Twice::Never, 1, false, Ended::Lost), None);
        for status in [408, 502, 503, 504] {
            assert_eq!(wait(Twice::Never, 1, false, Ended::Status(status, Some(1))), None, "{status}");
        }
        assert_eq!(wait(Twice::Never, 1, false, Ended::Status(429, Some(2))), Some(2));
    }

    #[test]
    fn a_wrong_address_is_told_at_once_and_a_restart_is_waited_for() {
        assert_eq!(wait(Twice::Fine, 1, false, Ended::Unreached), None);
        assert_eq!(wait(Twice::Fine, 2, true, Ended::Unreached), Some(2));
    }

    #[test]
    fn a_refusal_is_final_and_a_server_that_asks_for_time_gets_it() {
        for status in [400, 401, 403, 404, 410, 422, 500] {
            assert_eq!(wait(Twice::Fine, 1, false, Ended::Status(status, Some(1))), None, "{status}");
        }
        assert_eq!(wait(Twice::Fine, 1, false, Ended::Status(409, None)), None, "a conflict stays one");
        assert_eq!(wait(Twice::Fine, 1, false, Ended::Status(409, Some(1))), Some(1), "busy passes");
        assert_eq!(wait(Twice::Fine, 1, false, Ended::Status(503, Some(20))), Some(20));
        assert_eq!(wait(Twice::Fine, 1, false, Ended::Status(503, None)), None);
        assert_eq!(wait(Twice::Fine, 1, false, Ended::Status(503, Some(61))), None, "too long to sit here");
        assert_eq!(
            wait(Twice::Fine, 3, false, Ended::Status(429, Some(1))),
            Some(3),
            "never sooner than we would"
        );
    }

    #[test]
    fn sending_again_ends_and_never_comes_at_once() {
        assert_eq!([1, 2, 3].map(|n| wait(Twice::Fine, n, false, Ended::Lost)), [Some(1), Some(2), Some(3)]);
        assert_eq!(wait(Twice::Fine, 4, false, Ended::Lost), None);
        for jitter in [0, 100, 255] {
            let wait = pause(&P, Twice::Fine, 1, false, Ended::Lost, jitter).expect("it is sent again");
            assert!((500..=1000).contains(&wait.as_millis()), "{wait:?}");
        }
    }
}
