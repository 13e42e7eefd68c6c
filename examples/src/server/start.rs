//! From settings to a server that listens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use infra_core::contracts::store::StoreError;
use infra_core::infra::{Infra, InfraError};
use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::entropy::{Entropy, SystemEntropy};
use infra_core::words::secret::Secret;
use tokio::net::TcpListener;

use super::banner::Banner;
use super::config::{Settings, TOKEN_LEN_MIN};
use super::data_dir::DataDir;
use super::error::StartError;
use super::shutdown::{Door, Stop, serve};
use super::tls::Tls;
use super::{logging, master_key, parts, pricing, sealing};
use crate::http::{HttpOptions, Metrics, admin_only, router};

/// The engine gets this long to stop, after the requests had their time.
const ENGINE_WITHIN: Duration = Duration::from_millis(2_500);

/// A server that listens and does not yet answer.
#[derive(Debug)]
pub struct Server {
    banner: Banner,
    listener: TcpListener,
    router: Router,
    door: Door,
    work: Option<(Infra, parts::Store)>,
    // Held until the end: the lock on the data folder.
    _data: DataDir,
}

/// Checks everything that can be checked without changing anything. Answers what is worth a word, a line each.
///
/// # Errors
/// [`StartError::Config`].
pub fn check(settings: &Settings) -> Result<Vec<String>, StartError> {
    logging::filter(settings)?;
    #[cfg(feature = "otlp")]
    settings.otlp.as_deref().map(super::otlp::check).transpose()?;
    if let Some(files) = &settings.tls {
        Tls::open(files)?;
    }
    if !settings.sim_only {
        master_key::check(settings)?;
    }
    let book = settings.pricing.book(Arc::new(SystemClock), Arc::new(SystemEntropy));
    pricing::files(settings, &book)
}

/// Takes the data folder and the address, opens store and clouds, starts the engine.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub async fn start(settings: Settings, stop: Stop) -> Result<Server, StartError> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let door = door(&settings)?;
    let data = DataDir::open(&settings.data)?;
    let (listener, address) = bind(&settings).await?;
    let (token, token_path) = admin_token(&settings, &data, &*entropy)?;
    let sim = parts::Sim::open(&settings, &data).await?;
    let clock = sim.clock();
    let mut options = options(&settings, &token);
    options.stop = Some(stop);
    let mut banner = Banner {
        address,
        data: data.path().to_owned(),
        settings: settings.clone(),
        admin_token: token_path,
        master_key: None,
        old_key: None,
    };
    if settings.sim_only {
        let (control, api) = parts::digitalocean(&data)?;
        let control = control.merge(sim.control().unwrap_or_default());
        let router = admin_only(control, api.merge(sim.api().unwrap_or_default()), options);
        return Ok(Server { banner, listener, router, door, work: None, _data: data });
    }
    options.sim_control = sim.control().filter(|_| settings.sim_control);
    let new = parts::store_is_new(&settings.store);
    let (master, origin) = master_key::find(&settings, data.path(), new, &*entropy)?;
    banner.master_key = Some(origin);
    let store = parts::Store::open(&settings.store)?;
    sealing::admit(&*store.records(), &master, &*entropy).await?;
    let prices = Arc::new(settings.pricing.book(Arc::clone(&clock), Arc::clone(&entropy)));
    let metrics = Arc::new(Metrics::new(Arc::clone(&clock)).with_prices(Arc::clone(&prices)));
    options.prices = Some(Arc::clone(&prices));
    options.metrics = Some(Arc::clone(&metrics));
    options.metrics_open = settings.metrics_open;
    if let Some(token) = &settings.metrics_token {
        options = options.with_metrics_token(token);
    }
    let mut builder = Infra::builder()
        .with_store(store.records())
        .with_pricing(parts::pricing())
        .with_clock(Arc::clone(&clock))
        .with_entropy(Arc::clone(&entropy))
        .with_limits(settings.limits.clone())
        .with_master_key(master.clone())
        .with_home(settings.home.clone().unwrap_or_else(|| store.location()))
        .with_observer(Arc::<Metrics>::clone(&metrics));
    for driver in parts::drivers(&settings, &sim, &prices)? {
        builder = builder.with_driver(driver);
    }
    let infra = builder.build().await.map_err(not_built)?;
    banner.old_key = sealing::settle(&store, &infra, &master, &*entropy).await?;
    let router = router(infra.clone(), options);
    Ok(Server { banner, listener, router, door, work: Some((infra, store)), _data: data })
}

async fn bind(settings: &Settings) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|error| StartError::Config(format!("cannot listen on {}: {error}", settings.listen)))?;
    let address = listener
        .local_addr()
        .map_err(|error| StartError::Broken(format!("the listener has no address: {error}")))?;
    Ok((listener, address))
}

fn door(settings: &Settings) -> Result<Door, StartError> {
    Ok(Door {
        connections_max: settings.http.connections_max,
        head_within: settings.http.head_within,
        accept_within: settings.http.accept_within,
        tls: settings.tls.as_ref().map(Tls::open).transpose()?.map(Arc::new),
    })
}

fn options(settings: &Settings, admin: &Secret) -> HttpOptions {
    let http = &settings.http;
    let mut options = HttpOptions::new(admin);
    options.body_bytes_max = http.body_bytes_max;
    options.body_within = http.body_within;
    options.in_flight_max = http.in_flight_max;
    options.waits_max = http.waits_max;
    options.wait_max = http.wait_max;
    options.stream_for = http.stream_for;
    options.answer_within = http.answer_within;
    if settings.sim_only {
        // Its callers are other servers, which bring no token and ask as often as they must.
        return options;
    }
    options.token_in_flight_max = http.token_in_flight_max;
    options.token_waits_max = http.token_waits_max;
    options.rates.token = http.token_rate;
    options.rates.address = http.address_rate;
    options.rates.admin = http.admin_rate;
    options.rates.callers_max = http.callers_max;
    options.proxies = http.proxies.clone();
    options
}

impl Server {
    /// What to tell the person who started it.
    #[must_use]
    pub const fn banner(&self) -> &Banner {
        &self.banner
    }

    /// Serves until told to stop, then ends everything: below 10 s after the word.
    pub async fn run(self, stop: Stop) {
        let waiting: Arc<dyn Clock> = Arc::new(SystemClock);
        serve(self.listener, self.router, self.door, stop, Arc::clone(&waiting)).await;
        let Some((infra, store)) = self.work else { return };
        let ending = async {
            infra.shutdown().await;
            store.close().await;
        };
        tokio::select! {
            () = ending => tracing::info!("stopped"),
            () = waiting.sleep(ENGINE_WITHIN) => tracing::warn!("the engine is cut; the next start goes on"),
        }
    }
}

fn admin_token(
    settings: &Settings,
    data: &DataDir,
    entropy: &dyn Entropy,
) -> Result<(Secret, Option<std::path::PathBuf>), StartError> {
    match &settings.admin_token {
        Some(token) => {
            if token.expose().len() < TOKEN_LEN_MIN {
                // Behind a proxy this address is public, too, and nothing here can see that.
                let shortest = TOKEN_LEN_MIN;
                tracing::warn!(
                    shortest,
                    "INFRA_ADMIN_TOKEN is short: who reaches this address may guess at it"
                );
            }
            Ok((token.clone(), None))
        }
        None => Ok((data.admin_token(entropy)?, Some(data.admin_token_path()))),
    }
}

pub(super) fn store_failed(error: &StoreError) -> StartError {
    match error {
        StoreError::InUse { .. } => StartError::InUse(error.to_string()),
        _ => StartError::Config(format!("store: {error}")),
    }
}

fn not_built(error: InfraError) -> StartError {
    match error {
        InfraError::Misconfigured { .. } => StartError::Config(error.to_string()),
        other => StartError::Broken(other.to_string()),
    }
}
