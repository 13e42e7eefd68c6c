//! Keys to clouds.

use std::collections::BTreeMap;

use infra_core::words::secret::Secret;
use reqwest::Method;
use serde_json::{Map, Value};

use super::answer::{Answer, Page};
use super::call::{Call, Client};
use super::error::ClientError;
use super::types::Key;

impl Client {
    /// The user's keys, without their secrets.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn keys(&self) -> Result<Page<Key>, ClientError> {
        self.pages(Call::get(self.of_user(&["keys"])?), None, None).await
    }

    /// Saves a key, checked with its cloud first. A second key of one label takes the place of the first.
    ///
    /// # Errors
    /// [`ClientError`]: `invalid-credentials` when the cloud refuses it, `unverified` when it cannot be asked.
    pub async fn save_key(
        &self,
        provider: &str,
        label: &str,
        kind: &str,
        fields: &BTreeMap<String, Secret>,
    ) -> Result<Answer<Key>, ClientError> {
        let text = |text: &str| Value::String(text.to_owned());
        let mut body: Map<String, Value> =
            fields.iter().map(|(name, secret)| (name.clone(), text(secret.expose()))).collect();
        for (name, value) in [("provider", provider), ("label", label), ("kind", kind)] {
            body.insert(name.to_owned(), text(value));
        }
        self.send(Call::new(Method::POST, self.of_user(&["keys"])?).json(&body)?).await
    }

    /// Forgets a key.
    ///
    /// # Errors
    /// [`ClientError`]: `in-use` while machines live on it.
    pub async fn remove_key(
        &self,
        provider: &str,
        label: &str,
    ) -> Result<Answer<Option<Value>>, ClientError> {
        self.send(Call::new(Method::DELETE, self.of_user(&["keys", provider, label])?)).await
    }
}
