//! Ids are types: a tenant can never be passed where a user is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::Timestamp;
use super::entropy::Entropy;

/// Most characters a name or id may have.
pub const NAME_LEN_MAX: usize = 200;

/// A name that may not stand in a key: empty, too long, or with a character outside `A-Za-z0-9._:@/+-`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} must be 1 to {NAME_LEN_MAX} characters of A-Z a-z 0-9 . _ : @ / + -")]
pub struct InvalidName {
    /// Which kind of name was meant.
    pub what: &'static str,
    /// What was given, cut to a printable length.
    pub value: String,
}

fn check(what: &'static str, value: &str) -> Result<(), InvalidName> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._:@/+-".contains(c);
    if value.is_empty() || value.len() > NAME_LEN_MAX || !value.chars().all(legal) {
        return Err(InvalidName { what, value: value.chars().take(NAME_LEN_MAX).collect() });
    }
    Ok(())
}

macro_rules! names {
    ($($(#[doc = $doc:literal])* $name:ident = $what:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a name that has passed the check of [`InvalidName`].
            ///
            /// # Errors
            /// [`InvalidName`] when the text may not stand in a key.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                check($what, &value)?;
                Ok(Self(value))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        #[cfg(feature = "utoipa")]
        super::schema::word!($name, concat!($($doc),*), name);
    )*};
}

names! {
    /// A team; a lone user is a tenant of one. Part of every key, never changes.
    TenantId = "tenant";
    /// Who asks and owns.
    UserId = "user";
    /// A cloud's own name for who pays: an STS account, a team uuid, a project id.
    AccountId = "account";
    /// A cloud by its configured name: `aws`, `digitalocean`, `openstack`, `sim`.
    CloudName = "cloud";
    /// A region of a cloud.
    Region = "region";
    /// A zone of a region.
    Zone = "zone";
    /// The id by which a cloud knows a thing.
    ResourceId = "resource id";
    /// The id by which a cloud knows an image.
    ImageId = "image id";
    /// A machine type of a cloud: `m5.large`, `s-2vcpu-4gb`.
    TypeName = "type";
    /// `rsv_` and a time-ordered uuid.
    ReservationId = "reservation";
    /// `provider/label/account`: one sealed key.
    CredentialId = "credential";
    /// A pool of devices.
    PoolId = "pool";
    /// One device of a pool.
    DeviceId = "device";
    /// A lease as its holder names it.
    LeaseId = "lease";
    /// A role of a unit inside its reservation: `machine`, `master`, `core`.
    Role = "role";
}

macro_rules! uuids {
    ($($(#[doc = $doc:literal])* $name:ident;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Draws a new time-ordered id (uuid v7).
            #[must_use]
            pub fn draw(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(draw_uuid(now, entropy))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_simple().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(value: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(value).map(Self)
            }
        }

        #[cfg(feature = "utoipa")]
        super::schema::word!($name, concat!($($doc),*), uuid);
    )*};
}

uuids! {
    /// One per attempt to create something; never reused, never sent with a second body.
    LaunchToken;
    /// One store's identity, part of every ownership mark.
    InstallationId;
    /// Names a commit, so that the same commit sent twice is answered twice but done once.
    CommitId;
    /// One process that works on a store.
    ReplicaId;
    /// One start of a replica.
    BootId;
}

impl ReservationId {
    /// Draws a new id: `rsv_` and a time-ordered uuid.
    #[must_use]
    pub fn draw(now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self(format!("rsv_{}", draw_uuid(now, entropy).as_simple()))
    }
}

/// A uuid v7 of the given moment. Callers inject both inputs, so a seed repeats every id.
pub(crate) fn draw_uuid(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0_u8; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_break_a_key_are_refused() {
        for bad in ["", "a b", "a\0b", "ü", "a\nb", &"x".repeat(NAME_LEN_MAX + 1)] {
            assert!(UserId::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(UserId::new("ada@example").map(String::from), Ok("ada@example".to_owned()));
    }
}
