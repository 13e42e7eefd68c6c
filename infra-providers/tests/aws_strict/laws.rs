//! The laws of the provider, on EC2 as strict as it gets: signatures and policies checked, states that take time,
//! listings that lag.

use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::provider::{CloudDriver, CloudProvider};
use infra_core::nouns::launch::MachineBody;
use infra_core::nouns::request::Arch;
use infra_core::testing::laws::provider::{Subject, broken, laws};
use infra_core::testing::laws::{run, run_mutants};
use infra_core::words::ids::{InstallationId, ResourceId, Zone};
use infra_core::{Clock, SystemClock, SystemEntropy};

use crate::cloud::{CHECKING, body, counterpart, credential, driver, http, lane, settings};
use crate::keys::{Checked, user_with};

const REGION: &str = "us-east-1";

/// What all subjects share: the key, and what the (long) catalogue says about a small machine.
struct Common<'a> {
    endpoint: &'a str,
    user: &'a Checked,
    machine: MachineBody,
    zones: Vec<Zone>,
}

fn draw() -> InstallationId {
    InstallationId::draw(SystemClock.wall(), &SystemEntropy)
}

async fn connect(
    endpoint: &str,
    id: &str,
    secret: &str,
    installation: InstallationId,
) -> Arc<dyn CloudProvider> {
    let mut settings = settings(endpoint, REGION);
    // A little more than the emulator's lag.
    settings.visible_within = Duration::from_millis(300);
    let lane = lane(endpoint, REGION);
    driver(settings).connect(&credential(id, secret), &lane, installation).await.expect("connects")
}

async fn common<'a>(endpoint: &'a str, user: &'a Checked) -> Common<'a> {
    let provider = connect(endpoint, &user.id, &user.secret, draw()).await;
    let catalogue = provider.catalogue().await.expect("has a catalogue");
    let machine = MachineBody {
        image: catalogue.newest_image("ubuntu 16.04", Arch::X86_64).expect("there is one").id.clone(),
        ..body()
    };
    let offering = catalogue.offerings.iter().find(|one| one.type_name == machine.type_name);
    let zones = offering.expect("is offered").zones.iter().take(2).cloned().collect();
    Common { endpoint, user, machine, zones }
}

/// A lane of EC2 in which nothing is ours: every subject is a new installation.
async fn fresh(common: &Common<'_>) -> Subject {
    let Common { endpoint, user: Checked { id, secret, .. }, .. } = common;
    let ours = draw();
    Subject {
        provider: connect(endpoint, id, secret, ours).await,
        stranger: connect(endpoint, id, secret, draw()).await,
        wrong_key: Some(connect(endpoint, id, "another-secret", ours).await),
        lane: lane(endpoint, REGION),
        installation: ours,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        machine: common.machine.clone(),
        zones: common.zones.clone(),
        unknown_id: ResourceId::new("i-0123456789abcdef0").expect("a legal name"),
        settles_within: Duration::from_secs(4),
        poll: Duration::from_millis(50),
    }
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the report is what this test is run for")]
async fn ec2_breaks_a_law_or_a_law_proves_nothing() {
    let Some(endpoint) = counterpart("INFRA_TEST_EC2_ENDPOINT") else { return };
    let _alone = CHECKING.write().await;
    let strict =
        r#"{"STRICT_BOOT_S": 0.1, "STRICT_STOP_S": 0.1, "STRICT_LIST_LAG_S": 0.2, "STRICT_ID_LAG_S": 0.05}"#;
    http(&endpoint, "POST", "/moto-api/strict", &[("Content-Type", "application/json")], strict);
    let user = user_with(&endpoint, "%22%2A%22");
    let common = common(&endpoint, &user).await;
    let fresh = async || fresh(&common).await;
    let mut report = run("provider", "aws-ec2", "moto-strict", &laws(), &fresh).await;
    let skipped: Vec<&str> = report.skipped.iter().map(|(law, _)| *law).collect();
    let mut checked = laws();
    checked.retain(|law| !skipped.contains(&law.name));
    run_mutants(&mut report, &checked, async |law| Some(broken(law, &fresh().await))).await;
    println!("{report}");
    assert!(report.is_kept(), "{report:#?}");
    let skipped: Vec<&str> = report.skipped.iter().map(|(law, _)| *law).collect();
    assert_eq!(skipped, ["without_token_every_send_creates"]);
}
