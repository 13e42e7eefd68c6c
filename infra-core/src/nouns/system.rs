//! Systems that clouds charge for differently: a price is one of a type with a system on it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a machine boots, as far as its price depends on that.
///
/// Clouds that sell licences charge by the hour for them, beside the machine; those that sell none charge the same
/// whatever boots, so everything is [`System::Linux`] there. A price of one system is never asked for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// Nothing that is paid for: Linux and its like, and whatever brings a licence of its own.
    #[default]
    Linux,
    /// Windows, without any other licence.
    Windows,
    /// Red Hat Enterprise Linux.
    Rhel,
    /// SUSE Linux Enterprise.
    Suse,
    /// Anything else that is paid for: nobody here knows its price.
    Other,
}

impl System {
    /// Those that a source can name a price of.
    pub const PRICED: [Self; 4] = [Self::Linux, Self::Windows, Self::Rhel, Self::Suse];

    /// The word of price files and of the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::Rhel => "rhel",
            Self::Suse => "suse",
            Self::Other => "other",
        }
    }

    /// By what people call an operating system: `windows 2022`, `rhel 9`. What is not known to be sold is Linux.
    #[must_use]
    pub fn of_os(os: &str) -> Self {
        let os = os.trim_start().to_ascii_lowercase();
        let begins = |words: &[&str]| words.iter().any(|word| os.starts_with(word));
        if begins(&["windows", "microsoft windows"]) {
            Self::Windows
        } else if begins(&["rhel", "red hat", "redhat"]) {
            Self::Rhel
        } else if begins(&["sles", "suse linux enterprise", "suse-sles"]) {
            Self::Suse
        } else {
            Self::Linux
        }
    }

    /// Is it the one that is meant where nobody says another? Records leave it out.
    #[must_use]
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub fn is_linux(&self) -> bool {
        *self == Self::Linux
    }
}

impl FromStr for System {
    type Err = String;

    /// Reads a word of [`System::PRICED`], whatever its case.
    ///
    /// # Errors
    /// A sentence with the words there are.
    fn from_str(word: &str) -> Result<Self, String> {
        let known = Self::PRICED.into_iter().find(|system| system.word().eq_ignore_ascii_case(word));
        known.ok_or_else(|| {
            let words = Self::PRICED.map(Self::word).join(", ");
            format!("unknown system {word:?}; there are {words}")
        })
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sold_is_taken_for_what_is_free() {
        for (os, system) in [
            ("windows server 2022", System::Windows),
            ("Windows 11", System::Windows),
            ("rhel 9", System::Rhel),
            ("Red Hat Enterprise Linux 9", System::Rhel),
            ("sles 15", System::Suse),
            ("opensuse 15", System::Linux),
            ("ubuntu 24.04", System::Linux),
            ("", System::Linux),
        ] {
            assert_eq!(System::of_os(os), system, "{os}");
        }
        assert_eq!("WINDOWS".parse(), Ok(System::Windows));
        for wrong in ["", "win", "other", "windows server"] {
            assert!(wrong.parse::<System>().is_err_and(|why| why.contains("linux, windows")), "{wrong}");
        }
    }
}
