//! Templates: requests that are kept under a name, to be asked again.
//!
//! A template is a name of its owner's with numbered versions. A version never changes; saving again under the name
//! makes the next one, and no number is ever given twice, not even after the name was deleted.
//!
//! # Guarantees
//! * `gone_through <= newest`. What is above the one and up to the other is there; everything else was never saved, or is
//!   deleted, whatever records may still stand.
//! * The name's record is written with every version, so whoever holds its version has seen all of them.
//!
//! # Caveats
//! The record of a deleted name stays: it is small, and it is what keeps a number from being given again.

use serde::{Deserialize, Serialize};

use super::request::Request;
use crate::words::clock::Timestamp;
use crate::words::ids::{ReservationId, TemplateName, UserId};
use crate::words::secret::Sealed;

/// One version of somebody's template.
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TemplateRef {
    /// Whose.
    pub owner: UserId,
    /// Its name among the owner's.
    pub name: TemplateName,
    /// Which version, from 1 up.
    pub version: u32,
}

/// A name, and which versions of it there are: those above `gone_through` up to `newest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Whose.
    pub owner: UserId,
    /// When that user was created: the next of that name is somebody else.
    pub since: Timestamp,
    /// Its name among the owner's.
    pub name: TemplateName,
    /// The newest version ever saved.
    pub newest: u32,
    /// Versions up to here were deleted with the name; 0 when it never was.
    pub gone_through: u32,
    /// When the newest version was saved, or the name deleted.
    pub changed_at: Timestamp,
}

impl Template {
    /// How many versions there are; 0 once the name is deleted.
    #[must_use]
    pub const fn versions(&self) -> u32 {
        self.newest.saturating_sub(self.gone_through)
    }

    /// Is there this version?
    ///
    /// Says what counts, whatever records stand: a deleted version is not there from the deletion's commit on.
    #[must_use]
    pub const fn has(&self, version: u32) -> bool {
        version > self.gone_through && version <= self.newest
    }
}

/// One version. Never written again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateVersion {
    /// Which.
    pub of: TemplateRef,
    /// The request, without its `setup` and the text of its files, and without what came from a profile.
    pub request: Request,
    /// The first-boot script, sealed for `template/<owner>/<name>/<version>/setup`.
    pub setup: Option<Sealed>,
    /// Files for the first boot as a JSON object of path and text, sealed likewise, for `.../files`.
    pub files: Option<Sealed>,
    /// The reservation it was made from, if any.
    pub from: Option<ReservationId>,
    /// Saved at.
    pub created_at: Timestamp,
}
