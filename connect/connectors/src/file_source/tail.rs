//! Follows all files of one task: one [`Tail::pass`] looks at the disk, reads what is new, and hands it over.
//!
//! Never keeps a file's bytes between passes: a record that is not complete is read again from its beginning, so that
//! ten thousand files cost no more memory than their marks. Reading is blocking; a task runs passes off the runtime.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use weir_connect_api::{DeliveredRecord, SourceBatch, SourceOffset, SourcePartition};

use super::compare::Files;
use super::config::{Settings, StartPosition};
use super::content::Content;
use super::header::{self, Delivered, POSITION_HEADER};
use super::identity::{self, Fingerprint, Look, Mark, StreamId};
use super::reader::{Reader, Reading, RecordMaker};
use super::roster::{NewFiles, Presence, Roster};
use super::scan::{self, Sighting};

/// The longest that a new file waits for the renamed one of its name to be quiet.
const ROTATE_HOLD_MAX: Duration = Duration::from_secs(10);
/// How long rotated names are searched for a file that is missed.
const SIBLING_SEARCH: Duration = Duration::from_secs(30);
/// The most missed files that are searched for at once.
const SIBLING_SEARCHES_MAX: usize = 1000;
/// The most folders named to those who wait for changes; files elsewhere are found by looking.
const FOLDERS_MAX: usize = 256;
/// A scan takes at most one part in so many of the time.
const SCAN_SHARE: u32 = 20;

pub(crate) struct Tail {
    settings: Settings,
    maker: RecordMaker,
    roster: Roster,
    readers: HashMap<StreamId, Reader>,
    next_scan: Option<Instant>,
    /// Scans that cost much are not made more often, whatever changes.
    scan_not_before: Instant,
    folders: HashSet<PathBuf>,
    new_folders: Vec<PathBuf>,
    /// Files that are there at the first scan of the first run may begin at their end.
    is_first_run: bool,
    /// The stream read last, so that the next pass goes on behind it.
    cursor: Option<StreamId>,
    /// Counts reads, to know which descriptor was not used for longest.
    tick: u64,
}

/// What one pass found.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    pub(crate) batches: Vec<SourceBatch>,
    /// The pass ended because it was full.
    pub(crate) has_more: bool,
}

struct Disk;

impl Files for Disk {
    fn open(&mut self, path: &Path, is_gzip: bool) -> io::Result<Box<dyn Look>> {
        Ok(Box::new(Content::open(path, is_gzip)?))
    }
}

impl Tail {
    pub(crate) fn new(settings: Settings, now: Instant, committed: &[(SourcePartition, SourceOffset)]) -> Self {
        let mut roster = Roster::default();
        for (partition, offset) in committed {
            match identity::parse_committed(partition, offset) {
                Some((id, path, mark)) => roster.remember(now, id, partition.clone(), path, mark),
                None => tracing::warn!(?partition, ?offset, "a committed offset is not a file's: left out"),
            }
        }
        Self {
            maker: RecordMaker::new(&settings),
            roster,
            readers: HashMap::new(),
            next_scan: None,
            scan_not_before: now,
            folders: HashSet::new(),
            new_folders: Vec::new(),
            is_first_run: committed.is_empty(),
            cursor: None,
            tick: 0,
            settings,
        }
    }

    /// Takes note of records that are in the topic already.
    pub(crate) fn recover(&mut self, now: Instant, delivered: &[DeliveredRecord]) {
        for record in delivered {
            let found = record.headers.iter().find(|header| &*header.key == POSITION_HEADER);
            if let Some(delivered) = found.and_then(|found| header::parse(found.value.as_ref()?)) {
                self.note_delivered(now, &delivered);
            }
        }
    }

    fn note_delivered(&mut self, now: Instant, delivered: &Delivered) {
        let id = delivered.id;
        if !self.roster.streams.contains_key(&id) {
            // Nothing was committed of this file: its own first record says who it is.
            let at_end = self.settings.start_position == StartPosition::End;
            let position = if at_end { delivered.bytes.start } else { 0 };
            let mark = Mark { key: delivered.key, prefix: delivered.prefix, position, tail: Fingerprint::EMPTY };
            let path = PathBuf::new();
            self.roster.remember(now, id, identity::partition(id, &path), path, mark);
        }
        let Some(stream) = self.roster.streams.get_mut(&id) else { return };
        if delivered.bytes.end <= stream.mark.position {
            return;
        }
        // It may have moved, and grown beyond a short prefix, since the last commit.
        stream.mark.key = delivered.key;
        if delivered.prefix.length > stream.mark.prefix.length {
            stream.mark.prefix = delivered.prefix;
        }
        self.readers.entry(id).or_insert_with(|| Reader::new(now)).delivered.insert(&delivered.bytes);
    }

    /// Whether the offsets handed over have passed all delivered records; files that are not found again are given up.
    pub(crate) fn is_recovered(&self, now: Instant) -> bool {
        let is_covered = |(id, reader): (&StreamId, &Reader)| {
            let Some(stream) = self.roster.streams.get(id) else { return true };
            match stream.presence {
                Presence::Gone { since } | Presence::Replaced { since }
                    if now.saturating_duration_since(since) >= SIBLING_SEARCH =>
                {
                    true
                }
                _ => reader.delivered.is_empty() && !stream.is_unsaved,
            }
        };
        self.readers.iter().all(is_covered)
    }

    /// Says that something changed on disk: the next pass looks.
    pub(crate) fn look_again(&mut self) {
        self.next_scan = self.next_scan.map(|at| at.min(self.scan_not_before));
    }

    pub(crate) fn pass(&mut self, now: Instant) -> Pass {
        if self.next_scan.is_none_or(|at| at <= now) {
            let started = Instant::now();
            self.scan(now);
            self.scan_not_before = now + started.elapsed() * SCAN_SHARE;
            self.next_scan = Some(self.scan_not_before.max(now + self.settings.poll_interval));
            self.note_folders();
        } else {
            self.look_at_open_files();
        }
        let mut pass = Pass::default();
        pass.batches.extend(self.roster.take_forgotten().into_iter().map(forgetting));
        let (mut bytes, mut records) = (0, 0);
        for id in self.streams_in_turn() {
            if !self.is_due(now, id) {
                continue;
            }
            if bytes >= self.settings.batch_bytes_max || records >= self.settings.batch_records_max {
                pass.has_more = true;
                break;
            }
            self.cursor = Some(id);
            let reading = self.read(now, id, self.settings.batch_records_max - records);
            bytes += reading.bytes;
            pass.has_more |= reading.has_more;
            if let Some(batch) = reading.batch {
                records += batch.records.len();
                pass.batches.push(batch);
            }
        }
        pass
    }

    fn scan(&mut self, now: Instant) {
        let mut sightings = scan::named(&self.settings.paths, &self.settings.exclude);
        sightings.extend(self.missed_siblings(now, &sightings));
        let not_before = self.settings.ignore_older.and_then(|age| SystemTime::now().checked_sub(age));
        let at_end = self.is_first_run && self.settings.start_position == StartPosition::End;
        self.is_first_run = false;
        self.roster.observe(now, &sightings, NewFiles { at_end, not_before }, &mut Disk);
        if self.name_newer_siblings(&mut sightings) {
            self.roster.observe(now, &sightings, NewFiles { at_end: false, not_before }, &mut Disk);
        }
        if let Some(limit) = self.settings.forget_after {
            self.roster.forget_gone(now, limit);
        }
        let streams = &self.roster.streams;
        self.readers.retain(|id, _| streams.contains_key(id));
        for (&id, stream) in streams {
            if stream.presence.is_bound() {
                self.readers.entry(id).or_insert_with(|| Reader::new(now));
            } else if let Some(reader) = self.readers.get_mut(&id) {
                reader.content = None;
            }
        }
    }

    /// Rotated files outside the globs, where a file that is missed may have gone.
    fn missed_siblings(&self, now: Instant, named: &[Sighting]) -> Vec<Sighting> {
        let missed = self.roster.streams.iter().filter(|(id, stream)| match stream.presence {
            Presence::Gone { since } | Presence::Replaced { since } => {
                now.saturating_duration_since(since) < SIBLING_SEARCH
            }
            Presence::Unlinked => self.readers.get(id).is_none_or(|reader| reader.content.is_none()),
            Presence::Present => !named.iter().any(|sighting| sighting.key == stream.mark.key),
        });
        let mut siblings: Vec<Sighting> = Vec::new();
        for (_, stream) in missed.take(SIBLING_SEARCHES_MAX) {
            for sibling in scan::rotated_siblings(&stream.path, &self.settings.exclude) {
                let is_known = |sighting: &Sighting| sighting.key == sibling.key;
                if !named.iter().any(is_known) && !siblings.iter().any(is_known) {
                    siblings.push(sibling);
                }
            }
        }
        siblings
    }

    /// Between a missed file that was found under a rotated name and the one that has its name now, others may have
    /// come and gone: they are to be read though no glob names them.
    fn name_newer_siblings(&self, sightings: &mut [Sighting]) -> bool {
        let found: Vec<(PathBuf, SystemTime)> = sightings
            .iter()
            .filter(|s| !s.is_named && self.roster.is_bound(s.key))
            .map(|s| (s.path.clone(), s.modified))
            .collect();
        let mut any = false;
        for sighting in sightings.iter_mut().filter(|s| !s.is_named && !self.roster.is_bound(s.key)) {
            let is_newer = |(path, modified): &(PathBuf, SystemTime)| {
                sighting.modified > *modified && scan::are_generations(&sighting.path, path)
            };
            if found.iter().any(is_newer) {
                sighting.is_named = true;
                any = true;
            }
        }
        any
    }

    /// Between scans only what is open is asked for its size.
    fn look_at_open_files(&mut self) {
        for (id, reader) in &self.readers {
            let Some(content) = &reader.content else { continue };
            if let (Some(stream), Ok(stored_bytes)) = (self.roster.streams.get_mut(id), content.stored_bytes()) {
                stream.stored_bytes = stored_bytes;
            }
        }
    }

    /// All streams that have a file, beginning behind the one read last.
    fn streams_in_turn(&self) -> Vec<StreamId> {
        let bound = self.roster.streams.iter().filter(|(_, stream)| stream.presence.is_bound());
        let mut ids: Vec<StreamId> = bound.map(|(&id, _)| id).collect();
        let behind = ids.partition_point(|id| self.cursor.is_some_and(|cursor| *id <= cursor));
        ids.rotate_left(behind);
        ids
    }

    fn is_due(&mut self, now: Instant, id: StreamId) -> bool {
        let (Some(stream), Some(reader)) = (self.roster.streams.get(&id), self.readers.get(&id)) else { return false };
        if let Some(before) = stream.follows {
            if self.is_unfinished(now, before) && now.saturating_duration_since(reader.created_at) < ROTATE_HOLD_MAX {
                return false;
            }
            if let Some(stream) = self.roster.streams.get_mut(&id) {
                stream.follows = None;
            }
            return true;
        }
        reader.is_due(now, stream, &self.settings)
    }

    fn is_unfinished(&self, now: Instant, id: StreamId) -> bool {
        let (Some(stream), Some(reader)) = (self.roster.streams.get(&id), self.readers.get(&id)) else { return false };
        stream.presence.is_bound()
            && (reader.read_to_stored != Some(stream.stored_bytes)
                || now.saturating_duration_since(reader.changed_at) < self.settings.rotate_wait)
    }

    fn read(&mut self, now: Instant, id: StreamId, records_max: usize) -> Reading {
        self.make_room(id);
        let (Some(stream), Some(reader)) = (self.roster.streams.get_mut(&id), self.readers.get_mut(&id)) else {
            return Reading::default();
        };
        self.tick += 1;
        reader.used_at = self.tick;
        match reader.read(now, id, stream, &self.settings, &self.maker, records_max) {
            Ok(reading) => {
                if let Some(presence) = reading.lost {
                    tracing::debug!(path = %stream.path.display(), position = stream.mark.position, ?presence, "the file is let go");
                    reader.content = None;
                    self.roster.lose(id, presence);
                    self.next_scan = None;
                }
                reading
            }
            Err(error) => {
                if reader.failed(&error) {
                    tracing::warn!(path = %stream.path.display(), position = stream.mark.position, %error, "cannot read the file: tried again as long as it is there");
                }
                reader.content = None;
                if error.kind() == io::ErrorKind::NotFound {
                    self.next_scan = None;
                }
                Reading::default()
            }
        }
    }

    /// Closes the descriptor that was not used for longest, if one more would be too many. One whose file has no path
    /// any more goes last: it could not be opened again.
    fn make_room(&mut self, id: StreamId) {
        if self.readers.get(&id).is_some_and(|reader| reader.content.is_some()) {
            return;
        }
        let open = self.readers.iter().filter(|(_, reader)| reader.content.is_some());
        if open.clone().count() < self.settings.open_files_max {
            return;
        }
        let is_unlinked = |id: &StreamId| self.roster.streams.get(id).is_some_and(|s| s.presence == Presence::Unlinked);
        let oldest = open.min_by_key(|(id, reader)| (is_unlinked(id), reader.used_at)).map(|(id, _)| *id);
        if let Some(reader) = oldest.and_then(|oldest| self.readers.get_mut(&oldest)) {
            reader.content = None;
        }
    }

    /// How many files are held open.
    #[cfg(test)]
    pub(crate) fn open_count(&self) -> usize {
        self.readers.values().filter(|reader| reader.content.is_some()).count()
    }

    /// The folders in which files are expected and that were not named before, for those who wait for changes.
    pub(crate) fn take_new_folders(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.new_folders)
    }

    fn note_folders(&mut self) {
        let of_files = self.roster.streams.values().filter_map(|stream| stream.path.parent());
        let of_globs = self.settings.paths.iter().filter_map(|path| Path::new(path).parent());
        for folder in of_files.chain(of_globs) {
            if self.folders.len() < FOLDERS_MAX && !self.folders.contains(folder) && folder.is_dir() {
                self.folders.insert(folder.to_owned());
                self.new_folders.push(folder.to_owned());
            }
        }
    }
}

/// Tells the worker to forget a file's position.
fn forgetting(partition: SourcePartition) -> SourceBatch {
    SourceBatch { partition, records: Vec::new(), rejected: Vec::new(), offset_after: None }
}
