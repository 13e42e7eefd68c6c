//! Serving until told to stop: bounded connections, bounded waits, and an end within a fixed time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use infra_core::words::clock::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::accepting::Accepting;
use super::http_settings::HttpSettings;
use super::tls::Tls;
use crate::http::Peer;

/// Requests in flight get this long to finish after a signal; with what follows it stays below 10 s.
const FINISH_WITHIN: Duration = Duration::from_secs(7);
/// Pause after a failed `accept`: it fails again at once when files are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Told once, heard by everybody who waits.
#[derive(Debug, Clone)]
pub struct Stop {
    told: watch::Receiver<bool>,
    /// Counts how often somebody asked to read files again; none where nobody can ask.
    again: Option<watch::Receiver<u64>>,
}

impl Stop {
    /// One that is told by SIGTERM and SIGINT, and asked to read files again by SIGHUP. Only a binary may take the
    /// process's signals.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn on_signals() -> std::io::Result<Self> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let mut hup = signal(SignalKind::hangup())?;
        let (tell, told) = watch::channel(false);
        let (ask, again) = watch::channel(0_u64);
        tokio::spawn(async move {
            let name = loop {
                tokio::select! {
                    _ = term.recv() => break "SIGTERM",
                    _ = int.recv() => break "SIGINT",
                    _ = hup.recv() => ask.send_modify(|asked| *asked += 1),
                }
            };
            tracing::info!(signal = name, "stopping");
            let _ = tell.send(true);
        });
        Ok(Self { told, again: Some(again) })
    }

    /// One that a test or another program tells by sending `true`.
    #[must_use]
    pub const fn new(told: watch::Receiver<bool>) -> Self {
        Self { told, again: None }
    }

    /// Waits until it is told. A lost sender counts as told.
    pub async fn told(&self) {
        let _ = self.told.clone().wait_for(|told| *told).await;
    }

    /// Hears who asks to read files again, also who asked before.
    pub(super) fn again(&self) -> Again {
        Again(self.again.clone())
    }
}

/// Hears who asks to read files again. What is asked while nobody waits is heard by the next who does.
#[derive(Debug)]
pub(super) struct Again(Option<watch::Receiver<u64>>);

impl Again {
    /// Waits until somebody asks; for ever where nobody can ask.
    pub(super) async fn asked(&mut self) {
        let Some(again) = &mut self.0 else { return std::future::pending().await };
        if again.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How connections are taken.
#[derive(Debug, Clone)]
pub struct Door {
    /// At once; more wait in the listener's queue.
    pub connections_max: usize,
    /// A connection must bring a whole request head within this time, also between two requests; a TLS handshake too.
    pub head_within: Duration,
    /// A reader must accept something of an answer within this time, or is cut.
    pub accept_within: Duration,
    /// Speaks TLS with this certificate.
    pub tls: Option<Arc<Tls>>,
}

impl Default for Door {
    fn default() -> Self {
        let http = HttpSettings::default();
        Self {
            connections_max: http.connections_max,
            head_within: http.head_within,
            accept_within: http.accept_within,
            tls: None,
        }
    }
}

/// Serves a router until `stop` is told; then lets requests finish for a few seconds, cuts the rest, returns.
pub async fn serve(listener: TcpListener, router: Router, door: Door, stop: Stop, clock: Arc<dyn Clock>) {
    let room = Arc::new(Semaphore::new(door.connections_max));
    let mut open = JoinSet::new();
    if let Some(tls) = &door.tls {
        open.spawn(Arc::clone(tls).watch(stop.clone(), Arc::clone(&clock)));
    }
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.told() => break,
            accepted = accept(&listener, &room, &*clock) => accepted,
        };
        let Some((stream, from, place)) = accepted else { continue };
        let (router, door, stop, clock) = (router.clone(), door.clone(), stop.clone(), Arc::clone(&clock));
        open.spawn(async move {
            connection(stream, from, router, door, stop, clock).await;
            drop(place);
        });
        while open.try_join_next().is_some() {}
    }
    drop(listener);
    let all = async { while open.join_next().await.is_some() {} };
    tokio::select! {
        () = all => {}
        () = clock.sleep(FINISH_WITHIN) => tracing::warn!("requests still in flight are cut"),
    }
    open.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    clock: &dyn Clock,
) -> Option<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
    match listener.accept().await {
        Ok((stream, from)) => Some((stream, from.ip(), place)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            clock.sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    from: IpAddr,
    router: Router,
    door: Door,
    stop: Stop,
    clock: Arc<dyn Clock>,
) {
    let _ = stream.set_nodelay(true);
    let stream = Accepting::new(stream, door.accept_within, Arc::clone(&clock));
    let Some(tls) = &door.tls else { return requests(stream, from, router, door.head_within, stop).await };
    let shaking = TlsAcceptor::from(tls.current()).accept(stream);
    let shaken = tokio::select! {
        shaken = shaking => shaken,
        () = stop.told() => return,
        () = clock.sleep(door.head_within) => return,
    };
    match shaken {
        Ok(stream) => requests(stream, from, router, door.head_within, stop).await,
        // Scanners, and clients that do not know the certificate, come all the time.
        Err(error) => tracing::debug!(%error, "no TLS came about"),
    }
}

async fn requests<S>(stream: S, from: IpAddr, router: Router, head_within: Duration, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_within);
    let router = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(from));
        request
    });
    let serving = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.told() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // Clients go away all the time; that is theirs to know.
        tracing::debug!(%error, "connection ended early");
    }
}
