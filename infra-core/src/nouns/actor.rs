//! Who acts, and on whose request: it stands beside everything that people changed.
//!
//! # Guarantees
//! * An actor as text reads back as itself, also where a user's name has a `:` in it: only the first one parts.
//! * A token is named by its public id, so that an entry of a history opens nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::words::ids::{InvalidName, RequestId, UserId};

/// Who did something. As text, and so in records and on the wire: `user:ada`, `token:tok_…`, `admin`, `engine`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum By {
    /// A user, by a program that knows no tokens.
    User(UserId),
    /// Whoever showed an access token, by the token's public id.
    Token(String),
    /// Whoever runs the installation.
    Admin,
    /// Nobody: it followed from what was known.
    Engine,
}

/// Who acts, and the id of the request by which.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// Who.
    pub by: By,
    /// On which request; `None` for whoever made none.
    #[serde(default)]
    pub request_id: Option<RequestId>,
}

impl Actor {
    /// A user.
    #[must_use]
    pub fn user(user: &UserId) -> Self {
        Self { by: By::User(user.clone()), request_id: None }
    }

    /// Whoever showed a token, by its public id.
    #[must_use]
    pub fn token(id: &str) -> Self {
        Self { by: By::Token(id.to_owned()), request_id: None }
    }

    /// Whoever runs the installation.
    #[must_use]
    pub const fn admin() -> Self {
        Self { by: By::Admin, request_id: None }
    }

    /// The engine.
    #[must_use]
    pub const fn engine() -> Self {
        Self { by: By::Engine, request_id: None }
    }

    /// The same, on a request.
    ///
    /// The engine's deeds bear the id of the request that they follow from, so that a history leads back to it.
    #[must_use]
    pub fn on(mut self, request_id: Option<RequestId>) -> Self {
        self.request_id = request_id;
        self
    }
}

/// Records from before anybody asked who acts were written by the engine, or do not say.
impl Default for Actor {
    fn default() -> Self {
        Self::engine()
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Token(id) => write!(f, "token:{id}"),
            Self::Admin => f.write_str("admin"),
            Self::Engine => f.write_str("engine"),
        }
    }
}

impl FromStr for By {
    type Err = InvalidName;

    /// Only what `Display` writes: any other word is an error, and never the engine by default.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.split_once(':') {
            Some(("user", name)) => UserId::new(name).map(Self::User),
            Some(("token", id)) => Ok(Self::Token(id.to_owned())),
            _ if text == "admin" => Ok(Self::Admin),
            _ if text == "engine" => Ok(Self::Engine),
            _ => Err(InvalidName { what: "actor", value: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for By {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<By> for String {
    fn from(by: By) -> Self {
        by.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_reads_back_as_itself() {
        let ada = UserId::new("ada:b").expect("legal");
        for actor in [Actor::user(&ada), Actor::token("tok_1"), Actor::admin(), Actor::engine()] {
            let text = serde_json::to_string(&actor).expect("it serialises");
            assert_eq!(serde_json::from_str::<Actor>(&text).expect("it reads"), actor, "{text}");
        }
        assert!("somebody".parse::<By>().is_err());
    }
}
