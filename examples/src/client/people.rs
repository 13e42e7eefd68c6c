//! What people share: profiles, teams, reservations in other hands.

use reqwest::Method;
use serde_json::{Value, json};

use super::answer::{Answer, Page};
use super::call::{Call, Client};
use super::error::ClientError;
use super::types::{Moved, Profile, Share, Team};

impl Client {
    /// The user's profile; an empty one of version 0 when none was set.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn profile(&self) -> Result<Answer<Profile>, ClientError> {
        self.send(Call::get(self.of_user(&["profile"])?)).await
    }

    /// Replaces the user's profile, if it is still at this version.
    ///
    /// # Errors
    /// [`ClientError`]; the code is `conflict` when it is not.
    pub async fn set_profile(
        &self,
        preferences: &Value,
        version: u64,
    ) -> Result<Answer<Profile>, ClientError> {
        let call = Call::new(Method::PUT, self.of_user(&["profile"])?).json(preferences)?;
        self.send(call.header("if-match", format!("\"{version}\""))).await
    }

    /// Every team.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn teams(&self) -> Result<Page<Team>, ClientError> {
        self.pages(Call::get(["admin", "teams"]), None, None).await
    }

    /// One team.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn team(&self, name: &str) -> Result<Answer<Team>, ClientError> {
        self.send(Call::get(["admin", "teams", name])).await
    }

    /// Sets who is in a team, and makes it if there is none; with a version only if it is still at that.
    ///
    /// # Errors
    /// [`ClientError`]: `in-use` while somebody who would move holds anything.
    pub async fn set_team(
        &self,
        name: &str,
        members: &[String],
        version: Option<u64>,
    ) -> Result<Answer<Team>, ClientError> {
        let call = Call::new(Method::PUT, ["admin", "teams", name]).json(&json!({ "members": members }))?;
        let call = match version {
            Some(version) => call.header("if-match", format!("\"{version}\"")),
            None => call,
        };
        self.send(call).await
    }

    /// Removes a team; its members are teams of one afterwards.
    ///
    /// # Errors
    /// [`ClientError`]: `in-use` while anybody in it holds anything, or it has keys.
    pub async fn remove_team(&self, name: &str) -> Result<Answer<Option<Value>>, ClientError> {
        self.send(Call::new(Method::DELETE, ["admin", "teams", name])).await
    }

    /// Hands all reservations of a user over to a team mate. One key, one handing over.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn transfer(&self, from: &str, to: &str) -> Result<Answer<Moved>, ClientError> {
        let call =
            Call::new(Method::POST, ["admin", "users", from, "transfer"]).json(&json!({ "to": to }))?;
        self.send(call.header("idempotency-key", self.draw_key()).repeatable()).await
    }

    /// Whom one of the user's reservations is shared with.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn shares(&self, id: &str) -> Result<Page<Share>, ClientError> {
        self.pages(Call::get(self.of_user(&["reservations", id, "shares"])?), None, None).await
    }

    /// Shares one of the user's reservations with a team mate, as `viewer` or `user`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn share(&self, id: &str, with: &str, role: &str) -> Result<Answer<Share>, ClientError> {
        let path = self.of_user(&["reservations", id, "shares", with])?;
        self.send(Call::new(Method::PUT, path).json(&json!({ "role": role }))?).await
    }

    /// Takes a share back.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn unshare(&self, id: &str, with: &str) -> Result<Answer<Option<Value>>, ClientError> {
        self.send(Call::new(Method::DELETE, self.of_user(&["reservations", id, "shares", with])?)).await
    }
}
