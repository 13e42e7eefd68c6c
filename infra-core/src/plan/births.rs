//! Which of the things that carry an attempt's mark did the attempt really make?
//!
//! Tags are copied by people, by backup tools, by scaling groups. So a mark never makes a thing ours; only
//! what the *provider itself* stamped does, or, on clouds without a stamp, the attempt's unique name together
//! with its type, image and time, and never more things than the attempt could make.
//!
//! # Guarantees
//! * A thing that the provider stamped with another token is never this attempt's, whatever its tags say; one
//!   that it stamped with this token always is.
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

/// Judges candidates that are not on the row yet.
#[must_use]
pub fn judge(row: &Launch, candidates: &[Observed], planted: Planted) -> Births {
    let fresh = candidates
        .iter()
        .filter(|seen| seen.kind == row.kind() && !row.things.iter().any(|thing| thing.id == seen.id))
        .filter(|seen| !is_unfinished(row, seen));
    if planted.is(Bug::C9CopiedMarkAdopted) {
        return Births::Ours(fresh.cloned().collect());
    }
    let (stamped, bare): (Vec<_>, Vec<_>) = fresh.partition(|seen| seen.stamp.is_some());
    let ours: Vec<_> = stamped.into_iter().filter(|seen| seen.stamp == Some(row.token)).cloned().collect();
    if !ours.is_empty() {
        return Births::Ours(ours);
    }
    let alike: Vec<_> = bare.into_iter().filter(|seen| is_alike(row, seen)).cloned().collect();
    let room = usize::from(row.frozen.count).saturating_sub(row.things.len());
    if alike.len() <= room {
        return Births::Ours(alike);
    }
    // A full row explains every look-alike: it is a copy, and none of our business.
    if room == 0 { Births::Ours(Vec::new()) } else { Births::Ambiguous(alike) }
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
    let in_time = row.first_sent().is_some_and(|sent| between(seen.created_at, sent) <= CLOCK_SLACK);
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
    use crate::nouns::launch::Absence;
    use crate::nouns::launch::{Closed, FirewallBody, FrozenLaunch, LaunchState, Origin, Want};
    use crate::testing::SeededEntropy;
    use crate::testing::fixtures;
    use crate::words::clock::Timestamp;
    use crate::words::ids::{InstallationId, LaunchToken};
    use crate::words::lane::{Mark, ResourceKind, Version};

    fn row() -> Launch {
        let entropy = SeededEntropy::new(1);
        let token = LaunchToken::draw(Timestamp::UNIX_EPOCH, &entropy);
        let installation = InstallationId::draw(Timestamp::UNIX_EPOCH, &entropy);
        let mark = Mark { installation, token, kind: ResourceKind::Firewall, seq: Version(1) };
        let body = LaunchBody::Firewall(FirewallBody { allow_from: vec!["10.0.0.0/8".to_owned()] });
        Launch {
            token,
            tenant: "t".parse().expect("a legal name"),
            reservation: "rsv_1".parse().expect("a legal name"),
            lane: fixtures::lane(),
            credential: "sim/default/acc-1".parse().expect("a legal name"),
            origin: Origin::Created,
            units: 0..0,
            wants: BTreeMap::from([(0, Want::On)]),
            cause: None,
            frozen: FrozenLaunch {
                token,
                mark,
                name: format!("infra-{token}"),
                count: 1,
                zone: None,
                labels: BTreeMap::new(),
                body,
            },
            sends: Vec::new(),
            state: LaunchState::Unknown,
            things: Vec::new(),
            unseen: None,
            superseded: false,
            short: false,
            ambiguous: false,
            retry: None,
            created_at: Timestamp::UNIX_EPOCH,
            keep_until: None,
        }
    }

    #[test]
    fn half_a_firewall_is_no_birth_while_a_replay_may_finish_it_and_is_ended_afterwards() {
        let mut row = row();
        let seen = |state| Observed {
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
        };
        let (half, whole) = (seen(ThingState::Building), seen(ThingState::Running));
        let births = |row: &Launch, seen: &Observed| judge(row, std::slice::from_ref(seen), Planted::NONE);
        assert_eq!(births(&row, &half), Births::Ours(Vec::new()));
        assert_eq!(births(&row, &whole), Births::Ours(vec![whole.clone()]));
        let mut released = row.clone();
        released.wants.insert(0, Want::Gone);
        assert_eq!(births(&released, &half), Births::Ours(vec![half.clone()]));
        row.state = LaunchState::Closed(Closed::NeverBorn(Absence::Refused));
        assert_eq!(births(&row, &half), Births::Ours(vec![half]));
    }
}
