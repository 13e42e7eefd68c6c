//! What things cost, what may be spent, and what was.

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, Page};
use super::call::{Call, Client};
use super::error::ClientError;

/// Whose budget or discounts an admin looks at or sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BudgetOf {
    /// A user's.
    User(String),
    /// A team's.
    Team(String),
}

impl BudgetOf {
    fn path(&self) -> [String; 4] {
        let (kind, name) = match self {
            Self::User(name) => ("users", name),
            Self::Team(name) => ("teams", name),
        };
        ["admin".to_owned(), kind.to_owned(), name.clone(), "budget".to_owned()]
    }

    /// Discounts are a team's; a user without one is a team of one.
    fn overlays(&self) -> [String; 4] {
        let team = match self {
            Self::User(name) => format!("user:{name}"),
            Self::Team(name) => name.clone(),
        };
        ["admin".to_owned(), "teams".to_owned(), team, "overlays".to_owned()]
    }
}

/// With so many items at most.
pub(super) fn limited(call: Call, limit: Option<u16>) -> Call {
    match limit {
        Some(limit) => call.query("limit", limit.to_string()),
        None => call,
    }
}

impl Client {
    /// What a request would cost, what each of its rules costs, and what is skipped now: the API's own answer. As many
    /// quotes as the service lists when `limit` is `None`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn explain<B: Serialize + ?Sized>(
        &self,
        request: &B,
        limit: Option<u16>,
    ) -> Result<Answer<Value>, ClientError> {
        let call = Call::new(Method::POST, self.of_user(&["quotes"])?).query("explain", "true");
        self.send(limited(call, limit).json(request)?.repeatable()).await
    }

    /// What is spent in a month, `2026-11`; in this one when `None`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn usage(&self, month: Option<&str>) -> Result<Answer<Value>, ClientError> {
        let call = Call::get(self.of_user(&["usage"])?);
        self.send(match month {
            Some(month) => call.query("month", month),
            None => call,
        })
        .await
    }

    /// The same as a table for a spreadsheet, a row for each reservation.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn usage_csv(&self, month: Option<&str>) -> Result<String, ClientError> {
        let call = Call::get(self.of_user(&["usage"])?).query("format", "csv");
        self.text(match month {
            Some(month) => call.query("month", month),
            None => call,
        })
        .await
    }

    /// The budgets that count for the user: two at most, so there are no pages to ask for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn budgets(&self) -> Result<Answer<Value>, ClientError> {
        self.send(Call::get(self.of_user(&["budgets"])?)).await
    }

    /// A budget, `null` when nobody set one; for the admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn budget(&self, of: &BudgetOf) -> Result<Answer<Value>, ClientError> {
        self.send(Call::get(of.path())).await
    }

    /// Sets a budget in the place of the one there is; without any limit it is removed. For the admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_budget(&self, of: &BudgetOf, limits: &Value) -> Result<Answer<Value>, ClientError> {
        self.send(Call::new(Method::PUT, of.path()).json(limits)?).await
    }

    /// What the user's team pays less than the lists say, and what of it counts now.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn overlays(&self) -> Result<Answer<Value>, ClientError> {
        self.send(Call::get(self.of_user(&["overlays"])?)).await
    }

    /// What a team, or a user without one, pays less; for the admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn team_overlays(&self, of: &BudgetOf) -> Result<Answer<Value>, ClientError> {
        self.send(Call::get(of.overlays())).await
    }

    /// Replaces what a team pays less, `{"overlays": [...]}`; only as the caller saw it when a version is said. For the
    /// admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_team_overlays(
        &self,
        of: &BudgetOf,
        overlays: &Value,
        version: Option<u64>,
    ) -> Result<Answer<Value>, ClientError> {
        let call = Call::new(Method::PUT, of.overlays()).json(overlays)?;
        self.send(match version {
            Some(version) => call.header("if-match", format!("\"{version}\"")),
            None => call,
        })
        .await
    }

    /// Everything the user's keys reach that passes these filters, by their names in the API.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn offerings_by(&self, filters: &[(&'static str, String)]) -> Result<Page<Value>, ClientError> {
        let all = Call::get(self.of_user(&["offerings"])?);
        let call = filters.iter().fold(all, |call, (name, value)| call.query(name, value.clone()));
        self.pages(call, None, None).await
    }
}
