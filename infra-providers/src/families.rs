//! What the names of machine types say: their family, its generation, and whether processors are shared.
//!
//! # Caveats
//! Clouds say none of this in a field of its own, or not everywhere; their naming rules are what there is
//! (<https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html>,
//! <https://docs.digitalocean.com/products/droplets/concepts/choosing-a-plan/>). A name that follows no rule has no
//! generation, and is never called shared.

/// What the name of an EC2 type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ec2Kind<'n> {
    /// What stands before the size: `m5`, `u7i-12tb`.
    pub(crate) family: &'n str,
    /// The first number of the family; of high-memory types of the first kind the last, as the first is their memory.
    pub(crate) generation: Option<u32>,
    /// Is it of a `t` family, whose processors earn credits?
    pub(crate) burstable: bool,
}

/// Reads the name of an EC2 type: `m5.large` is of the fifth generation of `m`.
pub(crate) fn ec2(type_name: &str) -> Ec2Kind<'_> {
    let family = type_name.split('.').next().unwrap_or_default();
    let mut numbers = family.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let number = if family.starts_with("u-") { numbers.next_back() } else { numbers.next() };
    let letters = family.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
    let generation = number.and_then(|number| number.parse().ok());
    Ec2Kind { family, generation, burstable: letters == "t" }
}

/// The family of a droplet size: `s-2vcpu-4gb` is of `s`.
pub(crate) fn digitalocean(slug: &str) -> &str {
    slug.split('-').next().unwrap_or_default()
}

/// Does a droplet size share its processors with others? Those of the basic plan do; all others have their own.
pub(crate) fn digitalocean_is_shared(slug: &str) -> bool {
    digitalocean(slug) == "s"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_read_from_names_of_every_shape() {
        for (name, family, generation, burstable) in [
            ("m5.large", "m5", Some(5), false),
            ("t4g.nano", "t4g", Some(4), true),
            ("trn1n.32xlarge", "trn1n", Some(1), false),
            ("x2iedn.metal", "x2iedn", Some(2), false),
            ("u-6tb1.112xlarge", "u-6tb1", Some(1), false),
            ("u7i-12tb.224xlarge", "u7i-12tb", Some(7), false),
            ("mac2-m2.metal", "mac2-m2", Some(2), false),
            ("odd", "odd", None, false),
        ] {
            assert_eq!(ec2(name), Ec2Kind { family, generation, burstable }, "{name}");
        }
        assert_eq!(["s-1vcpu-1gb", "c2-4vcpu-8gb", "gpu-h100x8-640gb"].map(digitalocean), ["s", "c2", "gpu"]);
        assert_eq!(["s-1vcpu-1gb", "so-2vcpu-16gb"].map(digitalocean_is_shared), [true, false]);
    }
}
