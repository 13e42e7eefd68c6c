//! Which of the things that carry an attempt's mark did the attempt really make?
//!
//! Tags are copied by people, by backup tools, by scaling groups. So a mark never makes a thing ours; only what
//! the *provider itself* stamped does, or, on clouds without a stamp, the attempt's unique name together with
//! its type, image and time, and never more things than the attempt could make.

use std::time::Duration;

use crate::nouns::cloud::{Observed, ThingState};
use crate::nouns::launch::{Launch, LaunchBody};
use crate::words::clock::between;
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
        .filter(|seen| seen.kind == row.kind() && !row.things.iter().any(|thing| thing.id == seen.id));
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

fn is_alike(row: &Launch, seen: &Observed) -> bool {
    let named = seen.name.as_deref() == Some(row.frozen.name.as_str());
    let in_time = row.first_sent().is_some_and(|sent| between(seen.created_at, sent) <= CLOCK_SLACK);
    let same_make = match &row.frozen.body {
        LaunchBody::Machine(body) => {
            let typed = seen.type_name.as_ref().is_none_or(|name| *name == body.type_name);
            typed && seen.image.as_ref().is_none_or(|image| *image == body.image)
        }
        LaunchBody::Firewall(_) | LaunchBody::KeyPair { .. } => true,
    };
    named && in_time && same_make
}

/// Is a thing in this state still there (and maybe billed)?
#[must_use]
pub const fn is_alive(state: ThingState) -> bool {
    !matches!(state, ThingState::Ended)
}
