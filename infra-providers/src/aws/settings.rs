//! What an operator sets about AWS. Data only; keys are tenants' and come with each connection.

use std::time::Duration;

use infra_core::nouns::request::Arch;
use infra_core::words::ids::{CloudName, Region};
use infra_core::words::lane::Endpoint;
use serde::{Deserialize, Serialize};

/// Where images of an operating system come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    /// As people say it: `ubuntu 24.04`.
    pub os: String,
    /// Whose images: an account's twelve digits, `amazon`, `self`.
    pub owner: String,
    /// Their names, with `*` and `?`.
    pub pattern: String,
    /// Their architecture; images of another one are left out.
    pub arch: Arch,
}

impl ImageSource {
    fn new(os: &str, owner: &str, pattern: &str, arch: Arch) -> Self {
        Self { os: os.to_owned(), owner: owner.to_owned(), pattern: pattern.to_owned(), arch }
    }
}

/// How this installation uses AWS.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AwsSettings {
    /// The name users know it by.
    pub name: CloudName,
    /// Where EC2 *and* STS are; empty for AWS's own addresses.
    pub endpoint: Endpoint,
    /// Regions in use.
    pub regions: Vec<Region>,
    /// Where images come from.
    pub images: Vec<ImageSource>,
    /// To connect.
    pub connect_timeout: Duration,
    /// A whole call; a create call is cut to its deadline, too.
    pub call_timeout: Duration,
    /// What was created shows everywhere at the latest after this; EC2 advises to wait up to five minutes.
    pub visible_within: Duration,
    /// May a credential use the operator's own keys (kind `ambient`, or a role assumed with them)? Never where tenants
    /// save keys themselves: the operator's keys would be everybody's.
    pub ambient: bool,
    /// Nothing behind the endpoint costs money: shown to users.
    pub simulated: bool,
}

/// Canonical's account, which publishes Ubuntu.
const CANONICAL: &str = "099720109477";
/// Debian's account.
const DEBIAN: &str = "136693071363";

impl Default for AwsSettings {
    /// AWS itself, region `us-east-1`, Ubuntu, Debian and Amazon Linux.
    fn default() -> Self {
        let mut images = Vec::new();
        for (arch, word, amazon) in [(Arch::X86_64, "amd64", "x86_64"), (Arch::Arm64, "arm64", "arm64")] {
            for (os, release) in [("ubuntu 22.04", "jammy-22.04"), ("ubuntu 24.04", "noble-24.04")] {
                let pattern = format!("ubuntu/images/hvm-ssd*/ubuntu-{release}-{word}-server-*");
                images.push(ImageSource::new(os, CANONICAL, &pattern, arch));
            }
            for (os, release) in [("debian 12", "debian-12"), ("debian 13", "debian-13")] {
                images.push(ImageSource::new(os, DEBIAN, &format!("{release}-{word}-2*"), arch));
            }
            let pattern = format!("al2023-ami-2023.*-{amazon}");
            images.push(ImageSource::new("amazon linux 2023", "amazon", &pattern, arch));
        }
        Self {
            name: CloudName::new("aws").expect("a literal name"),
            endpoint: Endpoint::default(),
            regions: vec![Region::new("us-east-1").expect("a literal name")],
            images,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            visible_within: Duration::from_secs(5 * 60),
            ambient: false,
            simulated: false,
        }
    }
}
