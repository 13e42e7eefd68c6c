//! What the tests of the sim share.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra_core::nouns::credential::Credential;
use infra_core::nouns::launch::MachineBody;
use infra_core::nouns::request::{Arch, Market};
use infra_core::testing::SeededEntropy;
use infra_core::testing::laws::provider::{Subject, broken, laws};
use infra_core::testing::laws::{LawReport, run, run_mutants};
use infra_core::words::ids::{AccountId, InstallationId, Region, ResourceId, TypeName};
use infra_core::words::lane::Lane;
use infra_core::words::secret::Secret;
use infra_core::{Clock, CloudDriver};

pub(crate) fn key(token: &str) -> Credential {
    let fields = BTreeMap::from([("token".to_owned(), Secret::new(token.to_owned()))]);
    Credential { provider: "sim".parse().expect("a legal name"), kind: "static".to_owned(), fields }
}

/// A fresh world seen through a driver, in one region.
pub(crate) async fn subject(
    driver: &dyn CloudDriver,
    clock: Arc<dyn Clock>,
    region: &str,
    type_name: &str,
) -> Subject {
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
            options: Default::default(),
            files: None,
            spot_max: None,
        },
        zones: offering.zones.clone(),
        unknown_id: ResourceId::new("i-0123456789abcdef0").expect("a legal name"),
        settles_within: Duration::from_secs(60),
        poll: Duration::from_millis(250),
    }
}

/// Laws that skip themselves here are the other mode's; a mutant of theirs proves nothing here.
pub(crate) async fn report(name: &str, fresh: impl AsyncFn() -> Subject) -> LawReport {
    let mut report = run("provider", name, "none", &laws(), &fresh).await;
    let skipped: Vec<&str> = report.skipped.iter().map(|(law, _)| *law).collect();
    let mut checked = laws();
    checked.retain(|law| !skipped.contains(&law.name));
    run_mutants(&mut report, &checked, async |law| Some(broken(law, &fresh().await))).await;
    report
}

#[allow(clippy::print_stdout, reason = "the report is what this test is run for")]
pub(crate) fn print(report: &LawReport, skipped: &[&str]) {
    println!("{report}");
    assert!(report.is_kept(), "{report:#?}");
    let skips: Vec<&str> = report.skipped.iter().map(|(law, _)| *law).collect();
    assert_eq!(skips, skipped);
}
