//! Faults on order: which calls they hit, what they do, how often.

use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{AccountId, LaunchToken, Region, ResourceId, TypeName, Zone};
use infra_core::words::lane::ResourceKind;
use serde::{Deserialize, Serialize};

use super::chance::Chance;
use super::thing::SimThing;

/// What goes wrong. On the wire a word, or `{"slow_ms": 500}` where it takes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultEffect {
    /// Done, but the answer never arrives. Effect for the caller: unknown.
    LostReply,
    /// Never arrives at the cloud. Effect for the caller: unknown.
    LostRequest,
    /// Done, and answered with a server error.
    ErrorButCreated,
    /// Not done, and answered with a server error.
    #[serde(rename = "5xx")]
    ServerError,
    /// Refused: no capacity.
    Capacity,
    /// Refused: quota used up.
    Quota,
    /// Refused: asked too often.
    Throttled,
    /// Refused: the key lacks a permission.
    Unauthorized,
    /// Refused: not in a state for this.
    Busy,
    /// Done, and answered with something unreadable.
    Garbled,
    /// Done at once, answered this much later.
    SlowMs(u64),
    /// Answered with a time-out at once, done this much later: a request that sat in a queue.
    LateMs(u64),
    /// A terminate that is accepted and never happens.
    Stuck,
    /// A terminate that is accepted and happens this much later than usual.
    StuckForS(u64),
    /// A build that ends in error instead of running.
    ErrorState,
    /// A build that takes this much longer.
    SlowBuildS(u64),
    /// Launch: what it makes is never shown in listings or look-ups, by id only. Listing and look-up: what
    /// matches is left out of this answer.
    HideFromList,
    /// A listing whose last page does not say that it is complete.
    Incomplete,
}

/// Which calls a rule hits; what is not said matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Whose calls.
    pub account: Option<AccountId>,
    /// Where.
    pub region: Option<Region>,
    /// In which zone.
    pub zone: Option<Zone>,
    /// About which kind.
    pub kind: Option<ResourceKind>,
    /// About which machine type.
    #[serde(rename = "type")]
    pub type_name: Option<TypeName>,
    /// About the thing of this name.
    pub name: Option<String>,
    /// About the thing with this id.
    pub id: Option<ResourceId>,
    /// Of which attempt.
    pub token: Option<LaunchToken>,
}

/// A fault rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `launch find get list_owned identify catalogue measure terminate power-on power-off mark unmark`, `act` for
    /// the last five, `*` for all.
    #[serde(default = "every_op")]
    pub op: String,
    /// Which calls of that operation.
    #[serde(rename = "match", default)]
    pub matching: Match,
    /// How many calls it hits; once when not said, for ever when null.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// Chance, in thousandths, that a matching call is hit; all when not said.
    #[serde(default = "always")]
    pub per_mille: u16,
    /// What happens to them.
    pub effect: FaultEffect,
}

fn every_op() -> String {
    "*".to_owned()
}

#[allow(clippy::unnecessary_wraps, reason = "serde wants the field's own type")]
const fn once() -> Option<u32> {
    Some(1)
}

const fn always() -> u16 {
    1000
}

impl Rule {
    /// Hits the next call of an operation once.
    #[must_use]
    pub fn once(op: &str, effect: FaultEffect) -> Self {
        Self { op: op.to_owned(), matching: Match::default(), times: once(), per_mille: always(), effect }
    }

    /// Hits this many calls; `None` for all.
    #[must_use]
    pub const fn times(mut self, times: Option<u32>) -> Self {
        self.times = times;
        self
    }

    /// Hits each matching call with this chance, in thousandths.
    #[must_use]
    pub const fn per_mille(mut self, per_mille: u16) -> Self {
        self.per_mille = per_mille;
        self
    }

    /// Hits only calls that match.
    #[must_use]
    pub fn only(mut self, matching: Match) -> Self {
        self.matching = matching;
        self
    }

    fn hits(&self, op: &str, about: &Match) -> bool {
        let acts = ["terminate", "power-on", "power-off", "mark", "unmark"];
        let op_hits = self.op == "*" || self.op == op || (self.op == "act" && acts.contains(&op));
        op_hits && self.times != Some(0) && self.matching.covers(about)
    }
}

impl Match {
    fn covers(&self, about: &Self) -> bool {
        fn one<T: PartialEq>(wanted: Option<&T>, is: Option<&T>) -> bool {
            wanted.is_none() || wanted == is
        }
        one(self.account.as_ref(), about.account.as_ref())
            && one(self.region.as_ref(), about.region.as_ref())
            && one(self.zone.as_ref(), about.zone.as_ref())
            && one(self.kind.as_ref(), about.kind.as_ref())
            && one(self.type_name.as_ref(), about.type_name.as_ref())
            && one(self.name.as_ref(), about.name.as_ref())
            && one(self.id.as_ref(), about.id.as_ref())
            && one(self.token.as_ref(), about.token.as_ref())
    }
}

/// The faults that hit one call.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<FaultEffect>);

impl Faults {
    pub(super) fn has(&self, effect: FaultEffect) -> bool {
        self.0.contains(&effect)
    }

    /// The first number that `pick` finds.
    pub(super) fn number(&self, pick: impl Fn(FaultEffect) -> Option<u64>) -> Option<u64> {
        self.0.iter().find_map(|effect| pick(*effect))
    }
}

/// Uses up and collects what hits one call.
pub(super) fn strike(rules: &mut Vec<Rule>, op: &str, about: &Match, chance: &mut Chance) -> Faults {
    let mut faults = Faults::default();
    // What a listing hides is decided thing by thing, in `hide`.
    let by_call = |rule: &&mut Rule| rule.effect != FaultEffect::HideFromList || op == "launch";
    for rule in rules.iter_mut().filter(by_call).filter(|rule| rule.hits(op, about)) {
        if rule.per_mille < 1000 && chance.below(1000) >= u64::from(rule.per_mille) {
            continue;
        }
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        faults.0.push(rule.effect);
    }
    rules.retain(|rule| rule.times != Some(0));
    faults
}

/// Leaves out of an answer what standing rules hide. A rule is used up once by each answer it changed.
pub(super) fn hide<'s>(
    rules: &mut Vec<Rule>,
    op: &str,
    mut things: Vec<&'s SimThing>,
    chance: &mut Chance,
) -> Vec<&'s SimThing> {
    for rule in rules.iter_mut().filter(|rule| rule.effect == FaultEffect::HideFromList) {
        let hit = |thing: &&SimThing| rule.hits(op, &thing.facets());
        if !things.iter().any(hit)
            || (rule.per_mille < 1000 && chance.below(1000) >= u64::from(rule.per_mille))
        {
            continue;
        }
        things.retain(|thing| !hit(thing));
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
    }
    rules.retain(|rule| rule.times != Some(0));
    things
}

/// One call as the cloud saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallRecord {
    /// When, by the cloud's clock.
    pub at: Timestamp,
    /// Which operation; see [`Rule::op`].
    pub op: String,
    /// Whose key it was; `None` when the key was refused.
    pub account: Option<AccountId>,
    /// The first digits of the key's digest: tells two keys apart, tells nothing else.
    pub key: String,
    /// Where.
    pub region: Region,
    /// Of which attempt.
    pub token: Option<LaunchToken>,
    /// In which zone.
    pub zone: Option<Zone>,
    /// About which thing.
    pub id: Option<ResourceId>,
    /// Digest of the body of a launch: replays have the same.
    pub body: Option<String>,
    /// `ok`, or the kind of the error.
    pub outcome: String,
    /// Faults that hit it.
    pub faults: Vec<FaultEffect>,
}
