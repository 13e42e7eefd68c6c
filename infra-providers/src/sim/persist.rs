//! A world in one file: a snapshot line, then one line per change. `kill -9` loses nothing that was answered.
//!
//! # Guarantees
//! * What a call changed is written before the call is answered, as one line. A torn last line was never answered,
//!   and is dropped.
//! * The file is rewritten beside itself and renamed, so at every instant there is a whole one.
//!
//! # Caveats
//! Nothing is synced to the disk: a power cut may lose the newest changes. It is a simulator.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use infra_core::words::clock::{Clock, Timestamp, later};
use serde::{Deserialize, Serialize};

use super::config::SimConfig;
use super::thing::SimThing;
use super::world::{Changed, SimWorld, Small, State, TokenRow};

/// Lines after which the file may be rewritten.
const LINES_MIN: usize = 2_000;
/// Ended things are forgotten this long after their end, when the file is rewritten.
const HISTORY_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a world could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimOpenError {
    /// The file cannot be read or written.
    #[error("simulated world {path}: cannot be opened")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error("simulated world {path}: in use by another process")]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// A line other than the last cannot be read.
    #[error("simulated world {path}: line {line} cannot be read: {why}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        why: String,
    },
}

/// What one call changed; everything absolute, so that applying a line twice changes nothing.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    small: Option<Small>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    things: Vec<SimThing>,
    /// `None`: forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<(String, Option<TokenRow>)>,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
    // Held for its lock: the journal itself is replaced by renaming.
    _lock: File,
}

impl SimWorld {
    /// Opens the world in a file, or makes a new one there. One process at a time.
    ///
    /// # Errors
    /// [`SimOpenError`].
    pub fn open(path: &Path, config: SimConfig, clock: Arc<dyn Clock>) -> Result<Self, SimOpenError> {
        let failed = |source| SimOpenError::Io { path: path.to_owned(), source };
        let lock = lock(path)?;
        let mut state = State::new(&config);
        let newest = match File::open(path) {
            Ok(file) => read(path, file, &mut state)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        state.changed = Changed::default();
        let world = Self::assemble(config, clock, state, newest);
        let mut state = world.lock();
        let now = world.now();
        // Rewriting drops a torn last line, so that nothing is ever appended to it.
        state.journal = Some(rewrite(path, &state, now, lock).map_err(failed)?);
        drop(state);
        Ok(world)
    }
}

fn lock(path: &Path) -> Result<File, SimOpenError> {
    let failed = |source| SimOpenError::Io { path: path.to_owned(), source };
    let beside = path.with_extension("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(beside).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(SimOpenError::InUse { path: path.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn read(path: &Path, file: File, state: &mut State) -> Result<Option<Timestamp>, SimOpenError> {
    let failed = |source| SimOpenError::Io { path: path.to_owned(), source };
    let mut newest = None;
    let mut reader = BufReader::new(file);
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        reader.read_until(b'\n', &mut text).map_err(failed)?;
        // Without its newline a line was not written whole: its call was never answered.
        if text.pop() != Some(b'\n') {
            break;
        }
        let read: Line = serde_json::from_slice(&text).map_err(|error| SimOpenError::Damaged {
            path: path.to_owned(),
            line,
            why: error.to_string(),
        })?;
        newest = newest.max(Some(read.at));
        apply(state, read);
    }
    Ok(newest)
}

fn apply(state: &mut State, line: Line) {
    if let Some(small) = line.small {
        state.small = small;
    }
    for thing in line.things {
        state.put(thing);
    }
    for (key, row) in line.tokens {
        match row {
            Some(row) => state.tokens.insert(key, row),
            None => state.tokens.remove(&key),
        };
    }
}

/// Writes the whole state into a new file, and puts it in the place of the old one.
fn rewrite(path: &Path, state: &State, now: Timestamp, lock: File) -> io::Result<Journal> {
    let kept = |thing: &&SimThing| thing.ended_at(now).is_none_or(|at| now < later(at, HISTORY_KEPT));
    let things: Vec<SimThing> = state.things.values().filter(kept).cloned().collect();
    let numbers: BTreeSet<u64> = things.iter().map(|thing| thing.number).collect();
    let tokens = state.tokens.iter().filter(|(_, row)| row.made.iter().any(|n| numbers.contains(n)));
    let tokens = tokens.map(|(key, row)| (key.clone(), Some(row.clone()))).collect();
    let line = Line { at: now, small: Some(state.small.clone()), things, tokens };
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&encode(&line))?;
    std::fs::rename(&beside, path)?;
    Ok(Journal { path: path.to_owned(), file, lines: 1, _lock: lock })
}

fn encode(line: &Line) -> Vec<u8> {
    let mut text = serde_json::to_vec(line).expect("records serialise");
    text.push(b'\n');
    text
}

impl State {
    /// Writes down what changed since the last time.
    pub(super) fn save(&mut self, now: Timestamp) {
        let changed = std::mem::take(&mut self.changed);
        if self.journal.is_none()
            || (changed.things.is_empty() && changed.tokens.is_empty() && !changed.small)
        {
            return;
        }
        let line = Line {
            at: now,
            small: Some(self.small.clone()),
            things: changed.things.iter().filter_map(|number| self.things.get(number).cloned()).collect(),
            tokens: changed.tokens.iter().map(|key| (key.clone(), self.tokens.get(key).cloned())).collect(),
        };
        if let Err(error) = self.append(&line, now) {
            // The world in memory goes on; what it answers from here on would not survive the process.
            tracing::error!(%error, "simulated world cannot be written");
        }
    }

    fn append(&mut self, line: &Line, now: Timestamp) -> io::Result<()> {
        let Some(mut journal) = self.journal.take() else { return Ok(()) };
        let written = journal.file.write_all(&encode(line));
        journal.lines += 1;
        if written.is_err() || journal.lines > LINES_MIN + 4 * self.things.len() {
            let path = journal.path.clone();
            let Journal { _lock: lock, .. } = journal;
            // A failed append may have left half a line: only a rewritten file may be appended to.
            self.journal = Some(rewrite(&path, self, now, lock)?);
            return written;
        }
        self.journal = Some(journal);
        Ok(())
    }
}
