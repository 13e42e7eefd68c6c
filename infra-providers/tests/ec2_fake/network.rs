//! Machines in a network of one's own: a security group is of one VPC, and EC2 takes none of another for a machine.

use infra_core::nouns::launch::{FirewallBody, LaunchBody};
use infra_core::words::fault::{Effect, Fault, FaultKind};
use infra_providers::aws::fake::Ec2Fake;

use crate::bench::Bench;

#[tokio::test]
async fn a_firewall_is_made_in_the_vpc_of_its_machines() {
    let bench = Bench::new().await;
    let subnet = Ec2Fake::private_subnet(bench.zones[0].as_str());
    let firewall = |network: Option<&String>| {
        let body = FirewallBody { network: network.cloned(), ..FirewallBody::open_to(Vec::new()) };
        bench.frozen(LaunchBody::Firewall(body))
    };
    let machine = |firewall| {
        bench.machine(|body| {
            body.options.network = Some(subnet.clone());
            body.firewall = Some(firewall);
        })
    };
    let ours = bench.launch(&firewall(Some(&subnet))).await.expect("is made").remove(0);
    bench.launch(&machine(ours.id)).await.expect("both are in one network");

    let of_default = bench.launch(&firewall(None)).await.expect("is made").remove(0);
    let error = bench.launch(&machine(of_default.id)).await.expect_err("two networks");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
    assert!(error.to_string().contains("belong to different networks"), "{error}");

    let nowhere = "subnet-nowhere".to_owned();
    let error = bench.launch(&firewall(Some(&nowhere))).await.expect_err("no such subnet");
    assert_eq!((error.kind(), error.effect()), (FaultKind::Invalid, Effect::NotApplied), "{error}");
}
