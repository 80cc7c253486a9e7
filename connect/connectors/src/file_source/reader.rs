//! Reads one stream from its mark on and makes records of what it finds.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use weir_connect_api::{ConnectError, Header, Payload, Record, RejectedRecord, SourceBatch};

use super::config::{Encoding, RecordKey, Settings};
use super::content::Content;
use super::header::{HeaderWriter, POSITION_HEADER};
use super::identity::{self, Fingerprint, Mark, PREFIX_BYTES_MAX, StreamId, TAIL_BYTES_MAX};
use super::lines::{BlockEnd, Cut, LongLine, Situation};
use super::ranges::RangeSet;
use super::roster::{Presence, Stream};

/// What one file may read before the next one has its turn.
const READ_BYTES: usize = 512 << 10;
const PATH_HEADER: &str = "path";
const TRUNCATED_HEADER: &str = "weir.truncated";

/// The reading side of one stream.
pub(crate) struct Reader {
    pub(crate) content: Option<Content>,
    pub(crate) delivered: RangeSet,
    pub(crate) used_at: u64,
    pub(crate) created_at: Instant,
    /// When the file was last seen to grow.
    pub(crate) changed_at: Instant,
    /// The size on disk at which there was nothing more to read.
    pub(crate) read_to_stored: Option<u64>,
    /// Bytes lie behind the mark that are no complete record yet.
    has_rest: bool,
    /// No record ended within a usual read: the next one is as long as a record may be.
    is_wide: bool,
    last_failure: Option<io::ErrorKind>,
}

/// What one read gave.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) batch: Option<SourceBatch>,
    pub(crate) bytes: usize,
    pub(crate) has_more: bool,
    /// The file is not the stream's any more.
    pub(crate) lost: Option<Presence>,
}

impl Reader {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            content: None,
            delivered: RangeSet::default(),
            used_at: 0,
            created_at: now,
            changed_at: now,
            read_to_stored: None,
            has_rest: false,
            is_wide: false,
            last_failure: None,
        }
    }

    /// Whether there is, or may be, something to do.
    pub(crate) fn is_due(&self, now: Instant, stream: &Stream, settings: &Settings) -> bool {
        let is_over = self.is_over(now, stream, settings);
        self.read_to_stored != Some(stream.stored_bytes)
            || stream.is_unsaved
            || stream.is_touched
            || (self.has_rest && (is_over || self.is_quiet(now, settings)))
            || (is_over && stream.presence == Presence::Unlinked)
    }

    /// Nothing more will come: no one writes to the file, and nothing came for a while.
    fn is_over(&self, now: Instant, stream: &Stream, settings: &Settings) -> bool {
        let is_final = stream.is_final || stream.presence == Presence::Unlinked;
        is_final && now.saturating_duration_since(self.changed_at) >= settings.close_quiet
    }

    fn is_quiet(&self, now: Instant, settings: &Settings) -> bool {
        settings.splitter.multiline.is_some()
            && now.saturating_duration_since(self.changed_at) >= settings.multiline_timeout
    }

    /// Whether this failure is not the one already known.
    pub(crate) fn failed(&mut self, error: &io::Error) -> bool {
        self.last_failure.replace(error.kind()) != Some(error.kind())
    }

    pub(crate) fn read(
        &mut self,
        now: Instant,
        id: StreamId,
        stream: &mut Stream,
        settings: &Settings,
        maker: &RecordMaker,
        records_max: usize,
    ) -> io::Result<Reading> {
        let replaced = || Reading { lost: Some(Presence::Replaced { since: now }), ..Reading::default() };
        let mut content = match self.content.take() {
            Some(content) => content,
            None if stream.presence == Presence::Unlinked => {
                return Ok(Reading { lost: Some(Presence::Gone { since: now }), ..Reading::default() });
            }
            None => Content::open(&stream.path, stream.is_gzip)?,
        };
        if content.key()? != stream.mark.key {
            // Another file has the path by now; the next scan tells where this one went.
            return Ok(Reading::default());
        }
        match self.skip_delivered(&mut stream.mark, &mut content)? {
            // Kept with the stream: should this read fail further down, a later one hands the offset over.
            Some(skipped) => stream.is_unsaved |= skipped,
            None => return Ok(replaced()),
        }
        let stored_bytes = content.stored_bytes()?;
        let before = usize::try_from(stream.mark.tail.length).unwrap_or(usize::MAX);
        let wanted = if self.is_wide { settings.splitter.line_bytes_max + READ_BYTES } else { READ_BYTES };
        let block = content.read(stream.mark.position - stream.mark.tail.length, before + wanted)?;
        let is_same = block.get(..before).is_some_and(|tail| stream.mark.tail.fits(tail));
        if !is_same || !grow_prefix(&mut stream.mark, &block, &mut content)? {
            return Ok(replaced());
        }
        self.content = Some(content);
        let block = block.freeze();
        let is_at_end = block.len() < before + wanted;
        let (cut, has_more) = self.cut(now, &block, before, is_at_end, stream, settings, records_max);
        self.is_wide = cut.consumed == 0 && has_more;
        self.has_rest = is_at_end && before + cut.consumed < block.len();
        self.read_to_stored = (is_at_end && !has_more).then_some(stored_bytes);
        stream.stored_bytes = stored_bytes;
        stream.is_touched = false;
        let is_closed =
            is_at_end && !self.has_rest && stream.presence == Presence::Unlinked && self.is_over(now, stream, settings);
        let moves = cut.consumed > 0 || stream.is_unsaved;
        let batch = moves.then(|| maker.batch(id, stream, &block, before, &cut));
        self.last_failure = None;
        Ok(Reading { batch, bytes: cut.consumed, has_more, lost: is_closed.then_some(Presence::Gone { since: now }) })
    }

    /// Moves the mark behind records that are delivered already; says whether it moved. `None` when the file is
    /// not the one they came from any more.
    fn skip_delivered(&mut self, mark: &mut Mark, content: &mut Content) -> io::Result<Option<bool>> {
        let Some(end) = self.delivered.end_of_run_at(mark.position) else { return Ok(Some(false)) };
        if !mark.fits(content)? {
            return Ok(None);
        }
        let length = end.min(TAIL_BYTES_MAX);
        let tail = content.read(end - length, usize::try_from(length).unwrap_or(usize::MAX))?;
        if tail.len() as u64 != length {
            return Ok(None);
        }
        (mark.position, mark.tail) = (end, Fingerprint::of(&tail));
        self.delivered.forget_before(end);
        Ok(Some(true))
    }

    /// Cuts the block's new bytes into records, at most up to where delivered ones begin.
    #[expect(clippy::too_many_arguments, reason = "the facts of one read")]
    fn cut(
        &mut self,
        now: Instant,
        block: &Bytes,
        before: usize,
        is_at_end: bool,
        stream: &Stream,
        settings: &Settings,
        records_max: usize,
    ) -> (Cut, bool) {
        let mut bytes = &block[before..];
        if self.read_to_stored != Some(stream.stored_bytes) && !bytes.is_empty() {
            self.changed_at = now;
        }
        let limit = self.delivered.next_start_after(stream.mark.position).map(|start| start - stream.mark.position);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit <= bytes.len());
        let end = match limit {
            Some(limit) => {
                bytes = &bytes[..limit];
                BlockEnd::Final
            }
            None if is_at_end && self.is_over(now, stream, settings) => BlockEnd::Final,
            None if is_at_end && self.is_quiet(now, settings) => BlockEnd::Quiet,
            None => BlockEnd::Open,
        };
        let at_line_start = settings.splitter.is_line_start(&block[..before]);
        let cut = settings.splitter.cut(bytes, Situation { at_line_start, end, records_max });
        let has_more = !is_at_end || limit.is_some() || cut.pieces.len() >= records_max;
        (cut, has_more)
    }
}

/// Takes more first bytes into the mark while they are fewer than count. `false` when those known have changed, which
/// is looked at as long as the bytes before the position alone say too little.
fn grow_prefix(mark: &mut Mark, block: &[u8], content: &mut Content) -> io::Result<bool> {
    if mark.prefix.length >= PREFIX_BYTES_MAX && mark.position >= PREFIX_BYTES_MAX {
        return Ok(true);
    }
    let most = PREFIX_BYTES_MAX as usize;
    let read;
    let head = if mark.position == mark.tail.length {
        &block[..block.len().min(most)]
    } else {
        read = content.read(0, most)?;
        &read[..]
    };
    let known = usize::try_from(mark.prefix.length).unwrap_or(usize::MAX);
    let is_same = head.get(..known).is_some_and(|bytes| mark.prefix.fits(bytes));
    if is_same {
        mark.prefix = Fingerprint::of(head);
    }
    Ok(is_same)
}

/// Makes records of cut blocks; holds what all of them share.
pub(crate) struct RecordMaker {
    topic: Arc<str>,
    key: RecordKey,
    encoding: Encoding,
    position_header: Arc<str>,
    path_header: Option<Arc<str>>,
    truncated_header: Arc<str>,
    rejects_long_lines: bool,
}

impl RecordMaker {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            topic: settings.topic.as_str().into(),
            key: settings.key,
            encoding: settings.encoding,
            position_header: POSITION_HEADER.into(),
            path_header: settings.path_header.then(|| PATH_HEADER.into()),
            truncated_header: TRUNCATED_HEADER.into(),
            rejects_long_lines: settings.splitter.long_line == LongLine::DeadLetter,
        }
    }

    /// The records of `cut`, whose block begins `before` bytes ahead of the stream's mark; moves the mark behind them.
    fn batch(&self, id: StreamId, stream: &mut Stream, block: &Bytes, before: usize, cut: &Cut) -> SourceBatch {
        let mut headers = HeaderWriter::new(id, &stream.mark, cut.pieces.len());
        let path = Bytes::copy_from_slice(stream.path.as_os_str().as_encoded_bytes());
        let key = match self.key {
            RecordKey::None => Payload::Null,
            RecordKey::Path => Payload::Bytes(path.clone()),
            RecordKey::File => Payload::Bytes(Bytes::from(format!("{:016x}", id.0))),
        };
        let mut records = Vec::with_capacity(cut.pieces.len());
        let mut rejected = Vec::new();
        for piece in &cut.pieces {
            let bytes = stream.mark.position + piece.span.start as u64..stream.mark.position + piece.span.end as u64;
            let mut of_record =
                Vec::with_capacity(1 + usize::from(self.path_header.is_some()) + usize::from(piece.truncated));
            of_record.push(Header { key: self.position_header.clone(), value: Some(headers.header(&bytes)) });
            if let Some(header) = &self.path_header {
                of_record.push(Header { key: header.clone(), value: Some(path.clone()) });
            }
            if piece.truncated {
                of_record.push(Header { key: self.truncated_header.clone(), value: Some(Bytes::from_static(b"true")) });
            }
            let value = block.slice(before + piece.value.start..before + piece.value.end);
            let record = Record {
                topic: Some(self.topic.clone()),
                key: key.clone(),
                value: Payload::Bytes(self.to_utf8(value)),
                headers: of_record,
                ..Record::default()
            };
            if piece.truncated && self.rejects_long_lines {
                rejected.push(RejectedRecord { record, error: too_long(&stream.path, bytes.start) });
            } else {
                records.push(record);
            }
        }
        let end = before + cut.consumed;
        stream.mark.position += cut.consumed as u64;
        let tail = usize::try_from(stream.mark.position.min(TAIL_BYTES_MAX)).unwrap_or(usize::MAX);
        stream.mark.tail = Fingerprint::of(&block[end - tail..end]);
        stream.is_unsaved = false;
        SourceBatch {
            partition: stream.partition.clone(),
            records,
            rejected,
            offset_after: Some(identity::offset(&stream.mark, &stream.path)),
        }
    }

    fn to_utf8(&self, bytes: Bytes) -> Bytes {
        let wide = |from: fn([u8; 2]) -> u16| {
            let units = bytes.chunks_exact(2).map(|pair| from([pair[0], pair[1]]));
            Bytes::from(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>())
        };
        match self.encoding {
            Encoding::Utf8 => bytes,
            Encoding::Latin1 => Bytes::from(bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
            Encoding::Utf16Le => wide(u16::from_le_bytes),
            Encoding::Utf16Be => wide(u16::from_be_bytes),
        }
    }
}

fn too_long(path: &Path, position: u64) -> ConnectError {
    let path = path.display();
    ConnectError::record(format!("{path}: the line at byte {position} is longer than max.line.bytes"))
}
