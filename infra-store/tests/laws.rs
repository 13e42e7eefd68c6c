//! The laws of the store, on every store of this crate, and on one store per law that breaks it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use infra_core::ReservationStore;
use infra_core::testing::laws::store::{Subject, broken, laws};
use infra_core::testing::laws::{LawReport, run, run_mutants};
use infra_store::MemoryStore;

#[allow(clippy::print_stdout, reason = "the report is what this test is run for")]
fn print(report: &LawReport) {
    println!("{report}");
    assert!(report.is_kept(), "{report:#?}");
    assert!(report.skipped.is_empty(), "nothing is missing here that a law could need: {:?}", report.skipped);
    assert!(report.passed.len() >= 20, "only {} laws", report.passed.len());
}

fn memory() -> Subject {
    Arc::new(MemoryStore::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_breaks_a_law_or_a_law_proves_nothing() {
    let mut report = run("store", "memory", "none", &laws(), async || memory()).await;
    run_mutants(&mut report, &laws(), async |law| Some(broken(law, memory()))).await;
    print(&report);
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_breaks_a_law_or_a_law_proves_nothing() {
    use infra_store::SqliteStore;

    /// A folder that is gone after the test, with a folder per store in it.
    struct Folder(PathBuf, AtomicUsize);

    impl Folder {
        fn store(&self) -> Arc<dyn ReservationStore> {
            let path = self.0.join(self.1.fetch_add(1, Ordering::Relaxed).to_string());
            Arc::new(SqliteStore::open(path).expect("opens"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _best_effort = std::fs::remove_dir_all(&self.0);
        }
    }

    let path = std::env::temp_dir().join(format!("infra-store-laws-{}", std::process::id()));
    let folder = Folder(path, AtomicUsize::new(0));
    let mut report = run("store", "sqlite", "file", &laws(), async || folder.store()).await;
    run_mutants(&mut report, &laws(), async |law| Some(broken(law, folder.store()))).await;
    print(&report);
}
