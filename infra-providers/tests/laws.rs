//! The laws of the provider, on the sim in both token modes, and on one provider per law that breaks it.

mod common;

use std::sync::Arc;

use common::{print, report, subject};
use infra_core::testing::VirtualClock;
use infra_core::testing::laws::provider::Subject;
use infra_providers::sim::{SimConfig, SimDriver, SimWorld};

async fn fresh(config: SimConfig, region: &str, type_name: &str) -> Subject {
    let clock = Arc::new(VirtualClock::default());
    let world = SimWorld::new(config, clock.clone());
    subject(&SimDriver::new(world), clock, region, type_name).await
}

#[tokio::test]
async fn the_sim_with_tokens_breaks_a_law_or_a_law_proves_nothing() {
    for seed in 0..5 {
        let config = SimConfig { page: 2, ..SimConfig::small(seed) };
        let report = report("sim-token", async || fresh(config.clone(), "sim-east", "t3.small").await).await;
        print(&report, &["without_token_every_send_creates"]);
    }
}

#[tokio::test]
async fn the_sim_without_tokens_breaks_a_law_or_a_law_proves_nothing() {
    for seed in 0..5 {
        let config = SimConfig { page: 2, ..SimConfig::small(seed) }.without_token();
        let report =
            report("sim-tokenless", async || fresh(config.clone(), "sim-ams", "s-1vcpu-1gb").await).await;
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
