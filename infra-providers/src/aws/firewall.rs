//! A firewall is a security group that lets in nobody but whom its body names.
//!
//! # Flow
//! CreateSecurityGroup under the launch's unique name, with the mark in the call; then one
//! AuthorizeSecurityGroupIngress with all rules, only if there are any. EC2 gives a new group no ingress at all,
//! and egress to everywhere. A group is of one VPC: that of the subnet which its machines are asked for, looked up before.
//!
//! # Guarantees
//! * A replay finds its group by name, proves it by the mark, and writes the rules that are missing.
//! * Once the group may exist, every error has the effect Unknown.
//! * A group whose rules were never written is `Building`, and `find` does not answer it: nothing but a re-send of
//!   its attempt finishes it.
//!
//! # Errors
//! A group of this name with another mark, or open to more than the body says, is `TokenMismatch`: a person or
//! another attempt made it so.

use std::collections::BTreeSet;

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::Observed;
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch};

use super::api::{ApiFailure, Group, NewGroup, Which};
use super::launch::tags;
use super::list;
use super::observe::{self, INGRESS};
use super::provider::{Ec2Provider, changed, looked};
use crate::cidr;
use crate::failure::{garbled, half_done, invalid, own};

/// Rules a group may have by EC2's default quota.
const RULES_MAX: usize = 60;

pub(super) async fn launch(
    provider: &Ec2Provider,
    frozen: &FrozenLaunch,
    body: &FirewallBody,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    // Everything that EC2 could refuse about the rules is refused before the group exists.
    let wanted = rules(body)?;
    let vpc = match &body.network {
        Some(subnet) => Some(provider.api.subnet_vpc(subnet).await.map_err(looked)?),
        None => None,
    };
    let mut ask = NewGroup {
        name: frozen.name.clone(),
        vpc,
        description: "made by infra, open only to the blocks that its launch names".to_owned(),
        tags: tags(frozen),
    };
    ask.tags.insert(INGRESS.to_owned(), wanted.len().to_string());
    let within = provider.time_left(send)?;
    let group = match provider.api.create_group(&ask, within).await {
        Ok(id) => Group { id, name: ask.name, tags: ask.tags, ..Group::default() },
        Err(failure) if failure.said.code == "InvalidGroup.Duplicate" => {
            standing(provider, frozen, &wanted, failure).await?
        }
        Err(failure) => return Err(changed(failure)),
    };
    let open: BTreeSet<String> = open_to(&group).collect();
    let missing: Vec<String> = wanted.difference(&open).cloned().collect();
    if !missing.is_empty() {
        authorize(provider, &group.id, &missing, send).await.map_err(half_done)?;
    }
    let made =
        observe::firewall(Group { open_to: wanted.into_iter().collect(), ..group }, provider.clock.wall())?;
    Ok(vec![made])
}

fn rules(body: &FirewallBody) -> Result<BTreeSet<String>, ProviderError> {
    let block =
        |text: &String| cidr::normal(text).ok_or_else(|| invalid(format!("{text:?} is no CIDR block")));
    let rules: BTreeSet<String> = body.allow_from.iter().map(block).collect::<Result<_, _>>()?;
    if rules.len() > RULES_MAX {
        return Err(invalid(format!("{} ingress rules are above {RULES_MAX}", rules.len())));
    }
    Ok(rules)
}

fn open_to(group: &Group) -> impl Iterator<Item = String> {
    group.open_to.iter().map(|block| cidr::normal(block).unwrap_or_else(|| block.clone()))
}

/// The group that already has the launch's name, if an earlier send of this launch made it.
async fn standing(
    provider: &Ec2Provider,
    frozen: &FrozenLaunch,
    wanted: &BTreeSet<String>,
    duplicate: ApiFailure,
) -> Result<Group, ProviderError> {
    let found =
        list::groups(provider, &Which::Name(frozen.name.clone())).await.map_err(looked).map_err(half_done)?;
    if found.is_empty() {
        // The name is taken by what EC2 does not show yet: an earlier send's, as far as anyone knows.
        return Err(half_done(changed(duplicate)));
    }
    let mut ours = found.into_iter().filter(|group| list::carries(&group.tags, &frozen.mark));
    match (ours.next(), ours.next()) {
        (None, _) => Err(ProviderError::TokenMismatch { said: duplicate.said }),
        (Some(group), None)
            if group.other_ingress || open_to(&group).any(|block| !wanted.contains(&block)) =>
        {
            let why = format!("the group {} is open to more than its launch says", frozen.name);
            Err(ProviderError::TokenMismatch { said: own("InvalidGroup.Duplicate", why) })
        }
        (Some(group), None) => Ok(group),
        (Some(_), Some(_)) => Err(garbled(format!("two groups are named {}", frozen.name))),
    }
}

/// All rules in one call. When one of them stands already (another send overtook this one), each by itself.
async fn authorize(
    provider: &Ec2Provider,
    group: &str,
    rules: &[String],
    send: &Send,
) -> Result<(), ProviderError> {
    let stands = |failure: &ApiFailure| failure.said.code == "InvalidPermission.Duplicate";
    match provider.api.authorize_ingress(group, rules, provider.time_left(send)?).await {
        Err(failure) if stands(&failure) => {}
        done => return done.map_err(changed),
    }
    for rule in rules {
        let one = std::slice::from_ref(rule);
        match provider.api.authorize_ingress(group, one, provider.time_left(send)?).await {
            Err(failure) if stands(&failure) => {}
            done => done.map_err(changed)?,
        }
    }
    Ok(())
}
