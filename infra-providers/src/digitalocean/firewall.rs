//! A firewall lets in nobody but whom its body names, and stands before the droplets of one tag.
//!
//! # Flow
//! The tag, which must be there before a firewall can name it; then the firewall under the launch's name, with all
//! its rules and the tag, in one call. Droplets are born with the tag.
//!
//! # Guarantees
//! * A crash after the tag leaves a word in the account's list of tags, and nothing else.
//! * Names are unique in the account: a replay is refused, and the refusal is answered with what stands there, if it
//!   has this attempt's mark, its tag and its rules.
//!
//! # Errors
//! A firewall of this name with another tag or other rules is `TokenMismatch`: a person changed it.

use std::collections::BTreeSet;

use infra_core::contracts::provider::{ProviderError, Send};
use infra_core::nouns::cloud::Observed;
use infra_core::nouns::launch::{FirewallBody, FrozenLaunch};

use super::provider::{DigitalOceanProvider, changed, looked};
use super::wire::{Firewall, Inbound, NewFirewall, Outbound, Peers};
use super::{list, observe, tags};
use crate::cidr;
use crate::failure::{ApiFailure, Reached, half_done, invalid};

/// Protocols, and the ports that a rule names: `0` is every port, ICMP has none.
const PROTOCOLS: [(&str, Option<&str>); 3] = [("tcp", Some("0")), ("udp", Some("0")), ("icmp", None)];
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

pub(super) async fn launch(
    provider: &DigitalOceanProvider,
    frozen: &FrozenLaunch,
    body: &FirewallBody,
    send: &Send,
) -> Result<Vec<Observed>, ProviderError> {
    let open_to = blocks(body)?;
    let tag = tags::of_firewall(&provider.lane.region, frozen.token);
    let ask = NewFirewall {
        name: frozen.name.clone(),
        inbound_rules: inbound(&open_to),
        outbound_rules: outbound(),
        tags: vec![tag.clone()],
    };
    provider.time_left(send)?;
    // Whatever became of the tag, no firewall has been asked for yet: for the launch this is a look.
    provider.api.create_tag(&tag).await.map_err(looked)?;
    let within = provider.time_left(send)?;
    let made = match provider.api.create_firewall(&ask, within).await {
        Err(failure) if failure.reached == Reached::Answered(409) => {
            standing(provider, &ask, failure).await?
        }
        made => made.map_err(changed)?,
    };
    Ok(vec![observe::firewall(&made, None)?])
}

fn blocks(body: &FirewallBody) -> Result<BTreeSet<String>, ProviderError> {
    let block =
        |text: &String| cidr::normal(text).ok_or_else(|| invalid(format!("{text:?} is no CIDR block")));
    body.allow_from.iter().map(block).collect()
}

/// No rule at all when nobody is let in.
fn inbound(open_to: &BTreeSet<String>) -> Vec<Inbound> {
    let protocols = PROTOCOLS.iter().filter(|_| !open_to.is_empty());
    let rule = |(protocol, ports): &(&str, Option<&str>)| Inbound {
        protocol: (*protocol).to_owned(),
        ports: ports.map(str::to_owned),
        sources: Peers { addresses: open_to.iter().cloned().collect(), ..Peers::default() },
    };
    protocols.map(rule).collect()
}

/// Everything: a firewall without such rules lets nothing out.
fn outbound() -> Vec<Outbound> {
    let everywhere = || EVERYWHERE.map(str::to_owned).to_vec();
    let rule = |(protocol, ports): &(&str, Option<&str>)| Outbound {
        protocol: (*protocol).to_owned(),
        ports: ports.map(str::to_owned),
        destinations: Peers { addresses: everywhere(), ..Peers::default() },
    };
    PROTOCOLS.iter().map(rule).collect()
}

/// The firewall that already has the launch's name, if an earlier send of this launch made it.
async fn standing(
    provider: &DigitalOceanProvider,
    ask: &NewFirewall,
    duplicate: ApiFailure,
) -> Result<Firewall, ProviderError> {
    let found = list::firewalls_named(provider, &ask.name).await.map_err(half_done)?;
    match found.into_iter().next() {
        // The name is taken by what does not show yet: an earlier send's, as far as anyone knows.
        None => Err(half_done(changed(duplicate))),
        Some(one) if one.tags == ask.tags && lets_in(&one.inbound_rules) == lets_in(&ask.inbound_rules) => {
            Ok(one)
        }
        Some(_) => Err(ProviderError::TokenMismatch { said: duplicate.said }),
    }
}

/// Who is let in, in one spelling. Ports of ICMP are shown although they mean nothing.
fn lets_in(rules: &[Inbound]) -> BTreeSet<(String, Option<String>, String)> {
    let mut all = BTreeSet::new();
    for rule in rules {
        let ports = rule.ports.clone().filter(|_| rule.protocol != "icmp");
        let ports = ports.map(|ports| if ports == "all" { "0".to_owned() } else { ports });
        let blocks =
            rule.sources.addresses.iter().map(|one| cidr::normal(one).unwrap_or_else(|| one.clone()));
        let others = rule.sources.tags.iter().map(|tag| format!("tag {tag}"));
        let droplets = rule.sources.droplet_ids.iter().map(|id| format!("droplet {id}"));
        all.extend(
            blocks.chain(others).chain(droplets).map(|from| (rule.protocol.clone(), ports.clone(), from)),
        );
    }
    all
}
