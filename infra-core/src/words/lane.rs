//! A lane is what an absence is relative to; a mark is how a thing says whose it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, CloudName, InstallationId, LaunchToken, Region};

/// The address of a cloud's API, as configured; empty for the provider's default.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Endpoint(pub String);

/// (cloud, endpoint, account, region): a 404 means something only relative to all four.
///
/// `account` is the *cloud's* name for who pays, as `identify()` answered. Another account, endpoint or
/// project is another lane, never a replacement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Lane {
    /// The cloud's configured name.
    pub cloud: CloudName,
    /// Where its API is.
    pub endpoint: Endpoint,
    /// Who pays, in the cloud's own words.
    pub account: AccountId,
    /// Which region.
    pub region: Region,
}

/// A lane's canonical text, used as index value and record id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct LaneId(pub String);

impl Lane {
    /// The canonical text of this lane.
    #[must_use]
    pub fn id(&self) -> LaneId {
        LaneId(format!("{}|{}|{}|{}", self.cloud, self.endpoint.0, self.account, self.region))
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.cloud, self.region, self.account)
    }
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Store-wide commit number: rises with every commit, so a record's version never repeats (no ABA).
///
/// It also goes into every mark as restore witness: a mark newer than the store means the store is older
/// than the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that only rises, also across restores: `epoch` is bumped by every restore or clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Fence {
    /// Bumped at every restore or clone of the store.
    pub epoch: u32,
    /// Rises within an epoch.
    pub seq: u64,
}

/// What kind of thing a cloud made. Every one of them can leak, so every one is a launch row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// One virtual machine.
    Machine,
    /// A managed cluster.
    Cluster,
    /// A managed database.
    Database,
    /// A disk of its own.
    Volume,
    /// A public address.
    Address,
    /// A public key registered at the cloud.
    KeyPair,
    /// A set of ingress rules.
    Firewall,
    /// A disk image made from a machine.
    Snapshot,
    /// A standing request for interruptible capacity.
    SpotRequest,
}

impl ResourceKind {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 9] = [
        Self::Machine,
        Self::Cluster,
        Self::Database,
        Self::Volume,
        Self::Address,
        Self::KeyPair,
        Self::Firewall,
        Self::Snapshot,
        Self::SpotRequest,
    ];

    /// The word that stands in marks: lower case, one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Cluster => "cluster",
            Self::Database => "database",
            Self::Volume => "volume",
            Self::Address => "address",
            Self::KeyPair => "key-pair",
            Self::Firewall => "firewall",
            Self::Snapshot => "snapshot",
            Self::SpotRequest => "spot-request",
        }
    }

    /// The kind named by [`Self::word`].
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a thing made by us carries in the cloud: whose, which attempt, what kind, and the restore witness.
///
/// It carries no slot (a batch shares one mark) and no expiry (an extension would have to rewrite it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// Which store made it.
    pub installation: InstallationId,
    /// Which attempt made it.
    pub token: LaunchToken,
    /// What it was made as; a thing of another kind with this mark belongs to its parent.
    pub kind: ResourceKind,
    /// The store-wide commit number when the attempt was written down.
    pub seq: Version,
}

/// Tag names of a mark on clouds whose tags are key and value.
pub mod tags {
    /// The installation's uuid.
    pub const INSTALLATION: &str = "infra-installation";
    /// The launch token.
    pub const TOKEN: &str = "infra-token";
    /// The kind's word.
    pub const KIND: &str = "infra-kind";
    /// The commit number.
    pub const SEQ: &str = "infra-seq";
}

impl Mark {
    /// The mark as four tags.
    #[must_use]
    pub fn to_tags(&self) -> [(&'static str, String); 4] {
        [
            (tags::INSTALLATION, self.installation.to_string()),
            (tags::TOKEN, self.token.to_string()),
            (tags::KIND, self.kind.word().to_owned()),
            (tags::SEQ, self.seq.to_string()),
        ]
    }

    /// The mark as a name, for kinds that have no tags: only letters, digits and hyphens, at most 120 characters.
    #[must_use]
    pub fn to_name(&self) -> String {
        let (token, installation) = (self.token.0.as_simple(), self.installation.0.as_simple());
        format!("infra-{token}-{installation}-{}-{}", self.seq, self.kind.word())
    }

    /// Reads a mark back from a thing's name; `None` unless it is exactly what [`Self::to_name`] writes.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("infra-")?.splitn(4, '-');
        let token = parts.next()?.parse().ok()?;
        let installation = parts.next()?.parse().ok()?;
        let seq = Version(parts.next()?.parse().ok()?);
        let mark = Self { installation, token, kind: ResourceKind::from_word(parts.next()?)?, seq };
        (mark.to_name() == name).then_some(mark)
    }

    /// Reads a mark back from a thing's tags; `None` unless all four are there and well formed.
    pub fn from_tags<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        Some(Self {
            installation: get(tags::INSTALLATION)?.parse().ok()?,
            token: get(tags::TOKEN)?.parse().ok()?,
            kind: ResourceKind::from_word(get(tags::KIND)?)?,
            seq: Version(get(tags::SEQ)?.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;
    use crate::words::clock::Timestamp;

    #[test]
    fn a_mark_survives_every_place_it_is_written_in() {
        let entropy = SeededEntropy::new(1);
        let now = Timestamp::UNIX_EPOCH;
        for (nth, kind) in (0_u64..).zip(ResourceKind::ALL) {
            let installation = InstallationId::draw(now, &entropy);
            let mark = Mark {
                installation,
                token: LaunchToken::draw(now, &entropy),
                kind,
                seq: Version(u64::MAX - nth),
            };
            let tags: std::collections::BTreeMap<_, _> = mark.to_tags().into();
            assert_eq!(Mark::from_tags(|tag| tags.get(tag).map(String::as_str)), Some(mark));
            let name = mark.to_name();
            assert_eq!(Mark::from_name(&name), Some(mark));
            assert!(name.len() <= 120, "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
            for other in
                [name[1..].to_owned(), format!("{name}x"), name.to_uppercase(), name.replacen("-1", "-01", 1)]
            {
                assert_eq!(Mark::from_name(&other).filter(|_| other != name), None, "{other}");
            }
        }
        assert_eq!(Mark::from_name("infra-x"), None);
    }
}
