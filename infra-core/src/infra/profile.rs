//! A user's profile: what its requests are filled up with.
//!
//! # Flow
//! Setting checks every field, spells the time zone as the IANA data does, and writes the record whole. Reading answers an
//! empty profile of version 0 where none was set, so that a first writer can say that it saw none.
//!
//! # Errors
//! [`InfraError::OutOfRange`] with every wrong field at once; a pasted private key is refused without being repeated.
//! [`InfraError::Conflict`] names the version that stands. A region is not looked up here: which ones there are depends
//! on the keys, which come and go.
//!
//! # Guarantees
//! * It is the user's own, whatever the team: it goes along when the user moves, and ends with the user.
//! * It is replaced whole, in one commit, and only as the caller saw it when the caller says which version that was.
//! * What does not pass (a time zone that there is not, a private key) is not stored.

use super::ask;
use super::core::Core;
use super::error::InfraError;
use super::gate::Step;
use super::user::UserHandle;
use super::views::ProfileView;
use crate::contracts::store::Expect;
use crate::nouns::account::{Preferences, Profile, User};
use crate::records::{Stored, Versioned};
use crate::words::lane::Version;

/// The version of a profile that was never set.
const NEVER: Version = Version(0);

/// A user's profile; that of a removed user of the same name is none.
pub(super) async fn of(core: &Core, user: &User) -> Result<ProfileView, InfraError> {
    let found = core.repo.get::<Profile>(Profile::place(&user.id)).await?;
    Ok(view(found.as_ref().filter(|found| found.value.since == user.created_at)))
}

fn view(found: Option<&Versioned<Profile>>) -> ProfileView {
    match found {
        Some(found) => ProfileView {
            preferences: found.value.preferences.clone(),
            version: found.version,
            changed_at: Some(found.value.changed_at),
        },
        None => ProfileView { preferences: Preferences::default(), version: NEVER, changed_at: None },
    }
}

impl UserHandle {
    /// The user's profile; an empty one of version 0 when none was set. Cancel safe.
    ///
    /// # Errors
    /// Only the general ones.
    pub async fn profile(&self) -> Result<ProfileView, InfraError> {
        of(&self.core, &self.core.user(&self.id).await?.value).await
    }

    /// Replaces the user's profile. What is reserved already stays as it is.
    ///
    /// # Errors
    /// [`InfraError::OutOfRange`] with every wrong field: `time_zone` when the IANA data has none of that name,
    /// `ssh_public_keys` as in a request; [`InfraError::Conflict`].
    pub async fn set_profile(
        &self,
        preferences: &Preferences,
        if_match: Option<Version>,
    ) -> Result<ProfileView, InfraError> {
        let preferences = ask::preferences(preferences)?;
        let settled = self.core.settle("the profile", || async {
            let gate = self.core.gate(&self.id).await?;
            gate.may_change()?;
            let me = &gate.user.value;
            let was = self.core.repo.get::<Profile>(Profile::place(&me.id)).await?;
            let seen = view(was.as_ref().filter(|was| was.value.since == me.created_at)).version;
            if let Some(expected) = if_match.filter(|expected| *expected != seen) {
                return Err(InfraError::Conflict {
                    what: "profile",
                    id: me.id.to_string(),
                    why: format!("version is {seen}, not {expected}"),
                    version: Some(seen),
                });
            }
            let is = Profile {
                user: me.id.clone(),
                since: me.created_at,
                preferences: preferences.clone(),
                changed_at: self.core.now(),
            };
            let mut txn = self.core.repo.txn();
            txn.put(&is, was.map_or(Expect::Absent, |was| Expect::Version(was.version)));
            // Nothing is written for a user who is being removed.
            txn.check(me.key(), Expect::Version(gate.user.version));
            gate.check(&mut txn);
            Ok(Step::Commit(txn, is))
        });
        let (value, version) = settled.await?;
        Ok(view(Some(&Versioned { value, version })))
    }
}
