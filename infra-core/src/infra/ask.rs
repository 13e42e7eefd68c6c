//! Is a request acceptable at all? Pure: every field against its named limit, before anything is asked or stored.
//!
//! # Guarantees
//! * All wrong fields are named at once, each with the limit it passed; nothing is silently cut or corrected.
//! * A wish that nothing here acts upon is refused: whoever asks for an idle end and does not get one pays for it.
//! * No message repeats what was given for a secret's place: people paste private keys where public ones belong.
//!
//! # Flow
//! Ranges, texts and lists first, then what fields say together, then tags, access, first boot and options. Only a
//! request whose every field is legal is asked whether anything here acts upon its wishes.
//!
//! # Assumptions
//! Serde has read it: types and unknown fields are its business. Numbers may still be NaN or infinite, because some
//! formats can say so.
//!
//! # Caveats
//! Limits are the narrow ones, mostly EC2's, whatever cloud it will be: which one is known only after ranking.
//! Whether a region, an image or a size exists is not asked here; the ranking says so with what comes nearest.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::error::{FieldError, InfraError};
use super::overlay_effect::meant;
use jiff::tz::TimeZoneDatabase;

use crate::nouns::account::Preferences;
use crate::nouns::cloud::PowerMode;
use crate::nouns::options::MachineOptions;
use crate::nouns::overlay::{Off, Overlay};
use crate::nouns::policy::Policy;
use crate::nouns::request::{Request, Resource};
use crate::words::clock::{Timestamp, later};
use crate::words::ids::CloudName;
use crate::words::limits::Limits;
use crate::words::money::Money;

/// Most virtual processors, accelerators, and GiB of memory or disk of one machine that may be asked for: far
/// above what any cloud sells, so that what is above is a slip of the pen.
const VCPUS_MAX: f64 = 4096.0;
const GPUS_MAX: u32 = 64;
const GIB_MAX: f64 = 65_536.0;
/// US dollars per machine and hour.
const PRICE_MAX: f64 = 1_000_000.0;
/// Far above what any cloud counts to.
const GENERATION_MAX: u32 = 1000;
/// Discounts of one team: every quote reads all of them.
const OVERLAYS_MAX: usize = 100;
/// Names in one list of a policy.
const POLICY_NAMES_MAX: usize = 50;
/// EC2 takes 50 tags; some are ours.
const TAGS_MAX: usize = 30;
/// Characters of a tag's name and of its value.
const TAG_KEY_LEN_MAX: usize = 127;
const TAG_VALUE_LEN_MAX: usize = 255;
/// Characters of names, systems and models that are given as text.
const NAME_LEN_MAX: usize = 100;
/// Public keys of one request, and bytes of one: an RSA key of 8,192 bits with a comment fits.
const SSH_KEYS_MAX: usize = 10;
const SSH_KEY_LEN_MAX: usize = 2048;
/// Names of software that a profile may list.
const SOFTWARE_MAX: usize = 30;
/// Blocks of addresses: a firewall of EC2 takes 60 rules.
const ALLOW_FROM_MAX: usize = 50;
/// EC2 takes 16 KiB of first-boot data; what wraps the script and adds the public keys takes its share.
const FIRST_BOOT_BYTES_MAX: usize = 15 * 1024;
const SETUP_BYTES_MAX: usize = 12 * 1024;
/// OpenStack's defaults for injected files: five of them, 255 bytes of path, 10 KiB each.
const FILES_MAX: usize = 5;
const FILE_PATH_LEN_MAX: usize = 255;
const FILE_BYTES_MAX: usize = 10 * 1024;

/// Key types, each with the beginning that its base64 always has.
const SSH_TYPES: [(&str, &str); 7] = [
    ("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5"),
    ("ssh-rsa", "AAAAB3NzaC1yc2E"),
    ("ecdsa-sha2-nistp256", "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY"),
    ("ecdsa-sha2-nistp384", "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQ"),
    ("ecdsa-sha2-nistp521", "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjE"),
    ("sk-ssh-ed25519@openssh.com", "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t"),
    ("sk-ecdsa-sha2-nistp256@openssh.com", "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb2"),
];

/// Collects what is wrong, in the order in which it is asked. A field may be named more than once.
#[derive(Debug, Default)]
struct Wrongs(Vec<FieldError>);

impl Wrongs {
    fn add(&mut self, field: impl Into<String>, message: &str, limit: Option<String>) {
        self.0.push(FieldError { field: field.into(), message: message.to_owned(), limit });
    }

    /// `value` must be within `least..=most` when it is said.
    fn within<T: PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        field: &str,
        value: Option<T>,
        least: T,
        most: T,
    ) {
        // A NaN compares false with everything, so it is outside.
        if value.is_some_and(|value| !(value >= least && value <= most)) {
            self.add(field, "is outside what is allowed", Some(format!("{least}..={most}")));
        }
    }

    /// `value` must be finite, above zero and at most `most` when it is said.
    fn positive(&mut self, field: &str, value: Option<f64>, most: f64) {
        if value.is_some_and(|value| !(value > 0.0 && value <= most)) {
            self.add(field, "must be above zero and not more than the limit", Some(most.to_string()));
        }
    }

    /// A list must not be longer than `most`.
    fn at_most(&mut self, field: &str, count: usize, most: usize) {
        if count > most {
            self.add(field, "has too many entries", Some(most.to_string()));
        }
    }

    /// A text must have 1 to `most` characters, none of them a control character.
    fn text(&mut self, field: &str, value: Option<&str>, most: usize) {
        let bad =
            |text: &str| text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control);
        if value.is_some_and(bad) {
            self.add(field, "must be a short printable text", Some(format!("1..={most} characters")));
        }
    }

    /// All of it as one error, or nothing.
    fn done(self) -> Result<(), InfraError> {
        if self.0.is_empty() { Ok(()) } else { Err(InfraError::OutOfRange { fields: self.0 }) }
    }
}

/// Checks a request.
///
/// # Errors
/// [`InfraError::OutOfRange`] with every wrong field; [`InfraError::Unfulfillable`] for what is well formed but
/// cannot be had here.
pub(super) fn check(request: &Request, limits: &Limits, now: Timestamp) -> Result<(), InfraError> {
    shape(request, limits, now)?;
    fulfillable(request)
}

/// Checks a request's fields, without asking whether anything here acts upon its wishes: what is only kept may ask
/// for what is not offered yet.
///
/// # Errors
/// [`InfraError::OutOfRange`] with every wrong field.
pub(super) fn shape(request: &Request, limits: &Limits, now: Timestamp) -> Result<(), InfraError> {
    let mut wrongs = Wrongs::default();
    wrongs.within("count", request.count, 1, limits.count_max);
    wrongs.positive("vcpus", request.vcpus, VCPUS_MAX);
    wrongs.positive("memory_gib", request.memory_gib, GIB_MAX);
    wrongs.positive("disk_gib", request.disk_gib, GIB_MAX);
    wrongs.within("gpus", request.gpus, 0, GPUS_MAX);
    price_cap(&mut wrongs, request);
    wrongs.text("name", request.name.as_deref(), NAME_LEN_MAX);
    wrongs.text("os", request.os.as_deref(), NAME_LEN_MAX);
    wrongs.text("gpu_model", request.gpu_model.as_deref(), NAME_LEN_MAX);
    if request.image.is_some() && request.os.is_some() {
        wrongs.add("image", "says the same as os: give one of the two", None);
    }
    time(&mut wrongs, request, limits, now);
    tags(&mut wrongs, &request.tags);
    access(&mut wrongs, request);
    first_boot(&mut wrongs, request);
    options(&mut wrongs, &request.options);
    policy(&mut wrongs, &request.policy);
    wrongs.done()
}

/// Checks what a profile says; answers the time zone as the zone data spells it.
///
/// # Errors
/// [`InfraError::OutOfRange`] with every wrong field.
pub(super) fn preferences(said: &Preferences) -> Result<Preferences, InfraError> {
    let mut wrongs = Wrongs::default();
    let mut read = said.clone();
    if let Some(name) = &said.time_zone {
        // The data inside this program: what a name means must not depend on the machine.
        let known = TimeZoneDatabase::bundled().get(name).ok();
        read.time_zone = known.and_then(|zone| zone.iana_name().map(str::to_owned));
        if read.time_zone.is_none() {
            wrongs.add("time_zone", "is no time zone of the IANA data, as in Europe/Berlin", None);
        }
    }
    wrongs.text("os", said.os.as_deref(), NAME_LEN_MAX);
    ssh_keys(&mut wrongs, &said.ssh_public_keys);
    wrongs.at_most("software", said.software.len(), SOFTWARE_MAX);
    for (at, name) in said.software.iter().enumerate() {
        wrongs.text(&format!("software[{at}]"), Some(name), NAME_LEN_MAX);
    }
    wrongs.done()?;
    Ok(read)
}

/// A name that stands in paths must not be one of a path's own steps: clients take those instead of sending them, and
/// what is called so could never be reached again.
///
/// # Errors
/// [`InfraError::OutOfRange`] naming the field.
pub(super) fn no_step(field: &str, name: &str) -> Result<(), InfraError> {
    if [".", ".."].contains(&name) {
        return Err(InfraError::field(
            field,
            "is a step of a path, which clients take instead of sending it",
        ));
    }
    Ok(())
}

/// Checks what a team pays less. A provider must be one of `clouds`, as for keys: names are compared to the letter, here
/// and in requests. Whether there is such a region or family is for the answer to say; both may come later.
///
/// # Errors
/// [`InfraError::OutOfRange`] with every wrong field.
pub(super) fn overlays(all: &[Overlay], clouds: &[CloudName]) -> Result<(), InfraError> {
    let mut wrongs = Wrongs::default();
    wrongs.at_most("overlays", all.len(), OVERLAYS_MAX);
    for (at, overlay) in all.iter().enumerate() {
        wrongs.text(&format!("overlays[{at}].name"), Some(&overlay.name), NAME_LEN_MAX);
        if let Some(cloud) = overlay.provider.as_ref().filter(|cloud| !clouds.contains(cloud)) {
            let known: Vec<&str> = clouds.iter().map(CloudName::as_str).collect();
            let hint = meant(cloud.as_str(), known.iter().copied());
            let message = format!("is not configured; known: {}{hint}", known.join(", "));
            wrongs.add(format!("overlays[{at}].provider"), &message, None);
        }
        wrongs.text(&format!("overlays[{at}].family"), overlay.family.as_deref(), NAME_LEN_MAX);
        match overlay.off {
            Off::Percent(off) if !(off > 0.0 && off <= 95.0) => {
                let limit = Some("above 0, and 95 at most".to_owned());
                wrongs.add(format!("overlays[{at}].off.percent"), "is no part of a price", limit);
            }
            Off::PerHour(off) if off.nanos <= 0 => {
                wrongs.add(format!("overlays[{at}].off.per_hour"), "must be above zero", None);
            }
            _ => {}
        }
    }
    wrongs.done()
}

/// Checks a new end.
///
/// # Errors
/// [`InfraError::OutOfRange`].
pub(super) fn check_end(ends_at: Timestamp, limits: &Limits, now: Timestamp) -> Result<(), InfraError> {
    let mut wrongs = Wrongs::default();
    end(&mut wrongs, ends_at, limits, now);
    wrongs.done()
}

/// Checks new tags.
///
/// # Errors
/// [`InfraError::OutOfRange`].
pub(super) fn check_tags(new: &BTreeMap<String, String>) -> Result<(), InfraError> {
    let mut wrongs = Wrongs::default();
    tags(&mut wrongs, new);
    wrongs.done()
}

/// Checks a new count; unlike a request's it may be zero.
///
/// # Errors
/// [`InfraError::OutOfRange`].
pub(super) fn check_count(count: u32, limits: &Limits) -> Result<(), InfraError> {
    let mut wrongs = Wrongs::default();
    wrongs.within("count", Some(count), 0, limits.count_max);
    wrongs.done()
}

/// Silently ignoring a wish is worse than refusing it. Names one wish, the first; each sentence says what to ask for
/// instead.
fn fulfillable(request: &Request) -> Result<(), InfraError> {
    let no = |field, why: &str| Err(InfraError::Unfulfillable { field, why: why.to_owned() });
    match request.resource {
        Resource::Vm => {}
        Resource::Cluster => return no("resource", "clusters are not offered yet; ask for vm"),
        Resource::Device => return no("resource", "no pool of devices is configured; ask for vm"),
    }
    if request.idle_timeout_s.is_some() {
        return no("idle_timeout_s", "idleness is not watched yet; give duration_s or ends_at");
    }
    if !request.software.is_empty() {
        return no("software", "software is not installed by name yet; install it in setup");
    }
    Ok(())
}

/// A cap in dollars. One that is above zero and comes to nothing is told as what it is: whoever reads "is 0.00" never
/// wrote that.
fn price_cap(wrongs: &mut Wrongs, request: &Request) {
    const FIELD: &str = "max_price_per_hour";
    let positive = request.max_price_per_hour.filter(|cap| *cap > 0.0);
    if positive.and(request.price_cap()).is_some_and(|cap| cap.nanos == 0) {
        let limit = Some(format!("{}..={PRICE_MAX}", Money::usd_nanos(1)));
        wrongs.add(FIELD, "is less than the smallest amount, a billionth of a dollar", limit);
    } else {
        wrongs.positive(FIELD, request.max_price_per_hour, PRICE_MAX);
    }
}

/// A duration or an end, not both, and neither beyond the longest lease.
fn time(wrongs: &mut Wrongs, request: &Request, limits: &Limits, now: Timestamp) {
    wrongs.within("duration_s", request.duration_s, 1, limits.duration_max.as_secs());
    if request.duration_s.is_some() && request.ends_at.is_some() {
        wrongs.add("ends_at", "excludes duration_s: give one of the two", None);
    }
    if let Some(ends_at) = request.ends_at {
        end(wrongs, ends_at, limits, now);
    }
}

/// An end in the future, at most the longest lease from now.
fn end(wrongs: &mut Wrongs, ends_at: Timestamp, limits: &Limits, now: Timestamp) {
    let latest = later(now, limits.duration_max);
    if ends_at <= now {
        wrongs.add("ends_at", "is not in the future", Some(format!("after {now}")));
    } else if ends_at > latest {
        wrongs.add("ends_at", "is too far in the future", Some(format!("at most {latest}")));
    }
}

/// Tags that every cloud takes and that cannot be mistaken for a mark of ours: a forged mark would be a proof of
/// ownership. Compared without case, because some clouds do not tell `Infra-` from `infra-`.
fn tags(wrongs: &mut Wrongs, tags: &BTreeMap<String, String>) {
    wrongs.at_most("tags", tags.len(), TAGS_MAX);
    for (key, value) in tags {
        let field = format!("tags.{}", key.chars().take(TAG_KEY_LEN_MAX).collect::<String>());
        wrongs.text(&field, Some(key), TAG_KEY_LEN_MAX);
        let long = value.chars().count() > TAG_VALUE_LEN_MAX || value.chars().any(char::is_control);
        if long {
            let limit = Some(format!("0..={TAG_VALUE_LEN_MAX} characters"));
            wrongs.add(field.as_str(), "has a value that is too long or not printable", limit);
        }
        let lower = key.to_lowercase();
        // Ours are proofs of ownership, and AWS refuses its own prefix.
        if lower.starts_with("infra-") || lower.starts_with("aws:") {
            wrongs.add(field, "begins with a reserved prefix: infra- or aws:", None);
        }
    }
}

/// Who may connect and who may log in. Each entry is named by its place, `allow_from[2]`, never repeated.
fn access(wrongs: &mut Wrongs, request: &Request) {
    wrongs.at_most("allow_from", request.allow_from.len(), ALLOW_FROM_MAX);
    for (at, block) in request.allow_from.iter().enumerate() {
        if let Err(why) = cidr(block) {
            wrongs.add(format!("allow_from[{at}]"), why, None);
        }
    }
    ssh_keys(wrongs, &request.ssh_public_keys);
}

/// Who may log in: each of them a public key.
fn ssh_keys(wrongs: &mut Wrongs, keys: &[String]) {
    wrongs.at_most("ssh_public_keys", keys.len(), SSH_KEYS_MAX);
    for (at, key) in keys.iter().enumerate() {
        if let Err(why) = public_key(key) {
            wrongs.add(format!("ssh_public_keys[{at}]"), why, None);
        }
    }
}

/// The script, alone and together with what is sent beside it.
fn first_boot(wrongs: &mut Wrongs, request: &Request) {
    let setup = request.setup.as_ref().map_or(0, String::len);
    let keys: usize = request.ssh_public_keys.iter().map(|key| key.len() + 1).sum();
    if setup > SETUP_BYTES_MAX {
        wrongs.add("setup", "is too large", Some(format!("{SETUP_BYTES_MAX} bytes")));
    } else if setup + keys > FIRST_BOOT_BYTES_MAX {
        let limit = Some(format!("{FIRST_BOOT_BYTES_MAX} bytes"));
        wrongs.add("setup", "is too large together with the public keys", limit);
    }
}

/// Rules beside the sizes. Whether there is such a region, family or cloud is the ranking's business.
fn policy(wrongs: &mut Wrongs, policy: &Policy) {
    wrongs.within("policy.min_generation", policy.min_generation, 1, GENERATION_MAX);
    let (regions, families, providers) = (&policy.regions, &policy.families, &policy.providers);
    for (field, count) in [
        ("policy.regions.allow", regions.allow.len()),
        ("policy.regions.deny", regions.deny.len()),
        ("policy.families.allow", families.allow.len()),
        ("policy.families.deny", families.deny.len()),
        ("policy.providers.allow", providers.allow.len()),
        ("policy.providers.deny", providers.deny.len()),
    ] {
        wrongs.at_most(field, count, POLICY_NAMES_MAX);
    }
    for (list, names) in [("allow", &families.allow), ("deny", &families.deny)] {
        for (at, name) in names.iter().enumerate() {
            wrongs.text(&format!("policy.families.{list}[{at}]"), Some(name), NAME_LEN_MAX);
        }
    }
}

/// Options that not every cloud has; whether this one has them is asked of its catalogue.
fn options(wrongs: &mut Wrongs, options: &MachineOptions) {
    wrongs.text("options.network", options.network.as_deref(), NAME_LEN_MAX);
    wrongs.text("options.profile", options.profile.as_deref(), NAME_LEN_MAX);
    if options.off == Some(PowerMode::On) {
        wrongs.add("options.off", "is not a way of being off", None);
    }
    wrongs.at_most("options.files", options.files.len(), FILES_MAX);
    for (path, text) in &options.files {
        let field = format!("options.files.{}", path.chars().take(FILE_PATH_LEN_MAX).collect::<String>());
        let odd =
            |part: &str| part.is_empty() || part == "." || part == ".." || part.contains(char::is_control);
        let absolute = path.strip_prefix('/').is_some_and(|rest| !rest.split('/').any(odd));
        if !absolute || path.len() > FILE_PATH_LEN_MAX {
            let limit = Some(format!("{FILE_PATH_LEN_MAX} bytes"));
            wrongs.add(field, "is not an absolute path of plain names", limit);
        } else if text.len() > FILE_BYTES_MAX {
            wrongs.add(field, "is too large", Some(format!("{FILE_BYTES_MAX} bytes")));
        }
    }
}

/// A block of addresses: `203.0.113.0/24`. The prefix must be said, and must not cut off part of the address: clouds
/// disagree about `203.0.113.7/24`, some open the whole network, some refuse it, and neither is what was typed.
fn cidr(block: &str) -> Result<(), &'static str> {
    let (address, prefix) = block.split_once('/').ok_or("needs a prefix length, as in 203.0.113.7/32")?;
    let address: IpAddr = address.parse().map_err(|_| "is not an address and a prefix length")?;
    let digits = !prefix.is_empty() && prefix.len() <= 3 && prefix.bytes().all(|b| b.is_ascii_digit());
    let prefix: u32 = if digits { prefix.parse().unwrap_or(u32::MAX) } else { u32::MAX };
    let (bits, width) = match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    if prefix > width {
        return Err("has a prefix length outside its address family");
    }
    if bits.checked_shl(prefix).unwrap_or(0) != 0 {
        return Err("has address bits beyond its prefix: say the network's address or a longer prefix");
    }
    Ok(())
}

/// An OpenSSH public key on one line: type, base64, and a comment if there is one. Type and the beginning of the
/// base64 must agree, which finds what was cut or mixed up; whether it is a key at all is for sshd to say. Messages
/// never repeat it: people paste private keys here.
fn public_key(key: &str) -> Result<(), &'static str> {
    if key.contains("PRIVATE KEY") {
        return Err("is a private key: keep it, and give the public one");
    }
    if key.len() > SSH_KEY_LEN_MAX || key.chars().any(char::is_control) {
        return Err("must be one line of at most 2048 bytes");
    }
    let mut words = key.split_ascii_whitespace();
    let (Some(kind), Some(body)) = (words.next(), words.next()) else {
        return Err("must be an OpenSSH public key: type, base64, comment");
    };
    let known = SSH_TYPES.iter().find(|(name, _)| *name == kind).ok_or("has an unknown key type")?;
    let digits = body.trim_end_matches('=');
    let base64 = body.len() % 4 == 0
        && body.len() - digits.len() <= 2
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    if !base64 || !body.starts_with(known.1) || body.len() < known.1.len() + 40 {
        return Err("is not what its type says");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfA3bLkT1kq1pVzqvGmTnOq7bYzRzP2wVQ4sE8h1xqk ada@example";

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("a literal")
    }

    fn fields(change: impl FnOnce(&mut Request)) -> Vec<String> {
        let mut request = Request::default();
        change(&mut request);
        match check(&request, &Limits::default(), now()) {
            Ok(()) => Vec::new(),
            Err(InfraError::OutOfRange { fields }) => fields.into_iter().map(|wrong| wrong.field).collect(),
            Err(InfraError::Unfulfillable { field, .. }) => vec![format!("!{field}")],
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn absurd_figures_are_refused_by_field() {
        assert!(fields(|_| ()).is_empty());
        assert_eq!(fields(|r| r.count = Some(0)), ["count"]);
        assert_eq!(fields(|r| r.count = Some(1001)), ["count"]);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(fields(|r| r.vcpus = Some(bad)), ["vcpus"], "{bad}");
            assert_eq!(fields(|r| r.memory_gib = Some(bad)), ["memory_gib"], "{bad}");
            assert_eq!(fields(|r| r.max_price_per_hour = Some(bad)), ["max_price_per_hour"], "{bad}");
        }
        assert_eq!(fields(|r| r.duration_s = Some(0)), ["duration_s"]);
        assert_eq!(fields(|r| r.duration_s = Some(u64::MAX)), ["duration_s"]);
        assert_eq!(fields(|r| r.ends_at = Some(now())), ["ends_at"]);
        let soon = later(now(), Duration::from_secs(60));
        assert!(fields(|r| r.ends_at = Some(soon)).is_empty());
        let both = |r: &mut Request| (r.ends_at, r.duration_s) = (Some(soon), Some(60));
        assert_eq!(fields(both), ["ends_at"]);
    }

    #[test]
    fn a_cap_below_the_smallest_amount_is_called_zero() {
        let refused = |usd: f64| {
            let request = Request { max_price_per_hour: Some(usd), ..Request::default() };
            match check(&request, &Limits::default(), now()) {
                Err(InfraError::OutOfRange { fields }) => fields.into_iter().next(),
                Ok(()) => None,
                Err(other) => panic!("{other}"),
            }
        };
        for tiny in [1e-10, 4.9e-10, f64::MIN_POSITIVE] {
            let wrong = refused(tiny).unwrap_or_else(|| panic!("{tiny} is taken"));
            assert!(wrong.message.contains("a billionth of a dollar"), "{tiny}: {}", wrong.message);
            assert_eq!(wrong.limit.as_deref(), Some("0.000000001..=1000000"), "{tiny}");
        }
        assert_eq!(refused(1e-9), None);
        for other in [0.0, -1e-10, f64::NAN, 1e9] {
            let wrong = refused(other).unwrap_or_else(|| panic!("{other} is taken"));
            assert!(wrong.message.contains("above zero"), "{other}: {}", wrong.message);
        }
    }

    #[test]
    fn wishes_that_nothing_acts_upon_are_refused_and_not_ignored() {
        assert_eq!(fields(|r| r.idle_timeout_s = Some(600)), ["!idle_timeout_s"]);
        assert_eq!(fields(|r| r.software = vec!["docker".into()]), ["!software"]);
        assert_eq!(fields(|r| r.resource = Resource::Cluster), ["!resource"]);
        assert_eq!(fields(|r| r.resource = Resource::Device), ["!resource"]);
    }

    #[test]
    fn a_tag_cannot_forge_a_mark() {
        for key in ["infra-token", "Infra-Kind", "aws:x", "", "a\nb"] {
            let wrong = fields(|r| drop(r.tags.insert(key.to_owned(), "v".to_owned())));
            assert_eq!(wrong, [format!("tags.{key}")], "{key:?}");
        }
        assert!(fields(|r| drop(r.tags.insert("team".into(), String::new()))).is_empty());
    }

    #[test]
    fn a_block_that_is_wider_than_it_looks_is_refused() {
        for good in ["203.0.113.7/32", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::/0", "::1/128"] {
            assert_eq!(cidr(good), Ok(()), "{good}");
        }
        for bad in [
            "203.0.113.7",
            "203.0.113.7/24",
            "10.0.0.0/33",
            "2001:db8::1/64",
            "x/8",
            "1.2.3.4/",
            "1.2.3.4/+8",
        ] {
            assert!(cidr(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_private_key_is_refused_without_repeating_it() {
        assert_eq!(public_key(ED25519), Ok(()));
        for bad in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-dss AAAAB3NzaC1kc3M=", "ssh-rsa !!!!"] {
            assert!(public_key(bad).is_err(), "{bad}");
        }
        let other = ED25519.replace("ssh-ed25519 ", "ssh-rsa ");
        assert!(public_key(&other).is_err(), "type and body must agree");
        let pasted = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----";
        let mut request = Request { ..Request::default() };
        request.ssh_public_keys = vec![pasted.to_owned()];
        let refused = check(&request, &Limits::default(), now()).expect_err("a private key");
        assert!(!format!("{refused} {refused:?}").contains("c2VjcmV0"));
    }
}
