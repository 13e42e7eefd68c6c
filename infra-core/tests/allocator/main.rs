//! The laws of allocators on the reference one, and on allocators broken in one point each.

mod mutants;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::testing::VirtualClock;
use infra_core::testing::laws::allocator::{Subject, devices, laws, pool, tenant};
use infra_core::testing::laws::{run, run_mutants};
use infra_core::testing::reference_allocator::ReferenceAllocator;
use infra_core::{Allocator, Clock};

/// Between a lease's end and its device's next grant.
const GRACE: Duration = Duration::from_secs(5);

fn reference(clock: Arc<dyn Clock>, grace: Duration) -> ReferenceAllocator {
    ReferenceAllocator::new(clock, grace, BTreeMap::from([((tenant(), pool()), devices())]))
}

fn subject(make: impl FnOnce(Arc<VirtualClock>) -> Arc<dyn Allocator>) -> Subject {
    let clock = Arc::new(VirtualClock::default());
    Subject { allocator: make(clock.clone()), clock, clean_after: GRACE }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_law_holds_and_catches_the_allocator_that_breaks_it() {
    let laws = laws();
    let right = async || subject(|clock| Arc::new(reference(clock, GRACE)));
    let mut report = run("Allocator", "ReferenceAllocator", "none", &laws, right).await;
    run_mutants(&mut report, &laws, async |law| mutants::broken(law)).await;
    println!("{report}");
    assert!(report.is_kept(), "failed: {:#?}\nsurvivors: {:?}", report.failed, report.survivors);
}
