//! What the API answers, as far as clients look at it. Fields that a newer server adds are passed over; the exact
//! JSON stands beside every value.

use infra_core::words::clock::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// An amount: `{"amount": "0.0416", "currency": "USD"}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MoneyText {
    /// A decimal, exact.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Reservation {
    /// `rsv_...`.
    pub id: String,
    /// Whose.
    pub user: String,
    /// `pending creating ready stopping stopped starting releasing released failed`.
    pub state: String,
    /// Moves with every change; the `ETag` in quotes.
    pub version: u64,
    /// Nothing of it costs real money.
    #[serde(default)]
    pub simulated: bool,
    /// What was asked.
    #[serde(default)]
    pub request: Map<String, Value>,
    /// How many machines are wanted.
    #[serde(default)]
    pub count: u32,
    /// `on` or `off`: what is wanted.
    #[serde(default)]
    pub power: String,
    /// Its slots.
    #[serde(default)]
    pub units: Vec<Unit>,
    /// All machines for an hour.
    #[serde(default)]
    pub price: Option<MoneyText>,
    /// What it came to so far, by list price.
    #[serde(default)]
    pub cost_so_far: Option<MoneyText>,
    /// Asked at.
    pub created_at: Timestamp,
    /// First usable at.
    #[serde(default)]
    pub ready_at: Option<Timestamp>,
    /// Ends at; `None` before its time has begun, or when it has no end.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
    /// Nothing of it was left at.
    #[serde(default)]
    pub over_at: Option<Timestamp>,
    /// Why it is where it is.
    #[serde(default)]
    pub reason: Option<String>,
    /// A brake that holds it.
    #[serde(default)]
    pub hold: Option<Value>,
    /// What was tried, newest last.
    #[serde(default)]
    pub tries: Vec<Tried>,
    /// Where its notebook is.
    #[serde(default)]
    pub notebook_url: Option<String>,
}

impl Reservation {
    /// The name that people gave it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.request.get("name").and_then(Value::as_str)
    }

    /// How many slots are usable.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.units.iter().filter(|unit| unit.state == "ready").count()
    }
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Unit {
    /// Its number.
    pub slot: u32,
    /// Its stage.
    pub state: String,
    /// The cloud.
    #[serde(default)]
    pub provider: Option<String>,
    /// The cloud's account.
    #[serde(default)]
    pub account: Option<String>,
    /// The region.
    #[serde(default)]
    pub region: Option<String>,
    /// The zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// The type.
    #[serde(default, rename = "type")]
    pub type_: Option<String>,
    /// The cloud's id.
    #[serde(default)]
    pub provider_id: Option<String>,
    /// From outside.
    #[serde(default)]
    pub public_address: Option<String>,
    /// From inside.
    #[serde(default)]
    pub private_address: Option<String>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Tried {
    /// When it ended.
    pub at: Timestamp,
    /// Which offer.
    pub offer: String,
    /// What the cloud said.
    pub said: String,
}

/// One way to get what was asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Quote {
    /// The cloud.
    #[serde(default)]
    pub provider: String,
    /// The region.
    #[serde(default)]
    pub region: String,
    /// The zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// The type.
    #[serde(default, rename = "type")]
    pub type_: String,
    /// Virtual processors of one machine.
    #[serde(default)]
    pub vcpus: f64,
    /// Memory of one machine, GiB.
    #[serde(default)]
    pub memory_gib: f64,
    /// Disk of one machine, GiB.
    #[serde(default)]
    pub disk_gib: u64,
    /// Accelerators of one machine.
    #[serde(default)]
    pub gpus: u32,
    /// Which.
    #[serde(default)]
    pub gpu_model: Option<String>,
    /// `x86_64` or `arm64`.
    #[serde(default)]
    pub arch: String,
    /// `on_demand` or `spot`.
    #[serde(default)]
    pub market: String,
    /// One machine for an hour.
    #[serde(default)]
    pub machine_per_hour: Option<MoneyText>,
    /// All machines for an hour.
    #[serde(default)]
    pub per_hour: Option<MoneyText>,
    /// All machines for the time asked.
    #[serde(default)]
    pub total: Option<MoneyText>,
    /// The price is old.
    #[serde(default)]
    pub stale: bool,
    /// Who named the price of the type.
    #[serde(default)]
    pub price_source: String,
    /// When it was named.
    #[serde(default)]
    pub price_as_of: Option<Timestamp>,
    /// Refused a moment ago, as was all else that fits, and not asked for before.
    #[serde(default)]
    pub refused_until: Option<Timestamp>,
}

/// A key to a cloud, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Key {
    /// For which cloud.
    pub provider: String,
    /// The user's own name for it.
    pub label: String,
    /// Which form.
    pub kind: String,
    /// Tells two keys apart.
    #[serde(default)]
    pub fingerprint: String,
    /// The last check.
    #[serde(default)]
    pub status: Value,
    /// Who the cloud says this is.
    #[serde(default)]
    pub identity: String,
    /// When it was checked.
    #[serde(default)]
    pub checked_at: Option<Timestamp>,
    /// Replaced by a key of another account.
    #[serde(default)]
    pub retired: bool,
}

/// A brake.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Brake {
    /// `global`, `lane:<id>` or `tenant:<id>`.
    pub scope: String,
    /// `open no_creates no_deletes frozen`.
    pub value: String,
    /// Who set it.
    #[serde(default)]
    pub by: String,
    /// Why.
    #[serde(default)]
    pub why: String,
    /// When.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// It opens by itself then.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Create calls that may still land; only in the answer to setting it.
    #[serde(default)]
    pub in_flight: Vec<Value>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The name.
    pub name: String,
    /// The team.
    #[serde(default)]
    pub team: Option<String>,
    /// Since when.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// Machines at most.
    #[serde(default)]
    pub machines_max: Option<u32>,
    /// Machines now.
    #[serde(default)]
    pub machines_held: u32,
    /// May change nothing.
    #[serde(default)]
    pub suspended: bool,
}

/// An access token.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Token {
    /// `tok_...`: names it, opens nothing.
    pub id: String,
    /// A name for people.
    #[serde(default)]
    pub label: String,
    /// `user viewer bot`.
    #[serde(default)]
    pub role: String,
    /// Since when.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// Until when.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Last shown to the server at.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
    /// The secret, in the one answer that issues it.
    #[serde(default)]
    pub token: Option<String>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A template.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Template {
    /// Its name, one per owner.
    pub name: String,
    /// Whose.
    #[serde(default)]
    pub owner: Option<String>,
    /// The newest version.
    #[serde(default)]
    pub version: Option<u64>,
    /// Since when.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// What it asks for.
    #[serde(default)]
    pub request: Map<String, Value>,
}

/// A user's profile.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Profile {
    /// What it says, by name; `null` where it says nothing.
    #[serde(default)]
    pub preferences: Map<String, Value>,
    /// Rises with every change, 0 when it was never set.
    pub version: u64,
    /// When it was set.
    #[serde(default)]
    pub changed_at: Option<Timestamp>,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Team {
    /// Its name.
    pub name: String,
    /// Who is in it.
    #[serde(default)]
    pub members: Vec<String>,
    /// Since when; `None` for one that only its users name.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// Rises whenever somebody comes or goes.
    pub version: u64,
}

/// Whom a reservation is shared with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Share {
    /// Which team mate.
    pub user: String,
    /// `viewer` or `user`.
    pub role: String,
}

/// What was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Moved {
    /// How many reservations.
    pub moved: u32,
}

/// Who the token is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WhoAmI {
    /// The user; `None` for the admin.
    #[serde(default)]
    pub user: Option<String>,
    /// `user viewer bot admin`.
    pub role: String,
}

/// Nothing more comes of waiting.
#[must_use]
pub fn settled(state: &str) -> bool {
    matches!(state, "ready" | "stopped") || over(state)
}

/// It is over for good.
#[must_use]
pub fn over(state: &str) -> bool {
    matches!(state, "released" | "failed")
}

#[cfg(test)]
mod tests {
    use serde::de::value::Error;
    use serde::de::{Deserializer, Error as _, Visitor};
    use utoipa::PartialSchema;

    use super::super::error::{FieldProblem, Problem};
    use super::*;
    use crate::http::openapi;
    use crate::http::wire::ProblemBody;

    /// Asks a type for the names of its fields, and gives it nothing.
    struct Names<'a>(&'a mut Vec<&'static str>);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("only structs have fields"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            self.0.extend(fields);
            self.deserialize_any(visitor)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    fn names<T: for<'de> Deserialize<'de>>() -> Vec<&'static str> {
        let mut names = Vec::new();
        let nothing = T::deserialize(Names(&mut names));
        assert!(nothing.is_err() && !names.is_empty(), "a struct says its fields first");
        names
    }

    /// The fields of ours that the server's document does not know.
    fn unknown(schema: &str, ours: &[&str]) -> Vec<String> {
        let problem = match schema {
            "Problem" => ProblemBody::schema(),
            _ => crate::http::FieldProblem::schema(),
        };
        let problem = serde_json::to_value(problem).expect("a schema is plain data");
        let known = match schema {
            // These two belong to every operation and to none.
            "Problem" | "FieldProblem" => &problem["properties"],
            schema => &openapi()["components"]["schemas"][schema]["properties"],
        };
        assert!(known.is_object(), "{schema} is not in the document");
        ours.iter()
            .filter(|name| known.get(**name).is_none())
            .map(|name| format!("{schema}.{name}"))
            .collect()
    }

    #[test]
    fn what_the_client_reads_is_what_the_server_writes() {
        let wrong: Vec<String> = [
            unknown("Reservation", &names::<Reservation>()),
            unknown("UnitView", &names::<Unit>()),
            unknown("Try", &names::<Tried>()),
            unknown("Quote", &names::<Quote>()),
            unknown("Key", &names::<Key>()),
            unknown("ThrownBrake", &names::<Brake>()),
            unknown("User", &names::<User>()),
            unknown(
                "IssuedToken",
                &names::<Token>().into_iter().filter(|n| *n != "last_used_at").collect::<Vec<_>>(),
            ),
            unknown("WhoAmI", &names::<WhoAmI>()),
            unknown("Problem", &names::<Problem>()),
            unknown("FieldProblem", &names::<FieldProblem>()),
        ]
        .concat();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(unknown("Quote", &["provider", "priec"]), ["Quote.priec"]);
    }
}
