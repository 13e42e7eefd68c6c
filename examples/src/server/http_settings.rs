//! The table `[http]`: how much, how long, how often.

use std::time::Duration;

use infra_core::words::limits::Rate;

use super::file::HttpFile;
use super::limits::{RateFile, Wrong};
use super::span::Span;
use crate::http::TrustedProxies;

/// How the server deals with connections and requests.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HttpSettings {
    /// Largest body, bytes.
    pub body_bytes_max: usize,
    /// A whole body must arrive within this time.
    pub body_within: Duration,
    /// A whole request head, and a TLS handshake, must arrive within this time, also between two requests.
    pub head_within: Duration,
    /// Connections at once; more wait in the listener's queue.
    pub connections_max: usize,
    /// A reader must accept something of an answer within this time, or is cut.
    pub accept_within: Duration,
    /// Requests at once; more are told to come back.
    pub in_flight_max: usize,
    /// Of them, those of one access token.
    pub token_in_flight_max: usize,
    /// Who waits at once, by `?wait=` and by streams of events; more are told to come back.
    pub waits_max: usize,
    /// Of them, those of one access token.
    pub token_waits_max: usize,
    /// Longest `?wait=`.
    pub wait_max: Duration,
    /// A stream of events ends after so long; its reader goes on where it stopped.
    pub stream_for: Duration,
    /// Any answer must be ready within this time, waiting not counted.
    pub answer_within: Duration,
    /// Callers whose rate is remembered.
    pub callers_max: usize,
    /// Requests per access token.
    pub token_rate: Rate,
    /// Requests without a valid token, per address.
    pub address_rate: Rate,
    /// Requests with the admin token.
    pub admin_rate: Rate,
    /// Proxies that are believed where a request came from.
    pub proxies: TrustedProxies,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            body_bytes_max: 1024 * 1024,
            body_within: Duration::from_secs(10),
            head_within: Duration::from_secs(30),
            connections_max: 1024,
            accept_within: Duration::from_secs(30),
            in_flight_max: 512,
            token_in_flight_max: 128,
            waits_max: 256,
            token_waits_max: 64,
            wait_max: Duration::from_secs(600),
            stream_for: Duration::from_secs(3600),
            answer_within: Duration::from_secs(120),
            callers_max: 10_000,
            token_rate: Rate { per_second: 100.0, burst: 200 },
            address_rate: Rate { per_second: 20.0, burst: 100 },
            admin_rate: Rate { per_second: 1000.0, burst: 2000 },
            proxies: TrustedProxies::default(),
        }
    }
}

/// Takes a number over when it was said and is within its range.
fn number(
    key: &'static str,
    said: Option<usize>,
    least: usize,
    most: usize,
    into: &mut usize,
) -> Result<(), Wrong> {
    match said {
        None => Ok(()),
        Some(value) if (least..=most).contains(&value) => {
            *into = value;
            Ok(())
        }
        Some(value) => Err((key, format!("{value} is not within {least} and {most}"))),
    }
}

fn span(key: &'static str, said: Option<Span>, most_s: u64, into: &mut Duration) -> Result<(), Wrong> {
    let (least, most) = (Span(Duration::from_millis(100)), Span(Duration::from_secs(most_s)));
    match said {
        None => Ok(()),
        Some(value) if (least..=most).contains(&value) => {
            *into = value.0;
            Ok(())
        }
        Some(value) => Err((key, format!("{value} is not within {least} and {most}"))),
    }
}

fn rate(key: &'static str, said: Option<RateFile>, into: &mut Rate) -> Result<(), Wrong> {
    let Some(said) = said else { return Ok(()) };
    if let Some(why) = said.wrong() {
        return Err((key, why));
    }
    *into = Rate { per_second: said.per_second, burst: said.burst };
    Ok(())
}

impl HttpSettings {
    /// The settings in force: the defaults where nothing is said.
    pub(super) fn of(file: &HttpFile) -> Result<Self, Wrong> {
        let mut http = Self::default();
        number("body_bytes_max", file.body_bytes_max, 1024, 64 * 1024 * 1024, &mut http.body_bytes_max)?;
        number("connections_max", file.connections_max, 1, 100_000, &mut http.connections_max)?;
        number("in_flight_max", file.in_flight_max, 1, 100_000, &mut http.in_flight_max)?;
        number("token_in_flight_max", file.token_in_flight_max, 1, 100_000, &mut http.token_in_flight_max)?;
        // Whoever allows fewer requests, and says nothing of waits, keeps half of them for those who do not wait.
        http.waits_max = http.waits_max.min(http.in_flight_max / 2).max(1);
        number("waits_max", file.waits_max, 1, 100_000, &mut http.waits_max)?;
        number("token_waits_max", file.token_waits_max, 1, 100_000, &mut http.token_waits_max)?;
        if http.waits_max > http.in_flight_max {
            let (waits, all) = (http.waits_max, http.in_flight_max);
            return Err(("waits_max", format!("{waits} who wait leave no room among in_flight_max = {all}")));
        }
        number("callers_max", file.callers_max, 1, 1_000_000, &mut http.callers_max)?;
        span("body_within", file.body_within, 600, &mut http.body_within)?;
        span("head_within", file.head_within, 600, &mut http.head_within)?;
        span("accept_within", file.accept_within, 600, &mut http.accept_within)?;
        span("stream_for", file.stream_for, 24 * 3600, &mut http.stream_for)?;
        span("wait_max", file.wait_max, 3600, &mut http.wait_max)?;
        span("answer_within", file.answer_within, 3600, &mut http.answer_within)?;
        rate("token_rate", file.token_rate, &mut http.token_rate)?;
        rate("address_rate", file.address_rate, &mut http.address_rate)?;
        rate("admin_rate", file.admin_rate, &mut http.admin_rate)?;
        http.proxies.header = file.proxy_header.unwrap_or_default();
        for text in file.trusted_proxies.iter().flatten() {
            http.proxies.blocks.push(text.parse().map_err(|why| ("trusted_proxies", why))?);
        }
        Ok(http)
    }

    /// Every key said.
    pub(super) fn file(&self) -> HttpFile {
        let bucket = |rate: Rate| Some(RateFile { per_second: rate.per_second, burst: rate.burst });
        HttpFile {
            body_bytes_max: Some(self.body_bytes_max),
            body_within: Some(Span(self.body_within)),
            head_within: Some(Span(self.head_within)),
            connections_max: Some(self.connections_max),
            accept_within: Some(Span(self.accept_within)),
            in_flight_max: Some(self.in_flight_max),
            token_in_flight_max: Some(self.token_in_flight_max),
            waits_max: Some(self.waits_max),
            token_waits_max: Some(self.token_waits_max),
            wait_max: Some(Span(self.wait_max)),
            stream_for: Some(Span(self.stream_for)),
            answer_within: Some(Span(self.answer_within)),
            callers_max: Some(self.callers_max),
            token_rate: bucket(self.token_rate),
            address_rate: bucket(self.address_rate),
            admin_rate: bucket(self.admin_rate),
            trusted_proxies: Some(self.proxies.blocks.iter().map(ToString::to_string).collect()),
            proxy_header: Some(self.proxies.header),
        }
    }
}
