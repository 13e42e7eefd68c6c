//! The rules somebody sets beside the sizes: what they would rather pay more for than have.
//!
//! # Guarantees
//! * Nothing said, nothing forbidden: the default policy rules out no offer.
//! * A list that denies wins over one that allows, and an empty list of what is allowed allows everything.
//! * What an offer does not say about itself cannot meet a rule: without a generation it misses every least one, and
//!   without a family it is in no list of families.
//!
//! # Caveats
//! Every rule has a price, which the answer names (`RuleCost` in [`crate::contracts::pricing`]): a rule that costs
//! nothing and one that costs half the bill look alike in a request.

use serde::{Deserialize, Serialize};

use crate::words::ids::{CloudName, Region};

/// Machines whose processors may be used fully only for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Burstable {
    /// Like any other.
    #[default]
    Allow,
    /// Never.
    Deny,
}

/// Which names may be taken: all, or only those of a list, and none of another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct Among<T> {
    /// Only these; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "utoipa", schema(max_items = 50))]
    pub allow: Vec<T>,
    /// None of these, also when allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "utoipa", schema(max_items = 50))]
    pub deny: Vec<T>,
}

impl<T> Default for Among<T> {
    fn default() -> Self {
        Self { allow: Vec::new(), deny: Vec::new() }
    }
}

impl<T> Among<T> {
    /// Does it rule out nothing?
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// May a name be taken? `same` says whether an entry means it.
    pub fn takes(&self, same: impl Fn(&T) -> bool) -> bool {
        (self.allow.is_empty() || self.allow.iter().any(&same)) && !self.deny.iter().any(same)
    }
}

/// What may be chosen, beside the sizes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Policy {
    /// Machines whose processors may be used fully only for a time.
    pub burstable: Burstable,
    /// The generation of the family at least; offers without one are ruled out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "utoipa", schema(minimum = 1, maximum = 1000, example = 6))]
    pub min_generation: Option<u32>,
    /// Regions by the cloud's name.
    #[serde(skip_serializing_if = "Among::is_any")]
    pub regions: Among<Region>,
    /// Families of machine types by the cloud's name, without regard to case: `m5`, `s`.
    #[serde(skip_serializing_if = "Among::is_any")]
    pub families: Among<String>,
    /// Clouds by their configured name.
    #[serde(skip_serializing_if = "Among::is_any")]
    pub providers: Among<CloudName>,
}

impl Policy {
    /// Does it rule out nothing?
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }

    /// May a family be taken? One that an offer does not name is in no list.
    #[must_use]
    pub fn takes_family(&self, family: &str) -> bool {
        self.families.takes(|listed| !family.is_empty() && listed.eq_ignore_ascii_case(family))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_name_is_not_taken_because_it_is_also_allowed() {
        let mut policy = Policy::default();
        assert!(policy.is_any() && policy.takes_family("") && policy.takes_family("m5"));
        policy.families.allow = vec!["M5".to_owned(), "c6g".to_owned()];
        policy.families.deny = vec!["c6G".to_owned()];
        let taken = ["m5", "c6g", "t3", ""].map(|family| policy.takes_family(family));
        assert_eq!(taken, [true, false, false, false]);
        policy.families.allow.clear();
        assert!(policy.takes_family("") && policy.takes_family("t3") && !policy.takes_family("c6g"));
    }

    #[test]
    fn a_misspelt_rule_is_refused_and_not_ignored() {
        for wrong in [r#"{"burst": "deny"}"#, r#"{"regions": {"denny": []}}"#, r#"{"burstable": "never"}"#] {
            assert!(serde_json::from_str::<Policy>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            serde_json::to_string(&Policy::default()).expect("plain data"),
            r#"{"burstable":"allow"}"#
        );
    }
}
