//! What a team pays less than the list says: its own discounts and savings plans.
//!
//! # Guarantees
//! * An overlay lowers the price of compute and of nothing else: disks, addresses and fees are listed apart.
//! * Where several match, the lowest price counts. They never add up, so their order means nothing.
//! * A twentieth of the list price is left at least. An amount that would leave less was meant for something dearer, and
//!   does not apply: a fixed amount off made small machines free, and they were chosen for that.
//!
//! # Caveats
//! How much of a savings plan is used up already is not known here: an overlay says what the next machine costs.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::request::Market;
use crate::words::clock::Timestamp;
use crate::words::ids::{CloudName, Region, TenantId};
use crate::words::money::Money;

/// By how much a price is lower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// So many hundredths of the list price; 0.001 at least, and 95 at most. Counted in thousandths of a percent.
    #[cfg_attr(feature = "utoipa", schema(example = 28.5))]
    Percent(f64),
    /// So much per machine and hour.
    PerHour(Money),
}

/// As people write it: one of the two.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "{\"percent\": 28.5}, or {\"per_hour\": {\"amount\": \"0.01\", \"currency\": \"USD\"}}"
)]
struct OffWire {
    percent: Option<f64>,
    per_hour: Option<Money>,
}

impl<'de> Deserialize<'de> for Off {
    /// What is neither, or both, is refused in words that say how it is written.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match OffWire::deserialize(from)? {
            OffWire { percent: Some(percent), per_hour: None } => Ok(Self::Percent(percent)),
            OffWire { percent: None, per_hour: Some(off) } => Ok(Self::PerHour(off)),
            _ => Err(D::Error::custom("must say percent or per_hour, and not both")),
        }
    }
}

impl Off {
    /// A listed price, lowered; the price itself where less than a twentieth of it would be left.
    ///
    /// An amount makes the price just below the one that it begins to apply to the dearer of the two: see
    /// [`Self::least`].
    #[must_use]
    pub fn lowered(self, list_nanos: i64) -> i64 {
        let least = self.least(list_nanos);
        if i128::from(least) * 20 < i128::from(list_nanos) { list_nanos } else { least }
    }

    /// What is never above what this makes of a listed price, or of a dearer one: the same without asking whether it
    /// applies. Rises with the list price.
    #[must_use]
    pub fn least(self, list_nanos: i64) -> i64 {
        const WHOLE: i128 = 100_000;
        let lowered = match self {
            Self::Percent(_) => {
                let exact = i128::from(list_nanos) * i128::from(self.left_milli_percent());
                // Up, as everything that is billed.
                i64::try_from((exact + WHOLE - 1).div_euclid(WHOLE)).unwrap_or(list_nanos)
            }
            Self::PerHour(off) => list_nanos.saturating_sub(off.nanos.max(0)),
        };
        lowered.clamp(1, list_nanos.max(1))
    }

    /// What is left of 100,000 thousandths of a percent. What makes no sense takes nothing off.
    #[allow(clippy::cast_possible_truncation, reason = "checked to lie between 0 and 100")]
    fn left_milli_percent(self) -> i64 {
        match self {
            Self::Percent(off) if off > 0.0 && off < 100.0 => 100_000 - (off * 1000.0).round() as i64,
            _ => 100_000,
        }
    }
}

/// One discount, and what it is for. Absent means "any".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// What people call it.
    #[cfg_attr(feature = "utoipa", schema(min_length = 1, max_length = 100))]
    pub name: String,
    /// Only at this cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<CloudName>,
    /// Only in this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Only this family of types, without regard to case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "utoipa", schema(min_length = 1, max_length = 100))]
    pub family: Option<String>,
    /// Only bought in this way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<Market>,
    /// By how much.
    pub off: Off,
}

impl Overlay {
    /// Is it for offers of this cloud and region, whatever their family and market?
    #[must_use]
    pub fn is_for_place(&self, cloud: &CloudName, region: &Region) -> bool {
        self.provider.as_ref().is_none_or(|it| it == cloud)
            && self.region.as_ref().is_none_or(|it| it == region)
    }

    /// Is it for this family, bought in this way?
    #[must_use]
    pub fn is_for_kind(&self, family: &str, market: Market) -> bool {
        self.market.is_none_or(|it| it == market)
            && self.family.as_deref().is_none_or(|it| !family.is_empty() && it.eq_ignore_ascii_case(family))
    }
}

/// A team's overlays, as they stand in the store: replaced whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overlays {
    /// Whose.
    pub tenant: TenantId,
    /// All of them.
    pub overlays: Vec<Overlay>,
    /// When they were set.
    pub changed_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discount_makes_nothing_free_nor_cheaper_than_what_is_searched_by() {
        let per_hour = |nanos| Off::PerHour(Money::usd_nanos(nanos));
        let offs = [Off::Percent(28.5), Off::Percent(99.999), per_hour(5), per_hour(i64::MAX), per_hour(-5)];
        for off in offs {
            let mut last = 0;
            for list in [1, 2, 3, 6, 7, 1000, 1001, 1_000_000_000, i64::MAX - 1, i64::MAX] {
                let (least, lowered) = (off.least(list), off.lowered(list));
                assert!(least >= last && (1..=list).contains(&least), "{off:?} of {list}: {least}");
                let left = i128::from(lowered) * 20 >= i128::from(list);
                assert!(left && (least..=list).contains(&lowered), "{off:?} of {list}: {lowered}");
                last = least;
            }
        }
        assert_eq!(Off::Percent(25.0).lowered(1_000_000_001), 750_000_001, "rounded up");
        for nonsense in [0.0, -5.0, 100.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Off::Percent(nonsense).lowered(7), 7, "{nonsense}");
        }
    }
}
