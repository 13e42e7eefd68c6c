//! A request, from flags and files.

use clap::Args;
use infra_core::words::clock::Timestamp;
use serde_json::{Map, Value, json};
use std::time::Duration;

use super::error::CliError;
use super::{prompt, quantity};

/// What is asked for. Whatever is not said is not limited, and the cheapest that fits is taken.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What is asked for")]
pub(super) struct RequestArgs {
    /// How many machines [default: 1]
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u32>,
    /// Virtual processors of each machine, at least
    #[arg(long, value_name = "N", value_parser = quantity::positive)]
    vcpus: Option<f64>,
    /// Memory of each machine, at least: 4, 4GiB, 512MiB
    #[arg(long, value_name = "GIB", value_parser = quantity::gib)]
    memory: Option<f64>,
    /// Disk of each machine, at least, GiB
    #[arg(long, value_name = "GIB", value_parser = quantity::gib)]
    disk: Option<f64>,
    /// Accelerators of each machine, at least
    #[arg(long, value_name = "N")]
    gpus: Option<u32>,
    /// Which accelerator
    #[arg(long, value_name = "MODEL")]
    gpu_model: Option<String>,
    /// Processor architecture: x86_64 or arm64
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// Operating system: "ubuntu 24.04"; its newest image is taken
    #[arg(long, value_name = "OS")]
    os: Option<String>,
    /// An image by the cloud's own id, instead of --os
    #[arg(long, value_name = "ID", conflicts_with = "os")]
    image: Option<String>,
    /// A name for people; commands take it in place of the id
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How long, from the moment it is ready: 3h, "2 days", 1h30m
    #[arg(long = "for", value_name = "TIME", value_parser = quantity::duration)]
    for_: Option<Duration>,
    /// Until when: 2026-12-01T18:00:00Z
    #[arg(long, value_name = "MOMENT", value_parser = quantity::moment, conflicts_with = "for_")]
    until: Option<Timestamp>,
    /// End it after so long without use
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    idle_timeout: Option<Duration>,
    /// Only at this cloud
    #[arg(long, value_name = "CLOUD")]
    provider: Option<String>,
    /// Only in this region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// How to buy: on_demand, spot, or spot_then_on_demand (on demand where no spot can be had)
    #[arg(long, value_name = "MARKET")]
    market: Option<String>,
    /// Never dearer than this per machine and hour, US dollars; `none` for whatever it costs
    #[arg(long, visible_alias = "max-price", value_name = "USD", value_parser = quantity::cap)]
    max_price_per_hour: Option<quantity::Cap>,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    details: DetailArgs,
    /// A request of the API as a JSON file, `-` for standard input; flags win over its fields
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
}

/// What may be chosen beside the sizes. `infra quote --explain` says what each of these costs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What may be chosen")]
struct PolicyArgs {
    /// No machine whose processors may be used fully only for a time
    #[arg(long)]
    no_burstable: bool,
    /// The generation of its family at least; what names none is ruled out
    #[arg(long, value_name = "N")]
    min_generation: Option<u32>,
    /// Only in these regions; repeat for more
    #[arg(long, value_name = "REGION")]
    allow_region: Vec<String>,
    /// In none of these regions
    #[arg(long, value_name = "REGION")]
    deny_region: Vec<String>,
    /// Only of these families of types; repeat for more
    #[arg(long, value_name = "FAMILY")]
    allow_family: Vec<String>,
    /// Of none of these families
    #[arg(long, value_name = "FAMILY")]
    deny_family: Vec<String>,
    /// Only at these clouds; repeat for more
    #[arg(long, value_name = "CLOUD")]
    allow_provider: Vec<String>,
    /// At none of these clouds
    #[arg(long, value_name = "CLOUD")]
    deny_provider: Vec<String>,
}

impl PolicyArgs {
    /// Each rule that is said takes the place of the same one of the file.
    fn add(&self, fields: &mut Map<String, Value>) {
        let mut rules = Map::new();
        for (name, value) in [
            ("burstable", self.no_burstable.then(|| Value::from("deny"))),
            ("min_generation", self.min_generation.map(Value::from)),
            ("regions", among(&self.allow_region, &self.deny_region)),
            ("families", among(&self.allow_family, &self.deny_family)),
            ("providers", among(&self.allow_provider, &self.deny_provider)),
        ] {
            rules.extend(value.map(|value| (name.to_owned(), value)));
        }
        if !rules.is_empty() {
            let said = fields.entry("policy").or_insert_with(|| json!({}));
            if let Some(said) = said.as_object_mut() {
                said.extend(rules);
            }
        }
    }
}

/// `{"allow": [...], "deny": [...]}`.
fn among(allow: &[String], deny: &[String]) -> Option<Value> {
    let lists = [("allow", list(allow)), ("deny", list(deny))];
    let lists: Map<String, Value> =
        lists.into_iter().filter_map(|(name, names)| Some((name.to_owned(), names?))).collect();
    (!lists.is_empty()).then_some(Value::Object(lists))
}

/// How its machines are set up.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "How it is set up")]
struct DetailArgs {
    /// Software wanted on it; repeat for more
    #[arg(long, value_name = "NAME")]
    software: Vec<String>,
    /// A label that also reaches the cloud: team=red; repeat for more
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = quantity::pair)]
    tags: Vec<(String, String)>,
    /// A public SSH key that may log in: the .pub file, or its text; repeat for more
    #[arg(long = "ssh-key", value_name = "FILE")]
    ssh_keys: Vec<String>,
    /// Addresses that may connect, as CIDR: 203.0.113.0/24; repeat for more; nobody when not said
    #[arg(long, value_name = "CIDR")]
    allow_from: Vec<String>,
    /// No public address
    #[arg(long)]
    private_only: bool,
    /// A script for the first boot, from a file or `-`
    #[arg(long, value_name = "FILE")]
    setup: Option<String>,
    /// What to do when a machine vanishes: report or replace
    #[arg(long, value_name = "WHAT")]
    heal: Option<String>,
    /// What kind: vm, cluster or device [default: vm]
    #[arg(long, value_name = "KIND")]
    resource: Option<String>,
    /// The network by the cloud's id (only some clouds)
    #[arg(long, value_name = "ID")]
    network: Option<String>,
    /// The instance profile by name (AWS)
    #[arg(long, value_name = "NAME")]
    instance_profile: Option<String>,
    /// Metadata on a disk (OpenStack)
    #[arg(long)]
    config_drive: bool,
    /// How it is turned off, where the cloud has several ways: stop, hibernate, shelve, ...
    #[arg(long, value_name = "WAY")]
    off: Option<String>,
    /// A file on the disk before the first boot: /etc/motd=./motd (OpenStack); repeat for more
    #[arg(long = "put-file", value_name = "PATH=FILE", value_parser = quantity::pair)]
    put_files: Vec<(String, String)>,
}

impl RequestArgs {
    /// The request's fields: those of the file, and over them those of the flags.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, CliError> {
        let mut fields = match &self.file {
            None => Map::new(),
            Some(path) => json_object(path)?,
        };
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        put("count", self.count.map(Value::from));
        put("vcpus", self.vcpus.map(number));
        put("memory_gib", self.memory.map(number));
        put("disk_gib", self.disk.map(number));
        put("gpus", self.gpus.map(Value::from));
        put("gpu_model", self.gpu_model.clone().map(Value::from));
        put("arch", self.arch.clone().map(Value::from));
        put("os", self.os.clone().map(Value::from));
        put("image", self.image.clone().map(Value::from));
        put("name", self.name.clone().map(Value::from));
        put("duration_s", self.for_.map(|time| Value::from(time.as_secs())));
        put("ends_at", self.until.map(|at| json!(at)));
        put("idle_timeout_s", self.idle_timeout.map(|time| Value::from(time.as_secs())));
        put("provider", self.provider.clone().map(Value::from));
        put("region", self.region.clone().map(Value::from));
        put("market", self.market.clone().map(Value::from));
        put("max_price_per_hour", self.max_price_per_hour.map(|cap| cap.0.map_or(Value::Null, number)));
        // Two ends would be refused: the flag is the later word.
        if self.for_.is_some() {
            fields.remove("ends_at");
        } else if self.until.is_some() {
            fields.remove("duration_s");
        }
        self.policy.add(&mut fields);
        self.details.add(&mut fields)?;
        Ok(fields)
    }
}

impl DetailArgs {
    fn add(&self, fields: &mut Map<String, Value>) -> Result<(), CliError> {
        let keys = self.ssh_keys.iter().map(|key| ssh_key(key)).collect::<Result<Vec<_>, _>>()?;
        let setup = self.setup.as_deref().map(prompt::file).transpose()?;
        let mut options = Map::new();
        let files: Map<String, Value> = (self.put_files.iter())
            .map(|(path, file)| Ok((path.clone(), Value::from(prompt::file(file)?))))
            .collect::<Result<_, CliError>>()?;
        for (name, value) in [
            ("network", self.network.clone().map(Value::from)),
            ("profile", self.instance_profile.clone().map(Value::from)),
            ("config_drive", self.config_drive.then_some(Value::Bool(true))),
            ("off", self.off.clone().map(Value::from)),
            ("files", (!files.is_empty()).then_some(Value::Object(files))),
        ] {
            options.extend(value.map(|value| (name.to_owned(), value)));
        }
        let tags: Map<String, Value> =
            self.tags.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect();
        for (name, value) in [
            ("resource", self.resource.clone().map(Value::from)),
            ("software", list(&self.software)),
            ("tags", (!tags.is_empty()).then_some(Value::Object(tags))),
            ("ssh_public_keys", list(&keys)),
            ("allow_from", list(&self.allow_from)),
            ("private_only", self.private_only.then_some(Value::Bool(true))),
            ("setup", setup.map(Value::from)),
            ("heal", self.heal.clone().map(Value::from)),
        ] {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        }
        if !options.is_empty() {
            let said = fields.entry("options").or_insert_with(|| json!({}));
            if let Some(said) = said.as_object_mut() {
                said.extend(options);
            }
        }
        Ok(())
    }
}

fn list(items: &[String]) -> Option<Value> {
    (!items.is_empty()).then(|| json!(items))
}

/// `2`, not `2.0`.
#[allow(clippy::cast_possible_truncation, reason = "checked to be whole and small just before")]
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

/// A JSON object in a file, `-` for standard input.
pub(super) fn json_object(path: &str) -> Result<Map<String, Value>, CliError> {
    let text = prompt::file(path)?;
    serde_json::from_str(&text).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        // serde's own words may repeat what stands there, and that may be a secret.
        CliError::Usage(format!("--file {path}: must be a JSON object; it is not at {at}"))
    })
}

/// A public key: its text, or the file that holds it. A private one is refused before it leaves this machine.
pub(super) fn ssh_key(said: &str) -> Result<String, CliError> {
    let is_text = said.contains(' ');
    let text = if is_text { said.to_owned() } else { prompt::file(said)? };
    if text.contains("PRIVATE KEY") {
        return Err(CliError::Usage(format!(
            "--ssh-key {said}: this is the private key; the public one ends in .pub"
        )));
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (lines.next(), lines.next()) {
        (Some(key), None) => Ok(key.to_owned()),
        (None, _) => Err(CliError::Usage(format!("--ssh-key {said}: there is no key in it"))),
        _ => {
            Err(CliError::Usage(format!("--ssh-key {said}: more than one key; give each a file of its own")))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use infra_core::nouns::request::Request;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        request: RequestArgs,
    }

    fn fields(args: &[&str]) -> Result<Map<String, Value>, CliError> {
        let line =
            Line::try_parse_from(["x"].iter().chain(args)).map_err(|e| CliError::Usage(e.to_string()))?;
        line.request.fields()
    }

    #[test]
    fn every_field_of_a_request_has_a_flag() {
        let file = std::env::temp_dir().join(format!("infra-cli-field-{}", std::process::id()));
        std::fs::write(&file, "ssh-ed25519 AAAA ada\n").expect("the folder can be written");
        let file = file.to_str().expect("text");
        let put = format!("/etc/motd={file}");
        let line = [
            "-n",
            "2",
            "--vcpus",
            "2",
            "--memory",
            "512MiB",
            "--disk",
            "20",
            "--gpus",
            "1",
            "--gpu-model",
            "a100",
            "--arch",
            "arm64",
            "--os",
            "ubuntu 24.04",
            "--name",
            "web",
            "--for",
            "3h",
            "--idle-timeout",
            "15m",
            "--provider",
            "sim",
            "--region",
            "sim-east",
            "--market",
            "spot",
            "--max-price-per-hour",
            "0.5",
            "--software",
            "docker",
            "--tag",
            "team=red",
            "--ssh-key",
            file,
            "--allow-from",
            "10.0.0.0/8",
            "--private-only",
            "--setup",
            file,
            "--heal",
            "replace",
            "--resource",
            "vm",
            "--network",
            "none",
            "--instance-profile",
            "web",
            "--config-drive",
            "--off",
            "stop",
            "--put-file",
            &put,
            "--no-burstable",
            "--min-generation",
            "5",
            "--allow-region",
            "sim-east",
            "--deny-region",
            "sim-ams",
            "--allow-family",
            "m5",
            "--deny-family",
            "t3",
            "--allow-provider",
            "sim",
            "--deny-provider",
            "other",
        ];
        let mut said = fields(&line).expect("each is right");
        assert_eq!((&said["vcpus"], &said["duration_s"]), (&json!(2), &json!(10_800)));
        assert_eq!(said["ssh_public_keys"], json!(["ssh-ed25519 AAAA ada"]));
        let image = fields(&["--image", "img-1", "--until", "2026-12-01T18:00:00Z"]).expect("each is right");
        said.extend(image);
        serde_json::from_value::<Request>(Value::Object(said.clone())).expect("the server takes it");
        // A field that is added to the API needs a flag here.
        let all = serde_json::to_value(Request::default()).expect("plain data");
        for name in all.as_object().expect("an object").keys() {
            assert!(said.contains_key(name), "no flag sets {name}");
        }
        let options = said["options"].as_object().expect("an object");
        assert_eq!(options.len(), 5, "{options:?}");
        let rules = json!({"burstable": "deny", "min_generation": 5,
            "regions": {"allow": ["sim-east"], "deny": ["sim-ams"]}, "families": {"allow": ["m5"], "deny": ["t3"]},
            "providers": {"allow": ["sim"], "deny": ["other"]}});
        assert_eq!(said["policy"], rules);
        // A rule that is added to the API needs a flag here.
        let policy: infra_core::nouns::policy::Policy =
            serde_json::from_value(rules.clone()).expect("a policy");
        assert_eq!(json!(policy), rules, "each is said");
    }

    #[test]
    fn flags_win_over_the_file_and_a_wrong_file_is_told_without_its_text() {
        let file = std::env::temp_dir().join(format!("infra-cli-file-{}", std::process::id()));
        let name = file.to_str().expect("text");
        std::fs::write(
            &file,
            r#"{"count": 3, "vcpus": 1, "ends_at": "2026-12-01T18:00:00Z", "new_field": 7}"#,
        )
        .expect("the folder can be written");
        let said = fields(&["--file", name, "--count", "2", "--for", "1h"]).expect("a request");
        assert_eq!(json!(said), json!({"count": 2, "vcpus": 1, "duration_s": 3600, "new_field": 7}));
        for wrong in ["[\"planted\"]", "{\"setup\": planted}", "planted"] {
            std::fs::write(&file, wrong).expect("the folder can be written");
            let told = fields(&["--file", name]).expect_err(wrong);
            assert_eq!(told.code(), 64);
            assert!(!told.to_string().contains("planted"), "{told}");
        }
    }

    #[test]
    fn a_private_key_never_leaves_the_machine() {
        let file = std::env::temp_dir().join(format!("infra-cli-key-{}", std::process::id()));
        std::fs::write(&file, "-----BEGIN OPENSSH PRIVATE KEY-----\nplanted\n")
            .expect("the folder can be written");
        let told = fields(&["--ssh-key", file.to_str().expect("text")]).expect_err("it is the private one");
        assert!(told.code() == 64 && !told.to_string().contains("planted"), "{told}");
    }
}
