//! What stands between client and fake: the socket, the validating proxy, and defects on purpose.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use infra_providers::digitalocean::fake::{DigitalOceanFake, router};
use infra_providers::http::client::Client;
use infra_providers::http::{HttpRequest, HttpResponse, Transport, TransportError};
use tokio::net::TcpListener;

/// The proxy, and where it expects the API that it stands before.
#[derive(Debug)]
pub(crate) struct Counterpart {
    proxy: String,
    listener: TcpListener,
}

impl Counterpart {
    /// Says loudly that there is none; panics in the stage on CI.
    #[allow(clippy::print_stderr, reason = "nobody may take a skipped test for a passed one")]
    pub(crate) async fn found() -> Option<Self> {
        let found = |name: &str| std::env::var(name).ok();
        let (Some(proxy), Some(port)) = (found("INFRA_TEST_DO_PROXY"), found("INFRA_TEST_DO_PORT")) else {
            let is = |name: &str, value: &str| found(name).as_deref() == Some(value);
            assert!(
                !(is("CI", "true") && is("INFRA_STAGE", "digitalocean")),
                "INFRA_TEST_DO_PROXY is not set, and CI skips nothing"
            );
            eprintln!(
                "SKIPPED, because INFRA_TEST_DO_PROXY is not set: run scripts/test --only digitalocean"
            );
            return None;
        };
        let listener =
            TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("the stage left the port free");
        Some(Self { proxy, listener })
    }
}

type Bend = Box<dyn Fn(&mut serde_json::Value) + Send>;

/// The way from the client to the fake.
pub(crate) struct Between {
    client: Client,
    proxy: String,
    straight: String,
    served: Arc<Served>,
    bend: Mutex<Option<Bend>>,
    through: AtomicU64,
    past: AtomicU64,
    refused: AtomicU64,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[by way of {}]", self.proxy)
    }
}

impl Between {
    pub(crate) fn new(counterpart: Counterpart) -> Self {
        let Counterpart { proxy, listener } = counterpart;
        let served = Arc::new(Served::default());
        let straight = format!("http://{}", listener.local_addr().expect("is bound"));
        let router = router(served.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = Client::new().expect("TLS can be set up");
        let (through, past, refused) = Default::default();
        Self { client, proxy, straight, served, bend: Mutex::default(), through, past, refused }
    }

    /// From now on this is the cloud.
    pub(crate) async fn serve(&self, fake: DigitalOceanFake) {
        *self.served.fake.lock().await = Some(fake);
    }

    /// Calls through the schema and past it.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.through.load(Ordering::Relaxed), self.past.load(Ordering::Relaxed))
    }

    /// What the proxy refused in its own words.
    pub(crate) fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Bodies of requests are bent on their way.
    pub(crate) fn bend_requests(&self, how: impl Fn(&mut serde_json::Value) + Send + 'static) {
        *self.bend.lock().expect("no panic") = Some(Box::new(how));
    }

    /// Droplets in answers lose this field; requests are left alone.
    pub(crate) fn bend_answers(&self, field: &str) {
        self.straight();
        *self.served.without.lock().expect("no panic") = Some(field.to_owned());
    }

    /// Nothing is bent.
    pub(crate) fn straight(&self) {
        *self.bend.lock().expect("no panic") = None;
        *self.served.without.lock().expect("no panic") = None;
    }
}

#[async_trait]
impl Transport for Between {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let path = request.url.strip_prefix("https://api.digitalocean.com").expect("its own base").to_owned();
        let in_schema = !path.starts_with("/v2/firewalls");
        let (base, count) =
            if in_schema { (&self.proxy, &self.through) } else { (&self.straight, &self.past) };
        count.fetch_add(1, Ordering::Relaxed);
        request.url = format!("{base}{path}");
        if let (Some(bend), Some(body)) = (&*self.bend.lock().expect("no panic"), &mut request.body) {
            let mut json = serde_json::from_slice(body).expect("JSON");
            bend(&mut json);
            *body = json.to_string().into_bytes();
        }
        let answer = self.client.call(request).await?;
        if answer.header("content-type").is_some_and(|kind| kind.starts_with("application/problem+json")) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            if self.bend.lock().expect("no panic").is_none()
                && self.served.without.lock().expect("no panic").is_none()
            {
                panic!("{path} does not fit the schema: {}", String::from_utf8_lossy(&answer.body));
            }
        }
        Ok(answer)
    }
}

/// The fake of the day.
#[derive(Debug, Default)]
struct Served {
    fake: tokio::sync::Mutex<Option<DigitalOceanFake>>,
    without: Mutex<Option<String>>,
}

#[async_trait]
impl Transport for Served {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let mut answer = self.fake.lock().await.as_ref().expect("a fake is served").call(request).await?;
        let without = self.without.lock().expect("no panic").clone();
        if let Some(field) = without {
            let mut json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
            if let Some(droplet) = json["droplet"].as_object_mut() {
                droplet.remove(&field);
            }
            answer.body = json.to_string().into_bytes();
        }
        Ok(answer)
    }
}
