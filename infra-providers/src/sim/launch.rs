//! Creating things: token semantics first, then every reason to refuse, then the drawing of lots.

use std::time::Duration;

use infra_core::contracts::provider::{ProviderError, TokenScope};
use infra_core::nouns::cloud::ThingState;
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody, MachineBody};
use infra_core::nouns::request::{Arch, Market};
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::{ImageId, ResourceId, Zone};
use infra_core::words::lane::ResourceKind;
use infra_core::words::secret::digest;

use super::config::Span;
use super::rules::{FaultEffect, Faults};
use super::server::Caller;
use super::thing::SimThing;
use super::wire::{invalid, not_found, said};
use super::world::{SimWorld, State, TokenRow};

/// One create call as it arrived.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) caller: &'a Caller,
    pub(super) frozen: &'a FrozenLaunch,
    /// Digest of the first-boot data.
    pub(super) user_data: Option<String>,
    pub(super) now: Timestamp,
}

/// What two sends under one token are compared by: everything the cloud sees. First-boot data counts by what it
/// says, not by how it was sealed.
pub(super) fn body_digest(frozen: &FrozenLaunch, user_data: Option<String>) -> String {
    let mut plain = frozen.clone();
    if let LaunchBody::Machine(machine) = &mut plain.body {
        machine.user_data = None;
    }
    let text = serde_json::to_string(&(plain, user_data)).expect("records serialise");
    digest(text.as_bytes())
}

impl SimWorld {
    /// Makes what is ordered, or answers what the token made before. The numbers of the things.
    pub(super) fn launch(
        &self,
        state: &mut State,
        order: &Order<'_>,
        faults: &Faults,
    ) -> Result<Vec<u64>, ProviderError> {
        let kind = order.frozen.body.kind();
        let Some(facts) = self.inner.facts.kind(kind) else {
            return Err(invalid("UnsupportedOperation", format!("a {kind} cannot be made here")));
        };
        let (scope, max_batch) = (facts.token, facts.max_batch);
        if order.frozen.count == 0 || order.frozen.count > max_batch {
            let message = format!("count {} must be 1 to {max_batch}", order.frozen.count);
            return Err(invalid("InvalidCount", message));
        }
        let TokenScope::Token { valid_after_end, per_zone } = scope else {
            self.admit(state, order)?;
            return Ok(self.make(state, order, faults, false));
        };
        let key = token_key(order, per_zone);
        if let Some(made) = replay(state, &key, order, valid_after_end)? {
            return Ok(made);
        }
        self.admit(state, order)?;
        let made = self.make(state, order, faults, true);
        let body = body_digest(order.frozen, order.user_data.clone());
        state.tokens.insert(key.clone(), TokenRow { body, made: made.clone() });
        state.changed.tokens.insert(key);
        Ok(made)
    }

    /// Every reason to refuse.
    fn admit(&self, state: &State, order: &Order<'_>) -> Result<(), ProviderError> {
        let frozen = order.frozen;
        match &frozen.body {
            LaunchBody::Machine(machine) => self.admit_machine(state, order, machine),
            LaunchBody::Firewall(firewall) => {
                for block in &firewall.allow_from {
                    check_block(block)?;
                }
                unique_name(state, order)
            }
            LaunchBody::KeyPair { public_key } if public_key.trim().is_empty() => {
                Err(invalid("InvalidKey", "the public key is empty"))
            }
            LaunchBody::Snapshot { of } => {
                let theirs =
                    |thing: &&SimThing| thing.kind() == ResourceKind::Machine && is_theirs(thing, order);
                let machine = state.number_of(of).map(|number| &state.things[&number]).filter(theirs);
                machine.map(drop).ok_or_else(|| not_found(of))?;
                unique_name(state, order)
            }
            _ => unique_name(state, order),
        }
    }

    fn admit_machine(
        &self,
        state: &State,
        order: &Order<'_>,
        machine: &MachineBody,
    ) -> Result<(), ProviderError> {
        let zone = order.frozen.zone.as_ref();
        self.check_shape(state, order.caller, machine, zone)?;
        check_satellites(state, order, machine)?;
        let account = &order.caller.account;
        let limit = state.small.machines_max.get(account).copied().unwrap_or(self.inner.config.machines_max);
        let held = state.current.iter().map(|number| &state.things[number]).filter(|thing| {
            &thing.account == account && thing.kind() == ResourceKind::Machine && thing.alive(order.now)
        });
        if held.count() + usize::from(order.frozen.count) > limit as usize {
            let message = format!("{account} may have {limit} machines");
            return Err(ProviderError::Quota { said: said("InstanceLimitExceeded", message) });
        }
        let none_of = |zone: Option<&Zone>| {
            state.small.no_capacity.contains(&(machine.type_name.clone(), zone.cloned()))
        };
        if none_of(None) || none_of(zone) {
            let message = format!("no {} now", machine.type_name);
            return Err(ProviderError::Capacity { said: said("InsufficientInstanceCapacity", message) });
        }
        Ok(())
    }

    fn check_shape(
        &self,
        state: &State,
        caller: &Caller,
        machine: &MachineBody,
        zone: Option<&Zone>,
    ) -> Result<(), ProviderError> {
        let shelf = &self.inner.shelves[&caller.region];
        let type_name = &machine.type_name;
        let offering = shelf
            .offering(type_name)
            .ok_or_else(|| invalid("InvalidType", format!("type {type_name} is not known")))?;
        match zone {
            None if !shelf.zones.is_empty() => {
                return Err(invalid("MissingZone", "a zone must be named in this region"));
            }
            Some(zone) if !shelf.zones.contains(zone) => {
                return Err(invalid("InvalidZone", format!("zone {zone} is not known")));
            }
            Some(zone) if !offering.zones.contains(zone) => {
                return Err(invalid("Unsupported", format!("{type_name} is not offered in {zone}")));
            }
            _ => {}
        }
        if machine.market == Market::Spot {
            return Err(invalid("Unsupported", "spot is not offered"));
        }
        if offering.disk_gib > 0 && machine.disk_gib > offering.disk_gib {
            let message = format!("{type_name} has a disk of {} GiB", offering.disk_gib);
            return Err(invalid("InvalidDisk", message));
        }
        let image = &machine.image;
        let arch = self
            .arch_of(state, caller, image)
            .ok_or_else(|| invalid("InvalidImage", format!("image {image} is not known")))?;
        if arch != offering.arch {
            return Err(invalid("InvalidImage", format!("image {image} does not run on {type_name}")));
        }
        let known = state.small.images.iter().find(|known| known.id == *image);
        let (needs_mib, needs_gib) = known.map_or((0, 0), |it| (it.min_memory_mib, it.min_disk_gib));
        if offering.memory_mib < needs_mib {
            return Err(invalid("InvalidImage", format!("image {image} needs {needs_mib} MiB of memory")));
        }
        let disk_gib = offering.disk_gib.max(machine.disk_gib);
        if disk_gib > 0 && disk_gib < needs_gib {
            return Err(invalid("InvalidDisk", format!("image {image} needs {needs_gib} GiB of disk")));
        }
        Ok(())
    }

    /// The architecture of an image: one on offer, or a finished snapshot of the caller's.
    fn arch_of(&self, state: &State, caller: &Caller, image: &ImageId) -> Option<Arch> {
        if let Some(image) = state.small.images.iter().find(|known| known.id == *image) {
            return Some(image.arch);
        }
        let snapshot = self.snapshot(state, caller, image)?;
        let LaunchBody::Snapshot { of } = &snapshot.body else { return None };
        let LaunchBody::Machine(copied) = &state.things[&state.number_of(of)?].body else { return None };
        self.inner.shelves.get(&snapshot.region)?.offering(&copied.type_name).map(|offering| offering.arch)
    }

    /// A finished snapshot by its id.
    fn snapshot<'s>(&self, state: &'s State, caller: &Caller, image: &ImageId) -> Option<&'s SimThing> {
        let id = ResourceId::new(image.as_str()).ok()?;
        let thing = &state.things[&state.number_of(&id)?];
        let usable = thing.kind() == ResourceKind::Snapshot && thing.state(self.now()) == ThingState::Running;
        (usable && thing.account == caller.account && thing.region == caller.region).then_some(thing)
    }

    /// Which data a new thing starts with.
    fn disk_of(&self, state: &State, order: &Order<'_>, number: u64) -> u64 {
        let copied = match &order.frozen.body {
            LaunchBody::Machine(machine) => {
                return self.snapshot(state, order.caller, &machine.image).map_or(number, |from| from.disk);
            }
            LaunchBody::Snapshot { of } => state.number_of(of),
            _ => None,
        };
        copied.map_or(0, |of| state.things[&of].disk)
    }

    /// Nothing stands in the way any more.
    fn make(&self, state: &mut State, order: &Order<'_>, faults: &Faults, stamped: bool) -> Vec<u64> {
        (0..order.frozen.count)
            .map(|_| {
                let thing = self.draw(state, order, faults, stamped);
                let number = thing.number;
                state.put(thing);
                number
            })
            .collect()
    }

    fn draw(&self, state: &mut State, order: &Order<'_>, faults: &Faults, stamped: bool) -> SimThing {
        let config = &self.inner.config;
        let frozen = order.frozen;
        let now = order.now;
        let machine = frozen.body.kind() == ResourceKind::Machine;
        let (number, id) = state.draw_id(if machine { "vm" } else { frozen.body.kind().word() });
        let disk = self.disk_of(state, order, number);
        let chance = &mut state.small.chance;
        let boot = chance.within(match frozen.body.kind() {
            ResourceKind::Machine => config.boot,
            ResourceKind::Snapshot => config.snapshot,
            _ => Span::ZERO,
        });
        let slow = faults.number(|f| if let FaultEffect::SlowBuildS(s) = f { Some(s) } else { None });
        let listed = chance.within(config.lag(config.list_lag));
        let by_id = chance.within(config.lag(config.id_lag));
        let mut tags = frozen.labels.clone();
        // A call through one of the clouds' own protocols may carry no mark at all.
        if !frozen.mark.installation.0.is_nil() {
            tags.extend(frozen.mark.to_tags().map(|(tag, value)| (tag.to_owned(), value)));
        }
        let mut body = frozen.body.clone();
        if let LaunchBody::Machine(machine) = &mut body {
            machine.user_data = None;
        }
        let built = machine || frozen.body.kind() == ResourceKind::Snapshot;
        let failed = built && faults.has(FaultEffect::ErrorState);
        SimThing {
            number,
            id,
            account: order.caller.account.clone(),
            region: order.caller.region.clone(),
            zone: frozen.zone.clone(),
            name: Some(frozen.name.clone()),
            tags,
            stamp: stamped.then_some(frozen.token),
            made_under: Some(frozen.token),
            key: order.caller.key.clone(),
            user_data: order.user_data.clone(),
            body,
            disk,
            by_hand: false,
            created_at: now,
            ready_at: later(now, boot + Duration::from_secs(slow.unwrap_or(0))),
            error: failed.then(|| "Server.InternalError: the host failed while building".to_owned()),
            by_id_at: later(now, by_id),
            listed_at: (!faults.has(FaultEffect::HideFromList)).then(|| later(now, listed)),
            power: None,
            leaving: None,
            vanished_at: None,
        }
    }
}

/// A token's scope: the zone too, where the cloud keeps tokens per zone.
fn token_key(order: &Order<'_>, per_zone: bool) -> String {
    let zone = order.frozen.zone.as_ref().filter(|_| per_zone).map_or("", |zone| zone.as_str());
    let caller = order.caller;
    let kind = order.frozen.body.kind().word();
    format!("{}|{}|{kind}|{zone}|{}", caller.account, caller.region, order.frozen.token)
}

/// What the token made before; `None` when it is new, or forgotten.
fn replay(
    state: &mut State,
    key: &str,
    order: &Order<'_>,
    valid_after_end: Duration,
) -> Result<Option<Vec<u64>>, ProviderError> {
    let Some(row) = state.tokens.get(key) else { return Ok(None) };
    let made = row.made.clone();
    let ended = made.iter().map(|number| state.things.get(number).and_then(|t| t.ended_at(order.now)));
    let all_ended: Option<Vec<Timestamp>> = ended.collect();
    if let Some(last) = all_ended.and_then(|ended| ended.into_iter().max())
        && order.now > later(last, valid_after_end)
    {
        state.tokens.remove(key);
        state.changed.tokens.insert(key.to_owned());
        return Ok(None);
    }
    let token = order.frozen.token;
    if row_body(state, key) != body_digest(order.frozen, order.user_data.clone()) {
        let message = format!("token {token} was used with other parameters");
        return Err(ProviderError::TokenMismatch { said: said("IdempotentParameterMismatch", message) });
    }
    let over = made.iter().all(|n| state.things.get(n).is_none_or(|t| t.ended_at(order.now).is_some()));
    if over {
        let message = format!("what token {token} made has ended");
        return Err(ProviderError::TokenEnded { said: said("IdempotentInstanceTerminated", message) });
    }
    Ok(Some(made))
}

fn row_body(state: &State, key: &str) -> String {
    state.tokens.get(key).map(|row| row.body.clone()).unwrap_or_default()
}

fn check_satellites(state: &State, order: &Order<'_>, machine: &MachineBody) -> Result<(), ProviderError> {
    let theirs = |thing: &&SimThing| is_theirs(thing, order);
    let by_id = |id: &ResourceId| state.number_of(id).map(|number| &state.things[&number]).filter(theirs);
    if let Some(id) = &machine.firewall
        && by_id(id).is_none_or(|thing| thing.kind() != ResourceKind::Firewall)
    {
        return Err(invalid("InvalidGroup.NotFound", format!("firewall {id} does not exist")));
    }
    if let Some(name) = &machine.key_pair {
        let numbers = state.by_name.get(name).into_iter().flatten();
        let mut pairs = numbers.map(|number| &state.things[number]).filter(theirs);
        if !pairs.any(|thing| thing.kind() == ResourceKind::KeyPair) {
            return Err(invalid("InvalidKeyPair.NotFound", format!("key pair {name} does not exist")));
        }
    }
    Ok(())
}

/// Is it there, in the caller's account and region, and not on its way out?
fn is_theirs(thing: &SimThing, order: &Order<'_>) -> bool {
    thing.account == order.caller.account
        && thing.region == order.caller.region
        && thing.alive(order.now)
        && thing.leaving.is_none()
}

/// Firewalls and key pairs have no token; their names are unique instead.
fn unique_name(state: &State, order: &Order<'_>) -> Result<(), ProviderError> {
    let name = &order.frozen.name;
    let numbers = state.by_name.get(name).into_iter().flatten();
    let taken = numbers.map(|number| &state.things[number]).any(|thing| {
        thing.kind() == order.frozen.body.kind()
            && thing.account == order.caller.account
            && thing.region == order.caller.region
            && thing.alive(order.now)
    });
    if taken {
        return Err(invalid("Duplicate", format!("a {} named {name} exists", order.frozen.body.kind())));
    }
    Ok(())
}

fn check_block(block: &str) -> Result<(), ProviderError> {
    let parsed = block.split_once('/').and_then(|(address, bits)| {
        let address: std::net::IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        Some(bits <= if address.is_ipv4() { 32 } else { 128 })
    });
    if parsed == Some(true) {
        return Ok(());
    }
    Err(invalid("InvalidCidr", format!("{block:?} is not a CIDR block")))
}
