//! What only some clouds have: subnet, profile and hibernation stand in the create call.

use infra_core::SystemClock;
use infra_core::nouns::cloud::{Act, PowerMode, ThingState};
use infra_core::nouns::launch::{FirewallBody, LaunchBody, MachineBody};
use infra_core::words::clock::Clock;
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_core::words::lane::ResourceKind;

use crate::cloud::{Cloud, body, counterpart, send};
use crate::keys::iam;

#[tokio::test]
async fn subnet_profile_and_hibernation_stand_in_the_create_call() {
    let region = "eu-north-1";
    let Some(cloud) = Cloud::in_region(region).await else { return };
    let endpoint = counterpart("INFRA_TEST_EC2_ENDPOINT").expect("the cloud is there");
    let profile = format!("web-{}", SystemClock.wall().as_millisecond());
    iam(&endpoint, &format!("Action=CreateInstanceProfile&InstanceProfileName={profile}"));
    let subnets = cloud.truth.describe_subnets().send().await.expect("looked");
    let of_zone = |zone: &str| {
        let subnet = subnets.subnets().iter().find(|one| one.availability_zone() == Some(zone));
        subnet.and_then(|one| one.subnet_id()).expect("a default subnet").to_owned()
    };
    let machine = |subnet: String| {
        let mut machine: MachineBody = body();
        machine.options.network = Some(subnet);
        machine.options.profile = Some(profile.clone());
        machine.options.off = Some(PowerMode::Hibernate);
        cloud.frozen(1, "a", LaunchBody::Machine(machine))
    };
    let subnet = of_zone(&format!("{region}a"));
    let frozen = machine(subnet.clone());
    let one = cloud.provider.launch(&frozen, &send()).await.expect("launched").remove(0);
    assert_eq!(one.zone, frozen.zone);
    cloud.seen(ResourceKind::Machine, &one.id, ThingState::Running).await;
    let shown = cloud.truth.describe_instances().instance_ids(one.id.as_str()).send().await.expect("looked");
    let shown = &shown.reservations()[0].instances()[0];
    assert_eq!(shown.subnet_id(), Some(subnet.as_str()));
    let got = shown.iam_instance_profile().and_then(|profile| profile.arn()).unwrap_or_default();
    assert!(got.ends_with(&format!("/{profile}")), "{got:?}");
    assert_eq!(shown.hibernation_options().and_then(|options| options.configured()), Some(true));
    let disks = cloud.truth.describe_volumes();
    let of_machine = aws_sdk_ec2::types::Filter::builder().name("attachment.instance-id");
    let disks = disks.filters(of_machine.values(one.id.as_str()).build()).send().await.expect("looked");
    let encrypted: Vec<_> = disks.volumes().iter().map(|disk| disk.encrypted()).collect();
    assert_eq!(encrypted, [Some(true)], "memory is kept on an encrypted disk or not at all");
    let handle = cloud.handle(&one.id, &frozen);
    cloud.provider.act(&handle, Act::Power(PowerMode::Hibernate)).await.expect("hibernates");
    cloud.seen(ResourceKind::Machine, &one.id, ThingState::Stopped).await;
    cloud.provider.act(&handle, Act::Terminate).await.expect("ends");

    let elsewhere = machine(of_zone(&format!("{region}b")));
    let error = cloud.provider.launch(&elsewhere, &send()).await.expect_err("another zone's");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
}

#[tokio::test]
async fn a_firewall_is_made_in_the_vpc_of_its_machines() {
    let region = "eu-south-1";
    let Some(cloud) = Cloud::in_region(region).await else { return };
    let vpc = cloud.truth.create_vpc().cidr_block("10.9.0.0/16").send().await.expect("made");
    let vpc = vpc.vpc().and_then(|vpc| vpc.vpc_id()).expect("an id").to_owned();
    let subnet = cloud.truth.create_subnet().vpc_id(&vpc).cidr_block("10.9.1.0/24");
    let subnet = subnet.availability_zone(format!("{region}a")).send().await.expect("made");
    let subnet = subnet.subnet().and_then(|subnet| subnet.subnet_id()).expect("an id").to_owned();

    let body_of_wall = FirewallBody { network: Some(subnet.clone()), ..FirewallBody::open_to(Vec::new()) };
    let wall = cloud.frozen(1, "a", LaunchBody::Firewall(body_of_wall));
    let wall = cloud.provider.launch(&wall, &send()).await.expect("made").remove(0);
    let mut machine = MachineBody { firewall: Some(wall.id.clone()), ..body() };
    machine.options.network = Some(subnet.clone());
    let machine = cloud.frozen(1, "a", LaunchBody::Machine(machine));
    let one = cloud.provider.launch(&machine, &send()).await.expect("launched").remove(0);
    cloud.seen(ResourceKind::Machine, &one.id, ThingState::Running).await;
    let shown = cloud.truth.describe_instances().instance_ids(one.id.as_str()).send().await.expect("looked");
    let shown = &shown.reservations()[0].instances()[0];
    assert_eq!((shown.vpc_id(), shown.subnet_id()), (Some(vpc.as_str()), Some(subnet.as_str())));
    let groups = cloud.truth.describe_security_groups().group_ids(wall.id.as_str());
    let groups = groups.send().await.expect("looked");
    assert_eq!(groups.security_groups()[0].vpc_id(), Some(vpc.as_str()));
}
