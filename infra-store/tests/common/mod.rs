//! What several tests of the stores share.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};

use infra_core::contracts::store::{Change, Commit, Expect, Index, Key, RecordKind};
use infra_core::words::ids::{CommitId, TenantId};

/// A folder that is gone after the test.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder of this process and name.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("infra-store-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary folder can be written to");
        Self(path)
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// A key of the tests' one tenant.
pub fn key(id: &str) -> Key {
    Key { tenant: TenantId::new("t").expect("legal"), kind: RecordKind::Unit, id: id.to_owned() }
}

/// A commit with this id.
pub fn commit(id: u128, changes: Vec<Change>) -> Commit {
    Commit { id: CommitId(uuid::Uuid::from_u128(id)), changes }
}

/// A commit that writes one record.
pub fn put(id: u128, key: &Key, expect: Expect) -> Commit {
    let body = id.to_be_bytes().to_vec();
    commit(id, vec![Change::Put { key: key.clone(), expect, index: Index::default(), body }])
}
