//! `cli.toml`: where to, and with which token. Named profiles, private to their owner.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use infra_core::words::entropy::{Entropy, SystemEntropy};
use infra_core::words::secret::{Secret, hex};
use serde::{Deserialize, Serialize};

use super::error::CliError;

/// Reads a variable of the environment; empty ones count as missing.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The file's contents.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// By name; `default` is taken when none is named.
    #[serde(default)]
    pub(super) profiles: BTreeMap<String, Profile>,
}

/// One login.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) url: String,
    /// None for the admin's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) insecure: bool,
}

impl Profile {
    pub(super) fn new(url: String, user: Option<String>, token: &Secret) -> Self {
        Self { url, user, token: token.expose().to_owned(), ca_file: None, insecure: false }
    }

    pub(super) fn token(&self) -> Secret {
        Secret::new(self.token.clone())
    }
}

/// The file's place: `$XDG_CONFIG_HOME/infra/cli.toml`, else `~/.config/infra/cli.toml`.
pub(super) fn path(env: Env<'_>) -> Result<PathBuf, CliError> {
    let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    let base = base.ok_or_else(|| {
        CliError::Config("no place for the login: set HOME, or INFRA_URL and INFRA_TOKEN".to_owned())
    })?;
    Ok(base.join("infra").join("cli.toml"))
}

impl Config {
    /// Reads the file; a missing one is empty. One that others may read is refused: it holds tokens.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let shown = path.display();
        let mode = match std::fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(CliError::Config(format!("{shown} cannot be read: {error}"))),
        };
        if mode & 0o077 != 0 {
            let mode = mode & 0o777;
            return Err(CliError::Config(format!(
                "{shown} holds tokens and can be read by others (mode {mode:o}): chmod 600 {shown}"
            )));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| CliError::Config(format!("{shown} cannot be read: {error}")))?;
        toml::from_str(&text).map_err(|error| {
            // The error's own rendering shows the line, and in that line may be a token.
            let line =
                error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
            let said = error.message().lines().next().unwrap_or_default().to_owned();
            let said = if said.contains('"') { "is not as it should be".to_owned() } else { said };
            CliError::Config(format!("{shown}, line {line}: {said}"))
        })
    }

    /// Replaces the file in one step: a crash leaves the old one or the new one.
    pub(super) fn write(&self, path: &Path) -> Result<(), CliError> {
        let cannot = |error: std::io::Error| {
            CliError::Config(format!("{} cannot be written: {error}", path.display()))
        };
        let text = toml::to_string(self)
            .map_err(|error| CliError::Config(format!("{}: {error}", path.display())))?;
        let folder = path.parent().expect("the path ends in infra/cli.toml");
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
        let mut bytes = [0_u8; 8];
        SystemEntropy.fill(&mut bytes);
        let draft = folder.join(format!(".cli.toml.{}", hex(&bytes)));
        let written = write_draft(&draft, &text).and_then(|()| std::fs::rename(&draft, path));
        if written.is_err() {
            let _ = std::fs::remove_file(&draft);
        }
        written.and_then(|()| File::open(folder)?.sync_all()).map_err(cannot)
    }
}

fn write_draft(draft: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("infra-cli-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn the_file_is_private_replaced_whole_and_read_back() {
        let folder = scratch("config");
        let path = folder.join("infra/cli.toml");
        assert!(Config::read(&path).expect("a missing file is empty").profiles.is_empty());
        let token = Secret::new("infra_planted".to_owned());
        let mut config = Config::default();
        for name in ["default", "work \"quoted\""] {
            let profile = Profile::new("http://localhost".to_owned(), Some("ada".to_owned()), &token);
            config.profiles.insert(name.to_owned(), profile);
            config.write(&path).expect("the folder can be written");
        }
        let mode = |path: &Path| std::fs::metadata(path).expect("it was made").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder.join("infra"))), (0o600, 0o700));
        let read = Config::read(&path).expect("it was just written");
        assert_eq!(read.profiles["work \"quoted\""].token().expose(), "infra_planted");
        let left: Vec<_> = std::fs::read_dir(folder.join("infra")).expect("ours").collect();
        assert_eq!(left.len(), 1, "no draft is left: {left:?}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("ours");
        let refused = Config::read(&path).err().expect("others may read it");
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }

    #[test]
    fn a_broken_file_is_told_by_its_line_and_never_by_its_token() {
        let path = scratch("broken");
        for text in [
            "[profiles.a]\nurl = \"x\"\ntoken = \"infra_planted\" \"\n",
            "[profiles.a]\nurl = \"x\"\ntoken = [\"infra_planted\"]\n",
            "[profiles.a]\nurl = \"x\"\ntokn = \"infra_planted\"\n",
            "infra_planted",
        ] {
            let _ = std::fs::remove_file(&path);
            write_draft(&path, text).expect("the folder can be written");
            let told = Config::read(&path).err().expect(text).to_string();
            assert!(told.contains("line ") && !told.contains("planted"), "{text:?}: {told}");
        }
    }

    #[test]
    fn the_place_follows_xdg_and_needs_no_guess() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let at = |pairs| path(&env(pairs)).map(|path| path.display().to_string()).ok();
        assert_eq!(at(&[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")]).as_deref(), Some("/x/infra/cli.toml"));
        assert_eq!(
            at(&[("XDG_CONFIG_HOME", "x"), ("HOME", "/h")]).as_deref(),
            Some("/h/.config/infra/cli.toml")
        );
        assert_eq!(at(&[("HOME", "h")]), None);
    }
}
