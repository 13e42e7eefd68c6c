//! Marks and labels as tags.
//!
//! # Flow
//! DigitalOcean's tags are words of letters, digits, `:`, `-` and `_`, up to 255 characters, without values, and their
//! *first* spelling in an account is the one that is shown ever after (`Team` stays `Team` although we write `team`).
//! So a key and its value stand in one tag as `key:value`, each in lower case letters, digits and `-`; every other
//! byte, capitals too, is `_` and two hexadecimal digits. `Cost Center: R&D` is `_43ost_20_43enter:_52_26_44`.
//!
//! # Guarantees
//! * Nothing is lost in a tag of up to 255 characters, whatever an account's older tags are spelled like.
//! * A longer one is cut and ends in `__` and the first 16 digits of the whole tag's SHA-256: still the same for the
//!   same label, and different for different ones; it reads back cut, ending in an ellipsis.
//! * Labels that begin with `infra-` do not reach the cloud: such words are the marks' and the firewalls'.

use std::collections::BTreeMap;

use infra_core::nouns::launch::FrozenLaunch;
use infra_core::words::ids::{InstallationId, LaunchToken, Region};
use infra_core::words::lane::{Mark, tags};
use infra_core::words::secret::digest;

/// Most characters of a tag.
const TAG_LEN_MAX: usize = 255;
/// Digits of the digest at the end of a cut tag.
const DIGEST_LEN: usize = 16;
/// Our own tags begin so.
const OURS: &str = "infra-";

/// The tag that a firewall stands before: of one attempt in one region, because firewalls are the account's.
pub(super) fn of_firewall(region: &Region, token: LaunchToken) -> String {
    tag("infra-firewall", &format!("{region}-{token}"))
}

/// The tag that everything of an installation with tags carries.
pub(super) fn of_installation(installation: InstallationId) -> String {
    tag(tags::INSTALLATION, &installation.to_string())
}

/// A mark's four tags.
pub(super) fn of_mark(mark: &Mark) -> [String; 4] {
    mark.to_tags().map(|(key, value)| tag(key, &value))
}

/// What a launch's create call writes: its mark and its labels.
pub(super) fn of(frozen: &FrozenLaunch) -> Vec<String> {
    let labels = frozen.labels.iter().filter(|(key, _)| !key.to_lowercase().starts_with(OURS));
    let mut all: Vec<String> = labels.map(|(key, value)| tag(key, value)).collect();
    all.extend(of_mark(&frozen.mark));
    all.sort();
    all.dedup();
    all
}

/// Keys and values of a thing's tags.
pub(super) fn read(tags: &[String]) -> BTreeMap<String, String> {
    tags.iter()
        .map(|tag| {
            let tag = tag.to_lowercase();
            let (key, value) = tag.split_once(':').unwrap_or((&tag, ""));
            (decoded(key), decoded(value))
        })
        .collect()
}

fn tag(key: &str, value: &str) -> String {
    let whole = format!("{}:{}", encoded(key), encoded(value));
    if whole.len() <= TAG_LEN_MAX {
        return whole;
    }
    let mut end = TAG_LEN_MAX - DIGEST_LEN - 2;
    // Not in the middle of an escape.
    if let Some(escape) = whole[..end].rfind('_').filter(|at| at + 3 > end) {
        end = escape;
    }
    format!("{}__{}", &whole[..end], &digest(whole.as_bytes())[..DIGEST_LEN])
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("_{byte:02x}"));
        }
    }
    out
}

/// What [`encoded`] was given; a tag that somebody else wrote is read as it stands.
fn decoded(text: &str) -> String {
    let (text, ellipsis) = text.split_once("__").map_or((text, ""), |(head, _)| (head, "…"));
    let plain = || -> Option<String> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte != b'_' {
                bytes.push(byte);
                continue;
            }
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        }
        if !ellipsis.is_empty() {
            // The cut may have gone through a letter of several bytes.
            let whole = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
            bytes.truncate(whole);
        }
        String::from_utf8(bytes).ok()
    };
    plain().unwrap_or_else(|| text.to_owned()) + ellipsis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_any_spelling_reads_back_whole() {
        for (key, value) in [
            ("team", "lab"),
            ("Cost Center", "R&D"),
            ("a:b", "c:d"),
            ("under_score", "__"),
            ("größe", "10 €"),
            ("empty", ""),
            ("k8s.io/name", "x=y,z"),
        ] {
            let written = tag(key, value);
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ":-_".contains(c);
            assert!(written.chars().all(legal) && written.len() <= TAG_LEN_MAX, "{written}");
            let same = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            assert_eq!(read(std::slice::from_ref(&written)), same, "{written}");
            assert_eq!(read(&[written.to_uppercase()]), same, "as an older tag of the account spells it");
        }
        assert_eq!(tag("Cost Center", "R&D"), "_43ost_20_43enter:_52_26_44");
    }

    #[test]
    fn labels_too_long_for_a_tag_stay_different_and_legal() {
        for length in 240..300 {
            let (one, two) = ("Ü".repeat(length) + "1", "Ü".repeat(length) + "2");
            let (a, b) = (tag("key", &one), tag("key", &two));
            assert_ne!(a, b);
            assert_eq!((a.len() <= TAG_LEN_MAX, a == tag("key", &one)), (true, true), "{a}");
            let back = read(&[a]);
            let back = back["key"].strip_suffix('…').expect("it says that it is cut");
            assert!(one.starts_with(back) && back.len() > 70, "{back}");
        }
    }

    #[test]
    fn what_a_person_wrote_is_read_as_it_stands() {
        let tags = ["production".to_owned(), "a_b:c_zz".to_owned()];
        let read = read(&tags);
        assert_eq!(read.get("production").map(String::as_str), Some(""));
        assert_eq!(read.get("a_b").map(String::as_str), Some("c_zz"));
    }
}
