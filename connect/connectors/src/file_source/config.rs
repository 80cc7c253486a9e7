//! The keys of `file-tail`, and what they come to.

use std::time::Duration;

use glob::Pattern;
use regex::bytes::Regex;
use weir_connect_api::{Config, ConfigDef, ConfigKey, ConfigProblem, ConfigType, Importance, TypedConfig};

use super::lines::{LineEnd, LongLine, Multiline, PatternRole, Splitter};

pub(crate) fn definition() -> ConfigDef {
    use ConfigType::{Boolean, Duration, Int, List, Size, String};
    ConfigDef::new(vec![
        ConfigKey::new("paths", List, "Files to read: paths or globs (`*`, `?`, `[a-z]`, `**`).")
            .required()
            .aliases(&["path", "file", "files"]),
        ConfigKey::new("topic", String, "The topic that lines go to.").required(),
        ConfigKey::new("exclude", List, "Files not to read: globs over the whole path or the file's name.").default(""),
        ConfigKey::new("start.position", String, "Where to begin with files that are there when the connector starts for the first time. Files found later are always read from their beginning.")
            .default("beginning")
            .choices(&["beginning", "end"]),
        ConfigKey::new("ignore.older", Duration, "Files not written to for so long are left alone until they grow; 0 reads all.").default("0"),
        ConfigKey::new("encoding", String, "The files' encoding; lines are produced in UTF-8, whatever it is.")
            .default("utf-8")
            .choices(&["utf-8", "iso-8859-1", "utf-16le", "utf-16be"]),
        ConfigKey::new("max.line.bytes", Size, "The longest line, or event of several lines.").default("1MiB").range(16, 64 << 20),
        ConfigKey::new("on.long.line", String, "What becomes of a longer line: its beginning with a header `weir.truncated`, several records, nothing, or an error for `errors.tolerance` to deal with, its beginning in the dead letter.")
            .default("truncate")
            .choices(&["truncate", "split", "skip", "dead-letter"]),
        ConfigKey::new("multiline.start.pattern", String, "A regular expression: a line that matches begins an event, all others belong to the event before them."),
        ConfigKey::new("multiline.continuation.pattern", String, "A regular expression: a line that matches belongs to the event before it."),
        ConfigKey::new("multiline.lines.max", Int, "The most lines of an event.").default("500").range(1, 100_000),
        ConfigKey::new("multiline.timeout", Duration, "An event is complete when the file was quiet for so long.").default("1s"),
        ConfigKey::new("key", String, "The record's key: none, the file's path, or the file's own id. With a key all lines of a file go to one partition of the topic and keep their order there.")
            .default("none")
            .choices(&["none", "path", "file"]),
        ConfigKey::new("header.path", Boolean, "Whether records get a header `path`.").default("false"),
        ConfigKey::new("poll.interval", Duration, "How often files are looked at. Where the system tells of changes they are read at once.")
            .default("500ms")
            .range(10, 60_000)
            .importance(Importance::Low),
        ConfigKey::new("rotate.wait", Duration, "How long a renamed file must be quiet before the new file of its name is read.")
            .default("500ms")
            .range(0, 60_000)
            .importance(Importance::Low),
        ConfigKey::new("close.quiet", Duration, "How long a deleted file must be quiet before it is closed and its last line counts as complete.")
            .default("2s")
            .range(0, 3_600_000)
            .importance(Importance::Low),
        ConfigKey::new("forget.after", Duration, "How long a file must be gone, while the connector runs, before its position is forgotten; should it come back, it is read from its beginning. 0 forgets none.")
            .default("30d")
            .importance(Importance::Low),
        ConfigKey::new("open.files.max", Int, "The most files held open at a time.").default("512").range(1, 100_000).importance(Importance::Low),
        ConfigKey::new("batch.bytes.max", Size, "The most bytes read before records are handed on.")
            .default("4MiB")
            .range(64 << 10, 256 << 20)
            .importance(Importance::Low),
        ConfigKey::new("batch.records.max", Int, "The most records handed on at a time.")
            .default("20000")
            .range(1, 1_000_000)
            .aliases(&["batch.size"])
            .importance(Importance::Low),
    ])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartPosition {
    Beginning,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKey {
    None,
    Path,
    File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Latin1,
    Utf16Le,
    Utf16Be,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) paths: Vec<String>,
    pub(crate) exclude: Vec<Pattern>,
    pub(crate) topic: String,
    pub(crate) start_position: StartPosition,
    pub(crate) ignore_older: Option<Duration>,
    pub(crate) encoding: Encoding,
    pub(crate) splitter: Splitter,
    pub(crate) multiline_timeout: Duration,
    pub(crate) key: RecordKey,
    pub(crate) path_header: bool,
    pub(crate) poll_interval: Duration,
    pub(crate) rotate_wait: Duration,
    pub(crate) close_quiet: Duration,
    pub(crate) forget_after: Option<Duration>,
    pub(crate) open_files_max: usize,
    pub(crate) batch_bytes_max: usize,
    pub(crate) batch_records_max: usize,
}

impl TypedConfig for Settings {
    fn new(config: &Config) -> Result<Self, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let mut globs = |key: &'static str| -> Vec<Pattern> {
            let list = config.list(key).into_iter();
            list.filter_map(|text| keep(Pattern::new(text).map_err(|e| glob_problem(key, text, &e)), &mut problems))
                .collect()
        };
        globs("paths");
        let exclude = globs("exclude");
        if config.list("paths").is_empty() {
            problems.push(ConfigProblem::new("paths", "names no file"));
        }
        let multiline = keep(multiline(config), &mut problems).flatten();
        if !problems.is_empty() {
            return Err(problems);
        }
        let encoding = match config.str("encoding").to_ascii_lowercase().as_str() {
            "iso-8859-1" => Encoding::Latin1,
            "utf-16le" => Encoding::Utf16Le,
            "utf-16be" => Encoding::Utf16Be,
            _ => Encoding::Utf8,
        };
        let ignore_older = config.duration("ignore.older");
        let forget_after = config.duration("forget.after");
        Ok(Self {
            paths: config.list("paths").into_iter().map(str::to_owned).collect(),
            exclude,
            topic: config.str("topic").to_owned(),
            start_position: if config.str("start.position").eq_ignore_ascii_case("end") {
                StartPosition::End
            } else {
                StartPosition::Beginning
            },
            ignore_older: (!ignore_older.is_zero()).then_some(ignore_older),
            encoding,
            splitter: splitter(config, encoding, multiline),
            multiline_timeout: config.duration("multiline.timeout"),
            key: match config.str("key").to_ascii_lowercase().as_str() {
                "path" => RecordKey::Path,
                "file" => RecordKey::File,
                _ => RecordKey::None,
            },
            path_header: config.bool("header.path"),
            poll_interval: config.duration("poll.interval"),
            rotate_wait: config.duration("rotate.wait"),
            close_quiet: config.duration("close.quiet"),
            forget_after: (!forget_after.is_zero()).then_some(forget_after),
            open_files_max: config.usize("open.files.max"),
            batch_bytes_max: usize::try_from(config.size_bytes("batch.bytes.max")).unwrap_or(usize::MAX),
            batch_records_max: config.usize("batch.records.max"),
        })
    }
}

fn keep<T>(result: Result<T, ConfigProblem>, problems: &mut Vec<ConfigProblem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn glob_problem(key: &str, text: &str, error: &glob::PatternError) -> ConfigProblem {
    ConfigProblem::new(key, format!("`{text}` is not a glob: {} at character {}", error.msg, error.pos + 1))
}

fn splitter(config: &Config, encoding: Encoding, multiline: Option<Multiline>) -> Splitter {
    Splitter {
        line_end: match encoding {
            Encoding::Utf8 | Encoding::Latin1 => LineEnd::Byte,
            Encoding::Utf16Le => LineEnd::Wide { newline: [b'\n', 0], carriage_return: [b'\r', 0] },
            Encoding::Utf16Be => LineEnd::Wide { newline: [0, b'\n'], carriage_return: [0, b'\r'] },
        },
        line_bytes_max: usize::try_from(config.size_bytes("max.line.bytes")).unwrap_or(usize::MAX),
        long_line: match config.str("on.long.line").to_ascii_lowercase().as_str() {
            "split" => LongLine::Split,
            "skip" => LongLine::Skip,
            "dead-letter" => LongLine::DeadLetter,
            _ => LongLine::Truncate,
        },
        multiline,
    }
}

fn multiline(config: &Config) -> Result<Option<Multiline>, ConfigProblem> {
    let (start, continuation) = ("multiline.start.pattern", "multiline.continuation.pattern");
    let (key, text, role) = match (config.opt_str(start), config.opt_str(continuation)) {
        (None, None) => return Ok(None),
        (Some(text), None) => (start, text, PatternRole::Start),
        (None, Some(text)) => (continuation, text, PatternRole::Continuation),
        (Some(_), Some(_)) => return Err(ConfigProblem::new(continuation, format!("cannot be given with {start}"))),
    };
    if config.str("encoding").to_ascii_lowercase().starts_with("utf-16") {
        return Err(ConfigProblem::new(key, "multiline patterns cannot be used with UTF-16 files"));
    }
    let pattern = Regex::new(text).map_err(|e| ConfigProblem::new(key, e.to_string()))?;
    Ok(Some(Multiline { pattern, role, lines_max: config.usize("multiline.lines.max") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, Vec<ConfigProblem>> {
        testing::settings(&definition(), &[&[("paths", "/var/log/*.log"), ("topic", "t")], pairs].concat())
    }

    #[test]
    fn bad_patterns_name_their_key_and_place() {
        let problems = settings(&[("exclude", "a***b"), ("multiline.start.pattern", "(")]).unwrap_err();
        assert_eq!(problems.iter().map(|p| p.key.as_str()).collect::<Vec<_>>(), ["exclude", "multiline.start.pattern"]);
        assert!(problems[0].message.contains("at character"), "{problems:?}");
    }

    #[test]
    fn the_two_multiline_patterns_exclude_each_other() {
        let both = [("multiline.start.pattern", "a"), ("multiline.continuation.pattern", "b")];
        assert!(settings(&both).is_err());
        assert_eq!(settings(&both[1..]).unwrap().splitter.multiline.unwrap().role, PatternRole::Continuation);
    }
}
