//! Serving until told to stop: bounded connections, bounded waits, and an end within a fixed time.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use infra_core::words::clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 1024;
/// A connection must bring a whole request head within this time, also between two requests.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Requests in flight get this long to finish after a signal; with what follows it stays below 10 s.
const FINISH_WITHIN: Duration = Duration::from_secs(7);
/// Pause after a failed `accept`: it fails again at once when files are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Told once, heard by everybody who waits.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// One that is told by SIGTERM and SIGINT. Only a binary may take the process's signals.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn on_signals() -> std::io::Result<Self> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let (tell, stop) = watch::channel(false);
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "stopping");
            let _ = tell.send(true);
        });
        Ok(Self(stop))
    }

    /// One that a test or another program tells by sending `true`.
    #[must_use]
    pub const fn new(told: watch::Receiver<bool>) -> Self {
        Self(told)
    }

    /// Waits until it is told. A lost sender counts as told.
    pub async fn told(&self) {
        let _ = self.0.clone().wait_for(|told| *told).await;
    }
}

/// Serves a router until `stop` is told; then lets requests finish for a few seconds, cuts the rest, returns.
pub async fn serve(listener: TcpListener, router: Router, stop: Stop, clock: Arc<dyn Clock>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.told() => break,
            accepted = accept(&listener, &room, &*clock) => accepted,
        };
        let (Some((stream, place)), router, stop) = (accepted, router.clone(), stop.clone()) else {
            continue;
        };
        open.spawn(async move {
            connection(stream, router, stop).await;
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
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            clock.sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, router: Router, stop: Stop) {
    let _ = stream.set_nodelay(true);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
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
