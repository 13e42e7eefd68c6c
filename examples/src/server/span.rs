//! Durations as people write them: `30s`, `10min`, `1h 30min`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// Units, largest first, each with its microseconds.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A duration in a settings file. A number alone is refused: nobody remembers of which unit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub(super) struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no duration: write it like \"30s\", \"10min\", \"1h 30min\", \"2d\"");
        let (mut rest, mut total) = (text.trim(), 0_u64);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, after) = rest.split_at(digits);
            let after = after.trim_start();
            let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let (unit, after) = after.split_at(letters);
            let (_, us) = UNITS.iter().find(|(word, _)| *word == unit).ok_or_else(wrong)?;
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let part = number.checked_mul(*us).ok_or_else(wrong)?;
            total = total.checked_add(part).ok_or_else(wrong)?;
            rest = after.trim_start();
        }
        Ok(Self(Duration::from_micros(total)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration like \"30s\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        from.deserialize_str(Text)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    /// The largest unit of which it is a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        if us == 0 {
            return f.write_str("0s");
        }
        let (word, unit) = UNITS.iter().find(|(_, unit)| us % unit == 0).unwrap_or(&UNITS[5]);
        write!(f, "{}{word}", us / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_it_is_printed() {
        for (text, ms, shown) in [
            ("30s", 30_000, "30s"),
            ("90s", 90_000, "90s"),
            ("10min", 600_000, "10min"),
            ("1h 30min", 5_400_000, "90min"),
            ("1h30min", 5_400_000, "90min"),
            ("24 h", 86_400_000, "1d"),
            ("1500ms", 1_500, "1500ms"),
            ("0s", 0, "0s"),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!((span.0, span.to_string()), (Duration::from_millis(ms), shown.to_owned()), "{text}");
            assert_eq!(shown.parse(), Ok(span));
        }
    }

    #[test]
    fn a_number_without_a_unit_or_with_a_strange_one_is_refused() {
        for text in
            ["", "30", "s", "-1s", "1.5h", "5 parsecs", "1h2", "99999999999999999999s", "10m", "1h ago"]
        {
            let why = text.parse::<Span>().expect_err(text);
            assert!(why.contains("like \"30s\""), "{why}");
        }
    }
}
