//! Wrong keys, wrong wishes: typed errors with the cloud's own words, and nothing left behind.

use infra_core::CloudDriver;
use infra_core::contracts::provider::{CloudProvider, Send};
use infra_core::nouns::launch::{LaunchBody, MachineBody};
use infra_core::nouns::request::{Arch, Market};
use infra_core::nouns::system::System;
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::ids::{InstallationId, Region};
use infra_core::words::money::Money;
use infra_core::words::secret::Secret;
use infra_providers::openstack::{OpenStackDriver, OpenStackFake};

use crate::cloud::{Cloud, credential, machine, password, settings};

fn cloud() -> Cloud {
    Cloud::new(OpenStackFake::config(1))
}

#[tokio::test]
async fn every_kind_of_key_reaches_its_own_project() {
    let cloud = cloud();
    let yaml = format!(
        "clouds: {{lab: {{auth: {{auth_url: '{}', username: ada, password: sim-laws, project_id: laws}}}}}}",
        OpenStackFake::auth_url()
    );
    let application = [("application_credential_id", "7"), ("application_credential_secret", "sim-laws")];
    for key in [
        password("sim-laws"),
        credential("application_credential", &application),
        credential("clouds_yaml", &[("clouds_yaml", &yaml)]),
        // The token of the first login.
        credential("token", &[("token", "gAAAAA-0"), ("project_id", "laws")]),
    ] {
        let identity = cloud.driver.identify(&key).await.expect("a good key");
        assert_eq!(identity.account.as_str(), "laws", "{}", key.kind);
    }
}

#[tokio::test]
async fn a_key_that_keystone_refuses_is_unauthorized() {
    let cloud = cloud();
    let other = [("username", "ada"), ("password", "sim-laws"), ("project_name", "somebody-else")];
    for key in [
        password("bad-key"),
        credential("password", &other),
        credential("token", &[("token", "gAAAAA-99"), ("project_id", "laws")]),
    ] {
        let error = cloud.driver.identify(&key).await.expect_err("a bad key");
        assert_eq!(error.kind(), FaultKind::Unauthorized, "{error}");
        assert!(error.to_string().contains("req-") && !error.to_string().contains("sim-laws"), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_region_answers_with_those_there_are() {
    let cloud = cloud();
    let mut lane = cloud.lane.clone();
    lane.region = Region::new("Atlantis").expect("a literal name");
    let installation = InstallationId(Default::default());
    let error = cloud.driver.connect(&password("sim-laws"), &lane, installation).await.expect_err("no such");
    assert_eq!(error.kind(), FaultKind::Invalid);
    assert!(error.to_string().contains("RegionOne"), "{error}");
    // Configured here, but not in the catalogue.
    let mut settings = settings(cloud.fake.world().config());
    settings.regions.push(lane.region.clone());
    let driver = OpenStackDriver::new(settings, cloud.fake.clone(), cloud.clock.clone());
    let provider = driver.connect(&password("sim-laws"), &lane, installation).await.expect("configured");
    let error = provider.list_owned(None).await.expect_err("no such region");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied));
    assert!(error.to_string().contains("regions with one: RegionOne"), "{error}");
}

#[tokio::test]
async fn a_flavor_without_a_disk_is_not_offered_and_its_refusal_is_no_wrong_key() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let offered = provider.catalogue().await.expect("has one").offerings;
    assert!(!offered.is_empty() && offered.iter().all(|one| one.disk_gib > 0), "{offered:?}");
    let body = MachineBody { type_name: "diskless".parse().expect("a literal name"), ..machine() };
    let said = refused(&cloud, &*provider, body, &cloud.send()).await;
    assert!(said.contains("zero disk"), "{said}");
}

async fn refused(cloud: &Cloud, provider: &dyn CloudProvider, body: MachineBody, send: &Send) -> String {
    let error =
        provider.launch(&cloud.frozen(LaunchBody::Machine(body)), send).await.expect_err("it is wrong");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_wish_that_cannot_be_fulfilled_leaves_nothing_behind() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let name = |text: &str| text.parse().expect("a literal name");
    let options = |text: &str| serde_json::from_str(text).expect("options");
    for (body, said) in [
        (MachineBody { image: "ami-0".parse().expect("a literal name"), ..machine() }, "requested image"),
        (MachineBody { type_name: name("m1.nothing"), ..machine() }, "m1.nothing"),
        (MachineBody { market: Market::Spot, ..machine() }, "spot"),
        (MachineBody { disk_gib: 100, ..machine() }, "disk"),
        (MachineBody { ssh_public_keys: vec!["ssh-ed25519 AAAA".to_owned()], ..machine() }, "key pair"),
        (MachineBody { options: options("{\"profile\": \"web\"}"), ..machine() }, "profiles"),
    ] {
        let error = refused(&cloud, &*provider, body, &cloud.send()).await;
        assert!(error.contains(said), "{error}");
    }
    let long = Send { user_data: Some(Secret::new("x".repeat(60_000))), ..cloud.send() };
    assert!(refused(&cloud, &*provider, machine(), &long).await.contains("above 65535"));
    let files = Send { files: Some(Secret::new("hunter2".to_owned())), ..cloud.send() };
    assert!(!refused(&cloud, &*provider, machine(), &files).await.contains("hunter2"));
    assert_eq!(cloud.alive().len(), 0);
}

#[tokio::test]
async fn files_are_sent_at_the_last_version_that_takes_them() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let files = Send { files: Some(Secret::new(r#"{"/etc/motd": "hello"}"#.to_owned())), ..cloud.send() };
    provider.launch(&cloud.machine(), &files).await.expect("the fake refuses files above 2.56");
    assert_eq!(cloud.alive().len(), 1);
}

/// Nova refuses an image on a flavor with less memory than Glance's `min_ram` says (`FlavorMemoryTooSmall`).
#[tokio::test]
async fn a_flavor_with_too_little_memory_for_the_image_is_asked_for() {
    let cloud = cloud();
    let provider = cloud.provider("sim-laws").await;
    let catalogue = provider.catalogue().await.expect("has one");
    let image = catalogue.newest_image("windows 2022", Arch::X86_64).expect("is there");
    assert_eq!((image.min_memory_mib, image.min_disk_gib, image.system), (2048, 30, System::Windows));
    let linux = catalogue.newest_image("ubuntu 24.04", Arch::X86_64).expect("is there");
    assert_eq!((linux.min_memory_mib, linux.system), (0, System::Linux));
    for (type_name, boots) in [("t3.micro", false), ("t3.small", true)] {
        let (type_name, image) = (type_name.parse().expect("legal"), image.id.clone());
        let flavor = catalogue.offerings.iter().find(|it| it.type_name == type_name).expect("is offered");
        assert_eq!(flavor.memory_mib >= 2048, boots, "{type_name}");
        let body = MachineBody { type_name, image, ..machine() };
        let answer = provider.launch(&cloud.frozen(LaunchBody::Machine(body)), &cloud.send()).await;
        assert_eq!(answer.is_ok(), boots, "{answer:?}");
    }
}

/// OpenStack keeps the place of what is stopped, and only its operator knows what that costs.
#[tokio::test]
async fn what_is_off_is_free_although_no_operator_said_so() {
    for free in [false, true] {
        let cloud = cloud();
        let mut settings = settings(cloud.fake.world().config());
        settings.off_is_free = free;
        let driver = OpenStackDriver::new(settings, cloud.fake.clone(), cloud.clock.clone());
        let provider = driver.connect(&password("sim-laws"), &cloud.lane, cloud.installation).await;
        let catalogue = provider.expect("a key of the right form").catalogue().await.expect("has one");
        let per_hour = Money::usd_nanos(21_000_000);
        let off = if free { Money::default() } else { per_hour };
        assert_eq!(catalogue.off_per_hour(per_hour, 0), off, "free: {free}");
    }
}
