//! Words: the smallest vocabulary. Nothing here knows what a reservation is.

pub mod clock;
pub mod entropy;
pub mod fault;
pub mod ids;
pub mod lane;
pub mod limits;
pub mod money;
pub mod planted;
#[cfg(feature = "utoipa")]
pub mod schema;
pub mod secret;
