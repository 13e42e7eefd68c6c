//! Which of the things that carry an attempt's mark did the attempt really make?
//!
//! Tags are copied by people, by backup tools, by scaling groups. So a mark never makes a thing ours; only
//! what the *provider itself* stamped does, or, on clouds without a stamp, the attempt's unique name together
//! with its type, image and time, and never more things than the attempt could make.
//!
//! # Guarantees
//! * A thing that the provider stamped with another token is never this attempt's, whatever its tags say; one
//!   that it stamped with this token always is.
//! * On a cloud that stamps, what bears no stamp was made by somebody else, however much it looks alike: EC2
//!   copies even the name along.
//! * A copy of the mark shows nothing of the attempt: it does not stand in for what was never born, and so
//!   holds up neither a slot nor a release.
//! * Without stamps, an attempt never gets more things than it asked for. When more look alike than there is
//!   room for, none is taken, and a person is asked: ending the wrong one cannot be undone.
//! * A row that is full takes nothing more: whatever looks like its things is a copy, and none of our
//!   business.
//!
//! # Assumptions
//! Names are drawn from tokens, so two attempts never share one. The provider's clock and ours are at most a
//! minute apart, or it is not believed to have made the thing before it was asked.

use std::time::Duration;

use crate::nouns::cloud::{Observed, ThingState};
use crate::nouns::launch::{Launch, LaunchBody};
use crate::words::clock::between;
use crate::words::lane::ResourceKind;
use crate::words::planted::{Bug, Planted};

/// What became of an attempt, judged from the things that may be its.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Births {
    /// These are its, and not yet on its row. May be empty.
    Ours(Vec<Observed>),
    /// More could be its than it can have made: a person must say.
    Ambiguous(Vec<Observed>),
}

/// A provider's clock may lag behind ours by so much.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// Judges candidates that are not on the row yet. `stamps` says whether this cloud stamps what a call makes of
/// this kind.
#[must_use]
pub fn judge(row: &Launch, candidates: &[Observed], stamps: bool, planted: Planted) -> Births {
    let fresh = candidates
        .iter()
        .filter(|seen| seen.kind == row.kind() && !row.things.iter().any(|thing| thing.id == seen.id))
        .filter(|seen| !is_unfinished(row, seen));
    if planted.is(Bug::C9CopiedMarkAdopted) {
        return Births::Ours(fresh.cloned().collect());
    }
    let (ours, alike): (Vec<_>, Vec<_>) =
        fresh.filter(|seen| is_like(row, seen, stamps)).cloned().partition(|seen| seen.stamp.is_some());
    if !ours.is_empty() {
        return Births::Ours(ours);
    }
    let room = usize::from(row.frozen.count).saturating_sub(row.things.len());
    if alike.len() <= room {
        return Births::Ours(alike);
    }
    // A full row explains every look-alike: it is a copy, and none of our business.
    if room == 0 { Births::Ours(Vec::new()) } else { Births::Ambiguous(alike) }
}

/// How many of these things, which all carry the attempt's mark, does it explain: known to its row, or its by
/// stamp or likeness? The others are copies, and say nothing about what it made.
#[must_use]
pub fn explained(row: &Launch, seen: &[Observed], stamps: bool) -> usize {
    let known = |item: &Observed| row.things.iter().any(|thing| thing.id == item.id);
    seen.iter().filter(|item| known(item) || (item.kind == row.kind() && is_like(row, item, stamps))).count()
}

/// Is it this attempt's by its stamp, or, where there are no stamps, by its likeness?
fn is_like(row: &Launch, seen: &Observed, stamps: bool) -> bool {
    seen.stamp.map_or_else(|| !stamps && is_alike(row, seen), |stamp| stamp == row.token)
}

/// A satellite that is still building may lack a part that only a replay of its attempt adds (EC2 writes a
/// firewall's rules in a second call). While the attempt may be sent again, this is not what it makes; once it is
/// over, this is what it left behind.
fn is_unfinished(row: &Launch, seen: &Observed) -> bool {
    let in_parts = row.units.is_empty() && row.kind() != ResourceKind::Snapshot;
    in_parts && row.wanted() && !row.closed() && seen.state == ThingState::Building
}

/// Has it this attempt's name, type and image, and was it made after it was first sent? Type and image count
/// where the cloud tells them.
fn is_alike(row: &Launch, seen: &Observed) -> bool {
    let named = seen.name.as_deref() == Some(row.frozen.name.as_str());
    // Where a cloud does not say when a satellite was made, its client tells when the token in its name was drawn: that
    // was before the row was written, and a brake may have held the send for any time since.
    let begun = match &row.frozen.body {
        LaunchBody::Firewall(_) | LaunchBody::KeyPair { .. } => row.first_sent().map(|_| row.created_at),
        LaunchBody::Machine(_) | LaunchBody::Snapshot { .. } => row.first_sent(),
    };
    let in_time = begun.is_some_and(|begun| between(seen.created_at, begun) <= CLOCK_SLACK);
    let same_make = match &row.frozen.body {
        LaunchBody::Machine(body) => {
            let typed = seen.type_name.as_ref().is_none_or(|name| *name == body.type_name);
            typed && seen.image.as_ref().is_none_or(|image| *image == body.image)
        }
        LaunchBody::Firewall(_) | LaunchBody::KeyPair { .. } | LaunchBody::Snapshot { .. } => true,
    };
    named && in_time && same_make
}

/// Is a thing in this state still there (and maybe billed)?
#[must_use]
pub const fn is_alive(state: ThingState) -> bool {
    !matches!(state, ThingState::Ended)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::nouns::launch::{Absence, Closed, LaunchState, SendRecord, Want};
    use crate::testing::fixtures;
    use crate::words::clock::Timestamp;
    use crate::words::lane::ResourceKind;

    /// What the attempt made, as a cloud that stamps shows it.
    fn seen(row: &Launch, state: ThingState) -> Observed {
        Observed {
            id: "sg-1".parse().expect("a legal name"),
            kind: ResourceKind::Firewall,
            state,
            mark: Some(row.frozen.mark),
            stamp: Some(row.token),
            name: Some(row.frozen.name.clone()),
            type_name: None,
            image: None,
            zone: None,
            public_address: None,
            private_address: None,
            created_at: Timestamp::UNIX_EPOCH,
            fault: None,
            tags: BTreeMap::new(),
        }
    }

    /// A row that was sent, as it must be for likeness to count.
    fn sent() -> Launch {
        let by = crate::words::ids::BootId(uuid::Uuid::nil());
        let send = SendRecord { at: Timestamp::UNIX_EPOCH, by, effect: None, said: None };
        Launch { sends: vec![send], ..fixtures::launch(1) }
    }

    #[test]
    fn a_copied_mark_does_not_stand_in_for_what_was_never_born() {
        let row = sent();
        let whole = seen(&row, ThingState::Running);
        let copy = Observed { stamp: None, name: None, ..whole.clone() };
        for stamps in [true, false] {
            assert_eq!(explained(&row, std::slice::from_ref(&copy), stamps), 0);
            assert_eq!(explained(&row, &[copy.clone(), whole.clone()], stamps), 1);
        }
        let alike = Observed { stamp: None, ..whole };
        assert_eq!(explained(&row, std::slice::from_ref(&alike), false), 1);
    }

    #[test]
    fn a_copy_with_the_name_is_not_adopted_where_the_cloud_stamps() {
        let row = sent();
        let alike = Observed { stamp: None, ..seen(&row, ThingState::Running) };
        let births = |stamps| judge(&row, std::slice::from_ref(&alike), stamps, Planted::NONE);
        assert_eq!(births(true), Births::Ours(Vec::new()));
        assert_eq!(births(false), Births::Ours(vec![alike.clone()]));
    }

    #[test]
    fn half_a_firewall_is_no_birth_while_a_replay_may_finish_it_and_is_ended_afterwards() {
        let mut row = fixtures::launch(1);
        let (half, whole) = (seen(&row, ThingState::Building), seen(&row, ThingState::Running));
        let births =
            |row: &Launch, seen: &Observed| judge(row, std::slice::from_ref(seen), true, Planted::NONE);
        assert_eq!(births(&row, &half), Births::Ours(Vec::new()));
        assert_eq!(births(&row, &whole), Births::Ours(vec![whole.clone()]));
        let mut released = row.clone();
        released.wants.insert(0, Want::Gone);
        assert_eq!(births(&released, &half), Births::Ours(vec![half.clone()]));
        row.state = LaunchState::Closed(Closed::NeverBorn(Absence::Refused));
        assert_eq!(births(&row, &half), Births::Ours(vec![half]));
    }
}
