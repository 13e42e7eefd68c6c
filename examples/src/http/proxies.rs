//! Where a request came from, when a proxy stands before the server.
//!
//! # Guarantees
//! * Only who connects from a trusted address is believed, and only by the one header that the operator named: another one
//!   may be the client's own, passed on unread.
//! * A header is read from its end, where the nearest proxy wrote. The first address that is no trusted proxy is the
//!   caller; whatever stands before it, the caller may have written itself.
//!
//! # Assumptions
//! Every trusted proxy adds the address it was called from to that header, or replaces it.

use std::net::IpAddr;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, header};

/// Entries of a header that are looked at: no chain of proxies is longer.
const HOPS_MAX: usize = 32;

/// In which header a trusted proxy says for whom it asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// `X-Forwarded-For: 192.0.2.7, 10.0.0.3`, as nearly all do.
    #[default]
    XForwardedFor,
    /// `Forwarded: for=192.0.2.7;proto=https, for="[2001:db8::7]:4711"` (RFC 7239).
    Forwarded,
}

/// A block of addresses: `10.0.0.0/8`, `2001:db8::/32`, `127.0.0.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    network: IpAddr,
    length: u32,
}

impl FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address and no block like 10.0.0.0/8");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(longest);
        if length > longest {
            return Err(wrong());
        }
        if length == 0 {
            return Err(format!("{text:?} trusts everybody: then everybody says who they are"));
        }
        Ok(Self { network, length })
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

impl Block {
    fn has(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.length
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.length
            }
            _ => false,
        }
    }
}

/// Whose word is taken, and from which header. The default believes nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Where they connect from.
    pub blocks: Vec<Block>,
    /// Where they say it.
    pub header: ProxyHeader,
}

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.blocks.iter().any(|block| block.has(address))
    }

    /// Who is charged for a request that came from `peer`.
    pub(super) fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut known = peer.to_canonical();
        if self.blocks.is_empty() || !self.trusts(known) {
            return peer;
        }
        let name = match self.header {
            ProxyHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ProxyHeader::Forwarded => header::FORWARDED,
        };
        let mut values: Vec<&str> = Vec::new();
        for value in headers.get_all(name) {
            // What cannot be read hides whatever stands before it.
            match value.to_str() {
                Ok(text) => values.extend(text.split(',')),
                Err(_) => values.clear(),
            }
        }
        for value in values.into_iter().rev().take(HOPS_MAX) {
            let said = match self.header {
                ProxyHeader::XForwardedFor => address(value.trim()),
                ProxyHeader::Forwarded => forwarded_for(value),
            };
            // "unknown", a made-up name or nonsense: the proxy that says so is all that is known.
            let Some(said) = said else { return known };
            known = said;
            if !self.trusts(known) {
                return known;
            }
        }
        known
    }
}

/// The `for` of one element. A comma within quotes splits it into parts that are no addresses, and none is needed here.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (first, second) = (named.next(), named.next());
    // Twice is once too often: who knows which one the proxy wrote.
    first.filter(|_| second.is_none()).and_then(|(_, value)| address(value.trim().trim_matches('"')))
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(six, _)| six)?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(header: ProxyHeader, peer: &str, headers: &[(&str, &str)]) -> String {
        let blocks =
            ["10.0.0.0/8", "127.0.0.1", "2001:db8:1::/48"].map(|text| text.parse().expect("a block"));
        let proxies = TrustedProxies { blocks: blocks.to_vec(), header };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.append(name, value.parse().expect("a value"));
        }
        proxies.origin(peer.parse().expect("an address"), &map).to_string()
    }

    #[test]
    fn a_caller_says_itself_where_it_comes_from() {
        let xff = |peer, value| origin(ProxyHeader::XForwardedFor, peer, &[("x-forwarded-for", value)]);
        for (peer, value, wanted) in [
            // Nobody who is not trusted is believed.
            ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
            ("11.0.0.1", "198.51.100.7", "11.0.0.1"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
            // The caller wrote the first ones, the proxy added the last.
            ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "10.0.0.9, 198.51.100.7", "198.51.100.7"),
            // Two proxies, one behind the other.
            ("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
            ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
            ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
            ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
            ("2001:db8:1::5", "2001:db8::7", "2001:db8::7"),
            // What cannot be read hides what stands before it.
            ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.7, nonsense, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ] {
            assert_eq!(xff(peer, value), wanted, "{value:?} from {peer}");
        }
        assert_eq!(origin(ProxyHeader::XForwardedFor, "10.0.0.1", &[]), "10.0.0.1");
        let two = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(origin(ProxyHeader::XForwardedFor, "10.0.0.1", &two), "198.51.100.7");
        // The proxy passes on what it does not know.
        let other = [("forwarded", "for=203.0.113.9")];
        assert_eq!(origin(ProxyHeader::XForwardedFor, "10.0.0.1", &other), "10.0.0.1");
    }

    #[test]
    fn the_header_of_the_standard_is_read_as_the_standard_has_it() {
        for (value, wanted) in [
            ("for=198.51.100.7", "198.51.100.7"),
            ("For=\"198.51.100.7:4711\";proto=https", "198.51.100.7"),
            ("by=10.0.0.1; for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=203.0.113.9, for=198.51.100.7;by=10.0.0.1", "198.51.100.7"),
            ("for=203.0.113.9, for=_hidden", "10.0.0.1"),
            ("for=203.0.113.9;for=198.51.100.7", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ] {
            let got = origin(ProxyHeader::Forwarded, "10.0.0.1", &[("forwarded", value)]);
            assert_eq!(got, wanted, "{value}");
        }
        let other = [("x-forwarded-for", "203.0.113.9")];
        assert_eq!(origin(ProxyHeader::Forwarded, "10.0.0.1", &other), "10.0.0.1");
    }

    #[test]
    fn a_block_is_read_whole_or_not_at_all() {
        for bad in
            ["", "10.0.0.0/33", "10.0.0", "10.0.0.0/-1", "proxy.example", "::/129", "0.0.0.0/0", "::/0"]
        {
            assert!(bad.parse::<Block>().is_err(), "{bad:?}");
        }
        for good in ["10.0.0.0/8", "2001:db8::/32", "127.0.0.1/32"] {
            assert_eq!(good.parse::<Block>().expect("a block").to_string(), good);
        }
    }
}
