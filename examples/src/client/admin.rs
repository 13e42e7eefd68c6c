//! What the admin's token opens, and who a token is.

use infra_core::words::clock::Timestamp;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Answer, Page};
use super::call::{Call, Client};
use super::error::ClientError;
use super::types::{Brake, Token, User, WhoAmI};

/// A brake to set.
#[derive(Debug, Clone, Serialize)]
pub struct BrakeChange {
    /// `global`, `lane:<id>` or `tenant:<id>`.
    pub scope: String,
    /// `open no_creates no_deletes frozen`.
    pub value: String,
    /// Why, for whoever wonders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// It opens by itself then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A token to issue.
#[derive(Debug, Clone, Serialize)]
pub struct NewToken {
    /// A name for people.
    pub label: String,
    /// `user viewer bot`.
    pub role: String,
    /// It stops counting after so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

impl Client {
    /// Whose token this is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn who_am_i(&self) -> Result<Answer<WhoAmI>, ClientError> {
        self.send(Call::get(["whoami"])).await
    }

    /// Is the server there and at work? Needs no right.
    ///
    /// # Errors
    /// [`ClientError`]; the code is `unavailable` while it may not work, with the reason.
    pub async fn ready(&self) -> Result<Answer<Value>, ClientError> {
        self.send(Call::get(["readyz"])).await
    }

    /// What is known of the installation.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<Answer<Value>, ClientError> {
        self.send(Call::get(["admin", "status"])).await
    }

    /// The brakes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn brakes(&self) -> Result<Page<Brake>, ClientError> {
        self.pages(Call::get(["admin", "brakes"]), None, None).await
    }

    /// Sets a brake.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_brake(&self, brake: &BrakeChange) -> Result<Answer<Brake>, ClientError> {
        self.send(Call::new(Method::PUT, ["admin", "brakes"]).json(brake)?).await
    }

    /// Everybody.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn users(&self) -> Result<Page<User>, ClientError> {
        self.pages(Call::get(["admin", "users"]), None, None).await
    }

    /// Makes a user.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn add_user(&self, name: &str, team: Option<&str>) -> Result<Answer<User>, ClientError> {
        let mut body = json!({ "name": name });
        if let Some(team) = team {
            body["team"] = json!(team);
        }
        let call = Call::new(Method::POST, ["admin", "users"]).json(&body)?;
        self.send(call.header("idempotency-key", self.draw_key()).repeatable()).await
    }

    /// Changes what a user may; what is `None` stays.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn change_user(
        &self,
        name: &str,
        machines_max: Option<u32>,
        suspended: Option<bool>,
    ) -> Result<Answer<User>, ClientError> {
        let mut body = json!({});
        if let Some(max) = machines_max {
            body["machines_max"] = json!(max);
        }
        if let Some(suspended) = suspended {
            body["suspended"] = json!(suspended);
        }
        self.send(Call::new(Method::PATCH, ["admin", "users", name]).json(&body)?).await
    }

    /// Removes a user who holds nothing.
    ///
    /// # Errors
    /// [`ClientError`]: `in-use` while anything is held.
    pub async fn remove_user(&self, name: &str) -> Result<Answer<Option<Value>>, ClientError> {
        self.send(Call::new(Method::DELETE, ["admin", "users", name])).await
    }

    /// A user's tokens, without their secrets: somebody's for the admin, one's own when nobody is named.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tokens(&self, of: Option<&str>) -> Result<Page<Token>, ClientError> {
        self.pages(Call::get(self.tokens_of(of, None)?), None, None).await
    }

    /// Issues a token, for somebody as the admin or for oneself. The answer is the one time that it is shown.
    ///
    /// # Errors
    /// [`ClientError`]: `conflict` with the token's id when it was issued and the answer lost: revoke that one.
    pub async fn issue_token(
        &self,
        of: Option<&str>,
        token: &NewToken,
    ) -> Result<Answer<Token>, ClientError> {
        let call = Call::new(Method::POST, self.tokens_of(of, None)?).json(token)?;
        self.send(call.header("idempotency-key", self.draw_key()).repeatable()).await
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_token(
        &self,
        of: Option<&str>,
        id: &str,
    ) -> Result<Answer<Option<Value>>, ClientError> {
        self.send(Call::new(Method::DELETE, self.tokens_of(of, Some(id))?)).await
    }

    fn tokens_of(&self, of: Option<&str>, id: Option<&str>) -> Result<Vec<String>, ClientError> {
        let mut path = match of {
            Some(user) => ["admin", "users", user, "tokens"].map(str::to_owned).to_vec(),
            None => self.of_user(&["tokens"])?,
        };
        path.extend(id.map(str::to_owned));
        Ok(path)
    }
}
