//! Folding bursts: a large reservation rests between two plans, so that a thousand changes are a few plans and not a
//! thousand.
//!
//! # Flow
//! A reservation is read whole for every plan, and every answer of a cloud is a change of it: planned at each, a
//! thousand machines cost a thousand times a thousand reads. So each plan tells by its size how long the reservation may
//! rest; what changes meanwhile is planned together when the rest is over.
//!
//! # Guarantees
//! * The first plan comes at once, and so does the plan of whatever somebody else wrote into the reservation's own
//!   record: a person's change never rests.
//! * A small reservation never rests: its machines show as ready the moment they are.
//! * No rest is longer than `plan_rest_max`, and nothing is forgotten: what changed during a rest is planned at its end.
//! * The rest grows with the records read and not with the time that took, so the same inputs rest the same.
//!
//! # Caveats
//! A deadline of a resting reservation is seen when its rest is over. Rests are remembered in memory alone: a process
//! that has just started plans everything once.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::words::ids::{ReservationId, TenantId};
use crate::words::lane::Version;
use crate::words::limits::Limits;

/// A reservation, within its tenant.
pub type Whose = (TenantId, ReservationId);

/// How long a reservation rests after a plan that read so many slots and attempts. Zero for small ones.
///
/// It grows in a straight line up to `plan_rest_max`. One shorter than `plan_rest_min` is none: it would fold nothing,
/// and be felt.
#[must_use]
pub fn rest(records: usize, limits: &Limits) -> Duration {
    let records = u32::try_from(records).unwrap_or(u32::MAX);
    let rest = limits.plan_rest_per_record.saturating_mul(records).min(limits.plan_rest_max);
    if rest < limits.plan_rest_min { Duration::ZERO } else { rest }
}

/// One rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rest {
    /// By the monotonic clock.
    until: Duration,
    /// The reservation's own record, as the plan before the rest left it.
    left: Version,
}

/// Who rests, and until when. Times are of the monotonic clock.
#[derive(Debug, Clone, Default)]
pub struct Rests {
    resting: BTreeMap<Whose, Rest>,
}

impl Rests {
    /// A plan that read `records` slots and attempts is written; it left the reservation's own record at `left`.
    ///
    /// A reservation that has become small ends the rest of its former size at once.
    pub fn planned(&mut self, whose: Whose, records: usize, left: Version, now: Duration, limits: &Limits) {
        let rest = rest(records, limits);
        if rest.is_zero() {
            self.resting.remove(&whose);
        } else {
            self.resting.insert(whose, Rest { until: now + rest, left });
        }
    }

    /// The version at which a plan left the record of a reservation that rests now; `None` when it does not rest. While
    /// the record still stands there, nobody else has written it.
    #[must_use]
    pub fn resting(&self, whose: &Whose, now: Duration) -> Option<Version> {
        self.resting.get(whose).filter(|rest| now < rest.until).map(|rest| rest.left)
    }

    /// Forgets the rests that are over. Answers how long it is until the next one is.
    ///
    /// `None` when nobody rests: then nothing but a change is to be waited for.
    pub fn next_end(&mut self, now: Duration) -> Option<Duration> {
        self.resting.retain(|_, rest| now < rest.until);
        self.resting.values().map(|rest| rest.until - now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose() -> Whose {
        ("ada".parse().expect("a legal name"), ReservationId::new("rsv_1").expect("a legal name"))
    }

    #[test]
    fn a_machine_is_never_kept_waiting_and_a_thousand_are_never_for_long() {
        let limits = Limits::default();
        // One machine, its firewall and its key pair: a slot and three attempts.
        assert_eq!(rest(4, &limits), Duration::ZERO);
        assert_eq!(rest(2 * 15, &limits), Duration::ZERO, "fifteen machines");
        assert!(rest(2 * 100, &limits) <= Duration::from_millis(500), "a hundred machines");
        assert_eq!(rest(2 * 1_000, &limits), limits.plan_rest_max);
        assert_eq!(rest(usize::MAX, &limits), limits.plan_rest_max);
        let rests: Vec<Duration> = (0..3_000).map(|records| rest(records, &limits)).collect();
        assert!(rests.is_sorted(), "more to read, more rest");
    }

    #[test]
    fn planning_takes_a_small_share_of_a_processor_at_every_size() {
        // Generous: a record is read and planned in well under this, also on a slow machine.
        let per_record = Duration::from_micros(100);
        let limits = Limits::default();
        for records in 40..2_000_u32 {
            let share = (per_record * records).as_secs_f64() / rest(records as usize, &limits).as_secs_f64();
            assert!(share < 0.05, "{records} records take {share}");
        }
    }

    #[test]
    fn a_rest_ends_and_a_small_plan_ends_it_at_once() {
        let limits = Limits::default();
        let (mut rests, at) = (Rests::default(), Duration::from_secs);
        assert_eq!(rests.resting(&whose(), at(0)), None, "the first plan comes at once");
        rests.planned(whose(), 4_000, Version(7), at(10), &limits);
        assert_eq!(rests.resting(&whose(), at(14)), Some(Version(7)));
        assert_eq!(rests.next_end(at(14)), Some(at(1)));
        assert_eq!(rests.resting(&whose(), at(15)), None);
        assert_eq!(rests.next_end(at(15)), None, "what is over is forgotten");
        rests.planned(whose(), 4_000, Version(8), at(20), &limits);
        rests.planned(whose(), 4, Version(9), at(21), &limits);
        assert_eq!(rests.resting(&whose(), at(21)), None, "it has become small");
    }
}
