//! The master key: it opens every cloud key in the store, so it lives elsewhere than the store.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use infra_core::words::entropy::Entropy;
use infra_core::words::secret::MasterKey;

use super::config::Settings;
use super::data_dir::{read_private, write_private};
use super::error::StartError;

/// Where the key was taken from, for the banner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// `INFRA_MASTER_KEY`.
    Environment,
    /// A file that was there.
    File(PathBuf),
    /// A file that this start made.
    Made(PathBuf),
}

/// The master key, opening also what the older ones have sealed that are named beside it.
///
/// # Errors
/// As [`find_one`]; [`StartError::Config`] for an older key that is none.
pub(super) fn find(
    settings: &Settings,
    data: &Path,
    store_is_new: bool,
    entropy: &dyn Entropy,
) -> Result<(MasterKey, Origin), StartError> {
    let older = older(settings)?;
    let (key, origin) = find_one(settings, data, store_is_new, entropy)?;
    Ok((key.opening_also(older), origin))
}

/// The older keys, of the environment and of the file.
fn older(settings: &Settings) -> Result<Vec<MasterKey>, StartError> {
    let mut keys = Vec::new();
    if let Some(texts) = &settings.old_master_key {
        for text in texts.expose().split(',') {
            let wrong = |why| StartError::Config(format!("INFRA_OLD_MASTER_KEY: {why}"));
            keys.push(MasterKey::from_hex(text).map_err(wrong)?);
        }
    }
    if let Some(path) = &settings.old_master_key_file {
        let lines = read_private(path)?;
        let lines: Vec<&str> = lines.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            return Err(StartError::Config(format!("{} holds no key", path.display())));
        }
        for line in lines {
            let wrong = |why| StartError::Config(format!("{}: {why}", path.display()));
            keys.push(MasterKey::from_hex(line).map_err(wrong)?);
        }
    }
    Ok(keys)
}

/// Finds the master key: `INFRA_MASTER_KEY`, then a named file, then the file in the user's configuration
/// folder, which is made when it is missing *and* the store is new.
///
/// A store without its key file is an error, never a reason to draw another key: what is sealed in the store
/// would be lost behind it.
fn find_one(
    settings: &Settings,
    data: &Path,
    store_is_new: bool,
    entropy: &dyn Entropy,
) -> Result<(MasterKey, Origin), StartError> {
    if let Some(hex) = &settings.master_key {
        let key = MasterKey::from_hex(hex.expose())
            .map_err(|why| StartError::Config(format!("INFRA_MASTER_KEY: {why}")))?;
        return Ok((key, Origin::Environment));
    }
    if let Some(path) = &settings.master_key_file {
        return Ok((from_file(path)?, Origin::File(path.clone())));
    }
    let path = default_path(settings)?;
    if path.exists() {
        return Ok((from_file(&path)?, Origin::File(path)));
    }
    if !store_is_new {
        return Err(StartError::Config(format!(
            "the store exists, but its master key is not at {}: bring the file back, or set INFRA_MASTER_KEY or \
             INFRA_MASTER_KEY_FILE",
            path.display()
        )));
    }
    let key = MasterKey::draw(entropy);
    make(&path, data, &key)?;
    Ok((key, Origin::Made(path)))
}

/// Can a key be found or made? Reads, but writes nothing.
pub(super) fn check(settings: &Settings) -> Result<(), StartError> {
    older(settings)?;
    if let Some(hex) = &settings.master_key {
        return MasterKey::from_hex(hex.expose())
            .map(drop)
            .map_err(|why| StartError::Config(format!("INFRA_MASTER_KEY: {why}")));
    }
    match &settings.master_key_file {
        Some(path) => from_file(path).map(drop),
        None => default_path(settings)
            .and_then(|path| if path.exists() { from_file(&path).map(drop) } else { Ok(()) }),
    }
}

fn default_path(settings: &Settings) -> Result<PathBuf, StartError> {
    settings.config_home.as_ref().map(|home| home.join("infra").join("master-key")).ok_or_else(|| {
        StartError::Config(
            "no place for the master key: set HOME, or INFRA_MASTER_KEY to 64 hex digits, or \
             INFRA_MASTER_KEY_FILE to a file that holds them"
                .to_owned(),
        )
    })
}

fn from_file(path: &Path) -> Result<MasterKey, StartError> {
    MasterKey::from_hex(&read_private(path)?)
        .map_err(|why| StartError::Config(format!("{}: {why}", path.display())))
}

fn make(path: &Path, data: &Path, key: &MasterKey) -> Result<(), StartError> {
    let cannot = |error: std::io::Error| {
        StartError::Config(format!("master key cannot be written to {}: {error}", path.display()))
    };
    let folder = path.parent().expect("the path ends in infra/master-key");
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
    // Whoever copies the data folder must not thereby carry away the key to it.
    if folder.canonicalize().map_err(cannot)?.starts_with(data) {
        return Err(StartError::Config(format!(
            "master key {} would lie inside the data folder: choose another data folder, or set \
             INFRA_MASTER_KEY_FILE",
            path.display()
        )));
    }
    write_private(path, &key.to_hex()).map_err(cannot)
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    use infra_core::words::entropy::SystemEntropy;

    use super::*;
    use crate::server::args::Args;

    /// A new empty folder.
    pub(in crate::server) fn scratch(name: &str) -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("infra-{name}-{}-{next}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("the temporary folder can be written");
        path
    }

    fn settings(env: &[(&str, &str)]) -> Settings {
        let find =
            |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::load(&Args::default(), &find).expect("well formed")
    }

    #[test]
    fn a_new_store_gets_a_private_key_outside_of_it_and_finds_it_again() {
        let home = scratch("home");
        let settings = settings(&[("HOME", home.to_str().expect("text"))]);
        let data = scratch("data");
        let (made, origin) = find(&settings, &data, true, &SystemEntropy).expect("HOME can be written");
        let path = home.join(".config/infra/master-key");
        assert_eq!(origin, Origin::Made(path.clone()));
        let mode = std::fs::metadata(&path).expect("it was made").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (found, origin) = find(&settings, &data, false, &SystemEntropy).expect("it is there now");
        assert_eq!((found.id(), origin), (made.id(), Origin::File(path)));
    }

    #[test]
    fn an_old_store_never_gets_a_new_key() {
        let home = scratch("lost");
        let settings = settings(&[("HOME", home.to_str().expect("text"))]);
        let why = find(&settings, &scratch("data"), false, &SystemEntropy).expect_err("its key is gone");
        assert!(why.to_string().contains("master-key") && why.code() == 78, "{why}");
        assert!(!home.join(".config").exists());
    }

    #[test]
    fn no_home_a_bad_key_or_a_readable_file_is_said_clearly() {
        let folder = scratch("bad");
        let data = scratch("data");
        let open = folder.join("open");
        std::fs::write(&open, "0".repeat(64)).expect("the folder can be written");
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o644)).expect("it is ours");
        for (env, wanted) in [
            (vec![], "HOME"),
            (vec![("HOME", "relative")], "HOME"),
            (vec![("INFRA_MASTER_KEY", "planted")], "64 hex digits"),
            (vec![("INFRA_OLD_MASTER_KEY", "planted")], "INFRA_OLD_MASTER_KEY: master key must be 64 hex"),
            (vec![("INFRA_OLD_MASTER_KEY_FILE", open.to_str().expect("text"))], "chmod 600"),
            (vec![("INFRA_MASTER_KEY_FILE", "/does/not/exist")], "/does/not/exist"),
            (vec![("INFRA_MASTER_KEY_FILE", open.to_str().expect("text"))], "chmod 600"),
            (vec![("XDG_CONFIG_HOME", data.to_str().expect("text"))], "inside the data folder"),
        ] {
            let why = find(&settings(&env), &data, true, &SystemEntropy).expect_err("cannot work");
            assert!(why.to_string().contains(wanted) && why.code() == 78, "{env:?}: {why}");
            assert!(!why.to_string().contains("planted"));
        }
    }
}
