//! OpenStack: servers and key pairs of Nova, firewalls (security groups) of Neutron, snapshots of Glance; identity by
//! Keystone v3.
//!
//! # Layout
//! `auth` takes credentials apart (`clouds_yaml` reads those files) and keeps one token per key; `api` is the typed
//! client over the [`Transport`](crate::http::Transport) seam, where one method is one request; `errors` the one table
//! from the services' words to the contract's errors. `driver` connects keys, `provider` answers the contract,
//! `launch`, `firewall`, `key_pair` and `snapshot` create, `list` and `observe` look, `act` changes, `catalogue` and
//! `prices` say what there is and what it costs.
//!
//! # Guarantees
//! * Mark, name and labels of a server or snapshot stand in the create call as metadata; key pairs and security groups,
//!   which have none, carry the mark as their name.
//! * A token is renewed by one caller at a time, shortly before its end, and once when a service refuses it; the
//!   refused request did nothing, so it is sent again.
//! * A cell of Nova that is down makes a listing incomplete instead of shorter: reads ask for a microversion that
//!   shows its servers as `UNKNOWN`.
//! * A server that is stopping is not started: its task is looked at before any power order.
//!
//! # Caveats
//! * Nova has no idempotency token: PROTOCOL C8 holds for every kind.
//! * Nova knows key pairs by user and not by project: only the key that made one is asked about it, and which project it
//!   is for stands in its public key's comment. When that key is gone for good, the pair stays, and its row says so.
//! * Files for the first boot (personality) are refused by Nova after microversion 2.56, so a create that carries
//!   files, and only that, is sent at 2.56.
//! * No floating address is made: whether a machine can be reached from outside is decided by its network.

pub mod errors;

mod act;
mod api;
mod auth;
mod catalogue;
mod clouds_yaml;
mod driver;
#[cfg(feature = "fakes")]
mod fake;
mod firewall;
mod key_pair;
mod launch;
mod list;
mod observe;
mod prices;
mod provider;
mod settings;
mod shapes;
mod snapshot;

pub use auth::{Login, LoginError};
pub use clouds_yaml::{CloudEntry, CloudsYamlError};
pub use driver::OpenStackDriver;
#[cfg(feature = "fakes")]
pub use fake::OpenStackFake;
pub use prices::PriceSheet;
pub use provider::OpenStackProvider;
pub use settings::{Interface, OpenStackSettings};
