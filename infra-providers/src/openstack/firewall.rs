//! A firewall is a security group that lets in nobody but whom its body names.
//!
//! # Flow
//! A group under the launch's name, which is its mark, with the number of its rules in its description; then one call
//! with all rules, only if there are any. Neutron gives a new group no ingress at all, and egress to everywhere.
//!
//! # Guarantees
//! * Once the group may exist, every error has the effect Unknown.
//! * A group whose rules were never written is `Building` and open to nobody. Neutron has no token, so the attempt is
//!   not sent again: another one takes its place, and the half-made group is ended as what a closed attempt left.

use std::collections::BTreeSet;

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::Observed;
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch};
use serde_json::{Value, json};

use super::api::{Ask, Service};
use super::observe::{self, INGRESS};
use super::provider::{OpenStackProvider, changed};
use super::shapes::{GroupAnswer, GroupRule};
use crate::cidr;
use crate::failure::{half_done, invalid};
use crate::http::Method;

/// Rules a project may have by Neutron's default quota, for all its groups.
const RULES_MAX: usize = 100;

pub(super) async fn launch(
    provider: &OpenStackProvider,
    frozen: &FrozenLaunch,
    body: &FirewallBody,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    // Everything that Neutron could refuse about the rules is refused before the group exists.
    let wanted = blocks(body)?;
    provider.time_left(send)?;
    let description = format!("open only to the blocks that its launch names; {INGRESS}{}", wanted.len());
    let group = json!({ "security_group": { "name": frozen.name, "description": description } });
    let ask = Ask::new(Service::Network, Method::Post, "/security-groups").with(group).until(send.deadline);
    let before = provider.clock.wall();
    let made = provider.api.json::<GroupAnswer>(&ask).await.map_err(changed)?;
    let mut group = made.value.security_group;
    if !wanted.is_empty() {
        let rules: Vec<Value> = wanted.iter().map(|block| rule(&group.id, block)).collect();
        let rules = json!({ "security_group_rules": rules });
        let ask = Ask::new(Service::Network, Method::Post, "/security-group-rules").with(rules);
        provider.api.done(&ask.until(send.deadline)).await.map_err(changed).map_err(half_done)?;
        group.security_group_rules.push(GroupRule { direction: "ingress".to_owned() });
    }
    Ok(vec![observe::firewall(group, made.at.unwrap_or(before))?])
}

fn rule(group: &str, block: &str) -> Value {
    let ethertype = if block.contains(':') { "IPv6" } else { "IPv4" };
    json!({
        "security_group_id": group, "direction": "ingress",
        "ethertype": ethertype, "remote_ip_prefix": block,
    })
}

fn blocks(body: &FirewallBody) -> Result<BTreeSet<String>, ProviderError> {
    let block =
        |text: &String| cidr::normal(text).ok_or_else(|| invalid(format!("{text:?} is no CIDR block")));
    let blocks: BTreeSet<String> = body.allow_from.iter().map(block).collect::<Result<_, _>>()?;
    if blocks.len() > RULES_MAX {
        return Err(invalid(format!("{} ingress rules are above {RULES_MAX}", blocks.len())));
    }
    Ok(blocks)
}
