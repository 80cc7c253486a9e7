//! Decides which file on disk is which: followed, renamed, rotated, copied, truncated, replaced, or new.
//!
//! Opens nothing and has no clock: what lies on disk comes in as [`Sighting`]s, bytes of files through [`Files`].
//!
//! Invariants:
//! - At most one stream is bound to a [`FileKey`]; a stream that lost its file keeps its mark, so that its content is
//!   known again wherever it turns up.
//! - Content that may be a copy of what a stream still reads from the original is not read as a file of its own.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use weir_connect_api::SourcePartition;

use super::compare::{Files, head, length, mark_at, may_be_copy};
use super::identity::{self, FileKey, Fingerprint, Look, Mark, PREFIX_BYTES_MAX, StreamId};
use super::scan::{FILES_MAX, Sighting, are_generations, generation_root};

/// A `.gz` that changed within this time may still be written.
const GZIP_QUIET: Duration = Duration::from_secs(1);
/// How many streams are remembered; beyond, those that lost their file longest ago are forgotten.
const STREAMS_MAX: usize = 2 * FILES_MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Present,
    /// No path leads to it any more; what is open of it can still be read.
    Unlinked,
    /// Its inode is gone, and nothing of it is open.
    Gone {
        since: Instant,
    },
    /// Its inode holds other content now.
    Replaced {
        since: Instant,
    },
}

impl Presence {
    pub(crate) fn is_bound(self) -> bool {
        matches!(self, Self::Present | Self::Unlinked)
    }
}

/// One file's content, followed through renames, copies and compression.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) partition: SourcePartition,
    pub(crate) path: PathBuf,
    pub(crate) is_gzip: bool,
    pub(crate) mark: Mark,
    pub(crate) presence: Presence,
    /// Nothing more will be written to it: it is compressed, or a copy.
    pub(crate) is_final: bool,
    /// The mark moved without a record to carry it.
    pub(crate) is_unsaved: bool,
    /// The file that had this path before and is read first.
    pub(crate) follows: Option<StreamId>,
    pub(crate) stored_bytes: u64,
    pub(crate) modified: Option<SystemTime>,
    /// Written to since it was read last, though its size may be the same.
    pub(crate) is_touched: bool,
}

/// What to do about files that were not seen before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewFiles {
    /// Begin at their end.
    pub(crate) at_end: bool,
    /// Leave alone those not written to since.
    pub(crate) not_before: Option<SystemTime>,
}

/// A file that is not read for now, and the facts on which that rests.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    stored_bytes: u64,
    modified: SystemTime,
    since: Instant,
}

#[derive(Default)]
pub(crate) struct Roster {
    pub(crate) streams: BTreeMap<StreamId, Stream>,
    bound: HashMap<FileKey, StreamId>,
    compressed: HashMap<FileKey, Held>,
    /// Files that held, at the last look, what a stream reads from its original.
    copies: HashMap<FileKey, StreamId>,
    /// Source partitions of streams that are no longer remembered, until the worker is told.
    forgotten: Vec<SourcePartition>,
}

impl Roster {
    /// Takes a stream of an earlier run, under the partition it had; its file is looked for by the next
    /// [`Roster::observe`]. Of two marks of one stream the farther counts.
    pub(crate) fn remember(
        &mut self,
        now: Instant,
        id: StreamId,
        partition: SourcePartition,
        path: PathBuf,
        mark: Mark,
    ) {
        if self.streams.get(&id).is_some_and(|known| known.mark.position >= mark.position) {
            return;
        }
        let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
        let presence = Presence::Gone { since: now };
        self.streams.insert(id, Stream { presence, partition, ..stream(id, path, is_gzip, mark) });
    }

    pub(crate) fn is_bound(&self, key: FileKey) -> bool {
        self.bound.contains_key(&key)
    }

    /// The stream's file no longer holds what was read of it.
    pub(crate) fn lose(&mut self, id: StreamId, presence: Presence) {
        if let Some(stream) = self.streams.get_mut(&id) {
            self.bound.remove(&stream.mark.key);
            stream.presence = presence;
        }
    }

    /// Compares what lies on disk now with what is known.
    pub(crate) fn observe(&mut self, now: Instant, sightings: &[Sighting], new: NewFiles, files: &mut dyn Files) {
        let moved = self.follow_renames(now, sightings);
        let unbound: Vec<&Sighting> =
            sightings.iter().filter(|s| s.stored_bytes > 0 && !self.bound.contains_key(&s.key)).collect();
        let unbound = self.without_unfinished_gzip(now, unbound);
        let unbound = self.bind_by_key(now, unbound, files);
        let originals = if unbound.is_empty() { HashMap::new() } else { self.by_root() };
        let copies = std::mem::take(&mut self.copies);
        for sighting in unbound {
            let copy_of = copies.get(&sighting.key).copied();
            let originals = originals.get(&generation_root(&sighting.path)).map_or(&[][..], Vec::as_slice);
            let outcome = self.place(sighting, copy_of, originals, new, &moved, files);
            if let Err(error) = outcome.as_ref() {
                tracing::debug!(path = %sighting.path.display(), %error, "cannot look into the file yet");
            }
        }
        self.forget_the_oldest();
    }

    /// The streams that a file may be a copy of, by the name that all generations of a file share.
    fn by_root(&self) -> HashMap<String, Vec<StreamId>> {
        let mut by_root: HashMap<String, Vec<StreamId>> = HashMap::new();
        for (&id, stream) in self.streams.iter().filter(|(_, stream)| stream.presence.is_bound()) {
            by_root.entry(generation_root(&stream.path)).or_default().push(id);
        }
        by_root
    }

    /// Updates paths and presence of bound streams; gives, for paths that changed hands, who had them.
    fn follow_renames(&mut self, now: Instant, sightings: &[Sighting]) -> HashMap<PathBuf, StreamId> {
        let seen: HashMap<FileKey, &Sighting> = sightings.iter().map(|s| (s.key, s)).collect();
        let mut moved = HashMap::new();
        for (&id, stream) in self.streams.iter_mut().filter(|(_, stream)| stream.presence.is_bound()) {
            let Some(sighting) = seen.get(&stream.mark.key) else {
                if stream.presence == Presence::Present {
                    stream.presence = Presence::Unlinked;
                    moved.insert(stream.path.clone(), id);
                }
                continue;
            };
            stream.stored_bytes = sighting.stored_bytes;
            stream.is_touched |= stream.modified.replace(sighting.modified) != Some(sighting.modified);
            let known = stream.mark.position.max(stream.mark.prefix.length);
            if !stream.is_gzip && sighting.stored_bytes < known {
                stream.presence = Presence::Replaced { since: now };
                self.bound.remove(&stream.mark.key);
                continue;
            }
            stream.presence = Presence::Present;
            if stream.path != sighting.path {
                moved.insert(std::mem::replace(&mut stream.path, sighting.path.clone()), id);
            }
        }
        moved
    }

    /// Leaves out compressed files that changed lately.
    fn without_unfinished_gzip<'a>(&mut self, now: Instant, sightings: Vec<&'a Sighting>) -> Vec<&'a Sighting> {
        let mut compressed = HashMap::new();
        let mut settled = Vec::with_capacity(sightings.len());
        for sighting in sightings {
            if sighting.is_gzip {
                let (stored_bytes, modified) = (sighting.stored_bytes, sighting.modified);
                let before = self.compressed.remove(&sighting.key);
                let unchanged = before.filter(|held| (held.stored_bytes, held.modified) == (stored_bytes, modified));
                let held = unchanged.unwrap_or(Held { stored_bytes, modified, since: now });
                let is_settled = now.saturating_duration_since(held.since) >= GZIP_QUIET;
                compressed.insert(sighting.key, held);
                if !is_settled {
                    continue;
                }
            }
            settled.push(sighting);
        }
        self.compressed = compressed;
        settled
    }

    /// Binds streams to the files that lie where theirs lay and hold what they hold.
    fn bind_by_key<'a>(
        &mut self,
        now: Instant,
        sightings: Vec<&'a Sighting>,
        files: &mut dyn Files,
    ) -> Vec<&'a Sighting> {
        let mut lost: HashMap<FileKey, Vec<StreamId>> = HashMap::new();
        for (&id, stream) in self.streams.iter().filter(|(_, stream)| !stream.presence.is_bound()) {
            lost.entry(stream.mark.key).or_default().push(id);
        }
        let mut rest = Vec::new();
        for sighting in sightings {
            let mut is_placed = false;
            for id in lost.get(&sighting.key).into_iter().flatten() {
                let mark = self.streams[id].mark;
                match files.open(&sighting.path, sighting.is_gzip).and_then(|mut content| mark.fits(content.as_mut())) {
                    Ok(true) if !is_placed => {
                        self.bind(*id, sighting);
                        is_placed = true;
                    }
                    Ok(_) => {
                        if let Some(stream) = self.streams.get_mut(id) {
                            stream.presence = Presence::Replaced { since: now };
                        }
                    }
                    // It could not be read: neither is it the same nor is it new, as far as one can tell.
                    Err(_) => is_placed = true,
                }
            }
            if !is_placed {
                rest.push(sighting);
            }
        }
        rest
    }

    fn bind(&mut self, id: StreamId, sighting: &Sighting) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.mark.key = sighting.key;
            if stream.path.as_os_str().is_empty() {
                stream.partition = identity::partition(id, &sighting.path);
            }
            stream.path.clone_from(&sighting.path);
            stream.is_gzip = sighting.is_gzip;
            stream.is_final |= sighting.is_gzip;
            stream.stored_bytes = sighting.stored_bytes;
            stream.presence = Presence::Present;
            self.bound.insert(sighting.key, id);
        }
    }

    /// Says what a file is that lies where none of ours lay: the rest of one of ours, a copy, or a new one.
    fn place(
        &mut self,
        sighting: &Sighting,
        copy_of: Option<StreamId>,
        originals: &[StreamId],
        new: NewFiles,
        moved: &HashMap<PathBuf, StreamId>,
        files: &mut dyn Files,
    ) -> io::Result<()> {
        let mut content = files.open(&sighting.path, sighting.is_gzip)?;
        let head = head(content.as_mut())?;
        if head.is_empty() {
            return Ok(());
        }
        if let Some((id, mark)) = self.lost_owner(sighting, copy_of, &head, content.as_mut())? {
            self.bind(id, sighting);
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.is_final = true;
                stream.is_unsaved = true;
                stream.mark = Mark { key: sighting.key, ..mark };
            }
            return Ok(());
        }
        for id in originals {
            let Some(original) = self.streams.get(id) else { continue };
            let is_generation = original.presence.is_bound() && are_generations(&sighting.path, &original.path);
            if is_generation && may_be_copy(original, sighting, content.as_mut(), files)? {
                self.copies.insert(sighting.key, *id);
                return Ok(());
            }
        }
        let is_old = new.not_before.is_some_and(|time| sighting.modified < time);
        if is_old || !sighting.is_named {
            return Ok(());
        }
        let position = match new.at_end {
            false => 0,
            true if sighting.is_gzip => length(content.as_mut())?,
            true => sighting.stored_bytes,
        };
        let mark = mark_at(sighting.key, &head, position, content.as_mut())?;
        let id = StreamId::random();
        let follows = moved.get(&sighting.path).copied();
        let fresh = stream(id, sighting.path.clone(), sighting.is_gzip, mark);
        self.streams.insert(id, Stream { follows, stored_bytes: sighting.stored_bytes, ..fresh });
        self.bound.insert(sighting.key, id);
        Ok(())
    }

    /// The stream whose content goes on here: its own file is gone or holds other content, and this one begins as
    /// it did and holds the same before its position. Gives the mark at which reading goes on.
    fn lost_owner(
        &self,
        sighting: &Sighting,
        copy_of: Option<StreamId>,
        head: &[u8],
        content: &mut dyn Look,
    ) -> io::Result<Option<(StreamId, Mark)>> {
        let prefixes = Fingerprint::of_every_prefix(head);
        let begins_alike = |mark: &Mark| {
            let length = usize::try_from(mark.prefix.length).unwrap_or(usize::MAX);
            length > 0 && prefixes.get(length) == Some(&mark.prefix)
        };
        let lost = self.streams.iter().filter(|(id, stream)| {
            !stream.presence.is_bound() && (copy_of == Some(**id) || begins_alike(&stream.mark))
        });
        let mut candidates: Vec<_> = lost.collect();
        candidates.sort_by_key(|(_, stream)| std::cmp::Reverse(stream.mark.position));
        for (&id, stream) in candidates {
            // Of a stream known only by its delivered records the path is not known.
            let is_generation = stream.path.as_os_str().is_empty() || are_generations(&sighting.path, &stream.path);
            // A short file that begins alike elsewhere is more likely another one with the same first line.
            if !is_generation && stream.mark.prefix.length < PREFIX_BYTES_MAX {
                continue;
            }
            if stream.mark.fits(content)? {
                return Ok(Some((id, stream.mark)));
            }
            let was_copied = is_generation && !sighting.is_gzip && matches!(stream.presence, Presence::Replaced { .. });
            if was_copied && sighting.stored_bytes < stream.mark.position {
                // Written to, and read, after the copy was made and before the original was truncated.
                return Ok(Some((id, mark_at(sighting.key, head, sighting.stored_bytes, content)?)));
            }
        }
        Ok(None)
    }

    /// Forgets the streams whose file has been gone for `limit`: one that comes back later is a new one.
    pub(crate) fn forget_gone(&mut self, now: Instant, limit: Duration) {
        let Self { streams, forgotten, .. } = self;
        streams.retain(|_, stream| match stream.presence {
            Presence::Gone { since } | Presence::Replaced { since }
                if now.saturating_duration_since(since) >= limit =>
            {
                forgotten.push(stream.partition.clone());
                false
            }
            _ => true,
        });
    }

    /// The source partitions of streams that were forgotten since the last call.
    pub(crate) fn take_forgotten(&mut self) -> Vec<SourcePartition> {
        std::mem::take(&mut self.forgotten)
    }

    fn forget_the_oldest(&mut self) {
        let excess = self.streams.len().saturating_sub(STREAMS_MAX);
        let lost = self.streams.iter().filter_map(|(&id, stream)| match stream.presence {
            Presence::Gone { since } | Presence::Replaced { since } => Some((since, id)),
            Presence::Present | Presence::Unlinked => None,
        });
        let mut lost: Vec<_> = if excess > 0 { lost.collect() } else { Vec::new() };
        lost.sort();
        for (_, id) in lost.into_iter().take(excess) {
            let stream = self.streams.remove(&id);
            self.forgotten.extend(stream.map(|stream| stream.partition));
        }
    }
}

fn stream(id: StreamId, path: PathBuf, is_gzip: bool, mark: Mark) -> Stream {
    Stream {
        partition: identity::partition(id, &path),
        path,
        is_gzip,
        mark,
        presence: Presence::Present,
        is_final: is_gzip,
        is_unsaved: false,
        follows: None,
        stored_bytes: 0,
        modified: None,
        is_touched: false,
    }
}

#[cfg(test)]
mod tests;
