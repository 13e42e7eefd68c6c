//! The laws of the provider on the real control plane. That each of them can fail is shown on the fake, by the same
//! client: here it would take as long again.

use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::provider::CloudDriver;
use infra_core::testing::laws::provider::{Subject, laws};
use infra_core::testing::laws::run;
use infra_core::words::ids::ResourceId;
use infra_core::{SystemClock, SystemEntropy};

use crate::cloud::{Cloud, Hand, draw, password};

/// A lane in which nothing is ours: every subject is a new installation.
async fn fresh(cloud: &Cloud, hand: &Hand) -> Subject {
    hand.sweep().await;
    let ours = draw();
    let connect = async |secret: &str, installation| {
        let connected = cloud.driver.connect(&password("laws", secret), &cloud.lane, installation).await;
        connected.expect("a key of the right form")
    };
    Subject {
        provider: connect("secret", ours).await,
        stranger: connect("secret", draw()).await,
        wrong_key: Some(connect("another-secret", ours).await),
        lane: cloud.lane.clone(),
        installation: ours,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        machine: cloud.body(),
        zones: vec!["nova".parse().expect("a literal name")],
        unknown_id: ResourceId::new("5b0f6d0e-0000-4000-8000-000000000000").expect("a legal name"),
        settles_within: Duration::from_secs(12),
        poll: Duration::from_millis(200),
    }
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the report is what this test is run for")]
async fn openstack_never_breaks_a_law() {
    let Some(cloud) = Cloud::of("laws").await else { return };
    let hand = Hand::of("laws").await;
    let fresh = async || fresh(&cloud, &hand).await;
    let report = run("provider", "openstack", "nova-34", &laws(), &fresh).await;
    println!("{report}");
    assert!(report.is_kept(), "{report:#?}");
    let skipped: Vec<&str> = report.skipped.iter().map(|(law, _)| *law).collect();
    assert_eq!(
        skipped,
        [
            "same_token_and_body_answers_the_same_things",
            "same_token_other_body_is_unknown_never_terminal",
            "same_token_in_another_zone_is_another_machine",
            "ended_token_says_so",
            "ended_is_seen_before_it_vanishes",
        ]
    );
}
