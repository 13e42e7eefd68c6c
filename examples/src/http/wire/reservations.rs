//! Reservations.

use std::collections::BTreeMap;

use infra_core::infra::{ReservationView, ShareView};
use infra_core::nouns::request::Request;
use infra_core::nouns::reservation::{Hold, Phase, Power, Role, Try, UnitView};
use infra_core::nouns::template::TemplateRef;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ReservationId, UserId};
use infra_core::words::lane::Version;
use infra_core::words::money::Money;
use serde::de::Unexpected;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// What stands in the place of a first-boot script.
const SEALED: &str = "[sealed]";

/// A reservation: what a user holds, where, until when and at what price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// Its owner.
    pub user: UserId,
    /// What whoever asks may do with it.
    pub role: Role,
    /// Whom its owner shares it with.
    pub shares: Vec<Share>,
    /// Where it is.
    pub state: Phase,
    /// Rises with every change of its record; in quotes it is the `ETag`.
    pub version: Version,
    /// Nothing of it costs real money.
    pub simulated: bool,
    /// What is in force now: as asked; an extension has put `ends_at` in the place of `duration_s`.
    pub request: Asked,
    /// Fields of the request that its owner did not say: they come from the owner's profile.
    pub from_profile: Vec<String>,
    /// The template it was made from.
    #[schema(required = true)]
    pub template: Option<TemplateRef>,
    /// How many machines are wanted now.
    #[schema(format = Int64)]
    pub count: u32,
    /// Whether they are wanted on or off.
    pub power: Power,
    /// Its machines. Lists show at most 20.
    pub units: Vec<UnitView>,
    /// All wanted machines for one hour; `null` when nothing is wanted any more.
    #[schema(required = true)]
    pub price: Option<Money>,
    /// An upper estimate of its cost so far, by list price; `null` in lists.
    #[schema(required = true)]
    pub cost_so_far: Option<Money>,
    /// Asked at.
    pub created_at: Timestamp,
    /// First time everything wanted was usable.
    #[schema(required = true)]
    pub ready_at: Option<Timestamp>,
    /// Ends then; `null` when it never ends by itself.
    #[schema(required = true)]
    pub ends_at: Option<Timestamp>,
    /// Nothing of it was left at.
    #[schema(required = true)]
    pub over_at: Option<Timestamp>,
    /// Why it is where it is.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// A brake that holds it.
    #[schema(required = true)]
    pub hold: Option<Hold>,
    /// What was tried, newest last.
    pub tries: Vec<Try>,
    /// Clusters bring notebooks; machines have none.
    #[schema(required = true)]
    pub notebook_url: Option<String>,
}

impl From<&ReservationView> for Reservation {
    fn from(view: &ReservationView) -> Self {
        Self {
            id: view.id.clone(),
            user: view.user.clone(),
            role: view.role,
            shares: view.shares.iter().map(Share::from).collect(),
            state: view.state,
            version: view.version,
            simulated: view.simulated,
            request: Asked::sealed(&view.request, view.has_setup),
            from_profile: view.from_profile.clone(),
            template: view.template.clone(),
            count: view.desired.count,
            power: view.desired.power,
            units: view.units.clone(),
            price: view.price_per_hour,
            cost_so_far: view.cost_so_far,
            created_at: view.created_at,
            ready_at: view.ready_at,
            ends_at: view.ends_at,
            over_at: view.over_at,
            reason: view.reason.clone(),
            hold: view.hold.clone(),
            tries: view.tries.clone(),
            notebook_url: None,
        }
    }
}

/// What may be given to a team mate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShareRole {
    /// Looks.
    Viewer,
    /// Looks; stops, starts and extends.
    User,
}

impl From<ShareRole> for Role {
    fn from(role: ShareRole) -> Self {
        match role {
            ShareRole::Viewer => Self::Viewer,
            ShareRole::User => Self::User,
        }
    }
}

/// A share to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "viewer"}))]
pub struct NewShare {
    /// What the team mate may do.
    pub role: ShareRole,
}

/// Whom a reservation is shared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Which team mate.
    pub user: UserId,
    /// What that one may do.
    pub role: ShareRole,
}

impl From<&ShareView> for Share {
    fn from(share: &ShareView) -> Self {
        // Nobody is given more than `user`; whoever reads an older server's words loses nothing by it.
        let role = if share.role == Role::Viewer { ShareRole::Viewer } else { ShareRole::User };
        Self { user: share.user.clone(), role }
    }
}

/// What was asked: only what was said. The first-boot script may hold secrets and stays inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked(pub Request);

impl Asked {
    /// A request as it is shown: that there is a script, and not which.
    #[must_use]
    pub fn sealed(request: &Request, has_setup: bool) -> Self {
        let mut shown = request.clone();
        shown.setup = has_setup.then(|| SEALED.to_owned());
        Self(shown)
    }
}

impl Serialize for Asked {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut said = json!(self.0);
        if let Some(fields) = said.as_object_mut() {
            fields.retain(|_, value| match value {
                Value::Null | Value::Bool(false) => false,
                Value::Array(list) => !list.is_empty(),
                Value::Object(map) => !map.is_empty(),
                _ => true,
            });
        }
        said.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Asked {
    /// Passes over fields that a newer server may know.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut said = Map::deserialize(from)?;
        let known = json!(Request::default());
        said.retain(|field, _| known.get(field).is_some());
        serde_json::from_value(Value::Object(said)).map(Self).map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Asked {
    /// A request's fields, open to more of them.
    fn schema() -> RefOr<Schema> {
        let mut schema = Request::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.additional_properties = None;
            object.description =
                Some("What was asked: only what was said; `setup` is never shown.".to_owned());
        }
        schema
    }
}

impl ToSchema for Asked {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <Request as ToSchema>::schemas(schemas);
    }
}

/// A change of a reservation: exactly one of these at a time. `null` is refused: an end that was set can be moved but
/// not taken away, and whoever writes `null` most likely means that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReservationChange, example = json!({"power": "off"}))]
pub struct Change {
    /// The new end.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Timestamp, required = false)]
    pub ends_at: Option<Timestamp>,
    /// Turns it on or off.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Power, required = false)]
    pub power: Option<Power>,
    /// The new tags, in the place of all old ones.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = infra_core::words::schema::tags, required = false)]
    pub tags: Option<BTreeMap<String, String>>,
}

/// Reads a value that must be there when its name is: `null` is a wrong type.
pub(super) fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let null = || serde::de::Error::invalid_type(Unexpected::Other("null"), &"a value");
    Option::<T>::deserialize(from)?.map(Some).ok_or_else(null)
}
