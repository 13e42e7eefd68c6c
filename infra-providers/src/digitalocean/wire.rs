//! The shapes of DigitalOcean's API v2, as far as we send and read them. Fields we do not read may change.

use infra_core::words::clock::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

/// `null` stands for an empty list in some answers.
fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// One page of any listing.
#[derive(Debug, Clone, Deserialize)]
pub struct Listing<T> {
    /// The items, under the word of their kind.
    #[serde(alias = "droplets", alias = "sizes", alias = "images", alias = "firewalls", alias = "actions")]
    pub items: Vec<T>,
    /// Where the other pages are.
    #[serde(default)]
    pub links: Links,
    /// How many there are in all.
    pub meta: Meta,
}

/// Links beside a listing.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Links {
    /// To other pages.
    #[serde(default)]
    pub pages: Option<Pages>,
}

/// Links to other pages.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Pages {
    /// The URL of the next one; none on the last.
    #[serde(default)]
    pub next: Option<String>,
}

/// Numbers beside a listing.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Meta {
    /// Items on all pages.
    pub total: u64,
}

/// What an answer's single object stands under.
#[derive(Debug, Clone, Deserialize)]
pub struct One<T> {
    /// The object, under the word of its kind.
    #[serde(alias = "account", alias = "droplet", alias = "action", alias = "image", alias = "firewall")]
    pub one: T,
}

/// Who a key is.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    /// The account's id.
    pub uuid: String,
    /// The account's address.
    pub email: String,
    /// The team that pays, where there is one.
    #[serde(default)]
    pub team: Option<Team>,
}

/// A team.
#[derive(Debug, Clone, Deserialize)]
pub struct Team {
    /// Its id.
    pub uuid: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
}

/// A droplet.
#[derive(Debug, Clone, Deserialize)]
pub struct Droplet {
    /// Its id.
    pub id: u64,
    /// Its name, unique to nobody but us.
    pub name: String,
    /// `new`, `active`, `off`, `archive`.
    pub status: String,
    /// When it was ordered, to the second.
    pub created_at: Timestamp,
    /// Its tags.
    #[serde(default, deserialize_with = "or_empty")]
    pub tags: Vec<String>,
    /// Its size.
    pub size_slug: String,
    /// Its image; empty when that is gone.
    #[serde(default, deserialize_with = "or_empty")]
    pub image: ImageOf,
    /// Where it is.
    pub region: Place,
    /// Its addresses.
    #[serde(default, deserialize_with = "or_empty")]
    pub networks: Networks,
}

/// The image of a droplet.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ImageOf {
    /// Its id.
    #[serde(default)]
    pub id: Option<u64>,
}

/// A region.
#[derive(Debug, Clone, Deserialize)]
pub struct Place {
    /// Its slug.
    pub slug: String,
}

/// Addresses.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Networks {
    /// Of version 4.
    #[serde(default, deserialize_with = "or_empty")]
    pub v4: Vec<Address>,
}

/// An address.
#[derive(Debug, Clone, Deserialize)]
pub struct Address {
    /// The address.
    pub ip_address: String,
    /// `public` or `private`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A droplet to make. The image is a number: what stands behind a slug changes with every build of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewDroplet {
    /// Its name.
    pub name: String,
    /// Where.
    pub region: String,
    /// Its size.
    pub size: String,
    /// Its image.
    pub image: u64,
    /// Mark, labels, firewall.
    pub tags: Vec<String>,
    /// First-boot data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// Its network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_uuid: Option<String>,
    /// Has it a public address?
    pub public_networking: bool,
    /// DigitalOcean's own agent lets the web console log in: nobody gets in whom the launch does not name.
    pub with_droplet_agent: bool,
}

/// An order to a droplet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Order {
    /// On.
    PowerOn,
    /// Off, the hard way.
    PowerOff,
    /// Off, by asking the system on it.
    Shutdown,
    /// Copy its disk.
    Snapshot {
        /// The copy's name.
        name: String,
    },
}

/// An order that was taken.
#[derive(Debug, Clone, Deserialize)]
pub struct Action {
    /// Its id.
    pub id: u64,
    /// The order's word.
    #[serde(rename = "type")]
    pub kind: String,
    /// `in-progress`, `completed`, `errored`.
    pub status: String,
}

/// A size with its price.
#[derive(Debug, Clone, Deserialize)]
pub struct Size {
    /// Its slug.
    pub slug: String,
    /// MiB.
    pub memory: u64,
    /// Processors.
    pub vcpus: u32,
    /// GiB.
    pub disk: u32,
    /// US dollars per hour, as written.
    #[serde(default)]
    pub price_hourly: Option<serde_json::Number>,
    /// US dollars for a whole month, as written.
    #[serde(default)]
    pub price_monthly: Option<serde_json::Number>,
    /// Slugs of the regions that have it.
    #[serde(default, deserialize_with = "or_empty")]
    pub regions: Vec<String>,
    /// Can it be ordered?
    #[serde(default)]
    pub available: bool,
    /// Its accelerators.
    #[serde(default)]
    pub gpu_info: Option<Gpu>,
}

/// Accelerators.
#[derive(Debug, Clone, Deserialize)]
pub struct Gpu {
    /// How many.
    #[serde(default)]
    pub count: u32,
    /// Which: `nvidia_h100`.
    #[serde(default)]
    pub model: Option<String>,
    /// Memory of one.
    #[serde(default)]
    pub vram: Option<Vram>,
}

/// Memory of an accelerator.
#[derive(Debug, Clone, Deserialize)]
pub struct Vram {
    /// How much.
    pub amount: u64,
    /// Of what: `gib`.
    pub unit: String,
}

/// An image: of a distribution, of the account's own, or a snapshot.
#[derive(Debug, Clone, Deserialize)]
pub struct Image {
    /// Its id.
    pub id: u64,
    /// Its name: `24.04 (LTS) x64`.
    pub name: String,
    /// `base`, `snapshot`, `backup`, `custom`, `admin`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// `Ubuntu`.
    #[serde(default)]
    pub distribution: String,
    /// `ubuntu-24-04-x64`, of public ones.
    #[serde(default)]
    pub slug: Option<String>,
    /// Slugs of the regions that have it.
    #[serde(default, deserialize_with = "or_empty")]
    pub regions: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// `NEW`, `available`, `pending`, `deleted`, `retired`.
    #[serde(default)]
    pub status: String,
    /// How large it is.
    #[serde(default)]
    pub size_gigabytes: Option<f64>,
    /// The smallest disk it boots from, GB.
    #[serde(default)]
    pub min_disk_size: Option<u32>,
    /// Why it failed.
    #[serde(default)]
    pub error_message: Option<String>,
}

/// A firewall.
#[derive(Debug, Clone, Deserialize)]
pub struct Firewall {
    /// Its id.
    pub id: String,
    /// Its name, unique in the account.
    pub name: String,
    /// `waiting`, `succeeded`, `failed`.
    #[serde(default)]
    pub status: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Droplets with one of these tags are behind it.
    #[serde(default, deserialize_with = "or_empty")]
    pub tags: Vec<String>,
    /// What is let in.
    #[serde(default, deserialize_with = "or_empty")]
    pub inbound_rules: Vec<Inbound>,
}

/// A firewall to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewFirewall {
    /// Its name.
    pub name: String,
    /// What is let in.
    pub inbound_rules: Vec<Inbound>,
    /// What is let out.
    pub outbound_rules: Vec<Outbound>,
    /// Droplets with one of these tags are behind it.
    pub tags: Vec<String>,
}

/// Who is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// `tcp`, `udp`, `icmp`.
    pub protocol: String,
    /// `0` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// From where.
    pub sources: Peers,
}

/// Where it may talk to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outbound {
    /// `tcp`, `udp`, `icmp`.
    pub protocol: String,
    /// `0` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// To where.
    pub destinations: Peers,
}

/// The other side of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// CIDR blocks and addresses.
    #[serde(default, deserialize_with = "or_empty")]
    pub addresses: Vec<String>,
    /// Droplets behind these tags; never ours.
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Single droplets; never ours.
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    pub droplet_ids: Vec<u64>,
}

/// A tag to make; one that is there already is answered as if it had been made.
#[derive(Debug, Serialize)]
pub(super) struct NewTag<'a> {
    pub(super) name: &'a str,
}

/// Things to put a tag on, or to take it off.
#[derive(Debug, Serialize)]
pub(super) struct Tagged {
    pub(super) resources: [Tagging; 1],
}

/// One thing and what it is.
#[derive(Debug, Serialize)]
pub(super) struct Tagging {
    pub(super) resource_id: String,
    pub(super) resource_type: &'static str,
}

/// An error answer. `POST /v2/tags` has words of its own.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default, alias = "error")]
    pub(super) id: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) root_causes: Vec<String>,
    #[serde(default)]
    pub(super) request_id: Option<String>,
}
