//! CIDR blocks in the one spelling that EC2 shows, so that a rule can be compared with what is there.

use std::net::IpAddr;

/// `10.1.2.3/8` as `10.0.0.0/8`; `None` for what is no block.
pub(crate) fn normal(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(address) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            let network = std::net::Ipv4Addr::from_bits(address.to_bits() & mask);
            Some(format!("{network}/{length}"))
        }
        IpAddr::V6(address) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            let network = std::net::Ipv6Addr::from_bits(address.to_bits() & mask);
            Some(format!("{network}/{length}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn two_spellings_of_a_block_are_one_rule() {
        for (text, same) in [
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("192.0.2.7/32", Some("192.0.2.7/32")),
            ("2001:DB8:0:0::1/64", Some("2001:db8::/64")),
            ("::/0", Some("::/0")),
            ("10.0.0.1", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/-1", None),
            ("example.org/8", None),
            ("", None),
        ] {
            assert_eq!(normal(text).as_deref(), same, "{text}");
        }
    }
}
