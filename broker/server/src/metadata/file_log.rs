//! The metadata log of a single broker: one text file, appended and synced.
//!
//! ```text
//! weir-metadata 1
//! 1c291ca3 [{"type":"topic","name":"orders","topic_id":"…"},{"type":"partition",…}]
//! ```
//!
//! One line per append: CRC-32C of the JSON in hex, a space, a JSON array of records. A last line that is cut or does not
//! match its checksum is an append that was never acknowledged: it is cut off on open. Damage anywhere else is an error.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crc_fast::{CrcAlgorithm, checksum};
use tracing::{info, warn};
use weir_control::metadata::{AppendFuture, MetadataImage, MetadataLog, MetadataLogError, MetadataRecord};
use weir_storage::fs::{Durability, Fs};

const FILE_NAME: &str = "weir-metadata.log";
const HEADER: &str = "weir-metadata 1\n";
/// Room kept behind the end: hundreds of deletions.
const RESERVED_BYTES: u64 = 64 * 1024;
/// A log this many times longer than the image it describes is rewritten on open…
const REWRITE_RATIO: usize = 4;
/// …unless it is short anyway.
const REWRITE_BYTES_MIN: usize = 256 * 1024;

/// Why the metadata log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenMetadataError {
    #[error("metadata log {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("metadata log {path}: not a metadata log of version 1; was this folder written by a newer version?")]
    Version { path: PathBuf },
    #[error("metadata log {path}: line {line} is damaged: {reason}; restore the file from a backup")]
    Damaged { path: PathBuf, line: usize, reason: String },
}

pub(crate) struct FileMetadataLog {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

/// `file` is `None` once a sync or a cut has failed: what the disk then holds is not known.
struct State {
    fs: Fs,
    file: Option<File>,
    /// What was appended whole.
    len: u64,
}

impl State {
    fn append(&mut self, line: &[u8], path: &str) -> Result<(), MetadataLogError> {
        let Some(file) = self.file.take() else {
            return Err(MetadataLogError::Closed { path: path.to_owned() });
        };
        let fail = |error: io::Error| MetadataLogError::Write { path: path.to_owned(), reason: error.to_string() };
        if let Err(error) = self.fs.write_all_at(&file, line, self.len) {
            // A full disk, most likely: without the torn line the log goes on as soon as there is room.
            if self.fs.set_len(&file, self.len).is_ok() {
                self.file = Some(file);
            }
            return Err(fail(error));
        }
        self.fs.sync_data(&file).map_err(fail)?;
        self.len += line.len() as u64;
        reserve(&self.fs, &file, self.len);
        self.file = Some(file);
        Ok(())
    }
}

/// Keeps room behind the end of the log, so that topics can be deleted when the disk is full. Where there is none left, it
/// does without.
fn reserve(fs: &Fs, file: &File, len: u64) {
    let _ = fs.reserve(file, len + RESERVED_BYTES);
}

impl FileMetadataLog {
    /// Opens or creates the log of a data folder and replays it.
    pub(crate) fn open(fs: Fs, folder: &Path) -> Result<(Self, MetadataImage), OpenMetadataError> {
        let path = folder.join(FILE_NAME);
        let fail = |source| OpenMetadataError::Io { path: path.clone(), source };
        let text = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs.replace(&path, HEADER.as_bytes(), Durability::Synced).map_err(fail)?;
                HEADER.as_bytes().to_vec()
            }
            Err(error) => return Err(fail(error)),
        };
        let (image, intact_bytes) = replay(&path, &text)?;
        if intact_bytes < text.len() {
            warn!(path = %path.display(), bytes = text.len() - intact_bytes, "cut an unfinished append off the metadata log");
            fs.open(&path).and_then(|file| fs.set_len(&file, intact_bytes as u64)).map_err(fail)?;
        }
        rewrite_if_long(&fs, &path, &image, intact_bytes).map_err(fail)?;
        let file = fs.open(&path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        reserve(&fs, &file, len);
        Ok((Self { path, state: Arc::new(Mutex::new(State { fs, file: Some(file), len })) }, image))
    }
}

impl MetadataLog for FileMetadataLog {
    fn append<'a>(&'a mut self, records: &'a [MetadataRecord]) -> AppendFuture<'a> {
        let path = self.path.display().to_string();
        let line = encode_line(records);
        let state = Arc::clone(&self.state);
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || {
                state.lock().unwrap_or_else(PoisonError::into_inner).append(&line, &path)
            });
            match written.await {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        })
    }
}

fn encode_line(records: &[MetadataRecord]) -> Vec<u8> {
    // Records hold strings and integers only, for which JSON has no failing case.
    let json = serde_json::to_string(records).unwrap_or_default();
    format!("{:08x} {json}\n", crc(json.as_bytes())).into_bytes()
}

fn crc(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// The image, and how many bytes of the file it came from.
fn replay(path: &Path, text: &[u8]) -> Result<(MetadataImage, usize), OpenMetadataError> {
    let mut image = MetadataImage::default();
    if !text.starts_with(HEADER.as_bytes()) {
        return Err(OpenMetadataError::Version { path: path.to_owned() });
    }
    let mut intact_bytes = HEADER.len();
    for (index, line) in text[HEADER.len()..].split_inclusive(|byte| *byte == b'\n').enumerate() {
        let is_last = intact_bytes + line.len() == text.len();
        match decode_line(line) {
            Ok(records) => records.iter().for_each(|record| image.apply(record)),
            Err(_) if is_last => break,
            Err(reason) => return Err(OpenMetadataError::Damaged { path: path.to_owned(), line: index + 2, reason }),
        }
        intact_bytes += line.len();
    }
    Ok((image, intact_bytes))
}

fn decode_line(line: &[u8]) -> Result<Vec<MetadataRecord>, String> {
    let line = line.strip_suffix(b"\n").ok_or("no line end")?;
    let (sum, json) = line.split_at_checked(9).ok_or("shorter than a checksum")?;
    let sum = std::str::from_utf8(&sum[..8]).ok().and_then(|hex| u32::from_str_radix(hex, 16).ok());
    if sum != Some(crc(json)) {
        return Err("its checksum does not match".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

fn rewrite_if_long(fs: &Fs, path: &Path, image: &MetadataImage, len: usize) -> io::Result<()> {
    if len < REWRITE_BYTES_MIN {
        return Ok(());
    }
    let line = encode_line(&image.to_records());
    if line.len() * REWRITE_RATIO > len {
        return Ok(());
    }
    info!(path = %path.display(), from_bytes = len, to_bytes = line.len(), "rewriting the metadata log");
    fs.replace(path, &[HEADER.as_bytes(), &line].concat(), Durability::Synced)
}
