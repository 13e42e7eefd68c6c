//! A client of the REST API that any Rust program can use: typed answers beside the exact JSON they came as.
//!
//! # Flow
//! [`Target`] says where and as whom, [`Client`] sends. Each answer is an [`Answer`]: the value, the server's own
//! text, and the `ETag` to change it with.
//!
//! # Guarantees
//! * A call that may be sent twice is sent again after a lost answer, a bounded number of times, and waits as long as
//!   `Retry-After` says. Making a reservation is such a call because it carries an idempotency key.
//! * A server that was never reached is an error at once: nobody waits because of a typo in an address.
//! * The token goes to the named server alone: no redirect is followed, and plain HTTP leaves this machine only when
//!   the target allows it.
//! * Nothing process-wide is installed: rustls gets `ring` and the root certificates handed over here.
//!
//! # Example
//! ```no_run
//! use infra_core::nouns::request::Request;
//! use infra_core::words::secret::Secret;
//! use infra_examples::client::{Client, Target};
//!
//! # async fn example() -> Result<(), infra_examples::client::ClientError> {
//! let target = Target::new("http://127.0.0.1:8080", Secret::new("infra_...".into()))?.with_user("ada");
//! let infra = Client::new(target)?;
//! let mut need = Request::default();
//! (need.vcpus, need.duration_s) = (Some(2.0), Some(3600));
//! let made = infra.reserve(&need, &infra.draw_key()).await?;
//! println!("{} is {}", made.value.id, made.value.state);
//! # Ok(())
//! # }
//! ```

mod admin;
mod answer;
mod call;
mod error;
mod events;
mod keys;
mod people;
mod repeat;
mod reservations;
mod sse;
mod target;
mod templates;
mod tls;
mod types;

#[cfg(feature = "otlp")]
pub(crate) use tls::plain;

pub use admin::{BrakeChange, NewToken};
pub use answer::{Answer, Page};
pub use call::{Call, Client};
pub use error::{ClientError, FieldProblem, Problem};
pub use events::{Feed, FeedEvent};
pub use repeat::Patience;
pub use reservations::{Edit, ListQuery, Released};
pub use sse::{SseEvent, SseReader};
pub use target::Target;
pub use templates::TemplateName;
pub use types::{
    Brake, Key, MoneyText, Moved, Profile, Quote, Reservation, Share, Team, Template, Token, Tried, Unit,
    User, WhoAmI, over, settled,
};
