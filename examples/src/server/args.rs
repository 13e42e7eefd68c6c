//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::config::StoreUrl;

/// Leases cloud capacity over HTTP. Without any flag: the built-in simulator, data in ./infra-data.
///
/// A flag wins over its environment variable (INFRA_LISTEN, INFRA_DATA, ...), which wins over the file.
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "http-server", version)]
pub struct Args {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Certificate chain of the server, PEM; with --tls-key it speaks TLS
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Listen beyond this machine without TLS: whoever reads the network reads every token
    #[arg(long)]
    pub insecure: bool,
    /// Folder of everything that must survive [default: ./infra-data]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// TOML file with settings
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where records are kept: sqlite:FOLDER or memory: [default: sqlite in the data folder]
    #[arg(long, value_name = "URL")]
    pub store: Option<StoreUrl>,
    /// Address of a cloud's API: sim=http://127.0.0.1:9000; may stand several times
    #[arg(long, value_name = "NAME=URL", value_parser = cloud)]
    pub cloud: Vec<(String, String)>,
    /// Serve the simulator's control API (/sim/...) to the holder of the admin token
    #[arg(long)]
    pub sim_control: bool,
    /// Serve only simulated clouds, for other programs: the simulator, and DigitalOcean's API below /digitalocean
    #[arg(long)]
    pub sim_only: bool,
    /// Check the configuration, start nothing, and exit
    #[arg(long)]
    pub check_config: bool,
    /// Print the configuration in force as TOML, without secrets, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// Reads `name=url`.
pub(super) fn cloud(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, url)) if !name.is_empty() && !url.is_empty() => Ok((name.to_owned(), url.to_owned())),
        _ => Err("must be NAME=URL, like sim=http://127.0.0.1:9000".to_owned()),
    }
}
