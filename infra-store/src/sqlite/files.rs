//! The folder, its modes, its lock, and where it is.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use infra_core::contracts::store::StoreError;
use infra_core::words::fault::Effect;

use super::unavailable;

/// The database's file name in the folder.
pub(super) const DATA: &str = "store.sqlite";
/// The lock's file name. Apart from the database, because closing *any* descriptor of a file frees the locks that
/// SQLite itself takes on it.
const LOCK: &str = "store.lock";

/// Makes the folder if there is none, and answers its canonical path.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, StoreError> {
    let failed = |error: io::Error| failure("folder", folder, &error);
    if !folder.is_dir() {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(failed)?;
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_folder(parent).map_err(failed)?;
        }
    }
    fs::canonicalize(folder).map_err(failed)
}

/// The lock on a folder, freed when dropped or when the process ends in any way.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Takes the lock of a folder.
pub(super) fn lock(folder: &Path) -> Result<Lock, StoreError> {
    let path = folder.join(LOCK);
    let file = private(&path).map_err(|error| failure("lock", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: folder.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(failure("lock", &path, &error)),
    }
}

/// Makes an empty file that only its owner reads, unless there is one; its name is on disk afterwards.
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    let make = || {
        if !path.exists() {
            private(path)?;
            path.parent().map_or(Ok(()), sync_folder)?;
        }
        Ok(())
    };
    make().map_err(|error| failure("file", path, &error))
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn failure(what: &str, path: &Path, error: &io::Error) -> StoreError {
    unavailable(format!("{what} {}: {error}", path.display()), Effect::NotApplied)
}

/// Machine and canonical path.
pub(super) fn location(folder: &Path) -> String {
    format!("{}:{}", machine(), folder.display())
}

/// The machine's id, or its name where there is none (a container, another system).
fn machine() -> String {
    ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .into_iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|id| id.trim().to_owned())
        .find(|id| !id.is_empty())
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}
