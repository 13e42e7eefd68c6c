//! The laws of the provider, on the sim in both token modes, and on one provider per law that breaks it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::MachineBody;
use infra_core::nouns::request::{Arch, Market};
use infra_core::testing::laws::provider::{Subject, broken, laws};
use infra_core::testing::laws::{LawReport, run, run_mutants};
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::ids::{AccountId, InstallationId, Region, ResourceId, TypeName};
use infra_core::words::lane::Lane;
use infra_core::words::secret::Secret;
use infra_core::{Clock, CloudDriver};
use infra_providers::sim::{SimConfig, SimDriver, SimWorld};

fn key(token: &str) -> Credential {
    let fields = BTreeMap::from([("token".to_owned(), Secret::new(token.to_owned()))]);
    Credential { provider: "sim".parse().expect("a legal name"), kind: "static".to_owned(), fields }
}

/// A fresh world seen through a driver, in one region.
async fn subject(driver: &dyn CloudDriver, clock: Arc<dyn Clock>, region: &str, type_name: &str) -> Subject {
    let lane = Lane {
        cloud: driver.name(),
        endpoint: driver.endpoint(),
        account: AccountId::new("laws").expect("a legal name"),
        region: Region::new(region).expect("a legal name"),
    };
    let entropy = Arc::new(SeededEntropy::new(1));
    let ours = InstallationId::draw(clock.wall(), entropy.as_ref());
    let theirs = InstallationId::draw(clock.wall(), entropy.as_ref());
    let connect = async |token: &str, installation| {
        driver.connect(&key(token), &lane, installation).await.expect("connects")
    };
    let provider = connect("sim-laws", ours).await;
    let catalogue = provider.catalogue().await.expect("has a catalogue");
    let type_name: TypeName = type_name.parse().expect("a legal name");
    let offering = catalogue.offerings.iter().find(|o| o.type_name == type_name).expect("is offered");
    let image = catalogue.newest_image("ubuntu 24.04", Arch::X86_64).expect("there is one").id.clone();
    Subject {
        stranger: connect("sim-laws", theirs).await,
        wrong_key: Some(connect("bad-key", ours).await),
        provider,
        lane: lane.clone(),
        installation: ours,
        clock,
        entropy,
        machine: MachineBody {
            type_name,
            image,
            disk_gib: 0,
            market: Market::OnDemand,
            user_data: None,
            ssh_public_keys: Vec::new(),
            firewall: None,
            key_pair: None,
            private_only: false,
        },
        zones: offering.zones.clone(),
        unknown_id: ResourceId::new("i-0123456789abcdef0").expect("a legal name"),
        settles_within: Duration::from_secs(60),
        poll: Duration::from_millis(250),
    }
}

async fn fresh(config: SimConfig, region: &str, type_name: &str) -> Subject {
    let clock = Arc::new(VirtualClock::default());
    let world = SimWorld::new(config, clock.clone());
    subject(&SimDriver::new(world), clock, region, type_name).await
}

/// Laws that skip themselves here are the other mode's; a mutant of theirs proves nothing here.
async fn report(name: &str, fresh: impl AsyncFn() -> Subject) -> LawReport {
    let mut report = run("provider", name, "none", &laws(), &fresh).await;
    let skipped: Vec<&str> = report.skipped.iter().map(|(law, _)| *law).collect();
    let mut checked = laws();
    checked.retain(|law| !skipped.contains(&law.name));
    run_mutants(&mut report, &checked, async |law| Some(broken(law, &fresh().await))).await;
    report
}

#[allow(clippy::print_stdout, reason = "the report is what this test is run for")]
fn print(report: &LawReport, skipped: &[&str]) {
    println!("{report}");
    assert!(report.is_kept(), "{report:#?}");
    let skips: Vec<&str> = report.skipped.iter().map(|(law, _)| *law).collect();
    assert_eq!(skips, skipped);
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
