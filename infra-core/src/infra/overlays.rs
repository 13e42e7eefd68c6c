//! What a team pays less than the lists say: read with every quote, set by whoever runs the installation.
//!
//! # Flow
//! Setting checks every overlay and replaces all of them in one record. The next quote of anybody in the team is ranked
//! with them; what is reserved already keeps the price it was taken at.
//!
//! # Guarantees
//! * Replaced whole, in one commit, and only as the caller saw them when the caller says which version that was.
//! * They belong to the team and stay with it. A discount is between a cloud and who pays: no user sets a team's.
//!
//! # Errors
//! [`InfraError::OutOfRange`] with every wrong field; [`InfraError::Conflict`] names the version that stands.

use super::ask;
use super::core::Core;
use super::error::InfraError;
use super::gate::{Step, not_frozen};
use super::operator::Operator;
use super::teams;
use super::user::UserHandle;
use super::views::OverlaysView;
use crate::contracts::store::Expect;
use crate::nouns::installation::Installation;
use crate::nouns::overlay::{Overlay, Overlays};
use crate::records::Versioned;
use crate::words::ids::TenantId;
use crate::words::lane::Version;

/// A team's overlays; none of version 0 when they were never set.
pub(super) async fn of(core: &Core, tenant: &TenantId) -> Result<OverlaysView, InfraError> {
    Ok(view(core.repo.get::<Overlays>(Overlays::place(tenant)).await?.as_ref()))
}

async fn is_there(core: &Core, team: &TenantId) -> Result<(), InfraError> {
    if teams::is_there(core, team).await? { Ok(()) } else { Err(InfraError::missing("team", team)) }
}

fn view(found: Option<&Versioned<Overlays>>) -> OverlaysView {
    OverlaysView {
        overlays: found.map(|found| found.value.overlays.clone()).unwrap_or_default(),
        version: found.map_or(Version::default(), |found| found.version),
        changed_at: found.map(|found| found.value.changed_at),
    }
}

impl UserHandle {
    /// What the user's team pays less; nothing of version 0 when that was never set. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn overlays(&self) -> Result<OverlaysView, InfraError> {
        of(&self.core, &self.core.user(&self.id).await?.value.tenant).await
    }
}

impl Operator {
    /// What a team pays less. The team of a user without one is `user:` and the name. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`team`) for one that was never made and that nobody is in.
    pub async fn overlays(&self, team: &TenantId) -> Result<OverlaysView, InfraError> {
        is_there(&self.core, team).await?;
        of(&self.core, team).await
    }

    /// Replaces what a team pays less. What is reserved already keeps its price.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] with every wrong field: `overlays[2].off.percent`; [`InfraError::Conflict`];
    /// [`InfraError::NotFound`] (`team`) for one that was never made and that nobody is in: a slip of the pen would change nobody's prices, or
    /// those of whoever is called so next.
    pub async fn set_overlays(
        &self,
        team: &TenantId,
        overlays: &[Overlay],
        if_match: Option<Version>,
    ) -> Result<OverlaysView, InfraError> {
        ask::overlays(overlays)?;
        is_there(&self.core, team).await?;
        let settled = self.core.settle("the overlays", || async {
            let installation = self.core.installation().await?;
            not_frozen(&installation.value)?;
            let was = self.core.repo.get::<Overlays>(Overlays::place(team)).await?;
            let seen = view(was.as_ref()).version;
            if let Some(expected) = if_match.filter(|expected| *expected != seen) {
                return Err(InfraError::Conflict {
                    what: "overlays",
                    id: team.to_string(),
                    why: format!("version is {seen}, not {expected}"),
                    version: Some(seen),
                });
            }
            let is =
                Overlays { tenant: team.clone(), overlays: overlays.to_vec(), changed_at: self.core.now() };
            let mut txn = self.core.repo.txn();
            txn.put(&is, was.map_or(Expect::Absent, |was| Expect::Version(was.version)));
            txn.check(Installation::place(), Expect::Version(installation.version));
            Ok(Step::Commit(txn, is))
        });
        let (value, version) = settled.await?;
        Ok(view(Some(&Versioned { value, version })))
    }
}
