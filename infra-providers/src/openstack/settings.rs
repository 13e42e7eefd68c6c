//! What an operator sets about one OpenStack cloud. Data only; keys are tenants' and come with each connection.

use std::time::Duration;

use infra_core::nouns::request::Arch;
use infra_core::words::ids::{CloudName, Region};
use infra_core::words::lane::Endpoint;

use super::prices::PriceSheet;

/// Which of a service's addresses is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interface {
    /// For everybody.
    #[default]
    Public,
    /// Within the cloud.
    Internal,
    /// For its operators.
    Admin,
}

impl Interface {
    /// The catalogue's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }

    /// Reads `public` or the old `publicURL`, and so on.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.trim_end_matches("URL");
        [Self::Public, Self::Internal, Self::Admin].into_iter().find(|one| one.word() == word)
    }
}

/// How this installation uses one OpenStack cloud.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OpenStackSettings {
    /// The name users know it by.
    pub name: CloudName,
    /// Keystone's address, as `auth_url` names it: `https://keys.example:5000/v3`.
    pub endpoint: Endpoint,
    /// Regions in use.
    pub regions: Vec<Region>,
    /// Which addresses of the services are used, unless a `clouds.yaml` says otherwise.
    pub interface: Interface,
    /// The network of machines that name none: `auto`, `none` or a network's id.
    pub network: String,
    /// What flavors cost; without it their price is Unknown, and what has no price is never chosen.
    pub prices: Option<PriceSheet>,
    /// Architecture of flavors and images that do not say theirs.
    pub arch: Arch,
    /// A whole call; a create call is cut to its deadline, too.
    pub call_timeout: Duration,
    /// What was created shows everywhere at the latest after this.
    pub visible_within: Duration,
    /// Items asked for per page of a listing.
    pub page: u32,
    /// A machine that is off costs nothing here. Operators differ, and OpenStack itself has no word for it: its place on a
    /// host stays taken, so that without this all of it is charged.
    pub off_is_free: bool,
    /// Nothing behind the endpoint costs money: shown to users.
    pub simulated: bool,
    /// The token may be sent to addresses of the catalogue that are plain HTTP, though Keystone's own is not: Keystone
    /// behind TLS often lists its services without.
    pub insecure: bool,
}

impl OpenStackSettings {
    /// A cloud by its name, Keystone's address and regions; the rest as is usual.
    #[must_use]
    pub fn new(name: CloudName, auth_url: &str, regions: Vec<Region>) -> Self {
        Self {
            name,
            endpoint: Endpoint(auth_url.trim_end_matches('/').to_owned()),
            regions,
            interface: Interface::Public,
            network: "auto".to_owned(),
            prices: None,
            arch: Arch::X86_64,
            call_timeout: Duration::from_secs(30),
            visible_within: Duration::from_secs(60),
            page: 500,
            off_is_free: false,
            simulated: false,
            insecure: false,
        }
    }
}

/// An address of Keystone with its version, whether it was written with one or not.
pub(super) fn versioned(auth_url: &str) -> String {
    let plain = auth_url.trim_end_matches('/');
    if plain.ends_with("/v3") { plain.to_owned() } else { format!("{plain}/v3") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_keystone_is_the_same_with_and_without_its_version() {
        for written in ["http://k:5000", "http://k:5000/", "http://k:5000/v3", "http://k:5000/v3/"] {
            assert_eq!(versioned(written), "http://k:5000/v3", "{written}");
        }
        assert_eq!(Interface::from_word("internalURL"), Some(Interface::Internal));
        assert_eq!(Interface::from_word("sideways"), None);
    }
}
