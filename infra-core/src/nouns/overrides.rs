//! What is different this time: the fields of a request, each of which may be said anew, cleared, or left as it is.
//!
//! # Guarantees
//! * Every field of [`Request`] is here under its own name: a test holds the two together.
//! * A field is replaced whole: tags, options and lists are not merged with those of the template.
//! * Of two fields that exclude each other (`image` and `os`, `ends_at` and `duration_s`) the one that is said anew
//!   takes the other's place.
//!
//! # Caveats
//! Whether a field was left out or set to `null` is told apart only on the wire: here the first is `None`, the other
//! `Some(None)`. What comes out is a request like any other, and is admitted by the same rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::options::MachineOptions;
use super::policy::Policy;
use super::request::{Arch, MarketWish, Request, Resource};
use super::reservation::Heal;
use crate::words::clock::Timestamp;
use crate::words::ids::{CloudName, ImageId, Region};

macro_rules! overrides {
    (optional { $($maybe:ident: $of:ty,)* } plain { $($plain:ident: $is:ty,)* }) => {
        /// Changes to a request. On the wire an object with the request's own field names: absent leaves a field as
        /// it is, `null` clears it, anything else is its new value.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        #[non_exhaustive]
        pub struct Overrides {
            $(
                #[doc = concat!("New value of [`Request::", stringify!($maybe), "`]; `Some(None)` clears it.")]
                #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
                pub $maybe: Option<Option<$of>>,
            )*
            $(
                #[doc = concat!("New value of [`Request::", stringify!($plain), "`]; `Some(None)` clears it.")]
                #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
                pub $plain: Option<Option<$is>>,
            )*
        }

        impl Overrides {
            /// Writes what is said over a request.
            fn write(&self, request: &mut Request) {
                $(if let Some(said) = &self.$maybe {
                    request.$maybe.clone_from(said);
                })*
                $(if let Some(said) = &self.$plain {
                    request.$plain = said.clone().unwrap_or_default();
                })*
            }
        }
    };
}

overrides! {
    optional {
        count: u32, vcpus: f64, memory_gib: f64, disk_gib: f64, gpus: u32, gpu_model: String, arch: Arch,
        os: String, name: String, region: Region, provider: CloudName, market: MarketWish, duration_s: u64,
        ends_at: Timestamp, idle_timeout_s: u64, max_price_per_hour: f64, image: ImageId, setup: String, heal: Heal,
    }
    plain {
        resource: Resource, software: Vec<String>, tags: BTreeMap<String, String>, ssh_public_keys: Vec<String>,
        allow_from: Vec<String>, private_only: bool, options: MachineOptions, policy: Policy,
    }
}

/// A field that stands there was said, also when it says `null`.
///
/// The outer `None` comes from the field's default alone; reading through this makes `null` a `Some(None)`.
fn said<'de, D, T>(field: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(field).map(Some)
}

impl Overrides {
    /// The request with these changes.
    #[must_use]
    pub fn over(&self, request: &Request) -> Request {
        let mut request = request.clone();
        if matches!(self.image, Some(Some(_))) {
            request.os = None;
        }
        if matches!(self.os, Some(Some(_))) {
            request.image = None;
        }
        if matches!(self.ends_at, Some(Some(_))) {
            request.duration_s = None;
        }
        if matches!(self.duration_s, Some(Some(_))) {
            request.ends_at = None;
        }
        self.write(&mut request);
        request
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &Value) -> Overrides {
        serde_json::from_value(text.clone()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_field_of_a_request_that_could_not_be_overridden_is_found() {
        let wire = serde_json::to_value(Request::default()).expect("plain data");
        // Left out of a request that says nothing of it.
        let unsaid = "policy".to_owned();
        let fields: Vec<_> = wire.as_object().expect("an object").keys().cloned().chain([unsaid]).collect();
        assert!(fields.len() > 20, "{fields:?}");
        for field in fields {
            let cleared = read(&json!({ field.as_str(): null }));
            assert_ne!(cleared, Overrides::default(), "{field} is heard");
            assert_eq!(serde_json::to_value(&cleared).expect("plain data"), json!({ field.as_str(): null }));
        }
        assert!(serde_json::from_value::<Overrides>(json!({"cuont": 1})).is_err());
    }

    #[test]
    fn absent_keeps_null_clears_and_anything_else_replaces() {
        let template = Request {
            count: Some(2),
            region: Some("r-1".parse().expect("legal")),
            os: Some("ubuntu 24.04".to_owned()),
            duration_s: Some(60),
            tags: BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]),
            ..Request::default()
        };
        assert_eq!(read(&json!({})).over(&template), template);
        let said = read(&json!({"count": 5, "region": null, "tags": {"a": "9"}}));
        let changed = said.over(&template);
        assert_eq!(
            (changed.count, changed.region, changed.os.as_deref()),
            (Some(5), None, Some("ubuntu 24.04"))
        );
        assert_eq!(changed.tags, BTreeMap::from([("a".to_owned(), "9".to_owned())]), "replaced whole");
        let image = read(&json!({"image": "img-1", "ends_at": "2030-01-01T00:00:00Z"})).over(&template);
        assert_eq!((image.os, image.duration_s), (None, None), "what it excludes gives way");
    }
}
