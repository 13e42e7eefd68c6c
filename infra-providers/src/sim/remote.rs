//! A sim that another process serves: the same driver and provider, with a socket in between.
//!
//! # Errors
//! A connection that was never made: nothing was done. Anything after that, a time-out included: nobody knows.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::provider::{ProviderError, TokenScope};
use infra_core::words::clock::Clock;
use infra_core::words::fault::Effect;
use infra_core::words::limits::Rate;

use super::config::SimConfig;
use super::driver::{About, SimDriver};
use super::wire::{Answer, Asked, Hello, Port, WireError, lost, said};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// Why a served sim could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteSimError {
    /// A sim is served over plain HTTP, on loopback.
    #[error("simulated cloud {url:?}: must start with http://")]
    NotHttp {
        /// What was given.
        url: String,
    },
    /// No answer, or not a sim's.
    #[error("simulated cloud {url}: does not answer")]
    NoAnswer {
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

/// Connects to served sims.
#[derive(Debug, Clone, Copy)]
pub struct RemoteSim;

impl RemoteSim {
    /// Asks a served sim what kind of cloud it is, and makes the driver for it. `url` is the server's root:
    /// `http://127.0.0.1:9090`. Deadlines are read from `clock`.
    ///
    /// # Errors
    /// [`RemoteSimError`].
    pub async fn open(url: &str, clock: Arc<dyn Clock>) -> Result<SimDriver, RemoteSimError> {
        if !url.starts_with("http://") {
            return Err(RemoteSimError::NotHttp { url: url.to_owned() });
        }
        let url = url.trim_end_matches('/').to_owned();
        let failed = |source| RemoteSimError::NoAnswer { url: url.clone(), source };
        let http = client().map_err(failed)?;
        let asked = http.get(format!("{url}/sim/api/about")).send().await.map_err(failed)?;
        let hello: Hello = asked.error_for_status().map_err(failed)?.json().await.map_err(failed)?;
        let about = about(hello);
        Ok(SimDriver { port: Arc::new(Wire { http, url }), clock, about })
    }
}

/// Without a process-wide TLS provider, and without certificates: it speaks plain HTTP only.
fn client() -> Result<reqwest::Client, reqwest::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_WITHIN)
        .timeout(CALL_WITHIN)
        .no_proxy()
        .retry(reqwest::retry::never())
        .build()
}

fn about(hello: Hello) -> About {
    let rate = |(per_second, burst)| Rate { per_second, burst };
    let config = SimConfig {
        token: match hello.token {
            None => TokenScope::None,
            Some((valid_after_end, per_zone)) => TokenScope::Token { valid_after_end, per_zone },
        },
        max_batch: hello.max_batch,
        visible_within: hello.visible_within,
        gone_shown_for: hello.gone_shown_for,
        create_rate: rate(hello.create_rate),
        terminate_rate: rate(hello.terminate_rate),
        open_creates_max: hello.open_creates_max,
        ..SimConfig::default()
    };
    About { cloud: hello.cloud, endpoint: hello.endpoint, regions: hello.regions, facts: config.facts() }
}

#[derive(Debug)]
struct Wire {
    http: reqwest::Client,
    url: String,
}

#[async_trait]
impl Port for Wire {
    async fn call(&self, asked: Asked) -> Result<Answer, ProviderError> {
        let url = format!("{}/sim/api/{}", self.url, asked.call.op());
        let response = self.http.post(url).json(&asked).send().await.map_err(|error| not_answered(&error))?;
        if !response.status().is_success() {
            return Err(lost("BadStatus", &format!("status {}", response.status())));
        }
        let body = response.bytes().await.map_err(|error| not_answered(&error))?;
        let answer: Result<Answer, WireError> = serde_json::from_slice(&body)
            .map_err(|error| ProviderError::Garbled { said: said("Garbled", error.to_string()) })?;
        answer.map_err(ProviderError::from)
    }
}

fn not_answered(error: &reqwest::Error) -> ProviderError {
    let never_left = error.is_connect() || error.is_builder();
    ProviderError::Unavailable {
        said: said("Transport", error.to_string()),
        effect: if never_left { Effect::NotApplied } else { Effect::Unknown },
        retry_after: None,
    }
}
