//! Opening a store: whose it is, and whether it is where it lives.

use super::core::Core;
use super::error::InfraError;
use super::gate::Step;
use crate::nouns::installation::{Frozen, Installation};
use crate::words::ids::InstallationId;
use crate::words::lane::Version;

/// Shape of the records that this version reads and writes.
pub(super) const SCHEMA: u32 = 1;

/// Makes the installation at the first start; afterwards makes sure that the store is at home, and freezes it
/// when it is not. Two replicas may do it at once.
///
/// # Errors
/// [`InfraError::Misconfigured`] for a store of another schema; [`InfraError::Store`].
pub(super) async fn open(core: &Core) -> Result<Installation, InfraError> {
    let opened = core.settle("the installation", || async {
        let Some(was) = core.repo.get::<Installation>(Installation::place()).await? else {
            let new = first(core);
            let mut txn = core.repo.txn();
            txn.insert(&new);
            return Ok(Step::Commit(txn, new));
        };
        if was.value.schema != SCHEMA {
            let why = format!("the store has schema {}, this version reads {SCHEMA}", was.value.schema);
            return Err(InfraError::Misconfigured { why });
        }
        let frozen = judge(&was.value, &core.home);
        if frozen == was.value.frozen {
            return Ok(Step::Done(was.value, was.version));
        }
        let now = Installation { frozen, ..was.value.clone() };
        let mut txn = core.repo.txn();
        txn.update(&was, &now);
        Ok(Step::Commit(txn, now))
    });
    Ok(opened.await?.0)
}

fn first(core: &Core) -> Installation {
    Installation {
        id: InstallationId::draw(core.now(), &*core.entropy),
        epoch: 1,
        home: core.home.clone(),
        schema: SCHEMA,
        created_at: core.now(),
        frozen: None,
        deadlines_held_until: None,
        witness_floor: Version(0),
    }
}

/// What freezes an installation that is opened at a place. Coming home does not thaw: only a person knows whether
/// the copy that was away has acted.
fn judge(installation: &Installation, opened_at: &str) -> Option<Frozen> {
    match &installation.frozen {
        Some(Frozen::OlderThanCloud { .. }) => installation.frozen.clone(),
        frozen if installation.home == opened_at => frozen.clone(),
        _ => Some(Frozen::Elsewhere { opened_at: opened_at.to_owned() }),
    }
}
