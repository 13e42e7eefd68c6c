//! Defects on purpose. Each names an interleaving that naive rules get wrong; the simulation must catch every
//! one of them. Without the feature `planted-bugs` the question is a constant `false` and costs nothing.

/// One planted defect, named after the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is documented by the rule it breaks, in ARCHITECTURE.md")]
pub enum Bug {
    C1CopiedStoreActs,
    C2RestoredStoreActs,
    C3AbsenceOfAnotherAccount,
    C4BodyRebuilt,
    C5TokenInAnotherZone,
    C6RefusalClosesUnknown,
    C7OldLaunchResumed,
    C8TokenlessResend,
    C9CopiedMarkAdopted,
    C10LateBirthForgotten,
    C11NotFoundIsGone,
    C12LostMarkReplaced,
    C13ClockTrusted,
    C14SatelliteUnwritten,
    C16ResentUnderRelease,
    C19SwitchUnchecked,
    C20KeyInItsOwnWrite,
    C21UnknownCommitTrusted,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::C1CopiedStoreActs,
        Self::C2RestoredStoreActs,
        Self::C3AbsenceOfAnotherAccount,
        Self::C4BodyRebuilt,
        Self::C5TokenInAnotherZone,
        Self::C6RefusalClosesUnknown,
        Self::C7OldLaunchResumed,
        Self::C8TokenlessResend,
        Self::C9CopiedMarkAdopted,
        Self::C10LateBirthForgotten,
        Self::C11NotFoundIsGone,
        Self::C12LostMarkReplaced,
        Self::C13ClockTrusted,
        Self::C14SatelliteUnwritten,
        Self::C16ResentUnderRelease,
        Self::C19SwitchUnchecked,
        Self::C20KeyInItsOwnWrite,
        Self::C21UnknownCommitTrusted,
    ];
}

/// Which defect, if any, is planted. Always none in a build without the feature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg(feature = "planted-bugs")]
    bug: Option<Bug>,
}

impl Planted {
    /// No defect.
    pub const NONE: Self = Self {
        #[cfg(feature = "planted-bugs")]
        bug: None,
    };

    /// Plants one.
    #[cfg(feature = "planted-bugs")]
    #[must_use]
    pub const fn one(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    /// Is this one planted?
    #[cfg(feature = "planted-bugs")]
    #[must_use]
    pub fn is(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Is this one planted?
    #[cfg(not(feature = "planted-bugs"))]
    #[must_use]
    pub const fn is(self, _bug: Bug) -> bool {
        false
    }
}
