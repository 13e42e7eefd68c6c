//! Addresses at which whoever is on the way reads what is sent.

use std::net::IpAddr;

/// Would a key sent there cross a network in clear text? Plain HTTP, and not to this machine. A scheme in capitals is the
/// same scheme; what is no `http` is for others to judge.
pub(crate) fn is_exposed(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    if !scheme.eq_ignore_ascii_case("http") {
        return false;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((six, _)) => six,
        None => host.split(':').next().unwrap_or_default(),
    };
    let here = host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    !here && !host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::is_exposed;

    #[test]
    fn a_key_is_sent_in_clear_text_to_what_only_looks_like_this_machine() {
        for here in [
            "http://127.0.0.1:5000/v3",
            "http://127.8.9.1",
            "http://[::1]:5000",
            "http://localhost/x",
            "https://k",
        ] {
            assert!(!is_exposed(here), "{here}");
        }
        for away in [
            "http://k:5000/v3",
            "HTTP://k",
            "http://10.0.0.7",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@evil.example",
            "http://localhost.example.com",
            "http://evil.example/@127.0.0.1",
            "http://evil.example\\@127.0.0.1",
            "http://[2001:db8::1]:80",
            "http://",
        ] {
            assert!(is_exposed(away), "{away}");
        }
    }
}
