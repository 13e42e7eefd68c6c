//! Where a store lives: the machine and the path, so that a copied folder is noticed.

use std::path::Path;

use infra_core::words::secret::digest;

use super::config::{Settings, StoreUrl};

/// The place of this store: `INFRA_HOME` when set, else a digest of the machine's id and the store's path.
pub(super) fn of(settings: &Settings, data: &Path) -> String {
    if let Some(home) = &settings.home {
        return home.clone();
    }
    let path = match &settings.store {
        StoreUrl::Sqlite(path) => path.canonicalize().unwrap_or_else(|_| data.join(path)),
        // A store in memory cannot be copied.
        StoreUrl::Memory => return "memory".to_owned(),
    };
    format!("{}:{}", machine(), path.display())
}

/// Names this machine. The id itself is not for showing, so its digest is.
fn machine() -> String {
    let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|id| id.trim().to_owned())
        .find(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    digest(format!("infra home {id}").as_bytes())[..16].to_owned()
}
