//! Brakes of a lane: a token bucket per verb and a circuit breaker per verb class.
//!
//! # Flow
//! A call asks its bucket and its breaker; its answer is told to the breaker, and a wish to be left alone to
//! the bucket. Both live in the lane's worker: one per lane, whoever's call it is.
//!
//! # Guarantees
//! * A bucket never gives more than its burst plus its rate times the time; after a pause that the cloud
//!   asked for it is empty, not full.
//! * An open breaker lets one canary through at a time, and closes only after several have come back well.
//!
//! # Assumptions
//! `now` is monotonic and counts suspend.
//!
//! # Caveats
//! A canary that was allowed and never sent is waited for as long as the shortest pause.

use std::collections::VecDeque;
use std::time::Duration;

use crate::words::fault::FaultKind;
use crate::words::limits::{Limits, Rate};

/// A token bucket over monotonic time.
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: Rate,
    /// Calls that may go at once, as of `at`; never above the burst.
    level: f64,
    /// When the level was last right; in the future while the cloud wants to be left alone.
    at: Duration,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(rate: Rate, now: Duration) -> Self {
        Self { rate, level: f64::from(rate.burst.max(1)), at: now }
    }

    /// How full it is by now.
    fn level(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        passed.mul_add(self.rate.per_second, self.level).min(f64::from(self.rate.burst.max(1)))
    }

    /// Is there a token now? Takes none.
    #[must_use]
    pub fn has(&self, now: Duration) -> bool {
        self.rate.per_second <= 0.0 || self.level(now) >= 1.0
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, now: Duration) -> bool {
        if self.rate.per_second <= 0.0 {
            return true;
        }
        self.level = self.level(now);
        // Not back to now while the pause lasts: whoever asks in between would cut it short.
        self.at = self.at.max(now);
        let taken = self.level >= 1.0;
        if taken {
            self.level -= 1.0;
        }
        taken
    }

    /// The cloud asked to wait: nothing before that, and no burst after it. A bucket without a rate does not wait:
    /// whoever opens it altogether (a simulator does) wants no brake.
    pub fn pause(&mut self, now: Duration, wait: Duration) {
        self.at = now + wait;
        self.level = 0.0;
    }
}

/// What is braked together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VerbClass {
    /// Making and turning on.
    Create,
    /// Ending and turning off.
    End,
    /// Looking.
    Read,
}

/// Opens when a lane fails often, and closes again by small steps.
///
/// Timeouts, 5xx and failed builds count; quota, bad requests and capacity do not: they are answers.
#[derive(Debug, Clone)]
pub struct Breaker {
    outcomes: VecDeque<(Duration, bool)>,
    open_until: Option<Duration>,
    pause: Duration,
    /// When the canary went out; `None` once it is back.
    canary_at: Option<Duration>,
    successes: u32,
    limits: BreakerLimits,
}

/// The limits that concern breakers.
#[derive(Debug, Clone, Copy)]
struct BreakerLimits {
    failures_min: usize,
    window: Duration,
    open_min: Duration,
    open_max: Duration,
    successes: u32,
}

/// Most outcomes a breaker remembers.
const OUTCOMES_MAX: usize = 256;
/// A breaker that was left alone this long has forgotten everything.
const FORGET_AFTER: Duration = Duration::from_secs(3 * 3600);

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn closed(limits: &Limits) -> Self {
        Self {
            outcomes: VecDeque::new(),
            open_until: None,
            pause: limits.breaker_open_min,
            canary_at: None,
            successes: 0,
            limits: BreakerLimits {
                failures_min: limits.breaker_failures_min as usize,
                window: limits.breaker_window,
                open_min: limits.breaker_open_min,
                open_max: limits.breaker_open_max,
                successes: limits.breaker_successes,
            },
        }
    }

    /// Would a call be let out now? Sends no canary.
    #[must_use]
    pub fn would_allow(&self, now: Duration) -> bool {
        self.open_until.is_none_or(|until| now >= until && !self.is_canary_out(now))
    }

    /// May a call go out? Half open, one canary at a time may.
    pub fn allow(&mut self, now: Duration) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now < until || self.is_canary_out(now) => false,
            Some(until) if now.saturating_sub(until) > FORGET_AFTER => {
                self.reset();
                true
            }
            Some(_) => {
                self.canary_at = Some(now);
                true
            }
        }
    }

    /// Is a canary out that may still come back? Whoever asked for one may have been held by something else, or
    /// have died: a canary that is away for longer than any call takes is lost, and the next one may go.
    fn is_canary_out(&self, now: Duration) -> bool {
        self.canary_at.is_some_and(|at| now < at + self.limits.open_min)
    }

    /// Is it open or half open?
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// A call came back: `None` for success.
    pub fn record(&mut self, now: Duration, failure: Option<FaultKind>) {
        match failure {
            Some(FaultKind::Unavailable | FaultKind::Internal) => self.failed(now),
            // Other refusals are answers: the lane works.
            _ => self.succeeded(now),
        }
    }

    /// A call came back, well or with an answer that the lane itself gave.
    fn succeeded(&mut self, now: Duration) {
        self.remember(now, true);
        if self.open_until.is_some() {
            self.canary_at = None;
            self.successes += 1;
            if self.successes >= self.limits.successes {
                self.reset();
            }
        }
    }

    /// A call failed. Half open, that opens it again, for twice as long.
    fn failed(&mut self, now: Duration) {
        self.remember(now, false);
        if self.open_until.is_some() {
            self.canary_at = None;
            self.successes = 0;
            self.pause = (self.pause * 2).min(self.limits.open_max);
            self.open_until = Some(now + self.pause);
            return;
        }
        let failures = self.outcomes.iter().filter(|(_, ok)| !ok).count();
        if failures >= self.limits.failures_min && failures * 2 >= self.outcomes.len() {
            self.open_until = Some(now + self.pause);
        }
    }

    /// Remembers an outcome, and forgets what is out of the window.
    fn remember(&mut self, now: Duration, ok: bool) {
        self.outcomes.push_back((now, ok));
        let oldest = now.saturating_sub(self.limits.window);
        while self.outcomes.front().is_some_and(|(at, _)| *at < oldest) || self.outcomes.len() > OUTCOMES_MAX
        {
            self.outcomes.pop_front();
        }
    }

    /// Closed, and nothing remembered.
    fn reset(&mut self) {
        self.outcomes.clear();
        self.open_until = None;
        self.pause = self.limits.open_min;
        self.canary_at = None;
        self.successes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_bucket_never_gives_more_than_burst_plus_rate() {
        let mut bucket = Bucket::full(Rate { per_second: 1.0, burst: 10 }, secs(0));
        let given = (0..100_u64).filter(|n| bucket.take(Duration::from_millis(n * 100))).count();
        assert!((19..=20).contains(&given), "10 at once and one a second for 9.9 s, not {given}");
        bucket.pause(secs(10), secs(5));
        assert!(!bucket.take(secs(14)));
        assert!(bucket.take(secs(16)));
    }

    #[test]
    fn a_peek_says_what_asking_would_and_uses_nothing_up() {
        let mut bucket = Bucket::full(Rate { per_second: 1.0, burst: 3 }, secs(0));
        bucket.pause(secs(5), secs(5));
        for tenth in 0..300_u64 {
            let now = Duration::from_millis(tenth * 100);
            let (first, second) = (bucket.has(now), bucket.has(now));
            assert_eq!((first, second), (second, bucket.take(now)), "at {now:?}");
        }
        let mut breaker = Breaker::closed(&Limits::default());
        for n in 0..3_000 {
            let (first, second) = (breaker.would_allow(secs(n)), breaker.would_allow(secs(n)));
            let allowed = breaker.allow(secs(n));
            assert_eq!((first, second), (second, allowed), "at {n} s");
            if allowed {
                breaker.record(secs(n), Some(FaultKind::Unavailable));
            }
        }
        assert!(breaker.is_open(), "nothing but failures");
    }

    #[test]
    fn a_pause_that_a_cloud_asked_for_is_not_cut_short_by_asking() {
        let mut bucket = Bucket::full(Rate { per_second: 1.0, burst: 10 }, secs(0));
        bucket.pause(secs(10), secs(60));
        assert!((10..=70).all(|n| !bucket.take(secs(n))), "asked every second of the pause");
        assert!(bucket.take(secs(71)));
    }

    #[test]
    fn a_breaker_opens_on_failures_lets_one_canary_through_and_closes_after_three() {
        let limits = Limits::default();
        let mut breaker = Breaker::closed(&limits);
        for n in 0..5 {
            assert!(breaker.allow(secs(n)));
            breaker.record(secs(n), Some(FaultKind::Unavailable));
        }
        assert!(!breaker.allow(secs(6)), "open");
        assert!(breaker.allow(secs(65)), "the canary");
        assert!(!breaker.allow(secs(65)), "only one canary");
        breaker.record(secs(66), None);
        for n in 67..69 {
            assert!(breaker.allow(secs(n)));
            breaker.record(secs(n), None);
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_canary_that_never_left_does_not_close_the_lane_for_ever() {
        let mut breaker = Breaker::closed(&Limits::default());
        for n in 0..5 {
            breaker.record(secs(n), Some(FaultKind::Unavailable));
        }
        assert!(breaker.allow(secs(65)), "the canary, which something else then holds");
        assert!(!breaker.allow(secs(124)), "it may still come back");
        assert!(breaker.allow(secs(125)), "the next one");
    }

    #[test]
    fn answers_are_not_failures() {
        let mut breaker = Breaker::closed(&Limits::default());
        for n in 0..50 {
            breaker.record(secs(n), Some(FaultKind::Quota));
            breaker.record(secs(n), Some(FaultKind::Capacity));
        }
        assert!(breaker.allow(secs(51)));
    }
}
