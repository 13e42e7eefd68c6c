//! The proof of ownership: the only maker of [`OwnedHandle`]s.

use std::time::Duration;

use crate::contracts::provider::{Authority, OwnedHandle};
use crate::nouns::cloud::Observed;
use crate::nouns::launch::{Launch, Origin};
use crate::words::ids::InstallationId;

/// Why something is not proven ours. Nothing is done to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotOwned {
    /// Its id does not stand on the row.
    #[error("{id} does not stand in the ledger under {token}")]
    NotInLedger {
        /// Which thing.
        id: String,
        /// Which attempt.
        token: String,
    },
    /// Its mark is missing, or another's.
    #[error("{id} does not carry the mark of {token}")]
    MarkDisagrees {
        /// Which thing.
        id: String,
        /// Which attempt.
        token: String,
    },
}

/// Proves that a thing, just seen at `seen_at` (monotonic), is what a row says we made.
///
/// Both must hold: its id stands on the ledger row (an open one, of this lane), *and* its mark names this
/// installation, this attempt and this kind.
///
/// # Errors
/// [`NotOwned`], which is audited and never acted against.
pub fn prove(
    row: &Launch,
    seen: &Observed,
    installation: InstallationId,
    seen_at: Duration,
) -> Result<OwnedHandle, NotOwned> {
    let (id, token) = (seen.id.to_string(), row.token.to_string());
    if row.closed() || seen.kind != row.kind() || !row.things.iter().any(|thing| thing.id == seen.id) {
        return Err(NotOwned::NotInLedger { id, token });
    }
    let mark = row.frozen.mark;
    let agrees =
        mark.installation == installation && seen.mark.is_some_and(|found| same_owner(&found, &mark));
    if !agrees {
        return Err(NotOwned::MarkDisagrees { id, token });
    }
    Ok(handle(row, seen, seen_at))
}

/// The owner confirmed that this thing, whose mark is gone, is the one on the row: enough to mark it again and
/// to power it, never to end it.
///
/// # Errors
/// [`NotOwned::NotInLedger`].
pub fn prove_confirmed(row: &Launch, seen: &Observed, seen_at: Duration) -> Result<OwnedHandle, NotOwned> {
    let known = row.things.iter().any(|thing| thing.id == seen.id && thing.confirmed);
    if row.closed() || !known || seen.kind != row.kind() {
        return Err(NotOwned::NotInLedger { id: seen.id.to_string(), token: row.token.to_string() });
    }
    Ok(OwnedHandle { may: Authority::Power, ..handle(row, seen, seen_at) })
}

fn same_owner(found: &crate::words::lane::Mark, ours: &crate::words::lane::Mark) -> bool {
    found.installation == ours.installation && found.token == ours.token && found.kind == ours.kind
}

fn handle(row: &Launch, seen: &Observed, seen_at: Duration) -> OwnedHandle {
    OwnedHandle {
        id: seen.id.clone(),
        kind: seen.kind,
        lane: row.lane.clone(),
        mark: row.frozen.mark,
        may: match row.origin {
            Origin::Created => Authority::PowerAndTerminate,
            Origin::Adopted { .. } => Authority::Power,
        },
        seen_at,
    }
}
