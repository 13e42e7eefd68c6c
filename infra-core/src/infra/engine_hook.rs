//! Where the engine is hung in: started by the builder, stopped by [`super::Infra::shutdown`].
//!
//! # Flow
//! One task runs the engine's own loop, another ranks again what the engine found no offer for; both end when told to. Front doors never call into it: they commit what
//! is wished, and the engine reads that from the change feed, as a replica on another machine does.
//!
//! # Guarantees
//! * Whoever has waited for [`Running::stop`] knows that nothing is sent any more, also when several wait.
//! * A process without an engine answers questions and takes wishes all the same; another replica acts upon them.
//!
//! # Assumptions
//! A tokio runtime is there when an engine is wanted; without one starting panics, as `tokio::spawn` does.
//!
//! # Caveats
//! Dropping it stops nothing at once: the loop sees that its sender is gone with its next turn. A call to a cloud that
//! is under way then is finished by its own time-out; should the process end before, it is Unknown and looked up later.

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::core::Core;
use super::refill;
use crate::engine::{Engine, EngineParts};

/// A running engine, or none.
#[derive(Debug)]
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Running {
    /// Tells every task to stop and waits for them.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        // The lock is held while waiting, so that a second caller returns no earlier than the first.
        let mut tasks = self.tasks.lock().await;
        while let Some(task) = tasks.last_mut() {
            // A task that panicked has stopped as well; its panic was reported by the runtime.
            let _ = task.await;
            tasks.pop();
        }
    }
}

/// Starts the engine's tasks, or none when the builder was told so.
pub(crate) fn start_engine(core: &Arc<Core>, wanted: bool) -> Running {
    let (stop, stopping) = watch::channel(false);
    let mut tasks = Vec::new();
    if wanted {
        let (refill, asked) = refill::channel();
        let engine = Arc::new(Engine::new(EngineParts {
            repo: core.repo.clone(),
            connections: Arc::new(core.connections.clone()),
            clock: Arc::clone(&core.clock),
            entropy: Arc::clone(&core.entropy),
            limits: Arc::new(core.limits.clone()),
            master: core.master.clone(),
            home: core.home.clone(),
            opened_at: core.opened_at,
            refill: Some(refill),
            planted: core.planted,
        }));
        core.pulse.started();
        tasks.push(tokio::spawn(engine.run(stopping.clone())));
        tasks.push(tokio::spawn(refill::run(Arc::clone(core), asked, stopping)));
    }
    Running { stop, tasks: Mutex::new(tasks) }
}
