//! The folder of one partition: its path, the names in it, the file system under it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::fs::Fs;

pub(crate) const LOG: &str = "log";
pub(crate) const INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
pub(crate) const SNAPSHOT: &str = "snapshot";
pub(crate) const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
pub(crate) const APPEND_TIME_CHECKPOINT: &str = "append-time-checkpoint";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
/// Ends of names that a crash may leave behind.
pub(crate) const DELETED: &str = ".deleted";
pub(crate) const CLEANED: &str = ".cleaned";
pub(crate) const SWAP: &str = ".swap";

pub(crate) struct Folder {
    pub(crate) fs: Fs,
    pub(crate) path: PathBuf,
}

impl Folder {
    /// `00000000000000000042.log`: twenty digits, so that names sort as offsets do.
    pub(crate) fn file(&self, offset: i64, suffix: &str) -> PathBuf {
        self.path.join(file_name(offset, suffix))
    }

    pub(crate) fn named(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

pub(crate) fn file_name(offset: i64, suffix: &str) -> String {
    format!("{offset:020}.{suffix}")
}

/// `x.log` and `.swap` make `x.log.swap`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Takes `00000000000000000042.log` apart. `None` for names that are not an offset's.
pub(crate) fn parse_file_name(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, suffix))
}

/// A file that is opened when it is first needed and can be closed when it has not been for a while: thousands of idle
/// partitions hold no file open.
#[derive(Default)]
pub(crate) struct LazyFile {
    state: Mutex<LazyState>,
}

#[derive(Default)]
struct LazyState {
    file: Option<Arc<File>>,
    was_used: bool,
}

impl LazyFile {
    pub(crate) fn opened(file: File) -> LazyFile {
        LazyFile { state: Mutex::new(LazyState { file: Some(Arc::new(file)), was_used: true }) }
    }

    pub(crate) fn get(&self, fs: &Fs, path: impl FnOnce() -> PathBuf) -> io::Result<Arc<File>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.was_used = true;
        if let Some(file) = &state.file {
            return Ok(file.clone());
        }
        let file = Arc::new(fs.open(&path())?);
        state.file = Some(file.clone());
        Ok(file)
    }

    /// Closes it if nobody used it since the last call.
    pub(crate) fn close_if_idle(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut state.was_used) {
            state.file = None;
        }
    }

    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).file = None;
    }
}

/// The names in a folder, unsorted; names that are not UTF-8 are none of ours.
pub(crate) fn names_in(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}
