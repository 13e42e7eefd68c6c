//! Templates.

use infra_core::infra::TemplateView;
use infra_core::nouns::overrides;
use infra_core::nouns::request::Request;
use infra_core::words::clock::Timestamp;
use infra_core::words::ids::{ReservationId, TemplateName, UserId};
use infra_core::words::lane::Version;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::Asked;
use super::reservations::said;

/// What a template is made from: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"request": {"vcpus": 2, "memory_gib": 4, "duration_s": 3600}}))]
pub struct TemplateSource {
    /// A request, as it could be reserved.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Request, required = false)]
    pub request: Option<Request>,
    /// One of the user's own reservations: what it asks for, without what came from the profile.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ReservationId, required = false)]
    pub reservation: Option<ReservationId>,
}

/// A template to save under a name, from exactly one of `request` and `reservation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "web", "request": {"vcpus": 2, "memory_gib": 4, "duration_s": 3600}}))]
pub struct NewTemplate {
    /// Its name among the user's. Saved under it before: the next version.
    #[schema(
        value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"
    )]
    pub name: TemplateName,
    /// A request, as it could be reserved.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Request, required = false)]
    pub request: Option<Request>,
    /// One of the user's own reservations: what it asks for, without what came from the profile.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ReservationId, required = false)]
    pub reservation: Option<ReservationId>,
}

/// One version of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Whose.
    pub owner: UserId,
    /// Its name among the owner's.
    pub name: TemplateName,
    /// Which version this is; numbers are never given twice.
    #[schema(format = Int64)]
    pub version: u32,
    /// The newest version of the name.
    #[schema(format = Int64)]
    pub newest: u32,
    /// How many versions there are.
    #[schema(format = Int64)]
    pub versions: u32,
    /// What it asks for.
    pub request: Asked,
    /// The reservation it was made from; `null` for whoever is not its owner.
    #[schema(required = true)]
    pub reservation: Option<ReservationId>,
    /// Saved at.
    pub created_at: Timestamp,
    /// Rises with every version of the name; in quotes it is the `ETag`.
    pub tag: Version,
}

impl From<&TemplateView> for Template {
    fn from(view: &TemplateView) -> Self {
        Self {
            owner: view.of.owner.clone(),
            name: view.of.name.clone(),
            version: view.of.version,
            newest: view.newest,
            versions: view.versions,
            request: Asked::sealed(&view.request, view.has_setup),
            reservation: view.from.clone(),
            created_at: view.created_at,
            tag: view.version,
        }
    }
}

/// What is different from the template this time: the request's own fields. Absent leaves a field as it is, `null` clears
/// it, anything else is its new value; a field is replaced whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Overrides(pub overrides::Overrides);

impl PartialSchema for Overrides {
    /// A request's schema, where every field may also be `null`.
    fn schema() -> RefOr<Schema> {
        let mut schema = Request::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.properties.values_mut().for_each(or_null);
            object.description = Some(
                "Changes to a template's request: absent leaves a field as it is, `null` clears it, anything else \
                 replaces it whole."
                    .to_owned(),
            );
        }
        schema
    }
}

/// Lets a field's schema take `null`, too.
fn or_null(field: &mut RefOr<Schema>) {
    use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
    match field {
        RefOr::T(Schema::Object(object)) => add_null(&mut object.schema_type),
        RefOr::T(Schema::Array(array)) => add_null(&mut array.schema_type),
        // One of several, of which `null` is one.
        RefOr::T(_) => {}
        RefOr::Ref(_) => {
            let null = ObjectBuilder::new().schema_type(Type::Null);
            *field = OneOfBuilder::new().item(null).item(field.clone()).into();
        }
    }
}

fn add_null(kind: &mut utoipa::openapi::schema::SchemaType) {
    use utoipa::openapi::schema::{SchemaType, Type};
    if let SchemaType::Type(one) = kind {
        *kind = SchemaType::from_iter([one.clone(), Type::Null]);
    }
}

impl ToSchema for Overrides {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <Request as ToSchema>::schemas(schemas);
    }
}
