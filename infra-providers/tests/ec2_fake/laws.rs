//! The laws of the provider, on the provider over the fake and on one provider per law that breaks it.

use std::sync::Arc;
use std::time::Duration;

use infra_core::testing::SeededEntropy;
use infra_core::testing::laws::provider::Subject;
use infra_core::words::ids::{InstallationId, ResourceId};
use infra_core::{Clock, CloudDriver};

use crate::bench::{Bench, key, lane, ours};
use crate::common::{print, report};

async fn fresh(seed: u64) -> Subject {
    let bench = Bench::with(seed, |_| ()).await;
    let theirs = InstallationId::draw(bench.clock.wall(), &SeededEntropy::new(99));
    let connect = async |credential, installation| {
        bench.driver.connect(&credential, &lane(), installation).await.expect("connects")
    };
    Subject {
        stranger: connect(ours(), theirs).await,
        wrong_key: Some(connect(key("bad-key"), bench.installation).await),
        provider: bench.provider,
        lane: lane(),
        installation: bench.installation,
        clock: bench.clock,
        entropy: Arc::new(SeededEntropy::new(1)),
        machine: bench.machine,
        zones: bench.zones,
        unknown_id: ResourceId::new("i-0123456789abcdef0").expect("a legal name"),
        settles_within: Duration::from_secs(60),
        poll: Duration::from_millis(250),
    }
}

#[tokio::test]
async fn the_provider_of_ec2_breaks_a_law_or_a_law_proves_nothing() {
    for seed in 0..5 {
        let report = report("aws-ec2", async || fresh(seed).await).await;
        print(&report, &["without_token_every_send_creates"]);
    }
}
