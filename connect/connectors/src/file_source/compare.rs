//! Looks into files to tell whether they hold the same.

use std::io;
use std::path::Path;

use super::identity::{FileKey, Fingerprint, Look, Mark, PREFIX_BYTES_MAX, TAIL_BYTES_MAX};
use super::roster::Stream;
use super::scan::Sighting;

/// How much is looked at at once to find an end.
const LENGTH_STEP_BYTES: u64 = 1 << 20;

/// Opens files to look into them.
pub(crate) trait Files {
    fn open(&mut self, path: &Path, is_gzip: bool) -> io::Result<Box<dyn Look>>;
}

/// The first bytes, as many as count for identity.
pub(crate) fn head(content: &mut dyn Look) -> io::Result<Vec<u8>> {
    if let Some(head) = content.look(0, PREFIX_BYTES_MAX)? {
        return Ok(head);
    }
    let whole = length(content)?;
    Ok(content.look(0, whole)?.unwrap_or_default())
}

/// How many bytes there are. For a `.gz`, whose size on disk does not tell, this reads all of it.
pub(crate) fn length(content: &mut dyn Look) -> io::Result<u64> {
    let (mut end, mut step) = (0, LENGTH_STEP_BYTES);
    while step > 0 {
        while content.look(end, step)?.is_some() {
            end += step;
        }
        step /= 2;
    }
    Ok(end)
}

/// What is known of a file that was read up to `position`.
pub(crate) fn mark_at(key: FileKey, head: &[u8], position: u64, content: &mut dyn Look) -> io::Result<Mark> {
    let length = position.min(TAIL_BYTES_MAX);
    let tail = content.look(position - length, length)?;
    Ok(Mark {
        key,
        prefix: Fingerprint::of(head),
        position: if tail.is_some() { position } else { 0 },
        tail: tail.map_or(Fingerprint::EMPTY, |bytes| Fingerprint::of(&bytes)),
    })
}

/// Whether the file may be a copy of what `original` reads: it holds the same as far as both go. Also said when the
/// original changes just now; the next look tells.
pub(crate) fn may_be_copy(
    original: &Stream,
    sighting: &Sighting,
    content: &mut dyn Look,
    files: &mut dyn Files,
) -> io::Result<bool> {
    if sighting.is_gzip || original.is_gzip {
        return if original.mark.position == 0 { Ok(true) } else { original.mark.fits(content) };
    }
    let Ok(mut source) = files.open(&original.path, false) else { return Ok(true) };
    let common = sighting.stored_bytes.min(original.stored_bytes);
    for (position, length) in
        [(0, common.min(PREFIX_BYTES_MAX)), (common - common.min(TAIL_BYTES_MAX), common.min(TAIL_BYTES_MAX))]
    {
        let (ours, theirs) = (source.look(position, length)?, content.look(position, length)?);
        if ours != theirs {
            return Ok(ours.is_none() || !original.mark.fits(source.as_mut())?);
        }
    }
    Ok(true)
}
