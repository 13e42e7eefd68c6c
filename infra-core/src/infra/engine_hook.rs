//! Where the engine is hung in: started by the builder, stopped by [`super::Infra::shutdown`].

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::core::Core;
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
        let engine = Arc::new(Engine::new(EngineParts {
            repo: core.repo.clone(),
            connections: Arc::new(core.connections.clone()),
            clock: Arc::clone(&core.clock),
            entropy: Arc::clone(&core.entropy),
            limits: Arc::new(core.limits.clone()),
            master: core.master.clone(),
            home: core.home.clone(),
            opened_at: core.opened_at,
            planted: core.planted,
        }));
        core.pulse.started();
        tasks.push(tokio::spawn(engine.run(stopping)));
    }
    Running { stop, tasks: Mutex::new(tasks) }
}
