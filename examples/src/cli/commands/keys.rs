//! `infra keys`. A secret comes from a prompt, a file or standard input; never from an argument.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use infra_core::words::secret::Secret;
use serde_json::{Map, Value};

use super::sure;
use crate::cli::error::CliError;
use crate::cli::prompt;
use crate::cli::quantity;
use crate::cli::session::Session;
use crate::cli::show::{self, Table, plain};
use crate::client::Key;

/// What to do with them.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct KeysArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// The keys there are, without their secrets (the same as without a word)
    List,
    /// Save a key; it is checked with its cloud first
    Save(SaveArgs),
    /// Forget a key; refused while machines live on it
    Remove {
        /// Which cloud
        provider: String,
        /// Which of its keys
        #[arg(long, default_value = "default")]
        label: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The fields of a key are asked for one by one, or read from a file: a JSON object, or lines of NAME=VALUE. They are
never arguments, because arguments stay in the shell's history and show in the list of processes.

Kinds, first the usual one:
  sim           static
  aws           static (access_key_id, secret_access_key, session_token), assume_role, ambient
  digitalocean  token
  openstack     password, application_credential, token, clouds_yaml

Examples:
  infra keys save aws --label default                       asks for the fields
  infra keys save digitalocean --file -  < do.env           token=... on standard input
  infra keys save lab --kind clouds_yaml --from clouds_yaml=clouds.yaml")]
struct SaveArgs {
    /// Which cloud, by the name that the server knows it by
    provider: String,
    /// Your name for it
    #[arg(long, default_value = "default")]
    label: String,
    /// Which form the key has
    #[arg(long)]
    kind: Option<String>,
    /// Read its fields from this file, `-` for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// Read one field, whole, from a file; repeat for more
    #[arg(long = "from", value_name = "FIELD=FILE", value_parser = quantity::pair)]
    from: Vec<(String, String)>,
}

/// One field of a kind of key.
struct Field {
    name: &'static str,
    secret: bool,
    must: bool,
}

const fn open(name: &'static str) -> Field {
    Field { name, secret: false, must: true }
}

const fn hidden(name: &'static str) -> Field {
    Field { name, secret: true, must: true }
}

const fn maybe(name: &'static str, secret: bool) -> Field {
    Field { name, secret, must: false }
}

/// Known kinds and their fields; other clouds' fields come from files.
const KINDS: &[(&str, &str, &[Field])] = &[
    ("sim", "static", &[hidden("token")]),
    ("aws", "static", &[open("access_key_id"), hidden("secret_access_key"), maybe("session_token", true)]),
    (
        "aws",
        "assume_role",
        &[
            open("role_arn"),
            maybe("external_id", true),
            maybe("access_key_id", false),
            maybe("secret_access_key", true),
        ],
    ),
    ("aws", "ambient", &[]),
    ("digitalocean", "token", &[hidden("token")]),
    (
        "openstack",
        "password",
        &[
            open("username"),
            hidden("password"),
            open("project_name"),
            maybe("user_domain_name", false),
            maybe("project_domain_name", false),
        ],
    ),
    (
        "openstack",
        "application_credential",
        &[open("application_credential_id"), hidden("application_credential_secret")],
    ),
    ("openstack", "token", &[hidden("token"), open("project_name")]),
];

pub(in crate::cli) async fn keys(session: &Session<'_>, args: &KeysArgs) -> Result<(), CliError> {
    match args.action.as_ref().unwrap_or(&Action::List) {
        Action::List => list(session).await,
        Action::Save(args) => save(session, args).await,
        Action::Remove { provider, label, yes } => {
            let client = session.own().await?;
            let what = format!("the key {}/{}", plain(provider), plain(label));
            sure(*yes, &format!("Forget {what}?")).await?;
            let answer = client.remove_key(provider, label).await?;
            session.out.answer(&answer.raw, || format!("forgot {what}"))
        }
    }
}

async fn list(session: &Session<'_>) -> Result<(), CliError> {
    let client = session.own().await?;
    let page = client.keys().await?;
    session.out.answer(&page.raw, || {
        if page.items.is_empty() {
            return "no keys: `infra keys save CLOUD` saves one\n".to_owned();
        }
        let mut table = Table::new(&["CLOUD", "LABEL", "KIND", "STATUS", "WHO", "CHECKED", "NOTE"]);
        let now = session.out.now();
        for key in &page.items {
            table.row([
                key.provider.clone(),
                key.label.clone(),
                key.kind.clone(),
                status(key),
                key.identity.clone(),
                key.checked_at.map(|at| show::relative(at, now)).unwrap_or_default(),
                if key.retired { "replaced; only ends what it made".to_owned() } else { String::new() },
            ]);
        }
        table.render(0)
    })
}

/// `valid`, or the word and the reason of another shape.
fn status(key: &Key) -> String {
    key.status.as_str().map_or_else(|| key.status.to_string(), str::to_owned)
}

async fn save(session: &Session<'_>, args: &SaveArgs) -> Result<(), CliError> {
    let kind = kind(args)?;
    let mut fields = match &args.file {
        Some(file) => read(file)?,
        None => BTreeMap::new(),
    };
    for (name, file) in &args.from {
        fields.insert(name.clone(), Secret::new(prompt::file(file)?.trim_end().to_owned()));
    }
    let client = session.own().await?;
    if args.file.is_none() && args.from.is_empty() {
        fields = asked(&args.provider, &kind).await?;
    }
    let answer = client.save_key(&args.provider, &args.label, &kind, &fields).await?;
    session.out.answer(&answer.raw, || {
        let key = &answer.value;
        let who = if key.identity.is_empty() { String::new() } else { format!(", {}", plain(&key.identity)) };
        format!(
            "saved {}/{} ({}): {}{who}",
            plain(&key.provider),
            plain(&key.label),
            plain(&key.kind),
            plain(&status(key))
        )
    })
}

fn kind(args: &SaveArgs) -> Result<String, CliError> {
    let usual =
        KINDS.iter().find(|(cloud, ..)| *cloud == args.provider).map(|(_, kind, _)| (*kind).to_owned());
    args.kind.clone().or(usual).ok_or_else(|| {
        CliError::Usage(format!(
            "the cloud {:?} is not known here by its name: say its --kind",
            args.provider
        ))
    })
}

/// Asks for the fields of a kind, the secret ones unseen. A cloud of another name has the fields of its kind.
async fn asked(provider: &str, kind: &str) -> Result<BTreeMap<String, Secret>, CliError> {
    let of = |cloud: Option<&str>| {
        KINDS.iter().find(|(name, known, _)| *known == kind && cloud.is_none_or(|cloud| cloud == *name))
    };
    let Some((_, _, known)) = of(Some(provider)).or_else(|| of(None)) else {
        let why =
            format!("the fields of the kind {kind:?} are not known here: say them in a --file, or --from");
        return Err(CliError::Usage(why));
    };
    let mut fields = BTreeMap::new();
    for field in *known {
        let question = if field.must { field.name.to_owned() } else { format!("{}, if any", field.name) };
        let value = if field.secret {
            prompt::secret(&question).await?
        } else {
            Secret::new(prompt::line(&question, None).await?)
        };
        match (value.expose().is_empty(), field.must) {
            (true, true) => return Err(CliError::Usage(format!("{} is needed", field.name))),
            (true, false) => {}
            (false, _) => {
                fields.insert(field.name.to_owned(), value);
            }
        }
    }
    Ok(fields)
}

/// A JSON object, or lines of NAME=VALUE. What is wrong is told by its line, never by its text.
fn read(file: &str) -> Result<BTreeMap<String, Secret>, CliError> {
    let text = prompt::file(file)?;
    if text.trim_start().starts_with('{') {
        let fields: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
            CliError::Usage(format!(
                "--file {file}: no JSON object at line {}, column {}",
                error.line(),
                error.column()
            ))
        })?;
        return fields
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name, Secret::new(text))),
                _ => Err(CliError::Usage(format!(
                    "--file {file}: the field {:?} must be a text",
                    plain(&name)
                ))),
            })
            .collect();
    }
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| {
            let line = line.strip_prefix("export ").unwrap_or(line);
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| CliError::Usage(format!("--file {file}, line {at}: must be NAME=VALUE")))?;
            let value = value.trim();
            let quoted = |mark: char| value.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
            let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
            Ok((name.trim().to_owned(), Secret::new(value.to_owned())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Result<BTreeMap<String, String>, CliError> {
        let file = std::env::temp_dir().join(format!("infra-cli-keys-{}", std::process::id()));
        std::fs::write(&file, text).expect("the folder can be written");
        let fields = read(file.to_str().expect("text"))?;
        Ok(fields.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect())
    }

    #[test]
    fn fields_are_read_from_json_and_from_lines_and_errors_keep_the_secret() {
        let wanted = BTreeMap::from([("a".to_owned(), "1=2".to_owned()), ("b".to_owned(), "x y".to_owned())]);
        assert_eq!(fields("{\"a\": \"1=2\", \"b\": \"x y\"}").expect("JSON"), wanted);
        assert_eq!(fields("# a key\nexport a=1=2\n\nb = \"x y\"\n").expect("lines"), wanted);
        for wrong in ["planted", "a=1\nplanted", "{\"a\": planted}", "{\"a\": [\"planted\"]}"] {
            let told = fields(wrong).expect_err(wrong);
            assert!(told.code() == 64 && !told.to_string().contains("planted"), "{told}");
        }
    }
}
