//! What an operator sets about DigitalOcean. Data only; keys are tenants' and come with each connection.

use std::time::Duration;

use infra_core::words::ids::{CloudName, Region};
use infra_core::words::lane::Endpoint;

/// How this installation uses DigitalOcean.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DigitalOceanSettings {
    /// The name users know it by.
    pub name: CloudName,
    /// Where the API is, without `/v2`; empty for DigitalOcean's own address.
    pub endpoint: Endpoint,
    /// Regions in use.
    pub regions: Vec<Region>,
    /// A whole call; a create call is cut to its deadline, too.
    pub call_timeout: Duration,
    /// A droplet or firewall shows everywhere at the latest after this.
    pub visible_within: Duration,
    /// A snapshot shows only once it is whole, which takes minutes for each 10 GiB: given up after this.
    pub snapshot_within: Duration,
    /// Items per page of a listing: 1 to 200.
    pub page: u16,
    /// Nothing behind the endpoint costs money: shown to users.
    pub simulated: bool,
    /// Nobody counts requests there: it is looked at as often as any cloud. For fakes.
    pub unmetered: bool,
}

impl Default for DigitalOceanSettings {
    /// DigitalOcean itself, region `ams3`.
    fn default() -> Self {
        Self {
            name: CloudName::new("digitalocean").expect("a literal name"),
            endpoint: Endpoint::default(),
            regions: vec![Region::new("ams3").expect("a literal name")],
            call_timeout: Duration::from_secs(30),
            visible_within: Duration::from_secs(2 * 60),
            snapshot_within: Duration::from_secs(2 * 60 * 60),
            page: 200,
            simulated: false,
            unmetered: false,
        }
    }
}

impl DigitalOceanSettings {
    /// Where requests go.
    pub(super) fn base(&self) -> String {
        let endpoint = self.endpoint.0.trim_end_matches('/');
        if endpoint.is_empty() { "https://api.digitalocean.com".to_owned() } else { endpoint.to_owned() }
    }
}
