//! What this crate needs of EC2, STS and the Price List, in plain types of its own.
//!
//! The official SDK stands behind this seam and nowhere else, so the provider's logic and its tests build without
//! it, and another back end (a hand-written signer, a fake) needs nothing but this trait.
//!
//! # Guarantees asked of implementers
//! * One method is one HTTP request: no retries, no waiters, no following of pages.
//! * Every failure says whether the request may have left ([`Reached`]). When in doubt it may have.
//! * Calls that create take `within`: the whole call is cut after it, so nothing leaves later.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::nouns::request::Arch;
use infra_core::words::clock::Timestamp;
use infra_core::words::secret::Secret;

pub use super::keys::StaticKeys;
pub use crate::failure::{Answer, ApiFailure, Reached};

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// One page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// EC2's marker of the next page.
    pub next: Option<String>,
    /// The `Date` of the answer: the provider's clock, to the second.
    pub as_of: Option<Timestamp>,
}

/// Who a key is, by STS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account's twelve digits.
    pub account: String,
    /// The principal's ARN.
    pub arn: String,
}

/// STS AssumeRole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// The role.
    pub role_arn: String,
    /// What the role's trust policy wants to hear, against confused deputies.
    pub external_id: Option<String>,
    /// Shows in the account's trail.
    pub session_name: String,
}

/// Keys that end.
#[derive(Debug, Clone)]
pub struct TemporaryKeys {
    /// Key, secret and session token.
    pub keys: StaticKeys,
    /// By AWS's clock; `None` for keys whose end nobody tells.
    pub expires_at: Option<Timestamp>,
}

/// Which things a look-up asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Exactly these ids; EC2 fails the whole call when one of them is unknown.
    Ids(Vec<String>),
    /// Machines launched with this client token.
    ClientToken(String),
    /// Groups or key pairs of this name.
    Name(String),
    /// Whatever carries this tag.
    Tag {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
}

/// A disk of a machine to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Device name, as the image has it.
    pub device: String,
    /// Size, GiB; `None` for the image's own.
    pub size_gib: Option<u32>,
    /// Encrypted with the account's default key; as the image and the account have it when not.
    pub encrypted: bool,
}

/// RunInstances: every field stands in the call.
#[derive(Debug, Clone)]
pub struct RunInstances {
    /// `ClientToken`.
    pub token: String,
    /// `MinCount` and `MaxCount`.
    pub count: u16,
    /// `Placement.AvailabilityZone`.
    pub zone: String,
    /// `InstanceType`.
    pub type_name: String,
    /// `ImageId`.
    pub image: String,
    /// Every disk of the image, each with `DeleteOnTermination`.
    pub disks: Vec<Disk>,
    /// One-time spot, ended on interruption.
    pub spot: bool,
    /// `SpotOptions.MaxPrice`, US dollars an hour; EC2 takes the on-demand price when `None`.
    pub spot_max: Option<String>,
    /// User data as base64.
    pub user_data: Option<Secret>,
    /// `SecurityGroupId` of the primary interface; the VPC's default group when empty.
    pub groups: Vec<String>,
    /// `KeyName`.
    pub key_name: Option<String>,
    /// `AssociatePublicIpAddress` of the primary interface.
    pub public_address: bool,
    /// `SubnetId` of the primary interface; the zone's default subnet when `None`. EC2 refuses one of another zone.
    pub subnet: Option<String>,
    /// `IamInstanceProfile.Name`.
    pub profile: Option<String>,
    /// `HibernationOptions.Configured`: it can be told to hibernate later. EC2 wants an encrypted root disk for it.
    pub hibernate: bool,
    /// Tags of the machines and of their disks.
    pub tags: Tags,
}

/// A machine as EC2 shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instance {
    /// `i-...`.
    pub id: String,
    /// EC2's word for its state.
    pub state: String,
    /// `clientToken`.
    pub client_token: Option<String>,
    /// Type.
    pub type_name: Option<String>,
    /// Image.
    pub image: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// Public address.
    pub public_address: Option<String>,
    /// Private address.
    pub private_address: Option<String>,
    /// `launchTime`: moves at every start.
    pub launched_at: Option<Timestamp>,
    /// When its primary interface was attached: stays.
    pub attached_at: Option<Timestamp>,
    /// `stateReason` as code and message.
    pub reason: Option<(String, String)>,
    /// Tags.
    pub tags: Tags,
}

/// CreateSecurityGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// Unique in its VPC.
    pub name: String,
    /// `VpcId`; the region's default VPC when `None`.
    pub vpc: Option<String>,
    /// ASCII.
    pub description: String,
    /// In the call.
    pub tags: Tags,
}

/// A security group as EC2 shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// `sg-...`.
    pub id: String,
    /// Name.
    pub name: String,
    /// CIDR blocks of the rules that open every port to them.
    pub open_to: Vec<String>,
    /// Any ingress rule of another shape: a port, another group, a prefix list.
    pub other_ingress: bool,
    /// Tags.
    pub tags: Tags,
}

/// ImportKeyPair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKeyPair {
    /// Unique in its region.
    pub name: String,
    /// OpenSSH public key.
    pub public_key: String,
    /// In the call.
    pub tags: Tags,
}

/// A key pair as EC2 shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPair {
    /// `key-...`.
    pub id: String,
    /// Name.
    pub name: String,
    /// OpenSSH public key, where EC2 tells.
    pub public_key: Option<String>,
    /// When it was imported.
    pub created_at: Option<Timestamp>,
    /// Tags.
    pub tags: Tags,
}

/// A machine type as EC2 shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineType {
    /// Its name.
    pub name: String,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Architectures it runs.
    pub archs: Vec<Arch>,
    /// Accelerators.
    pub gpus: u32,
    /// Name of the accelerator.
    pub gpu_model: Option<String>,
    /// Memory of one accelerator, MiB; 0 when EC2 does not say.
    pub gpu_memory_mib: u64,
    /// Its own disks together, GB of a thousand million bytes.
    pub local_disk_gb: u64,
    /// Do its processors earn credits?
    pub burstable: bool,
    /// Can be had at the spot market.
    pub spot: bool,
}

/// GetProducts of the Price List API: products of EC2 with exactly these attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceListAsk {
    /// Names and values of attributes, each a `TERM_MATCH`.
    pub attributes: Vec<(&'static str, String)>,
}

/// A row of the spot market's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpotPrice {
    /// The type.
    pub type_name: String,
    /// The zone, under the account's own name for it.
    pub zone: String,
    /// `ProductDescription`: operating system and network.
    pub product: String,
    /// As written; in the currency of the partition, which nothing says.
    pub price: String,
    /// Since when it is the price.
    pub since: Option<Timestamp>,
}

/// Which images to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageQuery {
    /// One by id.
    Id(String),
    /// An owner's images by name.
    Named {
        /// Account or alias of the owner.
        owner: String,
        /// Name with `*` and `?`.
        pattern: String,
    },
}

/// An image as EC2 shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineImage {
    /// `ami-...`.
    pub id: String,
    /// Name.
    pub name: String,
    /// Architecture, if we have a word for it.
    pub arch: Option<Arch>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// What EC2 charges for it, in its words (`platformDetails`): `Linux/UNIX`, `Windows`; `None` when it does not say.
    pub platform: Option<String>,
    /// Device name of its root disk.
    pub root_device: Option<String>,
    /// Device names of every disk it makes.
    pub devices: Vec<String>,
    /// Size of its root disk, GiB: EC2 makes none that is smaller than the snapshot.
    pub root_gib: Option<u32>,
}

/// The calls this crate makes.
#[async_trait]
pub trait Ec2Api: Debug + Send + Sync {
    /// STS GetCallerIdentity.
    async fn caller_identity(&self) -> Answer<Caller>;
    /// STS AssumeRole.
    async fn assume_role(&self, ask: &AssumeRole) -> Answer<TemporaryKeys>;

    /// RunInstances.
    async fn run_instances(&self, ask: &RunInstances, within: Duration) -> Answer<Vec<Instance>>;
    /// DescribeInstances.
    async fn describe_instances(&self, which: &Which, page: Option<String>) -> Answer<Page<Instance>>;
    /// StartInstances with one id.
    async fn start_instance(&self, id: &str) -> Answer<()>;
    /// StopInstances with one id, its memory kept on its disk with `hibernate`.
    async fn stop_instance(&self, id: &str, hibernate: bool) -> Answer<()>;
    /// TerminateInstances with one id: EC2 terminates none of a batch when one id is bad.
    async fn terminate_instance(&self, id: &str) -> Answer<()>;

    /// DescribeSubnets with one id: the VPC that it is in.
    async fn subnet_vpc(&self, subnet: &str) -> Answer<String>;
    /// CreateSecurityGroup; answers its id.
    async fn create_group(&self, ask: &NewGroup, within: Duration) -> Answer<String>;
    /// AuthorizeSecurityGroupIngress: every port, from these CIDR blocks; all rules or none.
    async fn authorize_ingress(&self, group: &str, cidrs: &[String], within: Duration) -> Answer<()>;
    /// DescribeSecurityGroups.
    async fn describe_groups(&self, which: &Which, page: Option<String>) -> Answer<Page<Group>>;
    /// DeleteSecurityGroup.
    async fn delete_group(&self, id: &str) -> Answer<()>;

    /// ImportKeyPair; answers its id.
    async fn import_key_pair(&self, ask: &NewKeyPair, within: Duration) -> Answer<String>;
    /// DescribeKeyPairs, which has no pages.
    async fn describe_key_pairs(&self, which: &Which) -> Answer<Page<KeyPair>>;
    /// DeleteKeyPair by id.
    async fn delete_key_pair(&self, id: &str) -> Answer<()>;

    /// CreateTags.
    async fn create_tags(&self, id: &str, tags: &Tags) -> Answer<()>;
    /// DeleteTags, only where key and value agree.
    async fn delete_tags(&self, id: &str, tags: &Tags) -> Answer<()>;

    /// DescribeInstanceTypes.
    async fn describe_types(&self, page: Option<String>) -> Answer<Page<MachineType>>;
    /// DescribeInstanceTypeOfferings by zone: (type, zone).
    async fn describe_type_zones(&self, page: Option<String>) -> Answer<Page<(String, String)>>;
    /// DescribeImages.
    async fn describe_images(&self, query: &ImageQuery, page: Option<String>) -> Answer<Page<MachineImage>>;

    /// GetProducts of the Price List API: one JSON document per product, as it came.
    async fn price_list(&self, ask: &PriceListAsk, page: Option<String>) -> Answer<Page<String>>;
    /// DescribeSpotPriceHistory of one product, from `since` on: asked from now on, it answers what is paid now.
    async fn spot_prices(
        &self,
        product: &str,
        since: Timestamp,
        page: Option<String>,
    ) -> Answer<Page<SpotPrice>>;
}
