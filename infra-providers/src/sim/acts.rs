//! What is done to things that are there: power, marks, the end.

use std::time::Duration;

use infra_core::contracts::provider::ProviderError;
use infra_core::nouns::cloud::{Act, PowerMode, ThingState};
use infra_core::nouns::launch::LaunchBody;
use infra_core::words::clock::{Timestamp, later};
use infra_core::words::ids::ResourceId;
use infra_core::words::lane::{Mark, ResourceKind};

use super::config::Span;
use super::rules::{FaultEffect, Faults};
use super::server::Caller;
use super::thing::{Leaving, PowerChange};
use super::wire::{invalid, not_found, said};
use super::world::{SimWorld, State};

impl SimWorld {
    #[allow(clippy::too_many_arguments, reason = "one call's whole context, used once")]
    pub(super) fn act(
        &self,
        state: &mut State,
        caller: &Caller,
        (id, kind): (&ResourceId, ResourceKind),
        mark: &Mark,
        act: Act,
        faults: &Faults,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let number = self
            .by_id(state, caller, kind, id, now)
            .map(|thing| thing.number)
            .ok_or_else(|| not_found(id))?;
        match act {
            Act::Terminate => self.terminate(state, number, faults, now),
            Act::Power(mode) => self.power(state, number, mode, now),
            Act::Mark => {
                let marked = mark.to_tags().map(|(tag, value)| (tag.to_owned(), value));
                state.change(number, |thing| thing.tags.extend(marked));
                Ok(())
            }
            Act::Unmark => {
                state.change(number, |thing| {
                    for (tag, _) in mark.to_tags() {
                        thing.tags.remove(tag);
                    }
                });
                Ok(())
            }
        }
    }

    fn terminate(
        &self,
        state: &mut State,
        number: u64,
        faults: &Faults,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let thing = &state.things[&number];
        let stuck = thing.leaving.is_some_and(|leaving| leaving.done_at.is_none());
        if thing.leaving.is_some() && !stuck {
            return Ok(());
        }
        let id = &thing.id;
        if thing.kind() == ResourceKind::Firewall && self.firewall_in_use(state, id, now) {
            let message = format!("{id} is used by a machine that has not ended");
            return Err(ProviderError::Busy { said: said("DependencyViolation", message) });
        }
        let machine = thing.kind() == ResourceKind::Machine;
        let span = if machine { self.inner.config.terminate } else { Span::ZERO };
        let late = faults.number(|f| if let FaultEffect::StuckForS(s) = f { Some(s) } else { None });
        let takes = state.small.chance.within(span) + Duration::from_secs(late.unwrap_or(0));
        state.changed.small = true;
        let done_at = (!faults.has(FaultEffect::Stuck)).then(|| later(now, takes));
        if machine {
            spoil_snapshots(state, number, now);
        }
        state.change(number, |thing| {
            let since = thing.leaving.map_or(now, |leaving| leaving.since);
            thing.leaving = Some(Leaving { since, done_at });
        });
        Ok(())
    }

    fn firewall_in_use(&self, state: &State, id: &ResourceId, now: Timestamp) -> bool {
        state.current.iter().map(|number| &state.things[number]).any(|thing| match &thing.body {
            LaunchBody::Machine(machine) => machine.firewall.as_ref() == Some(id) && thing.alive(now),
            _ => false,
        })
    }

    fn power(
        &self,
        state: &mut State,
        number: u64,
        mode: PowerMode,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let thing = &state.things[&number];
        if thing.kind() != ResourceKind::Machine {
            return Err(invalid("NoPower", format!("a {} has no power", thing.kind())));
        }
        let at = thing.state(now);
        let on = mode == PowerMode::On;
        let offered = &self.inner.facts.off_modes;
        let stops = mode == PowerMode::Stop && offered.contains(&PowerMode::Snapshot);
        if mode == PowerMode::Snapshot || !on && !stops && !offered.contains(&mode) {
            return Err(invalid("UnsupportedOperation", format!("{mode:?} is not offered")));
        }
        match (on, at) {
            (true, ThingState::Running | ThingState::Building)
            | (false, ThingState::Stopped | ThingState::Stopping) => Ok(()),
            (true, ThingState::Stopped) | (false, ThingState::Running) => {
                let takes = state.small.chance.within(self.inner.config.stop);
                state.changed.small = true;
                let power = PowerChange { mode, done_at: later(now, takes) };
                state.change(number, |thing| thing.power = Some(power));
                Ok(())
            }
            _ => {
                let message = format!("{} is {at:?}", thing.id);
                Err(ProviderError::Busy { said: said("IncorrectInstanceState", message) })
            }
        }
    }
}

/// Whoever ends a machine while it is being copied has no copy.
fn spoil_snapshots(state: &mut State, machine: u64, now: Timestamp) {
    let id = state.things[&machine].id.clone();
    let unfinished = state.current.iter().copied().filter(|number| {
        let thing = &state.things[number];
        matches!(&thing.body, LaunchBody::Snapshot { of } if *of == id) && now < thing.ready_at
    });
    for number in unfinished.collect::<Vec<_>>() {
        state.change(number, |thing| thing.error = Some("the machine ended while it was copied".to_owned()));
    }
}
