//! The laws of the provider on the real client over the fake, and on one provider per law that breaks it.

use std::sync::Arc;
use std::time::Duration;

use infra_core::nouns::request::Arch;
use infra_core::testing::laws::provider::{Subject, broken, laws};
use infra_core::testing::laws::{run, run_mutants};
use infra_core::words::ids::{InstallationId, ResourceId};
use infra_core::{Clock, CloudDriver};
use infra_providers::openstack::OpenStackFake;
use infra_providers::sim::SimConfig;

use crate::cloud::{Cloud, machine, password};

async fn fresh(seed: u64) -> Subject {
    let cloud = Cloud::new(SimConfig { page: 2, ..OpenStackFake::config(seed) });
    let strangers = InstallationId::draw(cloud.clock.wall(), cloud.entropy.as_ref());
    let provider = cloud.provider("sim-laws").await;
    let catalogue = provider.catalogue().await.expect("has a catalogue");
    let mut machine = machine();
    machine.image = catalogue.newest_image("ubuntu 24.04", Arch::X86_64).expect("there is one").id.clone();
    let offering = catalogue.offerings.iter().find(|one| one.type_name == machine.type_name);
    let zones = offering.expect("is offered").zones.clone();
    let stranger = cloud.driver.connect(&password("sim-laws"), &cloud.lane, strangers).await;
    Subject {
        provider,
        stranger: stranger.expect("connects"),
        wrong_key: Some(cloud.provider("bad-key").await),
        lane: cloud.lane.clone(),
        installation: cloud.installation,
        clock: cloud.clock.clone(),
        entropy: Arc::clone(&cloud.entropy) as _,
        machine,
        zones,
        unknown_id: ResourceId::new("5b0f6d0e-0000-4000-8000-000000000000").expect("a literal name"),
        settles_within: Duration::from_secs(60),
        poll: Duration::from_millis(250),
    }
}

/// Laws about tokens, which OpenStack does not have, and about ended things, which it does not show.
const NOT_HERE: [&str; 5] = [
    "same_token_and_body_answers_the_same_things",
    "same_token_other_body_is_unknown_never_terminal",
    "same_token_in_another_zone_is_another_machine",
    "ended_token_says_so",
    "ended_is_seen_before_it_vanishes",
];

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the report is what this test is run for")]
async fn openstack_breaks_a_law_or_a_law_proves_nothing() {
    for seed in 0..3 {
        let fresh = async || fresh(seed).await;
        let mut report = run("provider", "openstack", "fake", &laws(), &fresh).await;
        let skipped: Vec<&str> = report.skipped.iter().map(|(law, _)| *law).collect();
        assert_eq!(skipped, NOT_HERE);
        let mut checked = laws();
        checked.retain(|law| !NOT_HERE.contains(&law.name));
        run_mutants(&mut report, &checked, async |law| Some(broken(law, &fresh().await))).await;
        println!("{report}");
        assert!(report.is_kept(), "{report:#?}");
    }
}
