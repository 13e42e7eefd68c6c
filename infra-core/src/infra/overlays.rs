//! What a team pays less than the lists say: set by its members, read by every ranking of theirs.
//!
//! # Guarantees
//! * Overlays are the team's: nobody else's prices move by them, and nobody else reads them.
//! * They are replaced whole, so what stands is always what one person meant.
//!
//! # Caveats
//! What runs keeps the price that it was chosen at: a discount that is set later does not rewrite what things came to.

use super::core::Core;
use super::error::InfraError;
use super::gate::Step;
use super::user::UserHandle;
use crate::contracts::store::Expect;
use crate::nouns::overlay::{Off, Overlay, Overlays};
use crate::words::clock::Timestamp;
use crate::words::ids::{TenantId, UserId};
use crate::words::lane::Version;

/// Overlays of one team at most.
const OVERLAYS_MAX: usize = 100;
/// Characters of a name.
const NAME_LEN_MAX: usize = 100;

/// A team's overlays as people see them.
#[derive(Debug, Clone, PartialEq)]
pub struct OverlaysView {
    /// All of them.
    pub overlays: Vec<Overlay>,
    /// When they were set; `None` when never.
    pub changed_at: Option<Timestamp>,
    /// By whom.
    pub changed_by: Option<UserId>,
    /// Pass it as `if_match`; 0 when never set.
    pub version: Version,
}

/// What a team pays less.
pub(super) async fn of(core: &Core, tenant: &TenantId) -> Result<Vec<Overlay>, InfraError> {
    let found = core.repo.get::<Overlays>(Overlays::place(tenant)).await?;
    Ok(found.map(|found| found.value.overlays).unwrap_or_default())
}

impl UserHandle {
    /// The discounts of this user's team. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn overlays(&self) -> Result<OverlaysView, InfraError> {
        let user = self.core.user(&self.id).await?.value;
        let found = self.core.repo.get::<Overlays>(Overlays::place(&user.tenant)).await?;
        Ok(match found {
            None => {
                OverlaysView { overlays: Vec::new(), changed_at: None, changed_by: None, version: Version(0) }
            }
            Some(found) => OverlaysView {
                overlays: found.value.overlays,
                changed_at: Some(found.value.changed_at),
                changed_by: Some(found.value.changed_by),
                version: found.version,
            },
        })
    }

    /// Replaces the discounts of this user's team.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] for more than 100, a name that is empty, long or twice there, and for what takes
    /// nothing or everything off; [`InfraError::Conflict`] when `if_match` does not hold.
    pub async fn set_overlays(
        &self,
        overlays: &[Overlay],
        if_match: Option<Version>,
    ) -> Result<OverlaysView, InfraError> {
        check(overlays)?;
        let settled = self.core.settle("the discounts", || async {
            let gate = self.core.gate(&self.id).await?;
            gate.may_change()?;
            let was = self.core.repo.get::<Overlays>(Overlays::place(gate.tenant())).await?;
            let version = was.as_ref().map_or(Version::default(), |was| was.version);
            if if_match.is_some_and(|seen| seen != version) {
                return Err(InfraError::Conflict {
                    what: "discounts",
                    id: gate.tenant().to_string(),
                    why: format!("version is {version}"),
                    version: Some(version),
                });
            }
            let is = Overlays {
                tenant: gate.tenant().clone(),
                overlays: overlays.to_vec(),
                changed_at: self.core.now(),
                changed_by: self.id.clone(),
            };
            let mut txn = self.core.repo.txn();
            txn.put(&is, was.map_or(Expect::Absent, |was| Expect::Version(was.version)));
            gate.check(&mut txn);
            Ok(Step::Commit(txn, is))
        });
        let (is, version) = settled.await?;
        let (changed_at, changed_by) = (Some(is.changed_at), Some(is.changed_by));
        Ok(OverlaysView { overlays: is.overlays, changed_at, changed_by, version })
    }
}

fn check(overlays: &[Overlay]) -> Result<(), InfraError> {
    if overlays.len() > OVERLAYS_MAX {
        return Err(InfraError::field("overlays", format!("must be {OVERLAYS_MAX} at most")));
    }
    for (at, overlay) in overlays.iter().enumerate() {
        let wrong = |field: &str, why: &str| Err(InfraError::field(&format!("overlays[{at}].{field}"), why));
        let legal = |text: &str| {
            (1..=NAME_LEN_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
        };
        if !legal(&overlay.name) {
            return wrong("name", "must have 1..=100 characters, none of them a control character");
        }
        if overlays[..at].iter().any(|other| other.name == overlay.name) {
            return wrong("name", "stands there twice");
        }
        if overlay.family.as_deref().is_some_and(|family| !legal(family)) {
            return wrong("family", "must have 1..=100 characters, none of them a control character");
        }
        match overlay.off {
            Off::Percent(off) if !(off > 0.0 && off < 100.0) => {
                return wrong("off.percent", "must be above 0 and below 100");
            }
            Off::PerHour(off) if off.nanos <= 0 => return wrong("off.per_hour", "must be above 0"),
            _ => {}
        }
    }
    Ok(())
}
