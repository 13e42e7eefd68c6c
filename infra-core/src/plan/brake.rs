//! Brakes of a lane: a token bucket per verb and a circuit breaker per verb class.

use std::collections::VecDeque;
use std::time::Duration;

use crate::words::fault::FaultKind;
use crate::words::limits::{Limits, Rate};

/// A token bucket over monotonic time.
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: Rate,
    level: f64,
    at: Duration,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(rate: Rate, now: Duration) -> Self {
        Self { rate, level: f64::from(rate.burst.max(1)), at: now }
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, now: Duration) -> bool {
        if self.rate.per_second <= 0.0 {
            return true;
        }
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.level = passed.mul_add(self.rate.per_second, self.level).min(f64::from(self.rate.burst.max(1)));
        self.at = now;
        let taken = self.level >= 1.0;
        if taken {
            self.level -= 1.0;
        }
        taken
    }

    /// The cloud asked to wait: nothing before that, and no burst after it.
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
    canary_out: bool,
    successes: u32,
    limits: BreakerLimits,
}

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
            canary_out: false,
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

    /// May a call go out? Half open, one canary at a time may.
    pub fn allow(&mut self, now: Duration) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now < until || self.canary_out => false,
            Some(until) if now.saturating_sub(until) > FORGET_AFTER => {
                self.reset();
                true
            }
            Some(_) => {
                self.canary_out = true;
                true
            }
        }
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

    fn succeeded(&mut self, now: Duration) {
        self.remember(now, true);
        if self.open_until.is_some() {
            self.canary_out = false;
            self.successes += 1;
            if self.successes >= self.limits.successes {
                self.reset();
            }
        }
    }

    fn failed(&mut self, now: Duration) {
        self.remember(now, false);
        if self.open_until.is_some() {
            self.canary_out = false;
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

    fn remember(&mut self, now: Duration, ok: bool) {
        self.outcomes.push_back((now, ok));
        let oldest = now.saturating_sub(self.limits.window);
        while self.outcomes.front().is_some_and(|(at, _)| *at < oldest) || self.outcomes.len() > OUTCOMES_MAX
        {
            self.outcomes.pop_front();
        }
    }

    fn reset(&mut self) {
        self.outcomes.clear();
        self.open_until = None;
        self.pause = self.limits.open_min;
        self.canary_out = false;
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
    fn answers_are_not_failures() {
        let mut breaker = Breaker::closed(&Limits::default());
        for n in 0..50 {
            breaker.record(secs(n), Some(FaultKind::Quota));
            breaker.record(secs(n), Some(FaultKind::Capacity));
        }
        assert!(breaker.allow(secs(51)));
    }
}
