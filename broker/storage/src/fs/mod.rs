//! Every change to a file goes through here, so that tests can cut the power at each of them.
//!
//! [`Fs`] is the real file system. A test hangs a [`Hook`] into it that sees each operation before it happens and may
//! let it through, tear it or fail it. Reads are not hooked: they change nothing.
//!
//! It remembers whether a write or a sync has failed otherwise than for want of room: a disk that did so once is not to be
//! trusted until somebody has looked at it and restarted.
//!
//! Never retries, never buffers, never hides an error.

#[cfg(test)]
pub(crate) mod faults;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Something that is about to change the disk.
pub enum Operation<'a> {
    Create(&'a Path),
    Write(&'a File, usize),
    Truncate(&'a File),
    Sync(&'a File),
    Rename(&'a Path),
    Remove(&'a Path),
}

/// What becomes of an operation.
pub enum Verdict {
    Proceed,
    /// A write that gets only these first bytes down, then fails.
    Tear(usize, io::Error),
    Fail(io::Error),
}

pub trait Hook: Send + Sync {
    fn before(&self, operation: Operation<'_>) -> Verdict;
}

/// The file system. Cheap to clone; clones are the same one.
#[derive(Clone, Default)]
pub struct Fs {
    hook: Option<Arc<dyn Hook>>,
    has_failed: Arc<AtomicBool>,
}

impl Fs {
    pub fn with_hook(hook: Arc<dyn Hook>) -> Fs {
        Fs { hook: Some(hook), ..Fs::default() }
    }

    /// Whether a write or a sync has failed, ever since this was made. A full disk is none of that: see [`is_disk_full`].
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    fn watched(&self, result: io::Result<()>) -> io::Result<()> {
        if result.as_ref().is_err_and(|error| !is_disk_full(error)) {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        result
    }

    fn allow(&self, operation: Operation<'_>) -> io::Result<()> {
        match self.verdict(operation) {
            Verdict::Proceed => Ok(()),
            Verdict::Tear(_, error) | Verdict::Fail(error) => Err(error),
        }
    }

    fn verdict(&self, operation: Operation<'_>) -> Verdict {
        self.hook.as_ref().map_or(Verdict::Proceed, |hook| hook.before(operation))
    }

    /// For reading and writing; it must exist.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    /// An empty file for reading and writing, whatever was there.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.allow(Operation::Create(path))?;
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
    }

    pub(crate) fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.allow(Operation::Create(path))?;
        std::fs::create_dir(path)
    }

    pub fn write_all_at(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        self.watched(match self.verdict(Operation::Write(file, bytes.len())) {
            Verdict::Proceed => file.write_all_at(bytes, position),
            Verdict::Tear(whole, error) => file.write_all_at(&bytes[..whole], position).and(Err(error)),
            Verdict::Fail(error) => Err(error),
        })
    }

    pub fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.watched(self.allow(Operation::Truncate(file)).and_then(|()| file.set_len(len)))
    }

    /// Reserves blocks up to `len` without changing the file's length. A file system that cannot do that is left alone.
    pub fn reserve(&self, file: &File, len: u64) -> io::Result<()> {
        self.allow(Operation::Truncate(file))?;
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, len) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }

    pub fn sync_data(&self, file: &File) -> io::Result<()> {
        self.watched(self.allow(Operation::Sync(file)).and_then(|()| file.sync_data()))
    }

    /// Makes creations, renames and removals in a folder durable.
    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let dir = File::open(path)?;
        self.watched(self.allow(Operation::Sync(&dir)).and_then(|()| dir.sync_all()))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.allow(Operation::Rename(from))?;
        std::fs::rename(from, to)
    }

    /// A file that is gone already is as good as removed.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.allow(Operation::Remove(path))?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    pub(crate) fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.allow(Operation::Remove(path))?;
        std::fs::remove_dir_all(path)
    }

    /// Replaces a small file so that a crash leaves the old or the new one, whole.
    pub fn replace(&self, path: &Path, contents: &[u8], durability: Durability) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = self.create(&temporary)?;
        self.write_all_at(&file, contents, 0)?;
        if durability == Durability::Synced {
            self.sync_data(&file)?;
        }
        self.rename(&temporary, path)?;
        match path.parent() {
            Some(parent) if durability == Durability::Synced => self.sync_dir(parent),
            _ => Ok(()),
        }
    }
}

/// Whether a call returns only once the disk has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    Synced,
    PageCache,
}

/// No space, or no quota, left: the one error of a disk that goes away by itself once somebody deletes something.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
