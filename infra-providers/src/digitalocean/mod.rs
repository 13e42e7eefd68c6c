//! DigitalOcean: machines (droplets), firewalls and snapshots.
//!
//! # Layout
//! `api` is the typed client over the [`Transport`](crate::http::Transport) and `wire` its shapes, `errors` the one
//! table from DigitalOcean's words to the contract's errors, `tags` the grammar of marks and labels. `driver` connects
//! keys, `provider` answers the contract, `launch`, `firewall` and `snapshot` create, `list` looks, `act` changes,
//! `catalogue` says what there is and what it costs, `observe` reads things. `fake` (feature `fakes`) is the API over
//! the sim, in process.
//!
//! # Guarantees
//! * One method of `api` is one request. A droplet's mark, labels, name and *firewall* stand in its create call: the
//!   firewall is one for a tag, and the droplet is born with that tag, so that no crash leaves it open.
//! * There is no idempotency token, so a droplet or snapshot whose fate is unknown is never sent again. Firewalls have
//!   names that are unique in the account, by which a replay finds its own.
//! * A droplet whose firewall is gone is not made, and a firewall with droplets behind it is not ended: both would
//!   leave machines open to everybody. Each costs one look before the call.
//! * Things of another region of the same account are not of this lane, although one listing shows them all.
//!
//! # Public keys
//! An account takes the same public key only once, so that a registered key cannot belong to one reservation: two of
//! them would fight over it, and the end of one would take it from the other. Keys go into the first-boot data
//! (`first_boot`) beside the user's script, and this provider makes no key pairs and asks nothing of `account/keys`:
//! to name a registered key, it would have to be looked up when a launch is sent.
//!
//! # Off
//! A droplet that is off is billed like one that is on. The one way to turn a machine off that saves anything is to
//! snapshot and end it, which the engine does. The order for a snapshot does not name what it will make: `launch`
//! answers nothing as long as the snapshot does not show, and `find` knows it by its name.
//!
//! # Caveats
//! * Tags outlive what they were on, in the account's list of tags. They cost nothing and have no documented limit. A
//!   firewall's tag is ended with it.
//! * A droplet that could not be built says so nowhere: it stays `new` until the build's time is over.
//! * Pages are numbers, so that a thing that ends while a listing is read can push another one off a page: a listing
//!   whose total changed on the way does not say that it is complete.
//! * Metrics are not read yet: `measure` answers Invalid.
//! * The disk is the size's own: no other can be asked for.

pub mod api;
pub mod errors;
pub mod wire;

mod act;
pub(crate) mod catalogue;
mod driver;
#[cfg(feature = "fakes")]
pub mod fake;
mod firewall;
mod launch;
mod list;
mod observe;
mod provider;
mod settings;
mod snapshot;
mod tags;

pub use driver::DigitalOceanDriver;
pub use provider::DigitalOceanProvider;
pub use settings::DigitalOceanSettings;
