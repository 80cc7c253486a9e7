//! The source with real files and a fake worker: it delivers, acknowledges, commits and dies as the test says.

mod crashes;
mod formats;
mod many;
mod rotation;

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use tempfile::TempDir;
use weir_connect_api::{DeliveredRecord, Payload, Record, SourceBatch, SourceOffset, SourcePartition, TypedConfig};

use super::config::{Settings, definition};
use super::tail::Tail;

/// Topic partitions of the fake topic: records of one file lie in all of them.
const TOPIC_PARTITIONS: usize = 3;
const STEP: Duration = Duration::from_millis(700);
/// Passes without a record after which a file counts as read.
const QUIET_PASSES: usize = 8;

type Committed = HashMap<String, (SourcePartition, SourceOffset)>;

/// A folder, a topic, and a worker whose clock goes as fast as the test wants.
struct World {
    folder: TempDir,
    config: Vec<(String, String)>,
    tail: Tail,
    now: Instant,
    topic: Vec<Record>,
    pending: Vec<SourceBatch>,
    committed: Committed,
}

impl World {
    /// Follows `paths`, relative to a new folder, with more keys as given.
    fn new(paths: &str, more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let globs: Vec<String> = paths.split(',').map(|p| folder.path().join(p).display().to_string()).collect();
        let mut config = vec![("paths".to_owned(), globs.join(",")), ("topic".to_owned(), "t".to_owned())];
        config.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let now = Instant::now();
        let tail = Tail::new(settings(&config), now, &[]);
        let (topic, pending, committed) = (Vec::new(), Vec::new(), HashMap::new());
        Self { folder, config, tail, now, topic, pending, committed }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text.as_bytes());
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn copy(&self, from: &str, to: &str) {
        std::fs::copy(self.path(from), self.path(to)).unwrap();
    }

    fn truncate(&self, name: &str) {
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// What `gzip` does: a compressed copy, then the original goes.
    fn gzip(&self, name: &str, to: &str) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&std::fs::read(self.path(name)).unwrap()).unwrap();
        std::fs::write(self.path(to), encoder.finish().unwrap()).unwrap();
        self.remove(name);
    }

    /// One pass; what it gives is in flight until [`World::acknowledge`].
    fn pass(&mut self) -> usize {
        self.now += STEP;
        let batches = self.tail.pass(self.now).batches;
        let count = batches.iter().map(|batch| batch.records.len()).sum();
        self.pending.extend(batches);
        count
    }

    fn acknowledge(&mut self) {
        for batch in self.pending.drain(..) {
            self.topic.extend(batch.records);
            commit(&mut self.committed, batch.partition, batch.offset_after);
        }
    }

    /// Everything in flight reaches the topic, and nothing of it is committed.
    fn deliver_uncommitted(&mut self) {
        self.topic.extend(self.pending.drain(..).flat_map(|batch| batch.records));
    }

    /// Passes until nothing comes for a while.
    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < QUIET_PASSES {
            quiet = if self.pass() == 0 { quiet + 1 } else { 0 };
            self.acknowledge();
        }
    }

    /// Dies: of the records in flight each topic partition has got a random number of its first ones, and of the
    /// batches that are delivered in whole a random number is committed.
    fn crash(&mut self, random: &mut StdRng) {
        let count: usize = self.pending.iter().map(|batch| batch.records.len()).sum();
        let reached: Vec<usize> = (0..TOPIC_PARTITIONS).map(|_| random.random_range(0..=count)).collect();
        let (mut at, mut may_commit) = (0, random.random_bool(0.7));
        for batch in std::mem::take(&mut self.pending) {
            let mut is_whole = true;
            for record in batch.records {
                let is_delivered = at < reached[at % TOPIC_PARTITIONS];
                is_whole &= is_delivered;
                at += 1;
                if is_delivered {
                    self.topic.push(record);
                }
            }
            may_commit &= is_whole && random.random_bool(0.8);
            if may_commit {
                commit(&mut self.committed, batch.partition, batch.offset_after);
            }
        }
        self.restart();
    }

    /// Starts again from what is committed, with the whole topic to recover from. What is in flight is lost.
    fn restart(&mut self) {
        self.pending.clear();
        let committed: Vec<_> = self.committed.values().cloned().collect();
        self.tail = Tail::new(settings(&self.config), self.now, &committed);
        let delivered: Vec<DeliveredRecord> = self.topic.iter().map(delivered).collect();
        self.tail.recover(self.now, &delivered);
    }

    fn lines(&self) -> Vec<String> {
        self.topic.iter().map(text).collect()
    }

    /// The lines that came since the last call of this.
    fn new_lines(&mut self) -> Vec<String> {
        self.settle();
        let lines = self.lines();
        self.topic.clear();
        lines
    }
}

fn settings(config: &[(String, String)]) -> Settings {
    Settings::new(&definition().parse(&config.iter().cloned().collect()).unwrap()).unwrap()
}

fn commit(committed: &mut Committed, partition: SourcePartition, offset: Option<SourceOffset>) {
    let key = serde_json::to_string(&*partition).unwrap();
    match offset {
        Some(offset) => committed.insert(key, (partition, offset)),
        None => committed.remove(&key),
    };
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn text(record: &Record) -> String {
    match &record.value {
        Payload::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("a line is bytes, not {other:?}"),
    }
}

fn delivered(record: &Record) -> DeliveredRecord {
    let value = record.value.to_wire();
    DeliveredRecord { topic: "t".into(), partition: 0, offset: 0, headers: record.headers.clone(), value }
}

/// Lines `from..to`, each telling its number.
fn numbered(from: u32, to: u32) -> String {
    (from..to).map(|n| format!("line {n}\n")).collect()
}

fn expected(from: u32, to: u32) -> Vec<String> {
    (from..to).map(|n| format!("line {n}")).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_by_key(|line| line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()));
    lines
}
