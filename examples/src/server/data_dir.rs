//! The data folder: private, and worked on by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use infra_core::words::entropy::Entropy;
use infra_core::words::secret::{Secret, hex};

use super::error::StartError;

const LOCK: &str = "lock";
const ADMIN_TOKEN: &str = "admin-token";

/// A locked data folder. The lock goes when this value goes, also by `kill -9`.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the folder (0700) if it is missing, and locks it.
    ///
    /// A folder that this server has used before is made private again; one that held other things keeps its
    /// mode, since it may be shared on purpose: our own files in it are 0600 either way.
    ///
    /// # Errors
    /// [`StartError::InUse`] when another process holds it, [`StartError::Config`] when it cannot be used.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        let wrong = |error: std::io::Error| {
            StartError::Config(format!("data folder {} cannot be used: {error}", path.display()))
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrong)?;
        let path = path.canonicalize().map_err(wrong)?;
        let empty = std::fs::read_dir(&path).map_err(wrong)?.next().is_none();
        if empty || path.join(LOCK).exists() {
            std::fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(wrong)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(StartError::InUse(format!("data folder {} is in use by another process", path.display())))
            }
            Err(TryLockError::Error(error)) => Err(wrong(error)),
        }
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the admin token stands when the environment carries none.
    #[must_use]
    pub fn admin_token_path(&self) -> PathBuf {
        self.path.join(ADMIN_TOKEN)
    }

    /// The admin token of this folder, drawn and written (0600) the first time.
    ///
    /// # Errors
    /// [`StartError::Config`] when the file cannot be read or written, or is empty.
    pub fn admin_token(&self, entropy: &dyn Entropy) -> Result<Secret, StartError> {
        let path = self.admin_token_path();
        let mut bytes = [0_u8; 32];
        entropy.fill(&mut bytes);
        let drawn = format!("infra_admin_{}", hex(&bytes));
        match write_private(&path, &drawn) {
            Ok(()) => Ok(Secret::new(drawn)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let text = read_private(&path)?;
                let token = text.trim();
                if token.is_empty() {
                    return Err(StartError::Config(format!(
                        "{} is empty: remove it and a new token is written",
                        path.display()
                    )));
                }
                Ok(Secret::new(token.to_owned()))
            }
            Err(error) => Err(StartError::Config(format!("{} cannot be written: {error}", path.display()))),
        }
    }
}

/// Writes a new file that only its owner reads, and makes sure that it is on disk.
///
/// It appears under its name only when it is whole: a crash leaves no half secret behind.
pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    // Left by a crash between the two steps; nobody has seen its contents.
    let _ = std::fs::remove_file(&draft);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    // A link, unlike a rename, fails when the name is taken.
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    linked?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Reads a secret file, and refuses one that others may read.
pub(super) fn read_private(path: &Path) -> Result<String, StartError> {
    let shown = path.display();
    let cannot = |error: std::io::Error| StartError::Config(format!("{shown} cannot be read: {error}"));
    let mode = std::fs::metadata(path).map_err(cannot)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(StartError::Config(format!(
            "{shown} can be read by others (mode {:o}): chmod 600 {shown}",
            mode & 0o777
        )));
    }
    std::fs::read_to_string(path).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use infra_core::words::entropy::SystemEntropy;

    use super::*;
    use crate::server::master_key::tests::scratch;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it was just made").permissions().mode() & 0o777
    }

    #[test]
    fn two_processes_never_work_on_one_folder() {
        let path = scratch("in-use").join("data");
        let first = DataDir::open(&path).expect("the folder is new");
        let second = DataDir::open(&path).expect_err("the first holds it");
        assert_eq!(second.code(), 75);
        drop(first);
        DataDir::open(&path).expect("the lock goes with its holder");
    }

    #[test]
    fn folder_and_token_are_private_and_the_token_stays() {
        let path = scratch("token").join("data");
        let data = DataDir::open(&path).expect("the folder is new");
        let token = data.admin_token(&SystemEntropy).expect("the folder can be written");
        assert_eq!((mode(&path), mode(&data.admin_token_path())), (0o700, 0o600));
        let again = data.admin_token(&SystemEntropy).expect("the file can be read");
        assert_eq!(token.expose(), again.expose());
    }
}
