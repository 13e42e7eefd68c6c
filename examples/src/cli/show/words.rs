//! Times and money in words.

use infra_core::words::clock::Timestamp;
use infra_core::words::money::Money;
use jiff::SignedDuration;
use serde_json::Value;

use crate::client::MoneyText;

/// "in 2 h 59 min", "3 min ago", "now".
pub(in crate::cli) fn relative(at: Timestamp, now: Timestamp) -> String {
    let far = at.duration_since(now);
    let length = length(far.abs());
    if far.abs() < SignedDuration::from_secs(1) {
        "now".to_owned()
    } else if far.is_positive() {
        format!("in {length}")
    } else {
        format!("{length} ago")
    }
}

/// A length in its two largest units: "2 h 59 min".
pub(in crate::cli) fn length(time: SignedDuration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(3);
    let (size, unit) = units[first];
    let whole = format!("{} {unit}", seconds / size);
    match units.get(first + 1).map(|(next, unit)| (seconds % size / next, unit)) {
        Some((rest, unit)) if rest > 0 => format!("{whole} {rest} {unit}"),
        _ => whole,
    }
}

/// "2026-11-21 18:00:00 UTC".
pub(in crate::cli) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A zone, and how many others share its line: "use1-az1 +2 zones".
pub(in crate::cli) fn zone(first: &str, more: usize) -> String {
    match more {
        0 => first.to_owned(),
        1 => format!("{first} +1 zone"),
        _ => format!("{first} +{more} zones"),
    }
}

/// How old a price is: "3 h ago", and "old: " before it when it is. Nothing for one that is not known.
pub(in crate::cli) fn priced(as_of: &Value, stale: &Value, now: Timestamp) -> String {
    let Some(at) = as_of.as_str().and_then(|at| at.parse().ok()) else { return String::new() };
    format!("{}{}", if stale == &Value::Bool(true) { "old: " } else { "" }, relative(at, now))
}

/// "$0.0416", "3.20 EUR".
pub(in crate::cli) fn money(money: &MoneyText) -> String {
    let amount = rounded(&money.amount);
    match money.currency.as_str() {
        "USD" => format!("${amount}"),
        other => format!("{amount} {other}"),
    }
}

/// At most five decimals, rounded up: what is below is of no use to a reader.
fn rounded(amount: &str) -> String {
    const STEP: i64 = 10_000;
    let Some(exact) = Money::parse_usd(amount) else { return amount.to_owned() };
    let steps = exact.nanos.div_euclid(STEP) + i64::from(exact.nanos.rem_euclid(STEP) != 0);
    Money::usd_nanos(steps.saturating_mul(STEP)).to_string()
}

/// "1 machine", "2 machines".
pub(in crate::cli) fn machines(count: u64) -> String {
    format!("{count} machine{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units() {
        let now = Timestamp::from_second(1_000_000).expect("a moment");
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).expect("a moment");
        for (seconds, words) in [
            (0, "now"),
            (1, "in 1 s"),
            (-59, "59 s ago"),
            (10_799, "in 2 h 59 min"),
            (10_800, "in 3 h"),
            (-90, "1 min 30 s ago"),
            (86_400 * 3 + 59, "in 3 d"),
            (86_400 * 3 + 7_300, "in 3 d 2 h"),
        ] {
            assert_eq!(relative(at(seconds), now), words);
        }
        assert_eq!(moment(now), "1970-01-12 13:46:40 UTC");
        assert_eq!(
            (rounded("0.000101754"), rounded("0.06896"), rounded("?")),
            ("0.00011".into(), "0.06896".into(), "?".into())
        );
        let euros = MoneyText { amount: "3.20".into(), currency: "EUR".into() };
        assert_eq!(
            (money(&euros), machines(1), machines(2)),
            ("3.20 EUR".into(), "1 machine".into(), "2 machines".into())
        );
    }
}
