//! A log in a temporary folder, and batches to put into it.

use std::os::unix::fs::FileExt;

use bytes::BytesMut;
use weir_types::batch::{RecordBatch, RecordBatchBuilder, RecordBatches};

use crate::fs::Fs;
use crate::log::*;

pub(super) const NOW: i64 = 1_800_000_000_000;

pub(super) struct Kit {
    pub(super) dir: tempfile::TempDir,
    pub(super) config: LogConfig,
}

impl Kit {
    pub(super) fn new() -> Kit {
        let config = LogConfig { index_interval_bytes: 200, ..LogConfig::default() };
        Kit { dir: in_memory(), config }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("orders-0")
    }

    pub(super) fn options(&self, recovery_point: i64, clean: bool) -> OpenOptions {
        OpenOptions {
            dir: self.path(),
            partition: TopicPartition::new("orders", 0),
            topic_id: TopicId([7; 16]),
            config: Arc::new(self.config.clone()),
            recovery_point,
            log_start_offset: 0,
            clean,
            now_ms: NOW,
        }
    }

    pub(super) fn create(&self) -> Log {
        self.open(0, true).0
    }

    pub(super) fn open(&self, recovery_point: i64, clean: bool) -> (Log, RecoveryReport) {
        Log::open(self.options(recovery_point, clean)).unwrap()
    }

    pub(super) fn open_on(&self, fs: Fs, recovery_point: i64) -> Result<(Log, RecoveryReport), OpenError> {
        Log::open_on(fs, self.options(recovery_point, false))
    }
}

/// In memory where that can be: these tests sync thousands of times, and prove nothing about the disk itself.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// `count` records, numbered in their values, all of them at `timestamp`.
pub(super) fn batch_at(timestamp: i64, count: usize) -> BytesMut {
    let mut builder = RecordBatchBuilder::new(0);
    for n in 0..count {
        builder.append(timestamp, Some(b"key"), Some(format!("value {n}").as_bytes()), &[]);
    }
    BytesMut::from(&builder.build()[..])
}

pub(super) fn batch(count: usize) -> BytesMut {
    batch_at(NOW, count)
}

/// Of producer 42.
pub(super) fn sequenced(epoch: i16, sequence: i32, count: usize) -> BytesMut {
    let mut builder = RecordBatchBuilder::new(0).producer(42, epoch, sequence);
    for n in 0..count {
        builder.append(NOW, None, Some(format!("value {n}").as_bytes()), &[]);
    }
    BytesMut::from(&builder.build()[..])
}

pub(super) fn append(log: &mut Log, batch: BytesMut) -> Result<Appended, AppendError> {
    log.append(batch, AppendOrigin::Client, 3, NOW)
}

/// The bytes of a range.
pub(super) fn bytes_of(range: &FileRange) -> Vec<u8> {
    let mut bytes = vec![0; range.len];
    range.file.read_exact_at(&mut bytes, range.position).unwrap();
    bytes
}

/// `(base offset, next offset)` of each batch in a range.
pub(super) fn batches_of(range: &FileRange) -> Vec<(i64, i64)> {
    let bytes = bytes_of(range);
    let spans = RecordBatches::new(&bytes).map(|batch| {
        let batch = batch.unwrap();
        assert!(batch.crc_is_valid());
        (batch.base_offset(), batch.next_offset())
    });
    spans.collect()
}

/// Every record of the log: offset, timestamp and value.
pub(super) fn everything(log: &Log) -> Vec<(i64, i64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let range = log.read(offset, ..i64::MAX, 1 << 20, true).unwrap();
        assert!(range.next_offset > offset, "reading must go on");
        let bytes = bytes_of(&range);
        for batch in RecordBatches::new(&bytes) {
            let batch: RecordBatch<'_> = batch.unwrap();
            assert!(batch.crc_is_valid());
            for record in &batch.records().unwrap() {
                let record = record.unwrap();
                all.push((record.offset, record.timestamp, record.value.unwrap_or_default().to_vec()));
            }
        }
        offset = range.next_offset;
    }
    all
}

pub(super) fn flush(log: &mut Log) {
    if let Some(ticket) = log.dirty() {
        ticket.sync().unwrap();
        log.flushed(&ticket);
    }
}
