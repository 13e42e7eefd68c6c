//! The real client and the fake, each held to DigitalOcean's official schema: a validating proxy stands between them and
//! refuses whatever request or answer does not fit.
//!
//! `scripts/test --only digitalocean` starts the proxy. The schema at hand knows no firewalls: their calls go past it.

#[path = "../common/mod.rs"]
mod common;

mod between;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use between::{Between, Counterpart};
use infra_core::contracts::provider::{OwnedHandle, Send};
use infra_core::nouns::cloud::{Act, PowerMode, Sighting};
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::request::{Arch, Market};
use infra_core::testing::laws::provider::Subject;
use infra_core::testing::{SeededEntropy, VirtualClock};
use infra_core::words::fault::{Effect, Fault};
use infra_core::words::ids::{InstallationId, LaunchToken, ResourceId};
use infra_core::words::lane::{Lane, Mark, ResourceKind, Version};
use infra_core::words::secret::Secret;
use infra_core::{Clock, CloudDriver};
use infra_providers::digitalocean::fake::DigitalOceanFake;
use infra_providers::digitalocean::{DigitalOceanDriver, DigitalOceanSettings};
use infra_providers::sim::{SimConfig, SimWorld};

async fn fresh(between: &Arc<Between>, seed: u64) -> Subject {
    let clock = Arc::new(VirtualClock::default());
    let config = SimConfig { page: 50, ..DigitalOceanFake::config(seed) };
    between.serve(DigitalOceanFake::new(SimWorld::new(config, clock.clone()))).await;
    let mut settings = DigitalOceanSettings::default();
    settings.page = 2;
    settings.simulated = true;
    let driver = DigitalOceanDriver::new(settings, between.clone(), clock.clone());
    let lane = Lane {
        cloud: driver.name(),
        endpoint: driver.endpoint(),
        account: "lab".parse().expect("a literal name"),
        region: "ams3".parse().expect("a literal name"),
    };
    let entropy = Arc::new(SeededEntropy::new(1));
    let ours = InstallationId::draw(clock.wall(), entropy.as_ref());
    let theirs = InstallationId::draw(clock.wall(), entropy.as_ref());
    let connect = async |token: &str, installation| {
        let mut key = common::key(token);
        key.kind = "token".to_owned();
        driver.connect(&key, &lane, installation).await.expect("connects")
    };
    let provider = connect("sim-lab", ours).await;
    let catalogue = provider.catalogue().await.expect("has a catalogue");
    Subject {
        stranger: connect("sim-lab", theirs).await,
        wrong_key: Some(connect("bad-key", ours).await),
        provider,
        lane: lane.clone(),
        installation: ours,
        clock,
        entropy,
        machine: MachineBody {
            type_name: "s-1vcpu-1gb".parse().expect("a literal name"),
            image: catalogue.newest_image("ubuntu 24.04", Arch::X86_64).expect("there is one").id.clone(),
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
        zones: Vec::new(),
        unknown_id: ResourceId::new("987654321").expect("a legal name"),
        settles_within: Duration::from_secs(60),
        poll: Duration::from_millis(250),
    }
}

#[tokio::test]
#[allow(clippy::print_stdout, reason = "the counts are what this test is run for")]
async fn the_schema_breaks_a_law_or_a_law_proves_nothing() {
    let Some(counterpart) = Counterpart::found().await else { return };
    let between = Arc::new(Between::new(counterpart));
    let mut report = common::report("digitalocean", async || fresh(&between, 1).await).await;
    report.counterpart = "official-openapi-without-firewalls".to_owned();
    common::print(
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
    everything_a_launch_can_say(&between).await;
    off_by_snapshot_and_on_again(&between).await;
    what_does_not_fit_is_refused(&between).await;
    let (through, past) = between.counts();
    println!(
        "COUNT digitalocean-schema validated={through} past_the_schema={past} why=\"it has no firewalls\""
    );
    assert!(through > 100, "nothing went through the schema");
}

fn frozen(on: &Subject, body: LaunchBody) -> FrozenLaunch {
    let token = LaunchToken::draw(on.clock.wall(), on.entropy.as_ref());
    let mark = Mark { installation: on.installation, token, kind: body.kind(), seq: Version(3) };
    let machine = body.kind() == ResourceKind::Machine;
    FrozenLaunch {
        token,
        mark,
        name: if machine { format!("infra-{token}") } else { mark.to_name() },
        count: 1,
        zone: None,
        labels: BTreeMap::from([("Größe".to_owned(), "R&D: 10 €".repeat(20))]),
        body,
    }
}

fn send(on: &Subject, user_data: Option<&str>) -> Send {
    let user_data = user_data.map(|text| Secret::new(text.to_owned()));
    Send { user_data, files: None, deadline: on.clock.mono() + Duration::from_secs(30) }
}

/// Every field of a create call fits.
async fn everything_a_launch_can_say(between: &Arc<Between>) {
    let on = fresh(between, 2).await;
    let mut body = MachineBody { private_only: true, ..on.machine.clone() };
    body.ssh_public_keys = vec!["ssh-ed25519 AAAAC3Nza me@home".to_owned()];
    body.options.network = Some("760e09ef-dc84-11e8-981e-3cfdfeaae000".to_owned());
    let frozen = frozen(&on, LaunchBody::Machine(body));
    let made = on.provider.launch(&frozen, &send(&on, Some("#!/bin/sh\ntrue\n"))).await.expect("fits");
    assert_eq!(made[0].mark, Some(frozen.mark));
}

/// Orders, their list, snapshots and what is made from one.
async fn off_by_snapshot_and_on_again(between: &Arc<Between>) {
    let on = fresh(between, 3).await;
    let machine = frozen(&on, LaunchBody::Machine(on.machine.clone()));
    let made = on.provider.launch(&machine, &send(&on, None)).await.expect("is made").remove(0);
    let wait = async || on.clock.sleep(Duration::from_secs(60)).await;
    wait().await;
    let handle = |id: &ResourceId, frozen: &FrozenLaunch| {
        OwnedHandle::unproven(id.clone(), frozen.body.kind(), on.lane.clone(), frozen.mark)
    };
    on.provider.act(&handle(&made.id, &machine), Act::Power(PowerMode::Stop)).await.expect("stops");
    wait().await;
    let copy = frozen(&on, LaunchBody::Snapshot { of: made.id.clone() });
    assert!(on.provider.launch(&copy, &send(&on, None)).await.expect("is ordered").is_empty());
    wait().await;
    let page = on.provider.list_owned(None).await.expect("lists");
    let page = on.provider.list_owned(page.next).await.expect("lists");
    let page = on.provider.list_owned(page.next).await.expect("lists");
    let snapshot = page.items.into_iter().find(|one| one.kind == ResourceKind::Snapshot).expect("is there");
    on.provider.act(&handle(&made.id, &machine), Act::Terminate).await.expect("ends");
    let image = snapshot.id.as_str().parse().expect("a number");
    let again = frozen(&on, LaunchBody::Machine(MachineBody { image, ..on.machine.clone() }));
    on.provider.launch(&again, &send(&on, None)).await.expect("is made from it");
    on.provider.act(&handle(&snapshot.id, &copy), Act::Terminate).await.expect("ends");
    wait().await;
    let seen =
        on.provider.get(ResourceKind::Snapshot, std::slice::from_ref(&snapshot.id)).await.expect("answers");
    assert_eq!(seen, [Sighting::Absent(snapshot.id)]);
}

/// Both sides are really held to it: a request and an answer with a defect each do not pass.
async fn what_does_not_fit_is_refused(between: &Arc<Between>) {
    let on = fresh(between, 4).await;
    between.bend_requests(|body| {
        body.as_object_mut().expect("an object").remove("size");
    });
    let machine = frozen(&on, LaunchBody::Machine(on.machine.clone()));
    let error = on.provider.launch(&machine, &send(&on, None)).await.expect_err("has no size");
    assert_eq!(error.effect(), Effect::Unknown, "not the API's own words: {error}");
    assert_eq!(between.refusals(), 1, "{error}");
    between.bend_answers("status");
    let error = on.provider.launch(&machine, &send(&on, None)).await.expect_err("the answer has no status");
    assert_eq!(between.refusals(), 2, "{error}");
    between.straight();
    on.provider.launch(&machine, &send(&on, None)).await.expect("is made");
    assert_eq!(between.refusals(), 2);
}
