//! What the words are in a schema, for front ends that publish one: behind the feature `utoipa`.
//!
//! # Guarantees
//! * A schema says what reading enforces: characters and lengths of names, the form of money and of moments.
//!
//! # Caveats
//! What depends on the moment or on arithmetic (an end in the future, a block's address bits) no schema can say.

use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema, SchemaFormat};

use super::ids::NAME_LEN_MAX;

/// Characters that names are made of.
const NAME: &str = "^[A-Za-z0-9._:@/+-]+$";
/// A tag's name: not empty, no control character, none of the reserved prefixes in whatever case.
const TAG_KEY: &str = r"^(?![iI][nN][fF][rR][aA]-)(?![aA][wW][sS]:)[^\x00-\x1f\x7f-\x9f]{1,127}$";
/// A tag's value: no control character.
const TAG_VALUE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// An OpenSSH public key: type, base64, comment.
const SSH_KEY: &str = concat!(
    "^(ssh-ed25519 AAAAC3NzaC1lZDI1NTE5|ssh-rsa AAAAB3NzaC1yc2E",
    "|ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY|ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQ",
    "|ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjE",
    "|sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
    "|sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb2)",
    "[A-Za-z0-9+/]{40,1600}={0,2}( [ -~]{0,100})?$"
);
/// A block of addresses, of either family.
const BLOCK: &str = concat!(
    "^(([0-9]{1,3}\\.){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])",
    "|[0-9A-Fa-f:]{2,39}(:([0-9]{1,3}\\.){3}[0-9]{1,3})?/([0-9]{1,2}|1[01][0-9]|12[0-8]))$"
);
/// A decimal, as amounts are written.
const DECIMAL: &str = r"^-?[0-9]{1,10}\.[0-9]{2,9}$";

/// The schema of a name made of the characters that may stand in a key.
///
/// Characters and length are those that reading enforces.
#[must_use]
pub fn name(about: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(about))
        .min_length(Some(1))
        .max_length(Some(NAME_LEN_MAX))
        .pattern(Some(NAME))
        .into()
}

/// The schema of a uuid.
#[must_use]
pub fn uuid(about: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(about))
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .into()
}

/// The schema of tags: at most 30, with names that cannot be mistaken for a mark.
///
/// Reserved prefixes are excluded in the pattern: a program can find out beforehand, and not by being refused.
#[must_use]
pub fn tags() -> RefOr<Schema> {
    let key = ObjectBuilder::new().schema_type(Type::String).pattern(Some(TAG_KEY));
    let value = ObjectBuilder::new().schema_type(Type::String).max_length(Some(255)).pattern(Some(TAG_VALUE));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "Labels that also reach the cloud. Names beginning with `infra-` or `aws:` are reserved.",
        ))
        .property_names(Some(key))
        .additional_properties(Some(AdditionalProperties::from(value)))
        .max_properties(Some(30))
        .examples([serde_json::json!({"team": "blue"})])
        .into()
}

/// The schema of a list of OpenSSH public keys.
#[must_use]
pub fn ssh_public_keys() -> RefOr<Schema> {
    let key = ObjectBuilder::new().schema_type(Type::String).max_length(Some(2048)).pattern(Some(SSH_KEY));
    ArrayBuilder::new()
        .description(Some("OpenSSH public keys that may log in: type, base64, comment."))
        .items(key)
        .max_items(Some(10))
        .into()
}

/// The schema of a list of names of software.
#[must_use]
pub fn software() -> RefOr<Schema> {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(100))
        .pattern(Some(r"^[^\x00-\x1f\x7f-\x9f]*$"));
    ArrayBuilder::new()
        .description(Some("Software, for requests that name none, where something here installs it."))
        .items(name)
        .max_items(Some(30))
        .into()
}

/// The schema of a list of CIDR blocks.
#[must_use]
pub fn blocks() -> RefOr<Schema> {
    let block = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(BLOCK))
        .examples([serde_json::json!("203.0.113.7/32")]);
    ArrayBuilder::new()
        .description(Some(
            "CIDR blocks that may connect; nobody when empty. An address may have no bits beyond its prefix.",
        ))
        .items(block)
        .max_items(Some(50))
        .into()
}

/// The schema of files by absolute path.
#[must_use]
pub fn files() -> RefOr<Schema> {
    let path = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(255))
        .pattern(Some(r"^(/(?!\.{1,2}(/|$))[ -.0-~]+)+$"));
    let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(10_240));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "Files that stand on the disk before the first boot, by absolute path (OpenStack).",
        ))
        .property_names(Some(path))
        .additional_properties(Some(AdditionalProperties::from(text)))
        .max_properties(Some(5))
        .into()
}

/// The schema of the ways of being off.
#[must_use]
pub fn ways_off() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some("How it is turned off; the cloud's first way when not said."))
        .enum_values(Some([
            serde_json::json!("stop"),
            serde_json::json!("hibernate"),
            serde_json::json!("shelve"),
            serde_json::json!("suspend"),
            serde_json::json!("snapshot"),
            serde_json::Value::Null,
        ]))
        .into()
}

/// The schema of money.
pub(crate) fn money() -> RefOr<Schema> {
    let amount = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("A decimal: never a float, at most nine places."))
        .pattern(Some(DECIMAL))
        .examples([serde_json::json!("0.0416")]);
    let currency = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("An ISO 4217 code."))
        .enum_values(Some(["USD"]));
    ObjectBuilder::new()
        .description(Some("An amount of money."))
        .property("amount", amount)
        .property("currency", currency)
        .required("amount")
        .required("currency")
        .into()
}

/// Gives a type of a name or a uuid its schema, with its own first doc line as description.
///
/// Derived, a schema would be a bare string and know none of the rules.
macro_rules! word {
    ($name:ident, $about:expr, $schema:ident) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::words::schema::$schema(str::trim($about))
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub(crate) use word;
