//! The laws of the provider on the real control plane, and on one provider per law that breaks it.

use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::provider::CloudDriver;
use infra_core::testing::laws::provider::{Subject, broken, laws};
use infra_core::testing::laws::{run, run_mutants};
use infra_core::words::ids::ResourceId;
use infra_core::{SystemClock, SystemEntropy};

use crate::cloud::{Cloud, SETTLES, draw, password};

/// A lane in which nothing is ours: every subject is a new installation.
async fn fresh(cloud: &Cloud) -> Subject {
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
        settles_within: SETTLES,
        poll: Duration::from_millis(200),
    }
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the report is what this test is run for")]
async fn openstack_breaks_a_law_or_a_law_proves_nothing() {
    let Some(cloud) = Cloud::of("laws").await else { return };
    let fresh = async || fresh(&cloud).await;
    let mut report = run("provider", "openstack", "nova-34", &laws(), &fresh).await;
    let skipped: Vec<&str> = report.skipped.iter().map(|(law, _)| *law).collect();
    let mut checked = laws();
    checked.retain(|law| !skipped.contains(&law.name));
    run_mutants(&mut report, &checked, async |law| Some(broken(law, &fresh().await))).await;
    println!("{report}");
    assert!(report.is_kept(), "{report:#?}");
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
