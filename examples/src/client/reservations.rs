//! Quotes and reservations.

use std::collections::BTreeMap;
use std::time::Duration;

use infra_core::words::clock::Timestamp;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Answer, Page};
use super::call::{Call, Client};
use super::error::ClientError;
use super::types::{Quote, Reservation};

/// One change of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// It ends then.
    EndsAt(Timestamp),
    /// On (`true`) or off.
    Power(bool),
    /// Its tags are these.
    Tags(BTreeMap<String, String>),
}

impl Edit {
    fn body(&self) -> Value {
        match self {
            Self::EndsAt(at) => json!({ "ends_at": at }),
            Self::Power(on) => json!({ "power": if *on { "on" } else { "off" } }),
            Self::Tags(tags) => json!({ "tags": tags }),
        }
    }
}

/// Which reservations to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Also those that are over.
    pub all: bool,
    /// One page of so many; all pages when `None`.
    pub limit: Option<u32>,
    /// Begin after this: `next` of an earlier page.
    pub after: Option<String>,
    /// Only those with all of these tags, `name:value` each, or `name` for whatever value.
    pub tags: Vec<String>,
    /// Those that team mates share, instead of the user's own.
    pub shared: bool,
}

/// What a release came to.
#[derive(Debug, Clone)]
pub enum Released {
    /// It is ending.
    Releasing(Box<Answer<Reservation>>),
    /// An earlier send of this very call, whose answer was lost, has already ended it.
    Already,
}

impl Client {
    /// What a request would cost: the ways to fulfil it, cheapest first, as many as the service lists when `limit` is
    /// `None`. The body is a request of the API.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn quote<B: Serialize + ?Sized>(
        &self,
        request: &B,
        limit: Option<u16>,
    ) -> Result<Page<Quote>, ClientError> {
        let call = Call::new(Method::POST, self.of_user(&["quotes"])?);
        let call = super::money::limited(call, limit).json(request)?.repeatable();
        let answer = self.send::<Value>(call).await?;
        let mut pages = super::answer::Pages::default();
        pages.add(&answer.raw).map_err(|error| self.unexpected(answer.status, &error))?;
        pages.finish().map_err(|error| self.unexpected(answer.status, &error))
    }

    /// Asks for capacity. The key makes it safe to repeat: one key, one reservation, whatever gets lost.
    ///
    /// # Errors
    /// [`ClientError`]; on [`ClientError::Unreachable`] with `maybe_done` call again with the same key and body.
    pub async fn reserve<B: Serialize + ?Sized>(
        &self,
        request: &B,
        key: &str,
    ) -> Result<Answer<Reservation>, ClientError> {
        let call = Call::new(Method::POST, self.of_user(&["reservations"])?).json(request)?;
        self.send(call.header("idempotency-key", key).repeatable()).await
    }

    /// One reservation.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reservation(&self, id: &str) -> Result<Answer<Reservation>, ClientError> {
        self.send(Call::get(self.of_user(&["reservations", id])?)).await
    }

    /// One reservation, once it is settled or the time is up, whichever is first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reservation_within(
        &self,
        id: &str,
        wait: Duration,
    ) -> Result<Answer<Reservation>, ClientError> {
        let path = self.of_user(&["reservations", id])?;
        self.send(Call::get(path).query("wait", format!("{}ms", wait.as_millis())).waits(wait)).await
    }

    /// Reservations, oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reservations(&self, query: &ListQuery) -> Result<Page<Reservation>, ClientError> {
        let mut call = Call::get(self.of_user(&["reservations"])?);
        if query.all {
            call = call.query("state", "all");
        }
        if query.shared {
            call = call.query("shared", "true");
        }
        for tag in &query.tags {
            call = call.query("tag", tag);
        }
        self.pages(call, query.limit, query.after.as_deref()).await
    }

    /// Changes a reservation, if it is still at this version.
    ///
    /// # Errors
    /// [`ClientError`]; the code is `conflict` when it is not.
    pub async fn edit(
        &self,
        id: &str,
        edit: &Edit,
        version: u64,
    ) -> Result<Answer<Reservation>, ClientError> {
        let call = Call::new(Method::PATCH, self.of_user(&["reservations", id])?).json(&edit.body())?;
        let call = call.header("idempotency-key", self.draw_key());
        self.send(call.header("if-match", format!("\"{version}\""))).await
    }

    /// Gives a reservation back. Repeating it is safe, and done after a lost answer.
    ///
    /// # Errors
    /// [`ClientError`]; the code is `released` when it was over before.
    pub async fn release(&self, id: &str) -> Result<Released, ClientError> {
        // Counted here: a 410 to the first send is news, to a later one it is the lost answer's own doing.
        let before = self.reservation(id).await?;
        let was_over = super::types::over(&before.value.state);
        match self.send(Call::new(Method::DELETE, self.of_user(&["reservations", id])?)).await {
            Ok(answer) => Ok(Released::Releasing(Box::new(answer))),
            Err(error) if error.code() == "released" && !was_over => Ok(Released::Already),
            Err(error) => Err(error),
        }
    }

    /// Everything the user's keys reach, as the API tells it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn offerings(&self) -> Result<Page<Value>, ClientError> {
        self.pages(Call::get(self.of_user(&["offerings"])?), None, None).await
    }

    /// The secrets of a reservation: its owner's alone, and every look is written down.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn access(&self, id: &str) -> Result<Answer<Value>, ClientError> {
        self.send(Call::get(self.of_user(&["reservations", id, "access"])?)).await
    }

    /// What happened to a reservation, oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn history(&self, id: &str) -> Result<Page<Value>, ClientError> {
        self.pages(Call::get(self.of_user(&["reservations", id, "history"])?), None, None).await
    }
}
