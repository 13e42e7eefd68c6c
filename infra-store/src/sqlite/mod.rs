//! The embedded durable store: one SQLite file in a folder of its own, no server to install.
//!
//! # Flow
//! All commits go through one writer thread. It takes whatever waits (at most 64 commits), does it in one SQLite
//! transaction, and answers after that transaction is on disk: the slower the disk, the larger the batches. Reads
//! use connections of their own, off the async runtime, each call in one snapshot.
//!
//! # Guarantees
//! * An acknowledged commit survives `kill -9` and power loss (WAL, `synchronous = FULL`).
//! * One process at a time: a lock file is held while the store is open, and freed by the kernel when the holder
//!   dies, however it dies.
//! * Data of a newer program is refused before anything is written to it; of data of an older one a copy is on disk
//!   before anything is changed.
//! * A commit's id is remembered for at least an hour of the process's monotonic clock: neither a jump of the
//!   wall clock nor a restart shortens that.
//!
//! # Assumptions
//! The folder is on a local file system. Reads and `close` need a tokio runtime.
//!
//! # Caveats
//! A process that never lives for an hour never forgets a commit id either: the log of ids then only grows.
//!
//! Dropping the future of a commit does not take the commit back once it is queued.

mod files;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod upgrade;
mod write;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use infra_core::contracts::store::{
    Changes, Commit, DueQuery, Key, ListQuery, Page, Record, ReservationStore, StoreError, StoreLimits,
};
use infra_core::words::clock::{Clock, SystemClock};
use infra_core::words::fault::Effect;
use infra_core::words::lane::Version;
use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::rules::{LIMITS, check_shape};
use writer::{Ended, Job, Writer};

/// The newest layout of tables that [`SqliteStore`] knows: what it makes, what it upgrades older ones to, and above which it
/// touches nothing.
pub const SQLITE_SCHEMA: i64 = schema::SCHEMA;

/// Commits that may wait for the writer; beyond that, callers wait to be queued.
const QUEUE_MAX: usize = 256;
/// Connections that read at once; beyond that, readers wait.
const READERS_MAX: u32 = 4;

/// A durable store in a folder. See the module's own description for what it guarantees.
///
/// ```
/// use infra_core::ReservationStore;
/// use infra_store::SqliteStore;
///
/// let folder = std::env::temp_dir().join(format!("infra-store-doc-{}", std::process::id()));
/// let store = SqliteStore::open(&folder)?;
/// assert_eq!(store.limits().changes_max, 24);
/// assert!(SqliteStore::open(&folder).is_err(), "one process at a time");
/// drop(store);
/// # std::fs::remove_dir_all(&folder).expect("was made above");
/// # Ok::<(), infra_core::contracts::store::StoreError>(())
/// ```
pub struct SqliteStore {
    /// `None` only while it is dropped: closing the queue is what ends the writer then.
    queue: Option<mpsc::Sender<Job>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    ended: Arc<Ended>,
    newest: watch::Receiver<Version>,
    readers: Arc<Readers>,
    clock: Arc<dyn Clock>,
    location: String,
}

impl SqliteStore {
    /// Opens the store in a folder, or makes both. Blocks for the disk: call it when starting.
    ///
    /// A folder it makes has mode 0700, files 0600. The folder may hold other things too.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another process (or another store of this one) has it open;
    /// [`StoreError::Corrupt`] when the file is not ours or was written by a newer program, untouched;
    /// [`StoreError::Unavailable`] when the disk says no.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with_clock(folder, Arc::new(SystemClock))
    }

    /// As [`Self::open`], with the clock by which `changes` waits and commit ids grow old.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_clock(folder: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let folder = files::prepare(folder.as_ref())?;
        let lock = files::lock(&folder)?;
        let path = folder.join(files::DATA);
        let connection = schema::open_or_create(&path)?;
        let newest = rows::newest(&connection)?;
        let (announce, newest) = watch::channel(newest);
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let ended = Arc::new(Ended::default());
        let writer =
            Writer::new(path.clone(), connection, announce, Arc::clone(&clock), Arc::clone(&ended), lock);
        let thread = std::thread::Builder::new()
            .name("infra-store".to_owned())
            .spawn(move || writer.run(jobs))
            .map_err(|error| unavailable(format!("no thread for the writer: {error}"), Effect::NotApplied))?;
        Ok(Self {
            queue: Some(queue),
            writer: Mutex::new(Some(thread)),
            ended,
            newest,
            readers: Arc::new(Readers::new(path)),
            clock,
            location: files::location(&folder),
        })
    }

    /// Where this store is: the machine's id and the folder's canonical path. It differs after the folder was
    /// moved or copied, which is how an installation notices that.
    #[must_use]
    pub fn location(&self) -> String {
        self.location.clone()
    }

    /// Finishes what is queued, folds the log into the file and frees the folder. What comes later is refused,
    /// not applied. Closing again is harmless; dropping the store does the same, but blocks its thread.
    pub async fn close(&self) {
        self.readers.close().await;
        let (done, wait) = oneshot::channel();
        if self.queue().send(Job::Stop { done }).await.is_ok() {
            // An error means that the writer is gone already, which is what was asked for.
            let _gone = wait.await;
        }
        let thread = self.writer.lock().expect("nothing panics while it holds the handle").take();
        if let Some(thread) = thread {
            let _ended = thread.join();
        }
    }

    /// Writes the file anew, so that nothing of replaced or removed records is in it or in its log any more: after
    /// secrets were sealed again under another key, say. Copies that were made earlier are not touched.
    ///
    /// Commits wait while it works, about as long as a copy of the file takes; the disk needs room for two more. May be
    /// repeated at any time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], effect NotApplied: no record has changed, but the old ones may still be there.
    pub async fn wipe_replaced(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        if self.queue().send(Job::Wipe { reply }).await.is_err() {
            return Err(self.refused());
        }
        answer.await.unwrap_or_else(|_| Err(self.refused()))
    }

    fn queue(&self) -> &mpsc::Sender<Job> {
        self.queue.as_ref().expect("only dropping takes the queue")
    }

    /// A commit that the writer did not take in is not applied, unless the writer died: then nobody knows what
    /// became of an earlier sending of the same commit.
    fn refused(&self) -> StoreError {
        if self.ended.in_order() {
            unavailable("the store is closed".to_owned(), Effect::NotApplied)
        } else {
            unavailable("the writer died".to_owned(), Effect::Unknown)
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.readers.forget();
        self.queue = None;
        let thread = self.writer.get_mut().ok().and_then(Option::take);
        if let Some(thread) = thread {
            let _ended = thread.join();
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("location", &self.location).finish_non_exhaustive()
    }
}

#[async_trait]
impl ReservationStore for SqliteStore {
    fn limits(&self) -> StoreLimits {
        LIMITS
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let keys = keys.to_vec();
        self.readers.read(move |connection| rows::get(connection, &keys)).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Version, StoreError> {
        check_shape(commit)?;
        let (reply, answer) = oneshot::channel();
        let job = Job::Commit { commit: commit.clone(), reply };
        if self.queue().send(job).await.is_err() {
            return Err(self.refused());
        }
        match answer.await {
            Ok(outcome) => outcome,
            Err(_) => Err(unavailable("the writer died".to_owned(), Effect::Unknown)),
        }
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Record>, StoreError> {
        let query = query.clone();
        self.readers.read(move |connection| rows::list(connection, &query)).await
    }

    async fn due(&self, query: &DueQuery) -> Result<Vec<Record>, StoreError> {
        let query = query.clone();
        self.readers.read(move |connection| rows::due(connection, &query)).await
    }

    async fn changes(&self, after: Version, wait: Duration) -> Result<Changes, StoreError> {
        let look = || self.readers.read(move |connection| rows::changes(connection, after));
        if wait.is_zero() {
            return look().await;
        }
        let mut newest = self.newest.clone();
        let mut timer = self.clock.sleep(wait);
        loop {
            // Marked as seen before looking, so that a commit in between wakes it.
            newest.borrow_and_update();
            let changes = look().await?;
            if !changes.keys.is_empty() {
                return Ok(changes);
            }
            tokio::select! {
                biased;
                seen = newest.changed() => {
                    seen.map_err(|_| unavailable("the store is closed".to_owned(), Effect::NotApplied))?;
                }
                () = &mut timer => return look().await,
            }
        }
    }
}

fn unavailable(why: String, effect: Effect) -> StoreError {
    StoreError::Unavailable { why, effect }
}

/// Connections that only read, each used by one call at a time.
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    fn new(path: PathBuf) -> Self {
        let permits = Arc::new(Semaphore::new(READERS_MAX as usize));
        Self { path, idle: Mutex::default(), permits }
    }

    async fn read<T, F>(self: &Arc<Self>, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let closed = |_| unavailable("the store is closed".to_owned(), Effect::NotApplied);
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        let readers = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let idle = readers.idle().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => schema::open_reader(&readers.path)?,
            };
            // After a failure the connection is not kept: the next reader starts with a fresh one.
            let found = work(&connection)?;
            readers.idle().push(connection);
            drop(permit);
            Ok(found)
        });
        task.await.map_err(|error| unavailable(format!("a reader died: {error}"), Effect::NotApplied))?
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().expect("nothing panics while it holds the connections")
    }

    /// Waits for the readers at work, lets no other begin, and closes the connections.
    async fn close(&self) {
        let _all = self.permits.acquire_many(READERS_MAX).await;
        self.forget();
    }

    fn forget(&self) {
        self.permits.close();
        self.idle().clear();
    }
}
