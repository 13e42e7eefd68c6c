//! AWS: machines, firewalls (security groups) and key pairs of EC2; identity by STS.
//!
//! # Layout
//! `keys` takes credentials apart, `session` renews keys that end, `ambient` gets the operator's own; `permissions` is
//! the policy that a key needs. `api` is the narrow seam ([`api::Ec2Api`]), `sdk` the only file that knows the official SDK (feature `aws`),
//! `errors` the one table from EC2's codes to the contract's errors. Everything else is logic over the seam and
//! builds without the SDK: `driver` connects keys, `provider` answers the contract, `launch`, `firewall` and
//! `key_pair` create, `list` looks, `act` changes, `catalogue` says what there is, `prices` what it costs, from
//! `price_list` (on demand), `spot`, and a dated table.
//!
//! # Guarantees
//! * No process-global, no ambient credentials, no retries inside the SDK: key, endpoint and region are handed over,
//!   and one method call is one HTTP request.
//! * Marks, name and labels stand in the create call, on machines and on their disks; every disk goes with its
//!   machine.
//! * Nothing is open but what a firewall's body names.
//!
//! # Caveats
//! * Machines live in the default subnet of their zone unless `options.network` names another one of that zone, in
//!   whatever VPC; a firewall is made in the VPC of its machines. An account without a default VPC has to name one.
//! * The root disk's device name belongs to the image and is not in the frozen body: it is read from the image just
//!   before the call. It never changes for an image id, so a replay is still the same bytes.
//! * Metrics are not read yet: `measure` answers Invalid.
//! * An image that is charged for (`platformDetails`) has a price of its own, on demand for Windows and Red Hat; on the spot
//!   market, and for SUSE and whatever else is sold, there is none, so it is never chosen.

pub mod api;
pub mod errors;
#[cfg(feature = "fakes")]
pub mod fake;
pub mod permissions;

mod act;
mod ambient;
mod catalogue;
mod driver;
mod firewall;
mod key_pair;
mod keys;
mod launch;
mod list;
mod observe;
pub(crate) mod price_list;
mod prices;
mod provider;
#[cfg(feature = "aws")]
mod sdk;
mod session;
mod settings;
pub(crate) mod spot;

pub use ambient::{ProfileKeys, VariableKeys};
pub use driver::{AmbientKeys, AwsDriver, Ec2Connector};
pub use keys::StaticKeys;
pub use prices::AwsPrices;
pub use provider::Ec2Provider;
#[cfg(feature = "aws")]
pub use sdk::SdkConnector;
pub use settings::{AwsSettings, ImageSource};
