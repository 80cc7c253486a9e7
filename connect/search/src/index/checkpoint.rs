//! How far a sink is in all shards together: one small file per sink, replaced atomically.
//!
//! Why not only the commits' payloads: the shard of a past day gets no more commits, so the lowest offset over all
//! shards would stay at that day for ever. A checkpoint that is lost costs reading again, never a double document:
//! each shard still drops what lies below its own offsets.
//!
//! A partition's first offset is checkpointed before its first document is written. Else, after a crash between the
//! commits of two new shards, only the offset of the first of them would be known.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::offsets::TopicOffsets;

pub(crate) struct Checkpoints {
    dir: PathBuf,
    /// What is on disk, by sink.
    known: Mutex<BTreeMap<String, TopicOffsets>>,
}

impl Checkpoints {
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, known: Mutex::default() })
    }

    /// `None` when there is none or it is unreadable: then the shards' own offsets count.
    pub(crate) fn read(&self, connector: &str) -> Option<TopicOffsets> {
        let mut known = self.known();
        if let Some(offsets) = known.get(connector) {
            return Some(offsets.clone());
        }
        let offsets = self.load(connector)?;
        known.insert(connector.to_owned(), offsets.clone());
        Some(offsets)
    }

    /// Changes a sink's offsets; returns once the file is on disk. Writes nothing where nothing changes.
    pub(crate) fn change(&self, connector: &str, change: impl FnOnce(&mut TopicOffsets)) -> io::Result<()> {
        let mut known = self.known();
        let current = known.get(connector).cloned().or_else(|| self.load(connector));
        let mut changed = current.clone().unwrap_or_default();
        change(&mut changed);
        if current.as_ref() != Some(&changed) {
            self.write(connector, &changed)?;
        }
        known.insert(connector.to_owned(), changed);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, TopicOffsets>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, connector: &str) -> Option<TopicOffsets> {
        serde_json::from_slice(&fs::read(self.path(connector)).ok()?).ok()
    }

    fn write(&self, connector: &str, offsets: &TopicOffsets) -> io::Result<()> {
        let path = self.path(connector);
        let temporary = path.with_extension("tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(offsets)?)?;
        file.sync_data()?;
        fs::rename(&temporary, &path)?;
        sync_dir(&self.dir)
    }

    /// Connector names are free text: bytes that a file name can't hold are written as hex.
    fn path(&self, connector: &str) -> PathBuf {
        let mut name = String::with_capacity(connector.len() + 5);
        for byte in connector.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
                other => name.push_str(&format!("%{other:02x}")),
            }
        }
        self.dir.join(format!("{name}.json"))
    }
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_and_names_cannot_leave_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(dir.path().join("checkpoints")).unwrap();
        let offsets = TopicOffsets::from([("logs".to_owned(), [(0, 5)].into())]);
        checkpoints.change("../../evil name", |known| known.clone_from(&offsets)).unwrap();
        let reopened = Checkpoints::open(dir.path().join("checkpoints")).unwrap();
        assert_eq!(reopened.read("../../evil name"), Some(offsets));
        assert_eq!(checkpoints.read("other"), None);
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["checkpoints"]);
    }

    #[test]
    fn a_torn_checkpoint_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(dir.path().to_owned()).unwrap();
        fs::write(dir.path().join("es.json"), "{\"logs\":{\"0\":").unwrap();
        assert_eq!(checkpoints.read("es"), None);
    }
}
