//! The laws of the provider, on the real client and on one client per law that breaks it.

use std::sync::Arc;
use std::time::Duration;

use infra_core::testing::laws::provider::Subject;
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::ids::{InstallationId, ResourceId};
use infra_core::{Clock, CloudDriver};
use infra_providers::digitalocean::DigitalOceanDriver;
use infra_providers::digitalocean::fake::DigitalOceanFake;
use infra_providers::sim::SimWorld;

use crate::bench::{Bench, key, lane, settings};
use crate::common::{print, report};

async fn fresh(seed: u64) -> Subject {
    let clock = Arc::new(VirtualClock::default());
    let world = SimWorld::new(DigitalOceanFake::config(seed), clock.clone());
    let transport = Arc::new(DigitalOceanFake::new(world));
    let driver = DigitalOceanDriver::new(settings(2), transport, clock.clone());
    let entropy = Arc::new(SeededEntropy::new(1));
    let ours = InstallationId::draw(clock.wall(), entropy.as_ref());
    let theirs = InstallationId::draw(clock.wall(), entropy.as_ref());
    let connect = async |token: &str, installation| {
        driver.connect(&key(token), &lane("ams3"), installation).await.expect("connects")
    };
    Subject {
        provider: connect("sim-lab", ours).await,
        stranger: connect("sim-lab", theirs).await,
        wrong_key: Some(connect("bad-key", ours).await),
        lane: lane("ams3"),
        installation: ours,
        clock,
        entropy,
        machine: Bench::new().await.machine,
        zones: Vec::new(),
        unknown_id: ResourceId::new("987654321").expect("a legal name"),
        settles_within: Duration::from_secs(60),
        poll: Duration::from_millis(250),
    }
}

#[tokio::test]
async fn the_client_of_digitalocean_breaks_a_law_or_a_law_proves_nothing() {
    for seed in 0..3 {
        let report = report("digitalocean", async || fresh(seed).await).await;
        print(
            &report,
            &[
                "the_zone_named_is_the_zone_taken",
                "same_token_and_body_answers_the_same_things",
                "same_token_other_body_is_unknown_never_terminal",
                "same_token_in_another_zone_is_another_machine",
                "ended_token_says_so",
                "ended_is_seen_before_it_vanishes",
            ],
        );
    }
}
