//! May a deadline be believed? Wall clocks jump; what they end cannot be brought back.
//!
//! # Flow
//! One guard per process. At start the wall is compared with the store's newest moment, afterwards with the
//! monotonic clock. When they disagree, destructive deadlines are held until a cloud's own date agrees with
//! the wall: then it was a correction (or a long pause), not a fault.
//!
//! # Guarantees
//! * Doubt stays: a wall that jumps and jumps back was wrong once, and may be again. Only somebody else's
//!   clock lifts it.
//! * In doubt nothing is lost: deadlines wait, and everything else goes on. What waits says so to its user.
//!
//! # Assumptions
//! Clouds tell roughly the right time, and different clouds do not agree on a wrong one.
//!
//! # Caveats
//! After a long pause of the whole installation the first cloud's answer lifts the doubt: what ran out
//! meanwhile ends then, and the mass guard decides whether that is too much at once.

use std::time::Duration;

use crate::words::clock::{Timestamp, between, later};
use crate::words::limits::Limits;

/// Compares the wall with everything else that knows the time.
#[derive(Debug, Clone)]
pub struct ClockGuard {
    base_wall: Timestamp,
    base_mono: Duration,
    doubt: Option<String>,
    /// Nobody but the wall has said yet what time it is, and the wall is doubted.
    unsure: bool,
    drift_max: Duration,
}

impl ClockGuard {
    /// Starts with what both clocks say and the newest moment the store has recorded, if any.
    #[must_use]
    pub fn start(wall: Timestamp, mono: Duration, high_water: Option<Timestamp>, limits: &Limits) -> Self {
        let doubt = high_water.and_then(|newest| {
            let ahead = between(newest, wall);
            let behind = between(wall, newest);
            if ahead > limits.clock_gap_max {
                Some(format!("wall is {} s ahead of the store's newest moment", ahead.as_secs()))
            } else if behind > limits.clock_drift_max {
                Some(format!("wall is {} s behind the store's newest moment", behind.as_secs()))
            } else {
                None
            }
        });
        let unsure = doubt.is_some();
        Self { base_wall: wall, base_mono: mono, doubt, unsure, drift_max: limits.clock_drift_max }
    }

    /// Looks at both clocks. Returns why deadlines are held, if they are.
    pub fn look(&mut self, wall: Timestamp, mono: Duration) -> Option<&str> {
        let expected = later(self.base_wall, mono.saturating_sub(self.base_mono));
        let drift = between(expected, wall).max(between(wall, expected));
        if drift > self.drift_max {
            let doubt = format!("wall and monotonic clock differ by {} s", drift.as_secs());
            self.doubt.get_or_insert(doubt);
        }
        self.doubt.as_deref()
    }

    /// What time it is, as far as anybody can tell: the wall, or, once that has jumped, where it would be by the
    /// monotonic clock. So a jump never gets into a record, where it would outlive its repair.
    #[must_use]
    pub fn now(&self, wall: Timestamp, mono: Duration) -> Timestamp {
        let expected = later(self.base_wall, mono.saturating_sub(self.base_mono));
        let drift = between(expected, wall).max(between(wall, expected));
        if drift > self.drift_max { expected } else { wall }
    }

    /// A cloud told its date just now: if it agrees with the wall, the wall is believed again.
    pub fn cloud_says(&mut self, date: Timestamp, wall: Timestamp, mono: Duration) {
        let apart = between(date, wall).max(between(wall, date));
        self.unsure = false;
        self.base_mono = mono;
        if apart <= self.drift_max {
            self.base_wall = wall;
            self.doubt = None;
        } else {
            // The cloud is believed rather than the wall, but nothing ends by it.
            self.base_wall = date;
            self.doubt = Some(format!("wall and a cloud's date differ by {} s", apart.as_secs()));
        }
    }

    /// Is there nobody yet to tell the time by? Then nothing may be written that carries it.
    #[must_use]
    pub const fn is_unsure(&self) -> bool {
        self.unsure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn at(n: i64) -> Timestamp {
        Timestamp::from_second(n).expect("in range")
    }

    #[test]
    fn a_jump_of_the_wall_holds_deadlines_until_a_cloud_agrees() {
        let limits = Limits::default();
        let mut guard = ClockGuard::start(at(1000), secs(5), None, &limits);
        assert_eq!(guard.look(at(1060), secs(65)), None);
        assert!(guard.look(at(31_000_000), secs(70)).is_some(), "a year ahead");
        assert!(guard.look(at(1071), secs(76)).is_some(), "doubt stays until somebody else confirms");
        guard.cloud_says(at(1072), at(1071), secs(76));
        assert_eq!(guard.look(at(1072), secs(77)), None);
    }

    #[test]
    fn a_long_pause_is_believed_once_a_cloud_agrees() {
        let limits = Limits::default();
        let mut guard = ClockGuard::start(at(10_000), secs(5), Some(at(1000)), &limits);
        assert!(guard.look(at(10_000), secs(5)).is_some());
        assert!(guard.is_unsure());
        guard.cloud_says(at(10_001), at(10_001), secs(6));
        assert_eq!(guard.look(at(10_002), secs(7)), None);
    }

    #[test]
    fn a_wall_that_was_wrong_from_the_start_gets_into_no_record() {
        let limits = Limits::default();
        let mut guard = ClockGuard::start(at(31_000_000), secs(5), Some(at(1000)), &limits);
        assert!(guard.is_unsure());
        guard.cloud_says(at(1010), at(31_000_001), secs(6));
        assert!(!guard.is_unsure());
        assert_eq!(guard.now(at(31_000_002), secs(7)), at(1011));
        assert!(guard.look(at(31_000_002), secs(7)).is_some(), "and nothing ends by it");
    }
}
