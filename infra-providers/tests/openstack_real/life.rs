//! Whole lives of machines and their satellites, and what a real control plane refuses.

use infra_core::contracts::provider::{CloudDriver, Send};
use infra_core::nouns::cloud::{Act, PowerMode, ThingState};
use infra_core::nouns::launch::{LaunchBody, MachineBody};
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::ids::ImageId;
use infra_core::words::secret::Secret;
use serde_json::json;

use crate::cloud::{Cloud, Hand, credential, password, query, send};

const NOVA: &str = "INFRA_TEST_NOVA";

/// An ed25519 key whose other half nobody has.
const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEX9sZ6m2vIMsu8sXkXb4xDnLVCzBQwNMHhaAK9kvB nobody";

#[tokio::test]
async fn a_machine_and_its_satellites_live_and_leave_nothing() {
    let Some(cloud) = Cloud::of("life").await else { return };
    let pair = cloud.frozen(LaunchBody::KeyPair { public_key: PUBLIC_KEY.to_owned() });
    let pair_seen = cloud.launch(&pair).await.expect("a key pair");
    let wall = cloud.firewall(&["192.0.2.0/24", "2001:db8::/32"]);
    let wall_seen = cloud.launch(&wall).await.expect("a firewall");
    assert_eq!(wall_seen.state, ThingState::Running);
    let body = MachineBody {
        firewall: Some(wall_seen.id.clone()),
        key_pair: Some(pair.name.clone()),
        ..cloud.body()
    };
    let frozen = cloud.frozen(LaunchBody::Machine(body));
    let user_data = Some(Secret::new("#cloud-config\n{}\n".to_owned()));
    let made = cloud.launch_with(&frozen, &Send { user_data, ..send() }).await.expect("a machine");
    let seen = cloud.until(&made, Some(ThingState::Running)).await.expect("it runs");
    assert_eq!((seen.mark, seen.name.as_deref()), (Some(frozen.mark), Some(frozen.name.as_str())));
    assert!(seen.private_address.is_some_and(|address| address.starts_with("10.9.")));
    let hand = Hand::of("life").await;
    let truth = hand.get(NOVA, &format!("/v2.1/servers/{}", made.id)).await;
    assert_eq!(truth["server"]["key_name"], json!(pair.name));
    assert_eq!(truth["server"]["security_groups"][0]["name"], json!(wall.name));

    let handle = cloud.handle(&made, &frozen);
    for mode in [PowerMode::Stop, PowerMode::Shelve, PowerMode::Suspend] {
        cloud.provider.act(&handle, Act::Power(mode)).await.expect("is taken");
        cloud.until(&made, Some(ThingState::Stopped)).await;
        cloud.provider.act(&handle, Act::Power(mode)).await.expect("it is off already");
        cloud.provider.act(&handle, Act::Power(PowerMode::On)).await.expect("is taken");
        cloud.until(&made, Some(ThingState::Running)).await;
    }

    let copy = cloud.frozen(LaunchBody::Snapshot { of: made.id.clone() });
    let copied = cloud.launch(&copy).await.expect("is taken");
    assert_eq!(copied.mark, Some(copy.mark));
    cloud.until(&copied, Some(ThingState::Running)).await;
    let again =
        MachineBody { image: ImageId::new(copied.id.as_str()).expect("a legal name"), ..cloud.body() };
    let again = cloud.frozen(LaunchBody::Machine(again));
    let again_seen = cloud.launch(&again).await.expect("from the copy");
    cloud.until(&again_seen, Some(ThingState::Running)).await;
    assert_eq!(cloud.owned().await.len(), 5, "two machines, a copy, a firewall, a key pair");
    for frozen in [&frozen, &again, &copy, &wall, &pair] {
        assert_eq!(cloud.provider.find(&query(frozen)).await.expect("is found").len(), 1, "{}", frozen.name);
    }

    let error = cloud.provider.act(&cloud.handle(&wall_seen, &wall), Act::Terminate).await;
    assert_eq!(error.expect_err("it is in use").kind(), FaultKind::Busy);
    for (seen, frozen) in
        [(&made, &frozen), (&again_seen, &again), (&copied, &copy), (&wall_seen, &wall), (&pair_seen, &pair)]
    {
        cloud.provider.act(&cloud.handle(seen, frozen), Act::Terminate).await.expect("is taken");
        cloud.until(seen, None).await;
    }
    assert_eq!(cloud.owned().await.len(), 0);
}

#[tokio::test]
async fn files_stand_only_at_the_version_that_takes_them() {
    let Some(cloud) = Cloud::of("life").await else { return };
    let frozen = cloud.frozen(LaunchBody::Machine(MachineBody {
        options: serde_json::from_str(r#"{"config_drive": true}"#).expect("options"),
        ..cloud.body()
    }));
    let files = Some(Secret::new(r#"{"/etc/motd": "hello"}"#.to_owned()));
    let made = cloud.launch_with(&frozen, &Send { files, ..send() }).await.expect("taken at 2.56");
    let seen = cloud.until(&made, Some(ThingState::Running)).await.expect("it runs");
    assert_eq!(seen.mark, Some(frozen.mark), "read at a later version");
    let truth = Hand::of("life").await.get(NOVA, &format!("/v2.1/servers/{}", made.id)).await;
    assert_eq!(truth["server"]["config_drive"], json!("True"));
    cloud.provider.act(&cloud.handle(&made, &frozen), Act::Terminate).await.expect("is taken");
    cloud.until(&made, None).await;
}

#[tokio::test]
async fn a_server_in_error_says_why_and_can_be_ended() {
    let Some(cloud) = Cloud::of("life").await else { return };
    let huge = MachineBody { type_name: "huge".parse().expect("a literal name"), ..cloud.body() };
    let mut faulty = cloud.frozen(LaunchBody::Machine(cloud.body()));
    faulty.labels.insert("x_fault".to_owned(), "build".to_owned());
    for (frozen, said) in [
        (cloud.frozen(LaunchBody::Machine(huge)), "No valid host was found"),
        (faulty, "asked for by x_fault"),
    ] {
        let made = cloud.launch(&frozen).await.expect("the order is taken");
        let seen = cloud.until(&made, Some(ThingState::Error)).await.expect("it is in error");
        assert!(seen.fault.as_ref().is_some_and(|fault| fault.contains(said)), "{:?}", seen.fault);
        assert_eq!(seen.mark, Some(frozen.mark));
        cloud.provider.act(&cloud.handle(&made, &frozen), Act::Terminate).await.expect("is taken");
        cloud.until(&made, None).await;
    }
}

#[tokio::test]
async fn a_delete_that_failed_is_seen_and_repeated() {
    let Some(cloud) = Cloud::of("life").await else { return };
    let mut frozen = cloud.frozen(LaunchBody::Machine(cloud.body()));
    frozen.labels.insert("x_fault".to_owned(), "delete".to_owned());
    let made = cloud.launch(&frozen).await.expect("a machine");
    cloud.until(&made, Some(ThingState::Running)).await;
    let handle = cloud.handle(&made, &frozen);
    cloud.provider.act(&handle, Act::Terminate).await.expect("is taken");
    cloud.until(&made, Some(ThingState::Error)).await;
    assert_eq!(cloud.owned().await.len(), 1, "it is still there, and still ours");
    cloud.provider.act(&handle, Act::Terminate).await.expect("is taken");
    cloud.until(&made, None).await;
}

#[tokio::test]
async fn a_locked_server_is_busy_and_stays() {
    let Some(cloud) = Cloud::of("life").await else { return };
    let frozen = cloud.frozen(LaunchBody::Machine(cloud.body()));
    let made = cloud.launch(&frozen).await.expect("a machine");
    cloud.until(&made, Some(ThingState::Running)).await;
    let hand = Hand::of("life").await;
    hand.action(&made, "lock").await;
    for act in [Act::Terminate, Act::Power(PowerMode::Stop)] {
        let error = cloud.provider.act(&cloud.handle(&made, &frozen), act).await.expect_err("it is locked");
        assert_eq!(error.kind(), FaultKind::Busy, "{error}");
        assert!(error.to_string().contains("is locked (request req-"), "{error}");
    }
    hand.action(&made, "unlock").await;
    cloud.provider.act(&cloud.handle(&made, &frozen), Act::Terminate).await.expect("is taken");
    cloud.until(&made, None).await;
}

#[tokio::test]
async fn a_quota_is_a_quota_and_nothing_is_made() {
    let Some(cloud) = Cloud::of("quota").await else { return };
    let (admin, hand) = (Hand::of("admin").await, Hand::of("quota").await);
    let path = format!("/v2.1/os-quota-sets/{}", hand.project);
    admin.put(NOVA, &path, &json!({"quota_set": {"instances": 0, "key_pairs": 0}})).await;
    let path = format!("/v2.0/quotas/{}", hand.project);
    admin.put("INFRA_TEST_NEUTRON", &path, &json!({"quota": {"security_group": 1}})).await;
    let pair = LaunchBody::KeyPair { public_key: PUBLIC_KEY.to_owned() };
    for frozen in [cloud.frozen(LaunchBody::Machine(cloud.body())), cloud.firewall(&[]), cloud.frozen(pair)] {
        let error = cloud.launch(&frozen).await.expect_err("nothing is left");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Quota, Effect::NotApplied), "{error}");
        assert!(error.to_string().contains("req-"), "{error}");
    }
    assert_eq!(cloud.owned().await.len(), 0);
}

#[tokio::test]
async fn a_wrong_wish_is_invalid_in_novas_words() {
    let Some(cloud) = Cloud::of("life").await else { return };
    let network = |text: &str| {
        let options = json!({ "network": text }).to_string();
        MachineBody { options: serde_json::from_str(&options).expect("options"), ..cloud.body() }
    };
    let image = |text: &str| MachineBody { image: text.parse().expect("a legal name"), ..cloud.body() };
    let nothing = "5b0f6d0e-0000-4000-8000-000000000000";
    for (body, said) in [
        (image(nothing), "Can not find requested image"),
        (image("ami-0"), "imageRef"),
        (network(nothing), "could not be found"),
        (
            MachineBody { type_name: "m1.nothing".parse().expect("a legal name"), ..cloud.body() },
            "m1.nothing",
        ),
    ] {
        let error = cloud.launch(&cloud.frozen(LaunchBody::Machine(body))).await.expect_err("it is wrong");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    let mut elsewhere = cloud.frozen(LaunchBody::Machine(cloud.body()));
    elsewhere.zone = Some("atlantis".parse().expect("a legal name"));
    let error = cloud.launch(&elsewhere).await.expect_err("no such zone");
    assert!(error.to_string().contains("availability zone is not available"), "{error}");
    let user_data = Some(Secret::new("hunter2".repeat(9)));
    let mut labelled = cloud.frozen(LaunchBody::Machine(cloud.body()));
    labelled.labels.insert("no/slash allowed?".to_owned(), "x".to_owned());
    let error = cloud.launch_with(&labelled, &Send { user_data, ..send() }).await.expect_err("a bad label");
    assert_eq!(error.kind(), FaultKind::Invalid, "{error}");
    assert!(!error.to_string().contains("aHVudGVy"), "first-boot data is repeated: {error}");
    assert_eq!(cloud.owned().await.len(), 0);
}

#[tokio::test]
async fn every_kind_of_key_is_known_and_a_refused_one_says_so() {
    let Some(cloud) = Cloud::of("life").await else { return };
    let hand = Hand::of("life").await;
    let yaml = format!(
        "clouds: {{lab: {{region_name: RegionOne, interface: internal, auth: {{auth_url: '{}', username: life, \
         password: secret, project_name: life, user_domain_name: Default, project_domain_name: Default}}}}}}",
        cloud.lane.endpoint.0
    );
    let application = Hand::of("life").await.application_credential().await;
    let application = [
        ("application_credential_id", application.0.as_str()),
        ("application_credential_secret", application.1.as_str()),
    ];
    let token = credential("token", &[("token", hand.token()), ("project_id", &hand.project)]);
    for key in [
        credential("clouds_yaml", &[("clouds_yaml", &yaml)]),
        credential("application_credential", &application),
        token.clone(),
    ] {
        let identity = cloud.driver.identify(&key).await.expect("a good key");
        assert_eq!((identity.account, identity.principal.as_str()), (cloud.lane.account.clone(), "life"));
        let provider = cloud.driver.connect(&key, &cloud.lane, cloud.installation).await.expect("connects");
        provider.list_owned(None).await.expect("sees the project");
    }
    let other = Cloud::of("laws").await.expect("it is there");
    let identity = other.driver.identify(&password("laws", "secret")).await.expect("a good key");
    assert_ne!(identity.account, cloud.lane.account, "another project is another account");
    hand.log_out().await;
    let fresh = Cloud::of("life").await.expect("it is there");
    for key in [password("life", "wrong"), token] {
        let error = fresh.driver.identify(&key).await.expect_err("it is refused");
        assert_eq!((error.kind(), error.effect()), (FaultKind::Unauthorized, Effect::NotApplied), "{error}");
        assert!(error.to_string().contains("requires authentication"), "{error}");
    }
}
