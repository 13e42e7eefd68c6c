//! Every duration and threshold once. Everything has a limit, and the limit has a name.

use std::time::Duration;

/// A token bucket: `per_second` on average, `burst` at once. `per_second` of 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Calls per second on average; 0 for no limit.
    pub per_second: f64,
    /// Calls at once after a pause.
    pub burst: u32,
}

impl Rate {
    /// No limit.
    pub const OPEN: Self = Self { per_second: 0.0, burst: 0 };
}

/// The limits in force. Every field is configurable; the defaults are the documented ones.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// A launch is re-sent only this long after its first send, and only while still wanted.
    pub resend_within: Duration,
    /// A planned launch that was not sent for this long is cancelled and planned anew.
    pub plan_stale_after: Duration,
    /// Bursts are folded: after a plan a reservation rests this long for each slot and attempt that was read, ...
    pub plan_rest_per_record: Duration,
    /// ... not at all if that is less than this, ...
    pub plan_rest_min: Duration,
    /// ... and never longer than this.
    pub plan_rest_max: Duration,
    /// A machine attempt without token whose outcome is unknown holds its slot this long.
    pub unknown_hold: Duration,
    /// Closed launches are kept this long: a late birth must find its row.
    pub keep_closed_for: Duration,
    /// A whole call to a cloud, always cut to the claim's remainder.
    pub call_timeout: Duration,
    /// Between two listings of a lane that works.
    pub listing_every: Duration,
    /// Between two listings of a lane at rest.
    pub listing_idle_every: Duration,
    /// Older than this, a listing may only make the plan wait.
    pub listing_stale_after: Duration,
    /// Between two looks at things that are starting or ending.
    pub poll_every: Duration,
    /// A proof of ownership is good for this long.
    pub handle_fresh_for: Duration,
    /// Create calls per lane.
    pub create_rate: Rate,
    /// Terminate calls per lane.
    pub terminate_rate: Rate,
    /// Create calls in flight per lane.
    pub open_creates_max: u32,
    /// Units created per reservation and cycle, or half of the wanted ones if that is more.
    pub creates_per_cycle: u32,
    /// Runaway: more than this many creates of one reservation beyond what is wanted, in `runaway_window`.
    pub runaway_slack: u32,
    /// See `runaway_slack`.
    pub runaway_window: Duration,
    /// This many failed builds in a row hold a reservation.
    pub failed_builds_max: u32,
    /// The fuse of a lane: more creates per hour than this, or three times the wanted, hold the lane.
    pub lane_creates_per_hour: u32,
    /// Breaker: failures needed before it may open.
    pub breaker_failures_min: u32,
    /// Breaker: window over which failures are counted.
    pub breaker_window: Duration,
    /// Breaker: first pause; doubles up to `breaker_open_max`.
    pub breaker_open_min: Duration,
    /// Breaker: longest pause.
    pub breaker_open_max: Duration,
    /// Breaker: successes that close it again.
    pub breaker_successes: u32,
    /// Mass guard: more than this share of a lane or of a tenant's deadlines at once is held, ...
    pub mass_share: f64,
    /// ... when it is also more than this many.
    pub mass_min: u32,
    /// So long a tenant's many deadlines at once wait for somebody to object; then they come true.
    pub mass_patience: Duration,
    /// A listing that lost more than this share of the known things is treated as a lie.
    pub short_listing_share: f64,
    /// More than this share of a reservation's units unhealthy: nothing is replaced, ...
    pub unhealthy_share: f64,
    /// ... when it is also at least this many.
    pub unhealthy_min: u32,
    /// More than this share of a lane unhealthy: nothing is replaced there.
    pub lane_unhealthy_share: f64,
    /// Orphans are reported after two sightings this far apart ...
    pub orphan_sightings_apart: Duration,
    /// ... and at this age.
    pub orphan_age_min: Duration,
    /// Every reservation is looked at again at least this often.
    pub self_heal_every: Duration,
    /// A machine must be running this long after its create call.
    pub build_deadline: Duration,
    /// An ending that takes longer than this is shown as stuck; it is retried for ever.
    pub stuck_terminate_after: Duration,
    /// First pause after a failed step; doubles with full jitter.
    pub retry_min: Duration,
    /// Longest pause after a failed step.
    pub retry_max: Duration,
    /// The same step failed this often: its reason is shown and the pause becomes `retry_slow`.
    pub retry_steps_max: u32,
    /// See `retry_steps_max`.
    pub retry_slow: Duration,
    /// An offer without capacity is skipped this long.
    pub capacity_memory: Duration,
    /// A price that was asked live and is older than this is marked, and ranks after its fresh equals.
    pub price_stale_after: Duration,
    /// How far wall and monotonic clock, or wall and the clouds' date, may drift apart.
    pub clock_drift_max: Duration,
    /// How far the wall may be ahead of the store's newest moment at start.
    pub clock_gap_max: Duration,
    /// After `recover` as restored, no deadline fires for this long.
    pub restored_hold: Duration,
    /// Life of a claim.
    pub claim_ttl: Duration,
    /// Claims are renewed this often.
    pub claim_renew_every: Duration,
    /// Machines per user until an admin raises it.
    pub machines_max: u32,
    /// Units per request.
    pub count_max: u32,
    /// Longest lease one request may ask for.
    pub duration_max: Duration,
    /// An idempotency key is kept this long after its reservation ended.
    pub idempotency_keep: Duration,
    /// A released reservation stays readable this long.
    pub released_readable_for: Duration,
    /// Offers kept with a reservation to walk down on capacity errors.
    pub offers_kept: usize,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Default for Limits {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            resend_within: secs(HOUR),
            plan_stale_after: secs(10 * MINUTE),
            plan_rest_per_record: Duration::from_micros(2_500),
            plan_rest_min: Duration::from_millis(100),
            plan_rest_max: secs(5),
            unknown_hold: secs(15 * MINUTE),
            keep_closed_for: secs(30 * DAY),
            call_timeout: secs(30),
            listing_every: secs(5),
            listing_idle_every: secs(60),
            listing_stale_after: secs(60),
            poll_every: secs(1),
            handle_fresh_for: secs(30),
            create_rate: Rate { per_second: 1.0, burst: 10 },
            terminate_rate: Rate { per_second: 2.5, burst: 10 },
            open_creates_max: 20,
            creates_per_cycle: 10,
            runaway_slack: 10,
            runaway_window: secs(10 * MINUTE),
            failed_builds_max: 5,
            lane_creates_per_hour: 100,
            breaker_failures_min: 5,
            breaker_window: secs(5 * MINUTE),
            breaker_open_min: secs(MINUTE),
            breaker_open_max: secs(30 * MINUTE),
            breaker_successes: 3,
            mass_share: 0.2,
            mass_min: 5,
            mass_patience: secs(10 * MINUTE),
            short_listing_share: 0.3,
            unhealthy_share: 0.2,
            unhealthy_min: 2,
            lane_unhealthy_share: 0.45,
            orphan_sightings_apart: secs(10 * MINUTE),
            orphan_age_min: secs(15 * MINUTE),
            self_heal_every: secs(300),
            build_deadline: secs(HOUR),
            stuck_terminate_after: secs(15 * MINUTE),
            retry_min: secs(10),
            retry_max: secs(5 * MINUTE),
            retry_steps_max: 10,
            retry_slow: secs(HOUR),
            capacity_memory: secs(3 * MINUTE),
            price_stale_after: secs(30 * DAY),
            clock_drift_max: secs(30),
            clock_gap_max: secs(15 * MINUTE),
            restored_hold: secs(DAY),
            claim_ttl: secs(30),
            claim_renew_every: secs(10),
            machines_max: 20,
            count_max: 1000,
            duration_max: secs(365 * DAY),
            idempotency_keep: secs(DAY),
            released_readable_for: secs(90 * DAY),
            offers_kept: 25,
        }
    }
}
