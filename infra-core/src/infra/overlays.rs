//! What a team pays less than the lists say: read with every quote, set by whoever runs the installation.
//!
//! # Flow
//! Setting checks every overlay and replaces all of them in one record. The next quote of anybody in the team is ranked
//! with them; what is reserved already keeps the price it was taken at. Whoever sets them or looks at them is told what
//! each lowers now ([`overlay_effect`]).
//!
//! # Guarantees
//! * Replaced whole, in one commit, and only as the caller saw them when the caller says which version that was.
//! * They belong to the team and stay with it. A discount is between a cloud and who pays: no user sets a team's.
//!
//! # Errors
//! [`InfraError::OutOfRange`] with every wrong field, a cloud that is not configured among them; [`InfraError::Conflict`]
//! names the version that stands.

use super::ask;
use super::core::Core;
use super::error::InfraError;
use super::gate::{Step, not_frozen};
use super::operator::Operator;
use super::overlay_effect;
use super::teams;
use super::user::UserHandle;
use super::views::OverlaysView;
use crate::contracts::store::Expect;
use crate::nouns::installation::Installation;
use crate::nouns::overlay::{Overlay, Overlays};
use crate::records::Versioned;
use crate::words::clock::Timestamp;
use crate::words::ids::TenantId;
use crate::words::lane::Version;

/// A team's overlays as they are kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) overlays: Vec<Overlay>,
    version: Version,
    changed_at: Option<Timestamp>,
}

impl Kept {
    fn of(found: Option<Versioned<Overlays>>) -> Self {
        let version = found.as_ref().map_or(Version::default(), |found| found.version);
        let (overlays, changed_at) =
            found.map(|it| (it.value.overlays, Some(it.value.changed_at))).unwrap_or_default();
        Self { overlays, version, changed_at }
    }

    /// With what each lowers now.
    async fn shown(self, core: &Core, tenant: &TenantId) -> OverlaysView {
        let effects = overlay_effect::of(core, tenant, &self.overlays).await;
        let Self { overlays, version, changed_at } = self;
        OverlaysView { overlays, effects, version, changed_at }
    }
}

/// A team's overlays; none of version 0 when they were never set. Asks no cloud.
pub(super) async fn of(core: &Core, tenant: &TenantId) -> Result<Kept, InfraError> {
    Ok(Kept::of(core.repo.get::<Overlays>(Overlays::place(tenant)).await?))
}

async fn is_there(core: &Core, team: &TenantId) -> Result<(), InfraError> {
    if teams::is_there(core, team).await? { Ok(()) } else { Err(InfraError::missing("team", team)) }
}

impl UserHandle {
    /// What the user's team pays less, and what of it counts now; nothing of version 0 when that was never set. Waits some
    /// seconds for clouds that were not heard lately. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn overlays(&self) -> Result<OverlaysView, InfraError> {
        let tenant = self.core.user(&self.id).await?.value.tenant;
        Ok(of(&self.core, &tenant).await?.shown(&self.core, &tenant).await)
    }
}

impl Operator {
    /// What a team pays less, and what of it counts now. The team of a user without one is `user:` and the name. Waits
    /// some seconds for clouds that were not heard lately. Cancel safe.
    ///
    /// # Errors
    /// [`InfraError::NotFound`] (`team`) for one that was never made and that nobody is in.
    pub async fn overlays(&self, team: &TenantId) -> Result<OverlaysView, InfraError> {
        is_there(&self.core, team).await?;
        Ok(of(&self.core, team).await?.shown(&self.core, team).await)
    }

    /// Replaces what a team pays less. What is reserved already keeps its price.
    ///
    /// What lowers nothing now is kept, and the answer says so: a cloud may be silent, keys and types come later.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] with every wrong field: `overlays[2].off.percent`, or `overlays[2].provider` for a cloud
    /// that is not configured; [`InfraError::Conflict`]; [`InfraError::NotFound`] (`team`) for one that was never made and
    /// that nobody is in: a slip of the pen would change nobody's prices, or those of whoever is called so next.
    pub async fn set_overlays(
        &self,
        team: &TenantId,
        overlays: &[Overlay],
        if_match: Option<Version>,
    ) -> Result<OverlaysView, InfraError> {
        ask::overlays(overlays, &self.core.connections.clouds())?;
        is_there(&self.core, team).await?;
        let settled = self.core.settle("the overlays", || async {
            let installation = self.core.installation().await?;
            not_frozen(&installation.value)?;
            let was = self.core.repo.get::<Overlays>(Overlays::place(team)).await?;
            let seen = was.as_ref().map_or(Version::default(), |was| was.version);
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
        Ok(Kept::of(Some(Versioned { value, version })).shown(&self.core, team).await)
    }
}
