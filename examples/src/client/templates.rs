//! Templates: requests kept under a name.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Answer, Page};
use super::call::{Call, Client};
use super::error::ClientError;
use super::types::{Reservation, Template};

/// Which template: the user's own and its newest version, unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateName {
    /// Its name.
    pub name: String,
    /// A team mate's.
    pub owner: Option<String>,
    /// An earlier version.
    pub version: Option<u32>,
}

impl TemplateName {
    fn on(&self, call: Call) -> Call {
        let call = match &self.owner {
            Some(owner) => call.query("owner", owner),
            None => call,
        };
        match self.version {
            Some(version) => call.query("version", version.to_string()),
            None => call,
        }
    }
}

impl Client {
    /// The user's templates, or those of a team mate.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn templates(&self, owner: Option<&str>) -> Result<Page<Template>, ClientError> {
        let call = Call::get(self.of_user(&["templates"])?);
        let call = match owner {
            Some(owner) => call.query("owner", owner),
            None => call,
        };
        self.pages(call, None, None).await
    }

    /// One template.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn template(&self, which: &TemplateName) -> Result<Answer<Template>, ClientError> {
        self.send(which.on(Call::get(self.of_user(&["templates", &which.name])?))).await
    }

    /// Keeps what a reservation asked for under a name.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn save_template(
        &self,
        name: &str,
        reservation: &str,
    ) -> Result<Answer<Template>, ClientError> {
        self.keep(&json!({ "name": name, "reservation": reservation })).await
    }

    /// Keeps a request under a name.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn save_request<B: Serialize + ?Sized>(
        &self,
        name: &str,
        request: &B,
    ) -> Result<Answer<Template>, ClientError> {
        self.keep(&json!({ "name": name, "request": json!(request) })).await
    }

    /// One key, one version, whatever gets lost.
    async fn keep(&self, body: &Value) -> Result<Answer<Template>, ClientError> {
        let call = Call::new(Method::POST, self.of_user(&["templates"])?).json(body)?;
        self.send(call.header("idempotency-key", self.draw_key()).repeatable()).await
    }

    /// Forgets a template.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_template(&self, name: &str) -> Result<Answer<Option<Value>>, ClientError> {
        self.send(Call::new(Method::DELETE, self.of_user(&["templates", name])?)).await
    }

    /// Asks for what a template says, with these fields said otherwise (`null` takes one away). One key, one
    /// reservation.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reserve_template<B: Serialize + ?Sized>(
        &self,
        which: &TemplateName,
        overrides: &B,
        key: &str,
    ) -> Result<Answer<Reservation>, ClientError> {
        let path = self.of_user(&["templates", &which.name, "reservations"])?;
        let call = which.on(Call::new(Method::POST, path)).json(overrides)?;
        self.send(call.header("idempotency-key", key).repeatable()).await
    }
}
