//! Defects on purpose. Each names an interleaving that naive rules get wrong; the simulation must catch every
//! one of them. Without the feature `planted-bugs` the question is a constant `false` and costs nothing.

/// One planted defect, named after the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// A copied store works on as if it were the original.
    C1CopiedStoreActs,
    /// A store older than the cloud is not frozen.
    C2RestoredStoreActs,
    /// Nobody asks whose account it is before an absence is believed.
    C3AbsenceOfAnotherAccount,
    /// A replay sends another body than the one that is stored.
    C4BodyRebuilt,
    /// A replay goes to another zone.
    C5TokenInAnotherZone,
    /// A refusal closes a row although an earlier send may have gone through.
    C6RefusalClosesUnknown,
    /// A launch is sent although it is old, or nobody wants it any more.
    C7OldLaunchResumed,
    /// What has no idempotency token is sent again.
    C8TokenlessResend,
    /// Whatever carries the mark is taken for ours.
    C9CopiedMarkAdopted,
    /// What is alive under a closed row is ignored.
    C10LateBirthForgotten,
    /// One "not found" is an absence.
    C11NotFoundIsGone,
    /// A machine without its mark is counted as gone.
    C12LostMarkReplaced,
    /// Deadlines fire by whatever the wall says.
    C13ClockTrusted,
    /// A firewall is made before its row says so.
    C14SatelliteUnwritten,
    /// A machine is ended although the snapshot that keeps its disk is not proven.
    C15SnapshotUnproven,
    /// A launch is sent again to learn what became of it, although it was released.
    C16ResentUnderRelease,
    /// The commit before a call checks neither switches nor the reservation.
    C19SwitchUnchecked,
    /// An idempotency key is written apart from its reservation.
    C20KeyInItsOwnWrite,
    /// A commit whose reply was lost is taken for done.
    C21UnknownCommitTrusted,
    /// What the history must say is written after what it is about.
    ToldAfterwards,
    /// A reservation is forgotten although it is open, young, or may still have late births.
    ForgottenTooEarly,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 21] = [
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
        Self::C15SnapshotUnproven,
        Self::C16ResentUnderRelease,
        Self::C19SwitchUnchecked,
        Self::C20KeyInItsOwnWrite,
        Self::C21UnknownCommitTrusted,
        Self::ToldAfterwards,
        Self::ForgottenTooEarly,
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
