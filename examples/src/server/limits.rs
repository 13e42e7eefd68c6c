//! The table `[limits]`: every duration and threshold of the engine, each with the range that makes sense.
//!
//! The keys are the fields of [`Limits`], and a test holds them together: a field that has no line here fails.

use std::time::Duration;

use infra_core::words::limits::{Limits, Rate};
use serde::{Deserialize, Serialize};

use super::span::Span;

/// A key of the table, and what is wrong with its value.
pub(super) type Wrong = (&'static str, String);

/// A value of the file, beside the engine's own type for it.
trait Setting: Copy {
    type Engine;
    fn of(engine: &Self::Engine) -> Self;
    fn engine(self) -> Self::Engine;
}

impl Setting for Span {
    type Engine = Duration;
    fn of(engine: &Duration) -> Self {
        Self(*engine)
    }
    fn engine(self) -> Duration {
        self.0
    }
}

/// Values that stand for themselves.
macro_rules! plain {
    ($($kind:ty),*) => {$(
        impl Setting for $kind {
            type Engine = Self;
            fn of(engine: &Self) -> Self {
                *engine
            }
            fn engine(self) -> Self {
                self
            }
        }
    )*};
}
plain!(u32, usize, f64);

/// A token bucket: `{ per_second = 1.0, burst = 10 }`; 0 per second for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RateFile {
    pub per_second: f64,
    pub burst: u32,
}

/// Most per second that a bucket may be given.
const PER_SECOND_MAX: f64 = 100_000.0;

impl RateFile {
    /// What is wrong with it, as seen from its own table.
    pub(super) fn wrong(self) -> Option<String> {
        if !self.per_second.is_finite() || !(0.0..=PER_SECOND_MAX).contains(&self.per_second) {
            return Some(format!("per_second must be from 0 (no limit) to {PER_SECOND_MAX}"));
        }
        (self.per_second > 0.0 && self.burst == 0).then(|| "burst must be at least 1".to_owned())
    }
}

impl Setting for RateFile {
    type Engine = Rate;
    fn of(engine: &Rate) -> Self {
        Self { per_second: engine.per_second, burst: engine.burst }
    }
    fn engine(self) -> Rate {
        Rate { per_second: self.per_second, burst: self.burst }
    }
}

/// What a value must keep.
enum Range {
    Spans(&'static str, &'static str),
    Numbers(u32, u32),
    Share,
    Bucket,
}

/// A value that can be held against a range.
trait Ranged {
    fn outside(self, range: &Range) -> Option<String>;
}

impl Ranged for Span {
    fn outside(self, range: &Range) -> Option<String> {
        let Spans(least, most) = range else { return None };
        let edge = |text: &str| text.parse::<Self>().expect("the table's own durations are well formed");
        let fits = (edge(least)..=edge(most)).contains(&self);
        (!fits).then(|| format!("{self} is not within {least} and {most}"))
    }
}

impl Ranged for u32 {
    fn outside(self, range: &Range) -> Option<String> {
        let Numbers(least, most) = range else { return None };
        (!(*least..=*most).contains(&self)).then(|| format!("{self} is not within {least} and {most}"))
    }
}

impl Ranged for usize {
    fn outside(self, range: &Range) -> Option<String> {
        u32::try_from(self)
            .map_or_else(|_| Some(format!("{self} is too many")), |number| number.outside(range))
    }
}

impl Ranged for f64 {
    fn outside(self, _: &Range) -> Option<String> {
        let fits = self > 0.0 && self <= 1.0;
        (!fits).then(|| format!("{self} is no share: above 0, at most 1"))
    }
}

impl Ranged for RateFile {
    fn outside(self, _: &Range) -> Option<String> {
        self.wrong()
    }
}

macro_rules! table {
    ($($name:ident: $kind:ty = $range:expr;)*) => {
        /// The table as written. Everything is optional.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct LimitsFile {
            $(#[serde(skip_serializing_if = "Option::is_none")] $name: Option<$kind>,)*
        }

        impl LimitsFile {
            /// Every key said, with the value in force.
            pub(super) fn of(limits: &Limits) -> Self {
                Self { $($name: Some(<$kind as Setting>::of(&limits.$name)),)* }
            }

            /// The limits in force: the defaults where nothing is said.
            ///
            /// # Errors
            /// The first key whose value is outside its range, or goes against another one.
            pub(super) fn limits(&self) -> Result<Limits, Wrong> {
                let mut limits = Limits::default();
                $(if let Some(value) = self.$name {
                    if let Some(why) = value.outside(&$range) {
                        return Err((stringify!($name), why));
                    }
                    limits.$name = value.engine();
                })*
                self.absurd(&limits).map_or(Ok(limits), Err)
            }

            /// Was this key said?
            fn said(&self, key: &str) -> bool {
                match key { $(stringify!($name) => self.$name.is_some(),)* _ => false }
            }

            /// Every key.
            #[cfg(test)]
            const KEYS: &'static [&'static str] = &[$(stringify!($name),)*];
        }
    };
}

use Range::{Bucket, Numbers, Share, Spans};

table! {
    resend_within: Span = Spans("1min", "23h");
    plan_stale_after: Span = Spans("10s", "1d");
    plan_rest_per_record: Span = Spans("0s", "1s");
    plan_rest_min: Span = Spans("0s", "1min");
    plan_rest_max: Span = Spans("0s", "1min");
    unknown_hold: Span = Spans("1s", "7d");
    keep_closed_for: Span = Spans("1d", "3650d");
    call_timeout: Span = Spans("1s", "10min");
    listing_every: Span = Spans("1s", "10min");
    listing_idle_every: Span = Spans("1s", "1h");
    listing_stale_after: Span = Spans("1s", "1h");
    poll_every: Span = Spans("100ms", "10min");
    handle_fresh_for: Span = Spans("1s", "5min");
    create_rate: RateFile = Bucket;
    terminate_rate: RateFile = Bucket;
    open_creates_max: u32 = Numbers(1, 1_000);
    creates_per_cycle: u32 = Numbers(1, 1_000);
    runaway_slack: u32 = Numbers(1, 100_000);
    runaway_window: Span = Spans("1min", "1d");
    failed_builds_max: u32 = Numbers(1, 1_000);
    lane_creates_per_hour: u32 = Numbers(1, 1_000_000);
    breaker_failures_min: u32 = Numbers(1, 1_000);
    breaker_window: Span = Spans("10s", "1d");
    breaker_open_min: Span = Spans("1s", "1h");
    breaker_open_max: Span = Spans("1s", "1d");
    breaker_successes: u32 = Numbers(1, 1_000);
    mass_share: f64 = Share;
    mass_min: u32 = Numbers(1, 100_000);
    mass_patience: Span = Spans("0s", "1d");
    short_listing_share: f64 = Share;
    unhealthy_share: f64 = Share;
    unhealthy_min: u32 = Numbers(1, 100_000);
    lane_unhealthy_share: f64 = Share;
    orphan_sightings_apart: Span = Spans("1min", "7d");
    orphan_age_min: Span = Spans("1min", "30d");
    self_heal_every: Span = Spans("1s", "1d");
    build_deadline: Span = Spans("1min", "1d");
    stuck_terminate_after: Span = Spans("1min", "7d");
    retry_min: Span = Spans("100ms", "1h");
    retry_max: Span = Spans("100ms", "1d");
    retry_steps_max: u32 = Numbers(1, 1_000);
    retry_slow: Span = Spans("1min", "1d");
    capacity_memory: Span = Spans("1s", "1d");
    price_stale_after: Span = Spans("1h", "3650d");
    clock_drift_max: Span = Spans("1s", "1h");
    clock_gap_max: Span = Spans("1min", "7d");
    restored_hold: Span = Spans("0s", "30d");
    claim_ttl: Span = Spans("3s", "10min");
    claim_renew_every: Span = Spans("1s", "5min");
    machines_max: u32 = Numbers(0, 100_000);
    count_max: u32 = Numbers(1, 100_000);
    duration_max: Span = Spans("1min", "3650d");
    idempotency_keep: Span = Spans("1min", "365d");
    released_readable_for: Span = Spans("0s", "3650d");
    offers_kept: usize = Numbers(1, 1_000);
}

/// First and second key, their values, and why the first may not be above the second.
type Pair = (&'static str, Duration, &'static str, Duration, &'static str);

/// Two keys of which the first must not be above the second.
macro_rules! pair {
    ($limits:ident, $low:ident, $high:ident, $why:literal) => {
        (stringify!($low), $limits.$low, stringify!($high), $limits.$high, $why)
    };
}

fn pairs(limits: &Limits) -> [Pair; 10] {
    let mut renewed = pair!(
        limits,
        claim_renew_every,
        claim_ttl,
        "a claim must be renewed twice within its life, or one lost renewal stops the work"
    );
    renewed.1 *= 2;
    [
        renewed,
        pair!(
            limits,
            call_timeout,
            claim_ttl,
            "a call must end while its claim lasts, or two processes change one cloud"
        ),
        pair!(limits, listing_every, listing_stale_after, "every listing would be too old to act upon"),
        pair!(
            limits,
            listing_every,
            listing_idle_every,
            "a lane at rest would be listed more often than one at work"
        ),
        pair!(limits, retry_min, retry_max, "the first pause would be longer than the longest"),
        pair!(limits, breaker_open_min, breaker_open_max, "the first pause would be longer than the longest"),
        pair!(limits, plan_rest_min, plan_rest_max, "the shortest rest would be longer than the longest"),
        pair!(
            limits,
            orphan_sightings_apart,
            orphan_age_min,
            "what is seen twice so far apart is older than that anyway"
        ),
        pair!(limits, resend_within, keep_closed_for, "a late birth of the last sending would find no row"),
        pair!(limits, unknown_hold, keep_closed_for, "a late birth of an unknown attempt would find no row"),
    ]
}

impl LimitsFile {
    /// Values that are fine alone and nonsense together. The key that is named is one that was said.
    fn absurd(&self, limits: &Limits) -> Option<Wrong> {
        pairs(limits).into_iter().find_map(|(low, low_value, high, high_value, why)| {
            if low_value <= high_value {
                return None;
            }
            let (key, other) = if self.said(low) { (low, high) } else { (high, low) };
            let twice = if low == "claim_renew_every" { "twice " } else { "" };
            let (low_value, high_value) = (Span(low_value), Span(high_value));
            let sum = format!("{twice}{low} ({low_value}) is above {high} ({high_value})");
            Some((key, format!("does not go with {other}: {sum}; {why}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_of_the_engine_is_left_out_of_the_file() {
        let shown = format!("{:#?}", Limits::default());
        let fields: Vec<&str> = shown
            .lines()
            .filter_map(|line| line.strip_prefix("    ").filter(|rest| !rest.starts_with([' ', '}'])))
            .filter_map(|line| line.split(':').next())
            .collect();
        assert!(fields.len() > 40, "{fields:?}");
        assert_eq!(fields, LimitsFile::KEYS);
    }

    #[test]
    fn the_defaults_are_within_their_own_ranges() {
        let limits = LimitsFile::of(&Limits::default()).limits();
        assert_eq!(limits, Ok(Limits::default()));
    }

    #[test]
    fn each_absurd_pair_is_refused_with_its_reason() {
        for (text, key, wanted) in [
            ("claim_renew_every = \"20s\"", "claim_renew_every", "renewed twice"),
            ("claim_ttl = \"15s\"\ncall_timeout = \"10s\"", "claim_ttl", "renewed twice"),
            ("call_timeout = \"1min\"", "call_timeout", "while its claim lasts"),
            ("listing_every = \"2min\"", "listing_every", "too old"),
            ("listing_idle_every = \"3s\"", "listing_idle_every", "at rest"),
            ("retry_max = \"1s\"", "retry_max", "longest"),
            ("breaker_open_min = \"45min\"", "breaker_open_min", "longest"),
            ("orphan_sightings_apart = \"20min\"", "orphan_sightings_apart", "anyway"),
            ("unknown_hold = \"3d\"\nkeep_closed_for = \"2d\"", "unknown_hold", "no row"),
        ] {
            let file: LimitsFile = toml::from_str(text).expect(text);
            let (named, why) = file.limits().expect_err(text);
            assert_eq!(named, key, "{text}: {why}");
            assert!(why.contains(wanted), "{text}: {why}");
        }
    }
}
