//! Kafka's small text files.
//!
//! | file | lines |
//! |---|---|
//! | `…-offset-checkpoint` | version `0`, count, then `topic partition offset` |
//! | `leader-epoch-checkpoint` | version `0`, count, then `epoch start-offset` |
//! | `append-time-checkpoint` | version `0`, count, then `base-offset next-offset from-ms until-ms` (not Kafka's) |
//! | `partition.metadata` | `version: 0`, `topic_id: <id>` |
//!
//! Never guesses: a file that is malformed is an error that names file and line.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use weir_types::{TopicId, TopicPartition};

use crate::fs::{Durability, Fs};
use crate::log::Region;

const VERSION: &str = "0";

/// Reads a version-0 checkpoint: one item per line after version and count. A missing file has no items.
fn read_lines<T>(path: &Path, parse: impl Fn(&str) -> Option<T>) -> io::Result<Vec<T>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let malformed = |line: usize, what: &str| {
        let place = path.display();
        io::Error::new(io::ErrorKind::InvalidData, format!("{place} line {line}: {what}"))
    };
    let mut lines = text.lines();
    match lines.next() {
        Some(VERSION) => {}
        other => return Err(malformed(1, &format!("expected version 0, found `{}`", other.unwrap_or_default()))),
    }
    let count: usize = lines
        .next()
        .and_then(|line| line.trim().parse().ok())
        .ok_or_else(|| malformed(2, "expected the number of entries"))?;
    let mut items = Vec::new();
    for (index, line) in lines.filter(|line| !line.trim().is_empty()).enumerate() {
        items.push(parse(line).ok_or_else(|| malformed(index + 3, &format!("`{line}` is no entry")))?);
    }
    if items.len() != count {
        return Err(malformed(2, &format!("{count} entries are announced, {} are there", items.len())));
    }
    Ok(items)
}

fn render(lines: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("{VERSION}\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

pub(crate) fn read_offsets(path: &Path) -> io::Result<Vec<(TopicPartition, i64)>> {
    read_lines(path, |line| {
        let mut words = line.split_ascii_whitespace();
        let partition = TopicPartition::new(words.next()?, words.next()?.parse().ok()?);
        let offset = words.next()?.parse().ok()?;
        words.next().is_none().then_some((partition, offset))
    })
}

pub(crate) fn write_offsets(fs: &Fs, path: &Path, offsets: &[(TopicPartition, i64)]) -> io::Result<()> {
    let text = render(offsets.iter().map(|(at, offset)| format!("{} {} {offset}", at.topic, at.partition)));
    fs.replace(path, text.as_bytes(), Durability::Synced)
}

pub(crate) fn read_epochs(path: &Path) -> io::Result<Vec<(i32, i64)>> {
    read_lines(path, |line| {
        let (epoch, start) = line.split_once(' ')?;
        Some((epoch.parse().ok()?, start.trim().parse().ok()?))
    })
}

pub(crate) fn write_epochs(fs: &Fs, path: &Path, epochs: &[(i32, i64)]) -> io::Result<()> {
    let text = render(epochs.iter().map(|(epoch, start)| format!("{epoch} {start}")));
    // What a crash loses of it, recovery finds again in the batches.
    fs.replace(path, text.as_bytes(), Durability::PageCache)
}

pub(crate) fn read_append_times(path: &Path) -> io::Result<Vec<Region>> {
    read_lines(path, |line| {
        let mut words = line.split_ascii_whitespace().map(|word| word.parse().ok());
        let mut next = || words.next().flatten();
        let region = Region { base_offset: next()?, next_offset: next()?, from_ms: next()?, until_ms: next()? };
        words.next().is_none().then_some(region)
    })
}

pub(crate) fn write_append_times(fs: &Fs, path: &Path, regions: &[Region]) -> io::Result<()> {
    let line = |region: &Region| {
        format!("{} {} {} {}", region.base_offset, region.next_offset, region.from_ms, region.until_ms)
    };
    // What a crash loses of it is estimated.
    fs.replace(path, render(regions.iter().map(line)).as_bytes(), Durability::PageCache)
}

/// The topic id in a partition's `partition.metadata`; `None` if there is no such file.
pub(crate) fn read_topic_id(path: &Path) -> io::Result<Option<TopicId>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let id = text.lines().find_map(|line| line.strip_prefix("topic_id:")).and_then(|id| id.trim().parse().ok());
    match id {
        Some(id) => Ok(Some(id)),
        None => {
            let place = path.display();
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("{place}: no line `topic_id: …`")))
        }
    }
}

pub(crate) fn write_topic_id(fs: &Fs, path: &Path, id: TopicId) -> io::Result<()> {
    let mut text = String::new();
    let _ = write!(text, "version: {VERSION}\ntopic_id: {id}");
    fs.replace(path, text.as_bytes(), Durability::PageCache)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_an_error_and_not_an_empty_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_offsets(dir.path()).is_err());
        assert!(read_topic_id(dir.path()).is_err());
        assert_eq!(read_topic_id(&dir.path().join("partition.metadata")).unwrap(), None);
    }

    #[test]
    fn offsets_survive_and_look_as_kafka_writes_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recovery-point-offset-checkpoint");
        assert_eq!(read_offsets(&path).unwrap(), vec![]);
        let offsets = vec![(TopicPartition::new("a", 0), 5), (TopicPartition::new("b-c", 12), 0)];
        write_offsets(&Fs::default(), &path, &offsets).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n2\na 0 5\nb-c 12 0\n");
        assert_eq!(read_offsets(&path).unwrap(), offsets);
    }

    #[test]
    fn a_malformed_checkpoint_names_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some-checkpoint");
        for (text, place) in [
            ("", "line 1"),
            ("1\n0\n", "line 1"),
            ("0\nx\n", "line 2"),
            ("0\n2\na 0 5\n", "line 2"),
            ("0\n1\na 0\n", "line 3"),
            ("0\n1\na 0 5 6\n", "line 3"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_offsets(&path).unwrap_err().to_string();
            assert!(error.contains(place) && error.contains("some-checkpoint"), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_topic_id_survives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("partition.metadata");
        assert_eq!(read_topic_id(&path).unwrap(), None);
        write_topic_id(&Fs::default(), &path, TopicId([9; 16])).unwrap();
        assert_eq!(read_topic_id(&path).unwrap(), Some(TopicId([9; 16])));
        std::fs::write(&path, "version: 0\n").unwrap();
        assert!(read_topic_id(&path).is_err());
    }
}
