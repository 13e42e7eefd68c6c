//! Clouds by name: from what an operator writes down to drivers.
//!
//! # Flow
//! A [`CloudSpec`] is one cloud as it stands in a settings file; [`open`] finds its kind in the table, refuses what that
//! kind does not know, and makes the driver. A [`Place`] is the short form people type: `aws:eu-west-1`,
//! `digitalocean:ams3`, `openstack:lab`.
//!
//! # Guarantees
//! * An unknown kind is answered with the kinds there are, a setting of another kind with the kinds it belongs to, a
//!   kind that was left out of this build with the feature that adds it.
//! * Nothing is asked of any cloud here; only a price file is read from disk, and one that cannot be used is refused.
//!
//! Adding a cloud is one line in the table, beside its folder and its feature.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use infra_core::contracts::provider::CloudDriver;
use infra_core::words::clock::Clock;
use infra_core::words::ids::{CloudName, Region};
use infra_core::words::lane::Endpoint;
use serde::{Deserialize, Serialize};

use crate::aws::ImageSource;
use crate::digitalocean::{DigitalOceanDriver, DigitalOceanSettings};
use crate::exposed::is_exposed;
use crate::http::Transport;
use crate::openstack::{Interface, OpenStackDriver, OpenStackSettings};
use crate::prices::{FileSource, Form, PriceBook, PriceError, PriceTable, PricedDriver};

/// One cloud as an operator writes it. What is not said is as the cloud's own settings have it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CloudSpec {
    /// Which kind of cloud; the cloud's name when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where its API is (OpenStack: Keystone's address); the cloud's own address when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Regions in use; the kind's default when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
    /// Only AWS, instead of its own: an emulator has other images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageSource>,
    /// Only AWS: a key of kind `ambient`, or a role assumed without keys of its own, may use the server's own keys. Never
    /// where tenants save keys themselves: the operator's keys would be everybody's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ambient: bool,
    /// Only OpenStack: which addresses of its services are used: `public`, `internal` or `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Only OpenStack: the network of machines that name none: `auto`, `none` or a network's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Only OpenStack: a machine that is off costs nothing. OpenStack keeps its place and says nothing of prices; without
    /// this all of it is charged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off_is_free: bool,
    /// A file (CSV, JSON or TOML) that says what types cost, instead of the cloud. OpenStack says nothing itself: without
    /// it no flavor has a price, and what has no price is never chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<PathBuf>,
    /// Only AWS: `api` for today's prices, `table` for the dated ones that come along, without asking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_source: Option<String>,
    /// Seconds after which the cloud shows everywhere what it made, instead of what it documents. Too little buys
    /// twice; it is for emulators, whose lag is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visible_within_s: Option<u64>,
    /// Only DigitalOcean: seconds after which a snapshot that does not show was never made, instead of two hours. Too
    /// little copies twice, and the late copy is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_within_s: Option<u64>,
    /// Nothing behind the endpoint costs money: shown to users.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// Keys may be sent over plain HTTP to other machines. Only where the network between is private: whoever reads it reads
    /// them. A simulated cloud's keys are worth nothing, and need no such word.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

/// What every driver is made with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The installation's clock.
    pub clock: Arc<dyn Clock>,
    /// The way to clouds that speak plain HTTP, shared by all of them. AWS brings its own.
    pub transport: Arc<dyn Transport>,
    /// Where feeds of prices are kept, with rates and intervals.
    pub prices: Arc<PriceBook>,
}

/// Why a cloud cannot be used as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A name that may not stand in a key, or a malformed place.
    #[error("{what}: {why}")]
    Malformed {
        /// What was written.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// No such kind of cloud.
    #[error("{cloud}: {kind:?} is no kind of cloud that is known; {known} are")]
    UnknownKind {
        /// Of which cloud.
        cloud: String,
        /// What was said.
        kind: String,
        /// What there is.
        known: String,
    },
    /// The kind is known and was not built in.
    #[error("{cloud} needs a build with the feature {feature}")]
    NotBuilt {
        /// Which cloud.
        cloud: String,
        /// Which feature.
        feature: &'static str,
    },
    /// A setting that this kind of cloud does not have.
    #[error("{cloud}: {setting} is no setting of {kind}, only of {of}")]
    Misplaced {
        /// Of which cloud.
        cloud: String,
        /// Which setting.
        setting: &'static str,
        /// The cloud's kind.
        kind: &'static str,
        /// Kinds that have it.
        of: String,
    },
    /// A setting that this kind cannot do without, or that says nothing known.
    #[error("{cloud}: {setting} {why}")]
    Setting {
        /// Of which cloud.
        cloud: String,
        /// Which setting.
        setting: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// What opening a cloud comes to.
type Opened = Result<Arc<dyn CloudDriver>, RegistryError>;

/// One kind of cloud.
struct Kind {
    word: &'static str,
    /// The feature that adds it.
    feature: &'static str,
    /// Is it in this build?
    built: bool,
    /// Its settings beyond those that every kind has.
    settings: &'static [&'static str],
    open: fn(&CloudName, &CloudSpec, &Parts) -> Opened,
}

/// Every kind there is: the one line that a new cloud adds here.
const KINDS: [Kind; 3] = [
    Kind {
        word: "aws",
        feature: "aws",
        built: cfg!(feature = "aws"),
        settings: &["ambient", "images", "price_source"],
        open: aws,
    },
    Kind {
        word: "digitalocean",
        feature: "digitalocean",
        built: cfg!(feature = "digitalocean"),
        settings: &["snapshot_within_s"],
        open: digitalocean,
    },
    Kind {
        word: "openstack",
        feature: "openstack",
        built: cfg!(feature = "openstack"),
        settings: &["interface", "network", "off_is_free"],
        open: openstack,
    },
];

/// The kinds of cloud there are, in alphabetical order, whether they are in this build or not.
#[must_use]
pub fn kinds() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.word).collect()
}

/// The kinds in this build.
#[must_use]
pub fn built() -> Vec<&'static str> {
    KINDS.iter().filter(|kind| kind.built).map(|kind| kind.word).collect()
}

/// Checks a cloud's settings without making anything.
///
/// # Errors
/// [`RegistryError`].
pub fn check(name: &str, spec: &CloudSpec) -> Result<(), RegistryError> {
    find(name, spec).map(drop)
}

/// Makes the driver of a cloud.
///
/// # Errors
/// [`RegistryError`].
pub fn open(name: &str, spec: &CloudSpec, parts: &Parts) -> Result<Arc<dyn CloudDriver>, RegistryError> {
    let (name, kind) = find(name, spec)?;
    let cloud = (kind.open)(&name, spec, parts)?;
    priced(&name, spec, cloud, parts)
}

/// A cloud with the prices of the file that its settings name; itself where they name none.
///
/// # Errors
/// As [`prices`].
pub fn priced(name: &CloudName, spec: &CloudSpec, cloud: Arc<dyn CloudDriver>, parts: &Parts) -> Opened {
    prices(name.as_str(), spec, &parts.prices)?;
    let Some(source) = price_file(name.as_str(), spec, &parts.prices)? else { return Ok(cloud) };
    let feed = parts.prices.list_feed(name, "file");
    Ok(Arc::new(PricedDriver::new(cloud, feed, source, parts.prices.rates())))
}

/// Reads the price file that a cloud's settings name; `None` where they name none. The book says what is worth what, and
/// which day is to come.
///
/// # Errors
/// [`RegistryError::Setting`] with the file and its line. A file without a single price under the book's rates is
/// one, too: everything would be Unknown, and nothing chosen.
pub fn prices(name: &str, spec: &CloudSpec, book: &PriceBook) -> Result<Option<PriceTable>, RegistryError> {
    let Some(source) = price_file(name, spec, book)? else { return Ok(None) };
    let shown = || spec.prices.as_deref().unwrap_or(Path::new("")).display();
    let wrong = |why| RegistryError::Setting { cloud: name.to_owned(), setting: "prices", why };
    let table = source.load().map_err(|error| {
        wrong(match error {
            PriceError::File { why, .. } => format!("{} cannot be read: {why}", shown()),
            PriceError::Malformed { line: Some(line), why, .. } => format!("{} line {line}: {why}", shown()),
            PriceError::Malformed { why, .. } => format!("{}: {why}", shown()),
            error => format!("{}: {error}", shown()),
        })
    })?;
    match table.counts(&book.rates()) {
        (0, rows) => {
            let first = table.without_price(&book.rates()).into_iter().next();
            let why = first.map(|why| format!(", {why}")).unwrap_or_default();
            Err(wrong(format!("{} names no price at all ({rows} rows without one{why})", shown())))
        }
        _ => Ok(Some(table)),
    }
}

/// A cloud's price file, if it names one: not read yet.
fn price_file(name: &str, spec: &CloudSpec, book: &PriceBook) -> Result<Option<FileSource>, RegistryError> {
    let Some((path, form)) = price_form(name, spec)? else { return Ok(None) };
    Ok(Some(FileSource::new(path.to_owned(), form, book.clock())))
}

/// Where a cloud's price file is, and how it is written.
fn price_form<'a>(name: &str, spec: &'a CloudSpec) -> Result<Option<(&'a Path, Form)>, RegistryError> {
    let Some(path) = &spec.prices else { return Ok(None) };
    let why = || format!("{} must end with .csv, .json or .toml", path.display());
    let form = Form::of(path).ok_or_else(|| RegistryError::Setting {
        cloud: name.to_owned(),
        setting: "prices",
        why: why(),
    })?;
    Ok(Some((path, form)))
}

/// The kind of a cloud, once everything that can be said against its settings was not found.
fn find(name: &str, spec: &CloudSpec) -> Result<(CloudName, &'static Kind), RegistryError> {
    let legal = CloudName::new(name)
        .map_err(|error| RegistryError::Malformed { what: name.to_owned(), why: error.to_string() })?;
    let word = spec.kind.as_deref().unwrap_or(name);
    let kind = KINDS.iter().find(|kind| kind.word == word).ok_or_else(|| RegistryError::UnknownKind {
        cloud: name.to_owned(),
        kind: word.to_owned(),
        known: kinds().join(", "),
    })?;
    if !kind.built {
        return Err(RegistryError::NotBuilt { cloud: name.to_owned(), feature: kind.feature });
    }
    if let Some(setting) = spec.special().into_iter().find(|setting| !kind.settings.contains(setting)) {
        let of = KINDS.iter().filter(|other| other.settings.contains(&setting)).map(|other| other.word);
        let of = of.collect::<Vec<_>>().join(", ");
        return Err(RegistryError::Misplaced { cloud: name.to_owned(), setting, kind: kind.word, of });
    }
    check_endpoint(name, spec)?;
    if !spec.may_expose()
        && let Some(url) = spec.endpoint.as_ref().filter(|url| is_exposed(url))
    {
        let why = format!(
            "{url:?} is plain HTTP to another machine: whoever reads the network reads every key. Use https://, or say \
             insecure = true where the network itself is private"
        );
        return Err(RegistryError::Setting { cloud: name.to_owned(), setting: "endpoint", why });
    }
    if let Some(word) = spec.price_source.as_ref().filter(|word| !["api", "table"].contains(&word.as_str())) {
        let why = format!("{word:?} is not known; api and table are");
        return Err(RegistryError::Setting { cloud: name.to_owned(), setting: "price_source", why });
    }
    price_form(name, spec)?;
    Ok((legal, kind))
}

/// Checks that a cloud's endpoint, if it names one, is a URL.
///
/// # Errors
/// [`RegistryError::Setting`].
pub fn check_endpoint(name: &str, spec: &CloudSpec) -> Result<(), RegistryError> {
    let schemes = ["http://", "https://"];
    if let Some(url) =
        spec.endpoint.as_ref().filter(|url| !schemes.iter().any(|start| url.starts_with(start)))
    {
        let why = format!("{url:?} must begin with http:// or https://");
        return Err(RegistryError::Setting { cloud: name.to_owned(), setting: "endpoint", why });
    }
    Ok(())
}

impl CloudSpec {
    /// The same cloud at another address.
    #[must_use]
    pub fn with_endpoint(self, endpoint: Option<String>) -> Self {
        Self { endpoint, ..self }
    }

    /// The same cloud with prices of a file.
    #[must_use]
    pub fn with_prices(self, prices: Option<PathBuf>) -> Self {
        Self { prices, ..self }
    }

    /// May its keys cross a network in clear text?
    const fn may_expose(&self) -> bool {
        self.insecure || self.simulated
    }

    /// Settings that were said and that not every kind has.
    fn special(&self) -> Vec<&'static str> {
        let said = [
            ("ambient", self.ambient),
            ("images", !self.images.is_empty()),
            ("interface", self.interface.is_some()),
            ("network", self.network.is_some()),
            ("off_is_free", self.off_is_free),
            ("price_source", self.price_source.is_some()),
            ("snapshot_within_s", self.snapshot_within_s.is_some()),
        ];
        said.into_iter().filter(|(_, said)| *said).map(|(setting, _)| setting).collect()
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint(self.endpoint.as_deref().unwrap_or_default().trim_end_matches('/').to_owned())
    }
}

#[cfg(feature = "aws")]
fn aws(name: &CloudName, spec: &CloudSpec, parts: &Parts) -> Opened {
    let mut settings =
        crate::aws::AwsSettings { name: name.clone(), endpoint: spec.endpoint(), ..Default::default() };
    settings.simulated = spec.simulated;
    settings.ambient = spec.ambient;
    if let Some(seconds) = spec.visible_within_s {
        settings.visible_within = Duration::from_secs(seconds);
    }
    if !spec.regions.is_empty() {
        settings.regions.clone_from(&spec.regions);
    }
    if !spec.images.is_empty() {
        settings.images.clone_from(&spec.images);
    }
    // Where a file says what types cost, AWS need not.
    let live = spec.prices.is_none() && spec.price_source.as_deref() != Some("table");
    let prices = crate::aws::AwsPrices::new(&parts.prices, name, live);
    let driver = crate::aws::AwsDriver::new(settings, Arc::clone(&parts.clock));
    Ok(Arc::new(driver.with_prices(prices)))
}

/// Never reached: a kind that is not built is refused before it is opened.
#[cfg(not(feature = "aws"))]
fn aws(name: &CloudName, _: &CloudSpec, _: &Parts) -> Opened {
    Err(RegistryError::NotBuilt { cloud: name.to_string(), feature: "aws" })
}

fn digitalocean(name: &CloudName, spec: &CloudSpec, parts: &Parts) -> Opened {
    let mut settings = DigitalOceanSettings {
        name: name.clone(),
        endpoint: spec.endpoint(),
        simulated: spec.simulated,
        unmetered: spec.simulated,
        ..DigitalOceanSettings::default()
    };
    if let Some(seconds) = spec.visible_within_s {
        settings.visible_within = Duration::from_secs(seconds);
    }
    if let Some(seconds) = spec.snapshot_within_s {
        settings.snapshot_within = Duration::from_secs(seconds);
    }
    if !spec.regions.is_empty() {
        settings.regions.clone_from(&spec.regions);
    }
    let driver = DigitalOceanDriver::new(settings, Arc::clone(&parts.transport), Arc::clone(&parts.clock));
    // Where a file says what sizes cost, the file's age is the one that counts.
    let priced = if spec.prices.is_none() { driver.with_prices(&parts.prices) } else { driver };
    Ok(Arc::new(priced))
}

fn openstack(name: &CloudName, spec: &CloudSpec, parts: &Parts) -> Opened {
    let wrong = |setting, why: String| RegistryError::Setting { cloud: name.to_string(), setting, why };
    let auth_url = spec.endpoint.as_deref();
    let auth_url = auth_url.ok_or_else(|| wrong("endpoint", "is missing: Keystone's address".to_owned()))?;
    if spec.regions.is_empty() {
        return Err(wrong(
            "regions",
            "is missing: the regions to use, as Keystone's catalogue names them".to_owned(),
        ));
    }
    let mut settings = OpenStackSettings::new(name.clone(), auth_url, spec.regions.clone());
    settings.simulated = spec.simulated;
    settings.insecure = spec.may_expose();
    settings.off_is_free = spec.off_is_free;
    if let Some(word) = &spec.interface {
        settings.interface = Interface::from_word(word).ok_or_else(|| {
            wrong("interface", format!("{word:?} is not known; public, internal and admin are"))
        })?;
    }
    if let Some(network) = &spec.network {
        settings.network.clone_from(network);
    }
    if let Some(seconds) = spec.visible_within_s {
        settings.visible_within = Duration::from_secs(seconds);
    }
    Ok(Arc::new(OpenStackDriver::new(settings, Arc::clone(&parts.transport), Arc::clone(&parts.clock))))
}

/// Where something is, as people type it: a cloud, or a cloud and a region of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The cloud's name.
    pub cloud: CloudName,
    /// One region; all of the cloud's when not said.
    pub region: Option<Region>,
}

impl Place {
    /// The driver that is meant, and its regions: the one that was said, or all.
    ///
    /// # Errors
    /// [`RegistryError::Malformed`] with the clouds, or the cloud's regions, that there are.
    pub fn find<'a>(
        &self,
        drivers: &'a BTreeMap<CloudName, Arc<dyn CloudDriver>>,
    ) -> Result<(&'a Arc<dyn CloudDriver>, Vec<Region>), RegistryError> {
        let wrong = |why| RegistryError::Malformed { what: self.to_string(), why };
        let Some(driver) = drivers.get(&self.cloud) else {
            let known: Vec<&str> = drivers.keys().map(CloudName::as_str).collect();
            return Err(wrong(format!("cloud {} is not configured; {} are", self.cloud, known.join(", "))));
        };
        let regions = driver.regions();
        match &self.region {
            None => Ok((driver, regions)),
            Some(region) if regions.contains(region) => Ok((driver, vec![region.clone()])),
            Some(region) => {
                let known: Vec<&str> = regions.iter().map(Region::as_str).collect();
                let why =
                    format!("region {region} is not configured for {}; {} are", self.cloud, known.join(", "));
                Err(wrong(why))
            }
        }
    }
}

impl FromStr for Place {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let wrong = |error: infra_core::words::ids::InvalidName| RegistryError::Malformed {
            what: text.to_owned(),
            why: format!("{error}; a place is CLOUD or CLOUD:REGION, like aws:eu-west-1"),
        };
        let (cloud, region) =
            text.split_once(':').map_or((text, None), |(cloud, region)| (cloud, Some(region)));
        let region = region.map(|region| Region::new(region).map_err(wrong)).transpose()?;
        Ok(Self { cloud: CloudName::new(cloud).map_err(wrong)?, region })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.region {
            Some(region) => write!(f, "{}:{region}", self.cloud),
            None => self.cloud.fmt(f),
        }
    }
}
