//! Subnets and the VPCs that they are in: a default one per zone, and one of another VPC.

use infra_core::words::ids::ResourceId;

use super::{Ec2Fake, Session};
use crate::aws::api::RunInstances;
use crate::failure::Answer;
use crate::sim::skin;

/// Where machines and groups are when nobody says otherwise.
const DEFAULT_VPC: &str = "vpc-default";
/// Where [`Ec2Fake::private_subnet`] leads.
const PRIVATE_VPC: &str = "vpc-private";

impl Session {
    /// The zone that a subnet is in, and its VPC.
    pub(super) fn subnet(&self, subnet: &str) -> Answer<(String, &'static str)> {
        let zones = skin::zones(&self.ec2.world, &self.region);
        let all = zones.iter().map(|zone| zone.as_str()).flat_map(|zone| {
            [(Ec2Fake::subnet(zone), zone, DEFAULT_VPC), (Ec2Fake::private_subnet(zone), zone, PRIVATE_VPC)]
        });
        let found =
            all.into_iter().find(|(id, ..)| id == subnet).map(|(_, zone, vpc)| (zone.to_owned(), vpc));
        let message = || format!("The subnet ID '{subnet}' does not exist");
        found.ok_or_else(|| self.refusal(400, "InvalidSubnetID.NotFound", message()))
    }

    /// A machine is in the zone of its subnet, and its groups are in the VPC of it.
    pub(super) fn check_subnet(&self, ask: &RunInstances) -> Answer<()> {
        let (zone, vpc) = match &ask.subnet {
            Some(subnet) => self.subnet(subnet)?,
            None => (ask.zone.clone(), DEFAULT_VPC),
        };
        let of = |group: &String| {
            let id = ResourceId::new(group.clone()).ok();
            let kept = |id| self.ec2.kept(|kept| kept.vpcs.get(&id).cloned());
            id.and_then(kept).unwrap_or_else(|| DEFAULT_VPC.to_owned())
        };
        if let Some(group) = ask.groups.iter().find(|group| of(group) != vpc) {
            let subnet = ask.subnet.as_deref().unwrap_or("(default)");
            let message = format!("Security group {group} and subnet {subnet} belong to different networks.");
            return Err(self.refusal(400, "InvalidParameter", message));
        }
        let Some(subnet) = &ask.subnet else { return Ok(()) };
        if zone != ask.zone {
            let (wanted, message) = (&ask.zone, "for parameter availabilityZone is invalid. Subnet");
            let message = format!("Value ({wanted}) {message} '{subnet}' is in the availability zone {zone}");
            return Err(self.refusal(400, "InvalidParameterValue", message));
        }
        Ok(())
    }
}
