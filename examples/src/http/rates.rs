//! How often each caller may ask.
//!
//! # Flow
//! Every request is charged to one bucket before anything is read for it: the admin's, that of a token which was found
//! valid before, or that of the address it comes from. A token is charged to its address until the store has said that it
//! is valid; whoever guesses tokens therefore pays for every guess.
//!
//! # Guarantees
//! * One caller at its limit slows nobody with a token of their own.
//! * Memory is bounded: of each kind at most so many callers are remembered. Strangers never push out tokens.
//!
//! # Caveats
//! Behind a proxy all strangers share the proxy's address, and so does a good token until its first request was let in:
//! unless the proxy is [trusted](super::TrustedProxies) to say for whom it asks.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use infra_core::words::clock::Clock;
use infra_core::words::limits::Rate;

/// How often callers may ask. [`Self::OPEN`] limits nobody.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RateLimits {
    /// Each access token.
    pub token: Rate,
    /// Each address, for callers without a valid token. An IPv6 address counts as its /64.
    pub address: Rate,
    /// The admin token.
    pub admin: Rate,
    /// Callers of each kind that are remembered.
    pub callers_max: usize,
}

impl RateLimits {
    /// No limits: for programs that mount the router and limit by themselves.
    pub const OPEN: Self =
        Self { token: Rate::OPEN, address: Rate::OPEN, admin: Rate::OPEN, callers_max: 10_000 };

    /// The same for every kind of caller.
    #[must_use]
    pub const fn all(rate: Rate, callers_max: usize) -> Self {
        Self { token: rate, address: rate, admin: rate, callers_max }
    }
}

/// Where the request came from; set by whoever accepts connections.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Who is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payer<'r> {
    Admin,
    /// The digest of what was sent as token, and where it came from.
    Token(&'r str, Option<IpAddr>),
    Stranger(Option<IpAddr>),
}

/// The buckets of every caller.
pub(super) struct Rates {
    limits: RateLimits,
    clock: Arc<dyn Clock>,
    admin: Mutex<Buckets<()>>,
    tokens: Mutex<Buckets<String>>,
    addresses: Mutex<Buckets<Option<IpAddr>>>,
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Rates {
    pub(super) fn new(limits: RateLimits, clock: Arc<dyn Clock>) -> Self {
        Self {
            admin: Mutex::new(Buckets::new(limits.admin, 1)),
            tokens: Mutex::new(Buckets::new(limits.token, limits.callers_max)),
            addresses: Mutex::new(Buckets::new(limits.address, limits.callers_max)),
            limits,
            clock,
        }
    }

    /// Charges one request; the error is how long to wait.
    pub(super) fn charge(&self, payer: &Payer<'_>) -> Result<(), Duration> {
        let now = self.clock.mono();
        match payer {
            Payer::Admin => locked(&self.admin).charge((), now),
            Payer::Token(digest, from) => {
                let mut tokens = locked(&self.tokens);
                if tokens.knows(*digest) {
                    return tokens.charge((*digest).to_owned(), now);
                }
                drop(tokens);
                self.stranger(*from, now)
            }
            Payer::Stranger(from) => self.stranger(*from, now),
        }
    }

    fn stranger(&self, from: Option<IpAddr>, now: Duration) -> Result<(), Duration> {
        locked(&self.addresses).charge(from.map(network), now)
    }

    /// The store has said whether a token counts: from now on it has a bucket of its own, or none.
    pub(super) fn judged(&self, digest: &str, valid: bool) {
        let mut tokens = locked(&self.tokens);
        if !valid {
            tokens.forget(digest);
        } else if !tokens.knows(digest) {
            tokens.remember(digest.to_owned(), self.clock.mono());
        }
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("nothing panics while it counts")
}

/// What one customer of an access provider has: with IPv6 that is a whole network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
    }
}

/// Token buckets of one rate. Of each only one moment is kept: when it will be full again.
struct Buckets<K> {
    /// Time in which one request flows in; `None` for no limit.
    every: Option<Duration>,
    /// A bucket may be in debt by this much and still give.
    slack: Duration,
    full_at: HashMap<K, Duration>,
    most: usize,
}

impl<K: Clone + Eq + std::hash::Hash> Buckets<K> {
    fn new(rate: Rate, most: usize) -> Self {
        let every = (rate.per_second > 0.0).then(|| Duration::from_secs_f64(1.0 / rate.per_second));
        let slack = every.unwrap_or_default() * rate.burst.saturating_sub(1);
        Self { every, slack, full_at: HashMap::new(), most: most.max(1) }
    }

    fn knows<Q>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ?Sized,
    {
        self.full_at.contains_key(key)
    }

    fn forget<Q>(&mut self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ?Sized,
    {
        self.full_at.remove(key);
    }

    fn charge(&mut self, key: K, now: Duration) -> Result<(), Duration> {
        let Some(every) = self.every else { return Ok(()) };
        let full_at = self.full_at.get(&key).copied().unwrap_or(now).max(now);
        let debt = full_at - now;
        if debt > self.slack {
            return Err(debt - self.slack);
        }
        self.remember(key, full_at + every);
        Ok(())
    }

    fn remember(&mut self, key: K, full_at: Duration) {
        if self.full_at.len() >= self.most && !self.full_at.contains_key(&key) {
            // The one nearest to full loses least by being forgotten.
            let least = self.full_at.iter().min_by_key(|(_, full_at)| **full_at).map(|(key, _)| key.clone());
            least.map(|least| self.full_at.remove(&least));
        }
        self.full_at.insert(key, full_at);
    }
}

#[cfg(test)]
mod tests {
    use infra_core::testing::VirtualClock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rates(per_second: f64, burst: u32, most: usize) -> (Rates, Arc<VirtualClock>) {
        let clock = Arc::new(VirtualClock::default());
        let limits = RateLimits::all(Rate { per_second, burst }, most);
        (Rates::new(limits, Arc::clone(&clock) as _), clock)
    }

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    /// How many of `n` requests are let in.
    fn let_in(rates: &Rates, payer: &Payer<'_>, n: usize) -> usize {
        (0..n).filter(|_| rates.charge(payer).is_ok()).count()
    }

    #[test]
    fn more_than_burst_and_rate_are_let_in() {
        let (rates, clock) = rates(10.0, 5, 10);
        let ada = Payer::Token("ada", None);
        rates.judged("ada", true);
        assert_eq!(let_in(&rates, &ada, 100), 5);
        let wait = rates.charge(&ada).expect_err("it is empty");
        assert_eq!(wait, SECOND / 10, "one flows in after a tenth of a second");
        clock.advance(wait);
        assert_eq!(let_in(&rates, &ada, 100), 1, "who waits as told is let in");
        clock.advance(SECOND);
        assert_eq!(let_in(&rates, &ada, 100), 5, "never more than the burst");
        // A minute of greed: the rate, and one burst.
        let mut total = 0;
        for _ in 0..600 {
            clock.advance(SECOND / 10);
            total += let_in(&rates, &ada, 3);
        }
        assert_eq!(total, 600);
    }

    #[test]
    fn one_greedy_token_slows_another_or_a_guesser_slows_a_token() {
        let (rates, clock) = rates(1.0, 3, 10);
        let here = Some(address(1));
        for name in ["ada", "eve"] {
            rates.judged(name, true);
        }
        assert_eq!(let_in(&rates, &Payer::Token("eve", here), 50), 3);
        for n in 0..50 {
            let _refused = rates.charge(&Payer::Token(&format!("guess-{n}"), here));
        }
        assert_eq!(let_in(&rates, &Payer::Stranger(here), 5), 0, "guesses are paid by their address");
        assert_eq!(let_in(&rates, &Payer::Stranger(Some(address(2))), 5), 3);
        assert_eq!(let_in(&rates, &Payer::Token("ada", here), 5), 3, "and by nobody else");
        assert_eq!(let_in(&rates, &Payer::Admin, 5), 3);
        clock.advance(SECOND);
        rates.judged("ada", false);
        assert_eq!(let_in(&rates, &Payer::Token("ada", here), 5), 1, "a revoked token is a stranger again");
    }

    #[test]
    fn strangers_fill_the_memory_or_push_out_tokens() {
        let (rates, _clock) = rates(1.0, 3, 100);
        rates.judged("ada", true);
        assert_eq!(let_in(&rates, &Payer::Token("ada", None), 5), 3);
        for n in 0..10_000 {
            let _either = rates.charge(&Payer::Token(&format!("guess-{n}"), Some(address(n))));
        }
        assert_eq!(locked(&rates.addresses).full_at.len(), 100);
        assert_eq!(locked(&rates.tokens).full_at.len(), 1);
        assert_eq!(
            let_in(&rates, &Payer::Token("ada", None), 5),
            0,
            "its bucket was not refilled by the flood"
        );
        for n in 0..200 {
            rates.judged(&format!("token-{n}"), true);
        }
        assert_eq!(locked(&rates.tokens).full_at.len(), 100);
        assert!(locked(&rates.tokens).knows("ada"), "the emptiest bucket is forgotten last");
    }

    #[test]
    fn a_whole_network_asks_as_if_it_were_thousands() {
        let (rates, _clock) = rates(1.0, 3, 100);
        let six =
            |last: u16| Payer::Stranger(Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 1, 2, 3, last))));
        assert_eq!((0..50).filter(|n| rates.charge(&six(*n)).is_ok()).count(), 3);
        let mapped = |n: u32| Payer::Stranger(Some(IpAddr::V6(std::net::Ipv4Addr::from(n).to_ipv6_mapped())));
        assert_eq!(
            (0..50).filter(|n| rates.charge(&mapped(*n)).is_ok()).count(),
            50,
            "IPv4 in disguise is no network"
        );
    }

    #[test]
    fn an_open_rate_limits_nobody() {
        let (rates, _clock) = rates(0.0, 0, 10);
        assert_eq!(let_in(&rates, &Payer::Stranger(None), 1000), 1000);
    }
}
