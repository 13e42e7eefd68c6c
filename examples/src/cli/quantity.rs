//! Amounts as people write them.

use infra_core::words::clock::Timestamp;
use jiff::{Span, SpanRelativeTo};
use std::time::Duration;

/// Reads "3h", "2 days", "1h 30m" or "PT3H". A day has 24 hours; whole seconds above zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let example = "like 3h, 90m, 2 days or 1h30m";
    let span: Span = text.trim().parse().map_err(|_| format!("must be a duration {example}"))?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err("months and years differ in length: say it in days".to_owned());
    }
    let exact = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let exact = exact.map_err(|_| format!("is too long; must be {example}"))?;
    if exact.is_zero() || exact.is_negative() {
        return Err("must be longer than nothing".to_owned());
    }
    let exact = Duration::try_from(exact).map_err(|error| error.to_string())?;
    if exact.subsec_nanos() != 0 {
        return Err("must be whole seconds".to_owned());
    }
    Ok(exact)
}

/// Reads a moment in RFC 3339: "2026-12-01T18:00:00Z", "2026-12-01 18:00:00+01:00".
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    text.trim().parse().map_err(|_| "must be a moment with its zone, like 2026-12-01T18:00:00Z".to_owned())
}

/// Reads GiB: "4", "4GiB", "0.5", "512MiB".
pub(super) fn gib(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let (number, factor) = match lower.strip_suffix("mib") {
        Some(number) => (number, 1.0 / 1024.0),
        None => (lower.strip_suffix("gib").unwrap_or(&lower), 1.0),
    };
    positive(number)
        .map(|number| number * factor)
        .map_err(|_| "must be GiB, like 4, 4GiB or 512MiB".to_owned())
}

/// Reads a number above zero.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim().parse().map_err(|_| "must be a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("must be above zero".to_owned()) }
}

/// A price that nothing may pass, or whatever it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cap(pub(super) Option<f64>);

/// Reads a number above zero, or `none`.
pub(super) fn cap(text: &str) -> Result<Cap, String> {
    match text.trim() {
        "none" => Ok(Cap(None)),
        number => positive(number).map(Some).map(Cap).map_err(|why| format!("{why}, or none")),
    }
}

/// Reads `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_people_write_it_and_never_guessed() {
        for (text, seconds) in [
            ("3h", 10_800),
            ("90m", 5_400),
            ("45 s", 45),
            ("2 days", 172_800),
            ("1 week", 604_800),
            ("1h30m", 5_400),
            ("1 hour, 30 minutes", 5_400),
            ("1.5h", 5_400),
            ("PT3H", 10_800),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in
            ["", "3", "0h", "-3h", "3h ago", "soon", "3x", "1 month", "2y", "500ms", "1.5s", "9999999 weeks"]
        {
            assert!(duration(bad).is_err(), "{bad}: {:?}", duration(bad));
        }
    }

    #[test]
    fn sizes_are_gib_unless_they_say_otherwise() {
        assert_eq!((gib("4"), gib("4GiB"), gib("512mib")), (Ok(4.0), Ok(4.0), Ok(0.5)));
        for bad in ["", "4GB", "0", "-1", "inf", "NaN", "four"] {
            assert!(gib(bad).is_err(), "{bad}");
        }
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(pair("=b").is_err() && pair("a").is_err());
        assert!(moment("2026-12-01T18:00:00+01:00").is_ok());
        assert!(moment("2026-12-01").is_err() && moment("tomorrow").is_err());
    }
}
