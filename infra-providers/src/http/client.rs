//! The transport over real sockets: one `reqwest` client, shared by every cloud and every key.
//!
//! # Guarantees
//! * Retries and redirects are off, proxies of the environment are not used, nothing process-wide is installed: TLS
//!   is rustls on `ring` with the machine's root certificates (`SSL_CERT_FILE` names others), handed over here.
//! * Certainly not sent is only what failed while connecting, or could not be built.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{HttpRequest, HttpResponse, Method, Sent, Transport, TransportError};

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Longest answer that is read, bytes; a listing of 1,000 machines is about 4 MB.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The client. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
}

impl Client {
    /// Prepares the client, reading the machine's root certificates from disk. A machine without any can talk plain
    /// HTTP only: every other certificate is of an unknown issuer.
    ///
    /// # Errors
    /// [`TransportError`] when TLS cannot be set up on this machine.
    pub fn new() -> Result<Self, TransportError> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unsent(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(|error| unsent(&error))?;
        Ok(Self { http })
    }
}

fn unsent(error: &dyn std::error::Error) -> TransportError {
    TransportError { sent: Sent::No, why: chain(error) }
}

/// The causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// URLs stay out of it: their query may name what is nobody's business in a log.
fn lost(error: reqwest::Error) -> TransportError {
    let never_left = error.is_connect() || error.is_builder();
    TransportError { sent: if never_left { Sent::No } else { Sent::Maybe }, why: chain(&error.without_url()) }
}

const fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

#[async_trait]
impl Transport for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let mut call = self.http.request(method(request.method), &request.url).timeout(request.within);
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        if let Some(body) = request.body {
            call = call.body(body);
        }
        let mut answer = call.send().await.map_err(lost)?;
        let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = answer.headers().iter().map(header).collect();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(lost)? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                let why = format!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
                return Err(TransportError { sent: Sent::Maybe, why });
            }
            body.extend_from_slice(&part);
        }
        Ok(HttpResponse { status: answer.status().as_u16(), headers, body })
    }
}
