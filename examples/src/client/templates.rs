//! Templates: requests kept under a name.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Answer, Page};
use super::call::{Call, Client};
use super::error::ClientError;
use super::types::{Reservation, Template};

impl Client {
    /// The templates within the user's reach.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn templates(&self) -> Result<Page<Template>, ClientError> {
        self.pages(Call::get(self.of_user(&["templates"])?), None, None).await
    }

    /// One template, its newest version.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn template(&self, name: &str) -> Result<Answer<Template>, ClientError> {
        self.send(Call::get(self.of_user(&["templates", name])?)).await
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
        let body = json!({ "name": name, "reservation": reservation });
        self.send(Call::new(Method::POST, self.of_user(&["templates"])?).json(&body)?).await
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
        let body = json!({ "name": name, "request": json!(request) });
        self.send(Call::new(Method::POST, self.of_user(&["templates"])?).json(&body)?).await
    }

    /// Forgets a template.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_template(&self, name: &str) -> Result<Answer<Option<Value>>, ClientError> {
        self.send(Call::new(Method::DELETE, self.of_user(&["templates", name])?)).await
    }

    /// Asks for what a template says, with these fields said otherwise. One key, one reservation.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reserve_template<B: Serialize + ?Sized>(
        &self,
        name: &str,
        overrides: &B,
        key: &str,
    ) -> Result<Answer<Reservation>, ClientError> {
        self.reserve_at(&["templates", name, "reservations"], overrides, key).await
    }
}
