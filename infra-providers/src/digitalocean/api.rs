//! The typed client: one method is one request.
//!
//! # Guarantees
//! * No retries, no following of links: a listing's next page is asked for by its number, at our own endpoint, so that
//!   the key never goes where an answer says.
//! * A missing required field is [`Reached::Unreadable`](crate::failure::Reached); unknown fields and words are none
//!   of our business.
//! * 429 says when to come back: `Retry-After`, or else the header `ratelimit-reset` (seconds since 1970).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::words::clock::{Timestamp, between};
use infra_core::words::secret::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::errors::said;
use super::wire::{
    Account, Action, Droplet, Firewall, Image, Listing, NewDroplet, NewFirewall, NewTag, One, Order, Size,
    Tagged, Tagging,
};
use crate::failure::{Answer, ApiFailure, Reached, own};
use crate::http::{HttpRequest, HttpResponse, Method, Transport, TransportError, encoded, json, read};

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The number of the next one.
    pub next: Option<u32>,
    /// Items on all pages, as of this answer.
    pub total: u64,
    /// DigitalOcean's clock.
    pub as_of: Option<Timestamp>,
}

/// Which droplets to list. The API takes one filter at a time.
#[derive(Debug, Clone, Copy)]
pub enum Droplets<'a> {
    /// With this tag.
    Tagged(&'a str),
    /// Of this name.
    Named(&'a str),
}

/// Which images to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// Operating systems.
    Distributions,
    /// The account's own, snapshots among them.
    Private,
}

/// The API with one key.
#[derive(Debug)]
pub struct Api {
    transport: Arc<dyn Transport>,
    base: String,
    token: Secret,
    within: Duration,
    page: u16,
}

impl Api {
    /// Binds a key. `base` comes before `/v2`; a call takes at most `within`; a page has `page` items.
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        base: String,
        token: Secret,
        within: Duration,
        page: u16,
    ) -> Self {
        Self { transport, base, token, within, page }
    }

    /// Who the key is.
    ///
    /// # Errors
    /// [`ApiFailure`], as of every method here.
    pub async fn account(&self) -> Answer<Account> {
        self.one(self.get("account")).await
    }

    /// A page of droplets, from 1.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn droplets(&self, which: Droplets<'_>, page: u32) -> Answer<Page<Droplet>> {
        let filter = match which {
            Droplets::Tagged(tag) => format!("tag_name={}", encoded(tag)),
            Droplets::Named(name) => format!("name={}", encoded(name)),
        };
        self.page("droplets", &filter, page).await
    }

    /// One droplet.
    ///
    /// # Errors
    /// [`ApiFailure`]; 404 when there is none.
    pub async fn droplet(&self, id: u64) -> Answer<Droplet> {
        self.one(self.get(&format!("droplets/{id}"))).await
    }

    /// Makes a droplet, within this time.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn create_droplet(&self, new: &NewDroplet, within: Duration) -> Answer<Droplet> {
        let request = self.request(Method::Post, "droplets", Some(new))?;
        self.one(HttpRequest { within, ..request }).await
    }

    /// Ends a droplet, with its disk.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn delete_droplet(&self, id: u64) -> Answer<()> {
        self.done(self.request::<()>(Method::Delete, &format!("droplets/{id}"), None)?).await
    }

    /// Gives a droplet an order, within this time.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn order(&self, id: u64, order: &Order, within: Option<Duration>) -> Answer<Action> {
        let request = self.request(Method::Post, &format!("droplets/{id}/actions"), Some(order))?;
        self.one(HttpRequest { within: within.unwrap_or(self.within), ..request }).await
    }

    /// A page of a droplet's orders, newest first.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn orders(&self, id: u64, page: u32) -> Answer<Page<Action>> {
        self.page(&format!("droplets/{id}/actions"), "", page).await
    }

    /// A page of sizes.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn sizes(&self, page: u32) -> Answer<Page<Size>> {
        self.page("sizes", "", page).await
    }

    /// A page of images.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn images(&self, which: Images, page: u32) -> Answer<Page<Image>> {
        let filter = if which == Images::Private { "private=true" } else { "type=distribution" };
        self.page("images", filter, page).await
    }

    /// One image.
    ///
    /// # Errors
    /// [`ApiFailure`]; 404 when there is none.
    pub async fn image(&self, id: u64) -> Answer<Image> {
        self.one(self.get(&format!("images/{id}"))).await
    }

    /// Ends an image of the account's own.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn delete_image(&self, id: u64) -> Answer<()> {
        self.done(self.request::<()>(Method::Delete, &format!("images/{id}"), None)?).await
    }

    /// A page of firewalls.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn firewalls(&self, page: u32) -> Answer<Page<Firewall>> {
        self.page("firewalls", "", page).await
    }

    /// One firewall.
    ///
    /// # Errors
    /// [`ApiFailure`]; 404 when there is none.
    pub async fn firewall(&self, id: &str) -> Answer<Firewall> {
        self.one(self.get(&format!("firewalls/{}", encoded(id)))).await
    }

    /// Makes a firewall, within this time.
    ///
    /// # Errors
    /// [`ApiFailure`]; 409 when its name is taken.
    pub async fn create_firewall(&self, new: &NewFirewall, within: Duration) -> Answer<Firewall> {
        let request = self.request(Method::Post, "firewalls", Some(new))?;
        self.one(HttpRequest { within, ..request }).await
    }

    /// Ends a firewall. Droplets behind it are open afterwards.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn delete_firewall(&self, id: &str) -> Answer<()> {
        self.done(self.request::<()>(Method::Delete, &format!("firewalls/{}", encoded(id)), None)?).await
    }

    /// Makes a tag; nothing changes when it is there.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn create_tag(&self, name: &str) -> Answer<()> {
        self.done(self.request(Method::Post, "tags", Some(&NewTag { name }))?).await
    }

    /// Ends a tag, wherever it is.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn delete_tag(&self, name: &str) -> Answer<()> {
        self.done(self.request::<()>(Method::Delete, &format!("tags/{}", encoded(name)), None)?).await
    }

    /// Puts a tag on a droplet.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn tag(&self, name: &str, droplet: u64) -> Answer<()> {
        self.tagging(Method::Post, name, droplet).await
    }

    /// Takes a tag off a droplet.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub async fn untag(&self, name: &str, droplet: u64) -> Answer<()> {
        self.tagging(Method::Delete, name, droplet).await
    }

    async fn tagging(&self, method: Method, name: &str, droplet: u64) -> Answer<()> {
        let on = Tagging { resource_id: droplet.to_string(), resource_type: "droplet" };
        let path = format!("tags/{}/resources", encoded(name));
        self.done(self.request(method, &path, Some(&Tagged { resources: [on] }))?).await
    }

    fn get(&self, path: &str) -> HttpRequest {
        HttpRequest {
            method: Method::Get,
            url: format!("{}/v2/{path}", self.base),
            headers: vec![
                ("authorization".to_owned(), format!("Bearer {}", self.token.expose())),
                ("accept".to_owned(), "application/json".to_owned()),
            ],
            body: None,
            within: self.within,
        }
    }

    fn request<B: Serialize>(&self, method: Method, path: &str, body: Option<&B>) -> Answer<HttpRequest> {
        let mut request = HttpRequest { method, ..self.get(path) };
        if let Some(body) = body {
            let bytes = serde_json::to_vec(body).map_err(|error| ApiFailure {
                reached: Reached::Nothing,
                said: own("not-sent", error.to_string()),
                retry_after: None,
            })?;
            request.headers.push(("content-type".to_owned(), "application/json".to_owned()));
            request.body = Some(bytes);
        }
        Ok(request)
    }

    async fn call(&self, request: HttpRequest) -> Answer<HttpResponse> {
        read(&Patient(&*self.transport), request, said).await
    }

    async fn done(&self, request: HttpRequest) -> Answer<()> {
        self.call(request).await.map(drop)
    }

    async fn one<T: DeserializeOwned>(&self, request: HttpRequest) -> Answer<T> {
        let answer: One<T> = json(&self.call(request).await?)?;
        Ok(answer.one)
    }

    async fn page<T: DeserializeOwned>(&self, path: &str, filter: &str, page: u32) -> Answer<Page<T>> {
        let filter = if filter.is_empty() { String::new() } else { format!("{filter}&") };
        let path = format!("{path}?{filter}per_page={}&page={page}", self.page);
        let response = self.call(self.get(&path)).await?;
        let listing: Listing<T> = json(&response)?;
        let next = listing.links.pages.and_then(|pages| pages.next).filter(|next| !next.is_empty());
        let next = next.map(|url| page_of(&url)).transpose()?;
        Ok(Page { items: listing.items, next, total: listing.meta.total, as_of: response.date() })
    }
}

/// The number of the page that a link leads to.
fn page_of(url: &str) -> Answer<u32> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let number = query.split('&').find_map(|pair| pair.strip_prefix("page=")?.parse().ok());
    number.ok_or_else(|| ApiFailure {
        reached: Reached::Unreadable,
        said: own("unreadable-answer", "the link to the next page names no page"),
        retry_after: None,
    })
}

/// Reads DigitalOcean's own word for "come back later" where the usual one is missing.
#[derive(Debug)]
struct Patient<'a>(&'a dyn Transport);

#[async_trait]
impl Transport for Patient<'_> {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let mut response = self.0.call(request).await?;
        if response.status == 429 && response.header("retry-after").is_none() {
            let reset = response.header("ratelimit-reset").and_then(|text| text.trim().parse().ok());
            let reset = reset.and_then(|second| Timestamp::from_second(second).ok());
            if let (Some(reset), Some(now)) = (reset, response.date()) {
                let wait = between(now, reset).as_secs();
                response.headers.push(("retry-after".to_owned(), wait.to_string()));
            }
        }
        Ok(response)
    }
}
