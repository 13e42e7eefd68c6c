//! What the person who started the server needs to know first. Never a secret, only where secrets are.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::config::Settings;
use super::master_key::Origin;

/// What is said once the server listens.
#[derive(Debug, Clone)]
pub struct Banner {
    pub(super) address: SocketAddr,
    pub(super) data: PathBuf,
    pub(super) settings: Settings,
    pub(super) admin_token: Option<PathBuf>,
    pub(super) master_key: Option<Origin>,
    /// What has become of replacing the master key, when an older one was given.
    pub(super) old_key: Option<String>,
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        let what = match (settings.sim_only, settings.simulated()) {
            (true, _) => "simulated: serves only the simulator",
            (false, true) => "simulated: no real cloud is touched, nothing costs money",
            (false, false) => "REAL clouds: what is reserved here costs money",
        };
        writeln!(f, "infra http-server {} ({what})", env!("CARGO_PKG_VERSION"))?;
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        writeln!(f, "  address      {scheme}://{}", self.address)?;
        if settings.tls.is_none() && !self.address.ip().to_canonical().is_loopback() {
            writeln!(f, "  INSECURE     without TLS whoever reads the network reads every token and key")?;
        }
        writeln!(f, "  data folder  {}", self.data.display())?;
        if !settings.sim_only {
            writeln!(f, "  store        {}", settings.store)?;
            for (name, cloud) in &settings.clouds {
                let place = cloud.endpoint.as_deref().unwrap_or("at its default endpoint");
                let place = if name == super::config::SIM && cloud.endpoint.is_none() {
                    "in this process"
                } else {
                    place
                };
                writeln!(f, "  cloud        {name} {place}")?;
            }
        }
        match &self.admin_token {
            Some(path) => writeln!(f, "  admin token  in {}", path.display())?,
            None => writeln!(f, "  admin token  as in INFRA_ADMIN_TOKEN")?,
        }
        match &self.master_key {
            Some(Origin::Environment) => writeln!(f, "  master key   as in INFRA_MASTER_KEY")?,
            Some(Origin::File(path)) => writeln!(f, "  master key   in {}", path.display())?,
            Some(Origin::Made(path)) => {
                writeln!(f, "  master key   made in {}: keep a copy, apart from the data", path.display())?;
            }
            None => {}
        }
        if let Some(what) = &self.old_key {
            writeln!(f, "  old key      {what}")?;
        }
        if settings.sim_only {
            let at = super::parts::DIGITALOCEAN;
            writeln!(f, "  DigitalOcean simulated: http://{}{at}, any token sim-NAME", self.address)?;
            writeln!(f, "  sim control  /sim/... and {at}/sim/... with the admin token")?;
        } else if settings.sim_control {
            writeln!(f, "  sim control  /sim/... with the admin token")?;
        }
        writeln!(f, "  ready        stop it with Ctrl-C")
    }
}
