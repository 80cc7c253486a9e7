//! What lies on disk now: the files that the globs name, and the rotated siblings of a file that is missed.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use glob::{MatchOptions, Pattern};

use super::identity::FileKey;

/// The most files that one connector follows; what lies beyond is left out with a warning.
pub(crate) const FILES_MAX: usize = 100_000;

/// A file as a scan saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) path: PathBuf,
    pub(crate) key: FileKey,
    /// On disk, compressed for a `.gz`.
    pub(crate) stored_bytes: u64,
    pub(crate) modified: SystemTime,
    pub(crate) is_gzip: bool,
    /// Named by a glob, rather than found beside a file that is missed.
    pub(crate) is_named: bool,
}

/// All files that `globs` name and `exclude` does not, each once, oldest first.
pub(crate) fn named(globs: &[String], exclude: &[Pattern]) -> Vec<Sighting> {
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let mut keys = HashSet::new();
    let mut sightings = Vec::new();
    for paths in globs.iter().filter_map(|glob| glob::glob_with(glob, options).ok()) {
        for path in paths.filter_map(Result::ok).filter(|path| !is_excluded(path, exclude)) {
            if sightings.len() == FILES_MAX {
                tracing::warn!(files_max = FILES_MAX, "more files match than one connector follows: narrow its paths");
                break;
            }
            sightings.extend(sight(path, true).filter(|sighting| keys.insert(sighting.key)));
        }
    }
    sightings.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
    sightings
}

fn is_excluded(path: &Path, exclude: &[Pattern]) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    exclude.iter().any(|pattern| pattern.matches_path(path) || pattern.matches(&name))
}

fn sight(path: PathBuf, is_named: bool) -> Option<Sighting> {
    let metadata = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
    Some(Sighting {
        key: FileKey { device: metadata.dev(), inode: metadata.ino() },
        stored_bytes: metadata.len(),
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        is_gzip: path.extension().is_some_and(|extension| extension == "gz"),
        is_named,
        path,
    })
}

/// Files beside `path` whose names say that they are older generations of it, oldest first.
pub(crate) fn rotated_siblings(path: &Path, exclude: &[Pattern]) -> Vec<Sighting> {
    let Some(entries) = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()) else { return Vec::new() };
    let found = entries.filter_map(Result::ok).map(|entry| entry.path());
    let siblings = found.filter(|sibling| is_rotated_name(sibling, path) && !is_excluded(sibling, exclude));
    let mut sightings: Vec<_> = siblings.filter_map(|sibling| sight(sibling, false)).collect();
    sightings.sort_by_key(|sighting| sighting.modified);
    sightings
}

/// Whether `path` is what a rotation would call an older generation of `original`: `a.log.1`, `a.log.2.gz`,
/// `a.log-20261123`, `a-20261123.log`, `a.1.log`; beside it or elsewhere.
pub(crate) fn is_rotated_name(path: &Path, original: &Path) -> bool {
    let (Some(name), Some(original)) = (path.file_name(), original.file_name()) else { return false };
    let (name, original) = (name.to_string_lossy(), original.to_string_lossy());
    let (name, original) =
        (name.strip_suffix(".gz").unwrap_or(&name), original.strip_suffix(".gz").unwrap_or(&original));
    let is_generation = |text: &str| text.starts_with(['.', '-', '_']) && text.chars().all(is_generation_char);
    match name.strip_prefix(original) {
        Some("") => path.extension().is_some_and(|extension| extension == "gz"),
        Some(generation) => is_generation(generation),
        None => {
            let Some((stem, extension)) = original.rsplit_once('.') else { return false };
            let middle = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(extension)?.strip_suffix('.'));
            middle.is_some_and(is_generation)
        }
    }
}

/// Whether two paths are generations of one file: `a.log`, `a.log.1`, `a.log.2.gz`.
pub(crate) fn are_generations(a: &Path, b: &Path) -> bool {
    is_rotated_name(a, b) || is_rotated_name(b, a) || (base_name(a).is_some() && base_name(a) == base_name(b))
}

/// A name that all generations of a file share; other files may share it too.
pub(crate) fn generation_root(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = base_name(path).unwrap_or(&name);
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{}.{extension}", stem.trim_end_matches(is_generation_char)),
        None => name.to_owned(),
    }
}

fn is_generation_char(c: char) -> bool {
    c.is_ascii_digit() || ".-_T:".contains(c)
}

/// The file's name without the number or date that a rotation put behind it.
fn base_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let bare = name.strip_suffix(".gz").unwrap_or(name);
    let base = bare.trim_end_matches(is_generation_char);
    (!base.is_empty() && base != name).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_told_from_other_names() {
        let original = Path::new("/var/log/app.log");
        for name in ["app.log.1", "app.log.12.gz", "app.log-20261123", "app-20261123.log", "app.1.log", "app.log.gz"] {
            assert!(is_rotated_name(&Path::new("/var/log").join(name), original), "{name}");
        }
        for name in ["app.log", "app.log.err", "app2.log", "app.logx", "other.log.1", "app-error.log"] {
            assert!(!is_rotated_name(&Path::new("/var/log").join(name), original), "{name}");
        }
    }

    #[test]
    fn generations_of_one_file_are_known_by_their_names() {
        let are = |a: &str, b: &str| are_generations(Path::new(a), Path::new(b));
        assert!(are("/l/a.log.1", "/l/a.log.2.gz") && are("/l/a.log", "/l/a.log.1") && are("/l/a.log.1", "/old/a.log"));
        let names = ["a.log", "a.log.1", "a.log.2.gz", "a-20261123.log", "a.1.log", "a.log-20261123.gz"];
        assert!(names.iter().all(|name| generation_root(Path::new(name)) == "a.log"));
        assert!(!are("/l/a.log", "/l/b.log") && !are("/l/a.log.1", "/l/b.log.1") && !are("/l/a.log", "/l/a.log"));
    }

    #[test]
    fn a_file_is_seen_once_and_excluded_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.log", "b.log", "c.log"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink(folder.path().join("a.log"), folder.path().join("z.log")).unwrap();
        let glob = folder.path().join("*.log").display().to_string();
        let seen = named(&[glob.clone(), glob], &[Pattern::new("b.*").unwrap()]);
        let names: Vec<_> = seen.iter().map(|s| s.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.log", "c.log"]);
    }
}
