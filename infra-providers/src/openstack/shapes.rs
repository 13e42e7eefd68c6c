//! What the services answer, as far as it is read. Unknown fields and states are tolerated, missing required ones are
//! an unreadable answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// Fields that old releases, partial answers and policies leave out or make null.
fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// A token of Keystone; the id itself is in a header.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) token: TokenBody,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct TokenBody {
    pub(super) expires_at: String,
    pub(super) project: Option<Named>,
    pub(super) user: Named,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) catalog: Vec<CatalogService>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CatalogService {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) endpoints: Vec<CatalogEndpoint>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CatalogEndpoint {
    pub(super) interface: String,
    pub(super) region_id: Option<String>,
    pub(super) region: Option<String>,
    pub(super) url: String,
}

impl CatalogEndpoint {
    pub(super) fn region(&self) -> Option<&str> {
        self.region_id.as_deref().or(self.region.as_deref())
    }
}

/// A listing's links; one of them may say that there is more.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) rel: String,
}

pub(super) fn has_next(links: &[Link]) -> bool {
    links.iter().any(|link| link.rel == "next")
}

/// A server of Nova. From a cell that is down come `id` and `status` alone.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Server {
    pub(super) id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    pub(super) name: Option<String>,
    pub(super) created: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) addresses: BTreeMap<String, Vec<Address>>,
    pub(super) flavor: Option<ServerFlavor>,
    /// An object, or an empty text for a server that boots from a volume.
    #[serde(default)]
    pub(super) image: serde_json::Value,
    pub(super) fault: Option<ServerFault>,
    #[serde(rename = "OS-EXT-STS:task_state")]
    pub(super) task_state: Option<String>,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    pub(super) zone: Option<String>,
    /// The project it is in.
    pub(super) tenant_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Address {
    pub(super) addr: String,
    #[serde(rename = "OS-EXT-IPS:type")]
    pub(super) kind: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ServerFlavor {
    pub(super) original_name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ServerFault {
    pub(super) code: Option<i64>,
    pub(super) message: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServerAnswer {
    pub(super) server: Server,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServersAnswer {
    pub(super) servers: Vec<Server>,
    #[serde(default)]
    pub(super) servers_links: Vec<Link>,
}

/// The answer to a create: the rest is there later.
#[derive(Debug, Deserialize)]
pub(super) struct CreatedAnswer {
    pub(super) server: Created,
}

#[derive(Debug, Deserialize)]
pub(super) struct Created {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ImageMade {
    pub(super) image_id: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Flavor {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) vcpus: u32,
    /// MiB.
    pub(super) ram: u64,
    /// GiB.
    pub(super) disk: u32,
    /// GiB beside `disk`.
    #[serde(rename = "OS-FLV-EXT-DATA:ephemeral", default)]
    pub(super) ephemeral: u32,
    #[serde(rename = "OS-FLV-DISABLED:disabled", default)]
    pub(super) disabled: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) extra_specs: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FlavorsAnswer {
    pub(super) flavors: Vec<Flavor>,
    #[serde(default)]
    pub(super) flavors_links: Vec<Link>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ZonesAnswer {
    #[serde(rename = "availabilityZoneInfo")]
    pub(super) zones: Vec<ZoneInfo>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ZoneInfo {
    #[serde(rename = "zoneName")]
    pub(super) name: String,
    #[serde(rename = "zoneState")]
    pub(super) state: ZoneState,
}

#[derive(Debug, Deserialize)]
pub(super) struct ZoneState {
    pub(super) available: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct KeyPair {
    pub(super) name: String,
    /// With a comment at its end, which says the project.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) public_key: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct KeyPairAnswer {
    pub(super) keypair: KeyPair,
}

#[derive(Debug, Deserialize)]
pub(super) struct KeyPairsAnswer {
    pub(super) keypairs: Vec<KeyPairAnswer>,
    #[serde(default)]
    pub(super) keypairs_links: Vec<Link>,
}

/// An image of Glance: its known fields, and everything else as properties.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) status: String,
    pub(super) created_at: String,
    /// Bytes; null until there are any.
    pub(super) size: Option<u64>,
    #[serde(flatten)]
    pub(super) properties: BTreeMap<String, serde_json::Value>,
}

impl Image {
    pub(super) fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).and_then(|value| value.as_str()).filter(|value| !value.is_empty())
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ImagesAnswer {
    pub(super) images: Vec<Image>,
    pub(super) next: Option<String>,
}

/// A security group of Neutron.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) description: String,
    pub(super) project_id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) security_group_rules: Vec<GroupRule>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct GroupRule {
    pub(super) direction: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupAnswer {
    pub(super) security_group: Group,
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupsAnswer {
    pub(super) security_groups: Vec<Group>,
    #[serde(default)]
    pub(super) security_groups_links: Vec<Link>,
}
