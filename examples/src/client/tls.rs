//! The transport: `reqwest` on rustls and ring.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::error::{ClientError, chain};
use super::target::{Target, is_here};

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A transport for a target. The root certificates are read only where they are needed.
pub(super) fn transport(target: &Target) -> Result<reqwest::Client, ClientError> {
    let broken = |why: String| ClientError::Target { address: target.address().to_owned(), why };
    if target.is_exposed() {
        let why = "plain HTTP to another machine shows the token to whoever is on the way: use https, or allow it \
                   with --insecure";
        return Err(broken(why.to_owned()));
    }
    built(&target.url, target.ca_file.as_deref()).map_err(broken)
}

/// A transport to somebody who is shown no token of ours.
#[cfg(feature = "otlp")]
pub(crate) fn plain(address: &str) -> Result<reqwest::Client, String> {
    let url: reqwest::Url = address.parse().map_err(|_| "is no address".to_owned())?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err("must begin with http:// or https://".to_owned());
    }
    built(&url, None)
}

/// Why no TLS was spoken, in words that say what to do about it; `None` when something else went wrong.
pub(super) fn untrusted(error: &reqwest::Error, target: &Target) -> Option<String> {
    let host = target.url.host_str().unwrap_or_default();
    let wrong = match of_tls(error)? {
        rustls::Error::InvalidCertificate(wrong) => wrong,
        rustls::Error::InvalidMessage(_) => {
            return Some("whatever answers there speaks no TLS: is it http://?".to_owned());
        }
        _ => return None,
    };
    Some(match wrong {
        // Bad: two authorities of one name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => match &target.ca_file {
            None => "its certificate is signed by nobody whom this machine trusts: if it is the right server, name the \
                     certificate of its authority with --ca-file or INFRA_CA_FILE"
                .to_owned(),
            Some(file) => format!(
                "its certificate is signed neither by {} nor by anybody whom this machine trusts: that is another \
                 authority's file, or another server",
                file.display()
            ),
        },
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "its certificate is not for {host} but for {}: use a name that it is for, or this is another server",
            named(presented)
        ),
        CertificateError::NotValidForName => {
            format!("its certificate is not for {host}: use a name that it is for, or this is another server")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: whoever runs the server must renew it".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: is the clock of this machine right?".to_owned()
        }
        other => format!("its certificate cannot be trusted: {other}"),
    })
}

/// The names of a certificate as rustls shows them: `DnsName("localhost")`, `IpAddress(127.0.0.1)`.
fn named(presented: &[String]) -> String {
    let bare = |name: &String| match name.split_once('(') {
        Some((_, name)) => name.trim_end_matches(')').trim_matches('"').to_owned(),
        None => name.clone(),
    };
    if presented.is_empty() {
        "no name at all".to_owned()
    } else {
        presented.iter().map(bare).collect::<Vec<_>>().join(", ")
    }
}

/// What rustls said, however many have wrapped it. An I/O error hides what it holds from its causes.
fn of_tls<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(said) = error.downcast_ref::<rustls::Error>() {
            return Some(said);
        }
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match held {
            Some(held) => Some(held as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

fn built(url: &reqwest::Url, ca_file: Option<&Path>) -> Result<reqwest::Client, String> {
    let mut roots = RootCertStore::empty();
    if url.scheme() == "https" {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = ca_file {
            add(&mut roots, file).map_err(|why| format!("{}: {why}", file.display()))?;
        }
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| chain(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_WITHIN)
        .user_agent(concat!("infra/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .retry(reqwest::retry::never());
    // A proxy of the environment is for the world outside, not for this machine.
    let builder = if is_here(url) { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| chain(&error))
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let found = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let before = roots.len();
    for certificate in found {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.len() == before { Err("holds no certificate".to_owned()) } else { Ok(()) }
}
