//! Settings: a flag wins over the environment, which wins over the file, which wins over the default.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use infra_core::words::limits::Limits;
use infra_core::words::secret::Secret;
use infra_providers::registry::{self, CloudSpec, Place, RegistryError};
use serde::{Deserialize, Serialize};

use super::args::{self, Args};
use super::error::StartError;
use super::file::{File, LogFile, Source, TlsFile, nearest};
use super::http_settings::HttpSettings;
use super::limits::LimitsFile;
use super::pricing::Pricing;

/// Name of the built-in simulator among the clouds.
pub(super) const SIM: &str = "sim";

/// Where records are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StoreUrl {
    /// A folder on this machine.
    Sqlite(PathBuf),
    /// Nowhere: gone when the process ends.
    Memory,
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let path = text.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
        match path {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err("must be sqlite:FOLDER or memory:".to_owned()),
        }
    }
}

impl TryFrom<String> for StoreUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<StoreUrl> for String {
    fn from(url: StoreUrl) -> Self {
        url.to_string()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// Shape of the log lines on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The files of the server's certificate, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and whatever stands between it and a known root, in this order.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Everything the server is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// May it listen beyond this machine without TLS?
    pub insecure: bool,
    /// Certificate chain and key, PEM, when it speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// Folder of what must survive.
    pub data: PathBuf,
    /// Where records are kept.
    pub store: StoreUrl,
    /// Where the store lives, when the machine's id and the path would change by themselves (containers).
    pub home: Option<String>,
    /// Which clouds, by name. Never empty.
    pub clouds: BTreeMap<String, CloudSpec>,
    /// Is the simulator's control API served?
    pub sim_control: bool,
    /// Is the simulator all that is served?
    pub sim_only: bool,
    /// What is logged, in the syntax of tracing's filters.
    pub log_filter: String,
    /// How.
    pub log_format: LogFormat,
    /// The collector that spans go to.
    pub otlp: Option<String>,
    /// Connections, requests, rates.
    pub http: HttpSettings,
    /// Durations and thresholds of the engine.
    pub limits: Limits,
    /// Intervals and rates of prices.
    pub pricing: Pricing,
    /// The master key itself, when the environment carries it.
    pub master_key: Option<Secret>,
    /// The file of the master key, when one is named.
    pub master_key_file: Option<PathBuf>,
    /// Older master keys, while a new one replaces them: when the environment carries any, separated by commas.
    pub old_master_key: Option<Secret>,
    /// The file of older master keys, one a line, when one is named.
    pub old_master_key_file: Option<PathBuf>,
    /// Folder of the key file that is made when none is named; `None` when there is no home.
    pub config_home: Option<PathBuf>,
    /// The admin token, when the environment carries it.
    pub admin_token: Option<Secret>,
    /// A token that opens `/metrics` and nothing else, when the environment carries one.
    pub metrics_token: Option<Secret>,
    /// Is `/metrics` open to everybody who reaches it?
    pub metrics_open: bool,
}

/// Shortest token of an operator's own that is taken beyond this machine: 128 bits as hex digits. On loopback, where programs
/// of this machine alone can guess, any is.
pub(super) const TOKEN_LEN_MIN: usize = 32;

/// Looks up an environment variable; tests pass a table.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// Merges flags, environment and file.
    ///
    /// # Errors
    /// [`StartError::Config`] naming the variable, or the file with line and key; [`StartError::Usage`] when
    /// flags exclude each other.
    pub fn load(args: &Args, environment: Environment<'_>) -> Result<Self, StartError> {
        // An empty variable is one that somebody meant to unset.
        let env = |name: &str| environment(name).filter(|value| !value.is_empty());
        let path = args.config.clone().or_else(|| env("INFRA_CONFIG").map(PathBuf::from));
        let source = path.map_or_else(|| Ok(Source::default()), |path| Source::read(&path))?;
        let file = source.file.clone();
        let http = HttpSettings::of(&file.http).map_err(|(key, why)| source.wrong(&["http", key], why))?;
        let limits = file.limits.limits().map_err(|(key, why)| source.wrong(&["limits", key], why))?;
        let pricing = Pricing::of(&file.pricing, &source)?;
        let listen = args.listen.or(read(&env, "INFRA_LISTEN")?).or(file.listen);
        let data = args.data.clone().or_else(|| env("INFRA_DATA").map(PathBuf::from)).or(file.data);
        let data = data.unwrap_or_else(|| PathBuf::from("./infra-data"));
        let store = args.store.clone().or(read(&env, "INFRA_STORE")?).or(file.store);
        let settings = Self {
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            insecure: args.insecure || read(&env, "INFRA_INSECURE")?.or(file.insecure).unwrap_or(false),
            tls: tls(args, &env, file.tls)?,
            store: store.unwrap_or_else(|| StoreUrl::Sqlite(data.clone())),
            data,
            home: env("INFRA_HOME").or(file.home),
            clouds: clouds(&args.cloud, env("INFRA_CLOUD"), file.clouds)?,
            sim_control: args.sim_control
                || read(&env, "INFRA_SIM_CONTROL")?.or(file.sim_control).unwrap_or(false),
            sim_only: args.sim_only || read(&env, "INFRA_SIM_ONLY")?.or(file.sim_only).unwrap_or(false),
            log_filter: env("INFRA_LOG").or(file.log.filter).unwrap_or_else(|| "info".to_owned()),
            log_format: log_format(&env)?.or(file.log.format).unwrap_or_default(),
            otlp: env("INFRA_OTLP").or(file.log.otlp),
            http,
            limits,
            pricing,
            master_key: env("INFRA_MASTER_KEY").map(Secret::new),
            master_key_file: env("INFRA_MASTER_KEY_FILE").map(PathBuf::from).or(file.master_key_file),
            old_master_key: env("INFRA_OLD_MASTER_KEY").map(Secret::new),
            old_master_key_file: env("INFRA_OLD_MASTER_KEY_FILE")
                .map(PathBuf::from)
                .or(file.old_master_key_file),
            config_home: config_home(&env),
            admin_token: env("INFRA_ADMIN_TOKEN").map(Secret::new),
            metrics_token: env("INFRA_METRICS_TOKEN").map(Secret::new),
            metrics_open: read(&env, "INFRA_METRICS_OPEN")?.unwrap_or(false),
        };
        settings.check(&source)?;
        Ok(settings)
    }

    /// Is nothing here real money?
    #[must_use]
    pub fn simulated(&self) -> bool {
        self.clouds.iter().all(|(name, cloud)| name == SIM || cloud.simulated)
    }

    /// The settings in force as TOML, without secrets.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let file = File {
            listen: Some(self.listen),
            insecure: Some(self.insecure),
            data: Some(self.data.clone()),
            store: Some(self.store.clone()),
            home: self.home.clone(),
            master_key_file: self.master_key_file.clone(),
            old_master_key_file: self.old_master_key_file.clone(),
            sim_control: Some(self.sim_control),
            sim_only: Some(self.sim_only),
            tls: self.tls.as_ref().map(|tls| TlsFile { cert: tls.cert.clone(), key: tls.key.clone() }),
            log: LogFile {
                filter: Some(self.log_filter.clone()),
                format: Some(self.log_format),
                otlp: self.otlp.clone(),
            },
            http: self.http.file(),
            limits: LimitsFile::of(&self.limits),
            pricing: self.pricing.file(),
            clouds: self.clouds.clone(),
        };
        let mut text = toml::to_string(&file).expect("paths and texts are TOML");
        for (set, name) in [
            (self.master_key.is_some(), "INFRA_MASTER_KEY"),
            (self.old_master_key.is_some(), "INFRA_OLD_MASTER_KEY"),
            (self.admin_token.is_some(), "INFRA_ADMIN_TOKEN"),
            (self.metrics_token.is_some(), "INFRA_METRICS_TOKEN"),
            (self.metrics_open, "INFRA_METRICS_OPEN"),
        ] {
            if set {
                text.push_str(&format!("# {name} is set in the environment\n"));
            }
        }
        text
    }

    /// Checks what no single value can tell. The source says where in the file a wrong one stands.
    fn check(&self, source: &Source) -> Result<(), StartError> {
        self.check_address(source)?;
        let sim = self.clouds.get(SIM);
        let remote = sim.is_some_and(|sim| sim.endpoint.is_some());
        let others: Vec<&str> = self.clouds.keys().map(String::as_str).filter(|name| *name != SIM).collect();
        if (self.sim_control || self.sim_only) && !others.is_empty() {
            let others = others.join(", ");
            return config(format!("sim-control and sim-only are refused beside a real provider ({others})"));
        }
        let beyond = |sim: &CloudSpec| {
            let known = CloudSpec::default().with_endpoint(sim.endpoint.clone());
            *sim != known.with_prices(sim.prices.clone())
        };
        if sim.is_some_and(beyond) {
            return config("clouds.sim: the simulator takes an endpoint, prices and no other setting".into());
        }
        if (self.sim_control || self.sim_only) && remote {
            let why = "sim-control and sim-only are for the simulator in this process, not for the one at";
            return config(format!("{why} clouds.sim.endpoint: give them to that server"));
        }
        for (name, cloud) in &self.clouds {
            check_cloud(name, cloud, source)?;
        }
        for (name, token) in
            [("INFRA_ADMIN_TOKEN", &self.admin_token), ("INFRA_METRICS_TOKEN", &self.metrics_token)]
        {
            if token.as_ref().is_some_and(|token| !token.expose().bytes().all(|b| b.is_ascii_graphic())) {
                return config(format!("{name} must be printable ASCII without spaces"));
            }
            let short = token.as_ref().map(|token| token.expose().len()).filter(|long| *long < TOKEN_LEN_MIN);
            if let Some(long) = short.filter(|_| !self.listen.ip().to_canonical().is_loopback()) {
                return config(format!(
                    "{name} has {long} characters: on {} anybody may guess at it. Give it {TOKEN_LEN_MIN} or more, drawn \
                     and not chosen, as `openssl rand -hex 32` does",
                    self.listen
                ));
            }
        }
        Ok(())
    }
}

impl Settings {
    /// Without TLS every token and every cloud key that is saved crosses the network for anybody to read.
    fn check_address(&self, source: &Source) -> Result<(), StartError> {
        if self.listen.ip().to_canonical().is_loopback() || self.tls.is_some() || self.insecure {
            return Ok(());
        }
        let why = "is not loopback and there is no TLS: tokens and keys would cross the network in the clear. Name a \
                   certificate ([tls] cert and key), listen on 127.0.0.1 behind a proxy that speaks TLS, or say \
                   --insecure where the network itself is private";
        // The file's own line only when it is the file's own address.
        let key: &[&str] = if source.file.listen == Some(self.listen) { &["listen"] } else { &["--listen"] };
        Err(source.wrong(key, format!("{} {why}", self.listen)))
    }
}

fn check_cloud(name: &str, cloud: &CloudSpec, source: &Source) -> Result<(), StartError> {
    let checked =
        if name == SIM { registry::check_endpoint(name, cloud) } else { registry::check(name, cloud) };
    let wrong = match checked {
        // A setting of its own has a line of its own.
        Err(RegistryError::Misplaced { setting, kind, of, .. }) => {
            Some((Some(setting), format!("is no setting of {kind}, only of {of}")))
        }
        Err(RegistryError::Setting { setting, why, .. }) => Some((Some(setting), why)),
        Err(RegistryError::UnknownKind { kind, known, .. }) => {
            let near = nearest(&kind, registry::kinds())
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            Some((
                cloud.kind.as_ref().map(|_| "kind"),
                format!("{kind:?} is no kind of cloud that is known; {known} and {SIM} are{near}"),
            ))
        }
        Err(other) => return Err(of_clouds(&other)),
        // It would stand in logs, in records and in what is printed.
        Ok(()) if cloud.endpoint.as_deref().is_some_and(has_password) => {
            Some((Some("endpoint"), "must not hold a name or a password; keys are saved by users".to_owned()))
        }
        Ok(()) => None,
    };
    let Some((setting, why)) = wrong else { return Ok(()) };
    let key: Vec<&str> = ["clouds", name].into_iter().chain(setting).collect();
    Err(source.wrong(&key, why))
}

/// Does something stand between the scheme and an `@` of the host?
fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@'))
}

/// What is wrong with a cloud, as settings name it.
pub(super) fn of_clouds(why: &RegistryError) -> StartError {
    let how = match why {
        RegistryError::NotBuilt { feature, .. } => {
            format!(": cargo run --release --features {feature} --bin http-server")
        }
        RegistryError::UnknownKind { .. } => " and sim is".to_owned(),
        _ => String::new(),
    };
    StartError::Config(format!("clouds.{why}{how}"))
}

fn config<T>(why: String) -> Result<T, StartError> {
    Err(StartError::Config(why))
}

fn read<T: FromStr>(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<Option<T>, StartError>
where
    T::Err: fmt::Display,
{
    env(name)
        .map(|value| value.parse().map_err(|why| StartError::Config(format!("{name} {value:?}: {why}"))))
        .transpose()
}

/// Both files or neither.
fn tls(
    args: &Args,
    env: &dyn Fn(&str) -> Option<String>,
    file: Option<TlsFile>,
) -> Result<Option<TlsFiles>, StartError> {
    let (file_cert, file_key) = file.map_or((None, None), |tls| (Some(tls.cert), Some(tls.key)));
    let cert = args.tls_cert.clone().or_else(|| env("INFRA_TLS_CERT").map(PathBuf::from)).or(file_cert);
    let key = args.tls_key.clone().or_else(|| env("INFRA_TLS_KEY").map(PathBuf::from)).or(file_key);
    match (cert, key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        _ => config("TLS needs a certificate and its key: --tls-cert and --tls-key, or both in [tls]".into()),
    }
}

fn log_format(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<LogFormat>, StartError> {
    match env("INFRA_LOG_FORMAT").as_deref() {
        None => Ok(None),
        Some("text") => Ok(Some(LogFormat::Text)),
        Some("json") => Ok(Some(LogFormat::Json)),
        Some(other) => config(format!("INFRA_LOG_FORMAT {other:?}: must be text or json")),
    }
}

/// Flags name single endpoints and so change what the file says of that cloud; the simulator stands alone only
/// when nobody named a cloud.
fn clouds(
    flags: &[(String, String)],
    env: Option<String>,
    file: BTreeMap<String, CloudSpec>,
) -> Result<BTreeMap<String, CloudSpec>, StartError> {
    let mut clouds = file;
    let env = env.unwrap_or_default();
    let env = env.split(',').filter(|part| !part.is_empty()).map(args::cloud);
    let env: Vec<_> = env
        .collect::<Result<_, _>>()
        .map_err(|why| StartError::Config(format!("INFRA_CLOUD {why}, several separated by commas")))?;
    for (place, endpoint) in env.iter().chain(flags) {
        let place: Place = place.parse().map_err(|why| StartError::Config(format!("--cloud {why}")))?;
        let cloud = clouds.entry(place.cloud.to_string()).or_default();
        cloud.endpoint = Some(endpoint.clone());
        cloud.regions.extend(place.region.filter(|region| !cloud.regions.contains(region)));
    }
    if clouds.is_empty() {
        clouds.insert(SIM.to_owned(), CloudSpec::default());
    }
    Ok(clouds)
}

/// `$XDG_CONFIG_HOME`, else `~/.config`; relative paths are ignored as the XDG rules ask.
fn config_home(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn load(flags: &[&str], env: &[(&str, &str)]) -> Result<Settings, StartError> {
        let args = Args::parse_from([&["http-server"], flags].concat());
        let env: BTreeMap<String, String> = env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Settings::load(&args, &|name| env.get(name).cloned())
    }

    #[test]
    fn nothing_said_means_the_simulator_on_loopback() {
        let settings = load(&[], &[]).expect("no configuration is a configuration");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.store.to_string(), "sqlite:./infra-data");
        assert!(settings.simulated());
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file() {
        let path = std::env::temp_dir().join(format!("infra-precedence-{}.toml", std::process::id()));
        std::fs::write(&path, "listen = \"127.0.0.1:1\"\ndata = \"/from/file\"\nstore = \"memory:\"\n")
            .expect("the temporary folder takes a file");
        let file = path.to_str().expect("temporary paths are text");
        let env = [("INFRA_LISTEN", "127.0.0.1:2"), ("INFRA_DATA", "/from/env"), ("INFRA_STORE", "")];
        let settings =
            load(&["--config", file, "--listen", "127.0.0.1:3"], &env).expect("all are well formed");
        std::fs::remove_file(&path).expect("it was just written");
        assert_eq!(settings.listen.port(), 3);
        assert_eq!(settings.data, PathBuf::from("/from/env"));
        assert_eq!(settings.store, StoreUrl::Memory);
    }

    #[test]
    fn the_sim_is_never_controlled_beside_real_money() {
        for flags in [["--sim-control"], ["--sim-only"]] {
            let flags = [&flags[..], &["--cloud", "aws=http://127.0.0.1:5000"]].concat();
            let why = load(&flags, &[]).expect_err("aws is real");
            assert_eq!(why.code(), 78);
        }
    }

    #[test]
    fn a_cloud_can_be_named_with_its_region_and_wrong_settings_name_what_there_is() {
        let settings = load(&["--cloud", "openstack:lab=http://127.0.0.1:5000"], &[]).expect("well formed");
        let cloud = &settings.clouds["openstack"];
        assert_eq!(cloud.regions.iter().map(|region| region.as_str()).collect::<Vec<_>>(), ["lab"]);
        let why = load(&["--cloud", "moon=http://127.0.0.1:1"], &[])
            .expect_err("there is no such cloud")
            .to_string();
        for known in ["aws", "digitalocean", "openstack", "sim"] {
            assert!(why.contains(known), "{why}");
        }
    }

    #[test]
    fn nonsense_is_a_configuration_error() {
        for env in [
            ("INFRA_LISTEN", "nowhere"),
            ("INFRA_STORE", "postgres://x"),
            ("INFRA_LOG_FORMAT", "xml"),
            ("INFRA_CLOUD", "sim"),
            ("INFRA_CLOUD", "moon=http://127.0.0.1:1"),
            ("INFRA_CLOUD", "sim=127.0.0.1:1"),
            ("INFRA_SIM_ONLY", "perhaps"),
            ("INFRA_ADMIN_TOKEN", "two words"),
            ("INFRA_CONFIG", "/does/not/exist.toml"),
        ] {
            let why = load(&[], &[env]).expect_err(env.0);
            assert_eq!(why.code(), 78, "{env:?}: {why}");
        }
    }

    #[test]
    fn the_printed_configuration_reads_back_and_holds_no_secret() {
        let secrets = [("INFRA_ADMIN_TOKEN", "planted-one"), ("INFRA_MASTER_KEY", "planted-two")];
        let settings = load(&["--cloud", "sim=http://127.0.0.1:9"], &secrets).expect("well formed");
        let text = settings.to_toml();
        assert!(!text.contains("planted"), "{text}");
        assert!(!format!("{settings:?}").contains("planted"));
        let file = crate::server::file::parse(&text).expect("what is printed can be read");
        assert_eq!(file.clouds["sim"].endpoint.as_deref(), Some("http://127.0.0.1:9"));
    }

    #[test]
    fn a_token_of_a_word_guards_a_public_address() {
        let word = "admin-of-this-stage";
        let drawn = "5f".repeat(16);
        for name in ["INFRA_ADMIN_TOKEN", "INFRA_METRICS_TOKEN"] {
            for (listen, token, refused) in [
                ("127.0.0.1:1", word, false),
                ("[::1]:1", word, false),
                ("0.0.0.0:1", word, true),
                ("[::ffff:192.0.2.1]:1", &drawn[1..], true),
                ("0.0.0.0:1", &*drawn, false),
            ] {
                let loaded = load(&["--listen", listen, "--insecure"], &[(name, token)]);
                assert_eq!(loaded.is_err(), refused, "{name} {listen} {token}");
                if let Err(why) = loaded {
                    let why = why.to_string();
                    assert!(
                        why.contains(name) && why.contains("openssl rand") && !why.contains(token),
                        "{why}"
                    );
                }
            }
        }
    }

    #[test]
    fn everybody_on_the_network_reads_tokens_without_tls() {
        for open in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
            let why = load(&["--listen", open], &[]).expect_err(open);
            assert!(why.code() == 78 && why.to_string().contains("no TLS"), "{why}");
            load(&["--listen", open, "--insecure"], &[]).expect("somebody takes the responsibility");
            load(&["--listen", open, "--tls-cert", "c", "--tls-key", "k"], &[]).expect("TLS is enough");
            load(&["--listen", open, "--tls-cert", "c"], &[]).expect_err("a certificate without its key");
        }
        for private in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            load(&["--listen", private], &[]).expect(private);
        }
    }

    #[test]
    fn a_password_in_an_endpoint_would_be_logged() {
        for (url, wrong) in [
            ("sim=http://ada:planted@127.0.0.1:1", true),
            ("sim=http://planted@127.0.0.1", true),
            ("sim=http://127.0.0.1/a@b", false),
        ] {
            let loaded = load(&["--cloud", url], &[]);
            assert_eq!(loaded.is_err(), wrong, "{url}");
            assert!(!loaded.is_err_and(|why| why.to_string().contains("planted")));
        }
    }
}
