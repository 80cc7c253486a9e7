//! `${env:NAME}` and `${file:path:key}` in configurations: filled in just before a task starts, so that secrets stay out
//! of storage, REST and logs.

use std::path::Path;

use weir_connect_api::Config;

/// Why a reference could not be resolved. Never shows a secret's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("{key}: the environment variable {name} is not set")]
    Environment { key: String, name: String },
    #[error("{key}: {path}: {reason}")]
    File { key: String, path: String, reason: String },
    #[error("{key}: `${{{reference}}}` is no reference: use ${{env:NAME}}, ${{file:PATH}} or ${{file:PATH:KEY}}")]
    Malformed { key: String, reference: String },
    #[error("{key}: a `${{` is not closed by `}}`")]
    Unclosed { key: String },
}

/// The same configuration with every reference resolved.
pub(crate) fn resolve(config: &Config) -> Result<Config, SecretError> {
    config.try_map(resolve_value)
}

/// One value; `key` is for errors.
pub(crate) fn resolve_value(key: &str, value: &str) -> Result<String, SecretError> {
    let mut resolved = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find("${") {
        resolved.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside.find('}').ok_or_else(|| SecretError::Unclosed { key: key.to_owned() })?;
        let reference = &inside[..end];
        if reference.contains(':') {
            resolved.push_str(&look_up(key, reference)?);
        } else {
            // `${topic}` and its like are the connector's own.
            resolved.push_str(&rest[at..=at + 2 + end]);
        }
        rest = &inside[end + 1..];
    }
    resolved.push_str(rest);
    Ok(resolved)
}

fn look_up(key: &str, reference: &str) -> Result<String, SecretError> {
    match reference.split_once(':') {
        Some(("env", name)) => {
            std::env::var(name).map_err(|_| SecretError::Environment { key: key.to_owned(), name: name.to_owned() })
        }
        Some(("file", rest)) => match rest.rsplit_once(':') {
            Some((path, entry)) => from_file(key, path, Some(entry)),
            None => from_file(key, rest, None),
        },
        _ => Err(SecretError::Malformed { key: key.to_owned(), reference: reference.to_owned() }),
    }
}

/// The whole file, without the newline at its end, or the value of one `entry=value` line of it.
fn from_file(key: &str, path: &str, entry: Option<&str>) -> Result<String, SecretError> {
    let error = |reason: String| SecretError::File { key: key.to_owned(), path: path.to_owned(), reason };
    let text = std::fs::read_to_string(Path::new(path)).map_err(|e| error(e.to_string()))?;
    let Some(entry) = entry else { return Ok(text.trim_end_matches(['\n', '\r']).to_owned()) };
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut pairs = lines.filter_map(|line| line.split_once('='));
    let found = pairs.find(|(name, _)| name.trim() == entry).map(|(_, value)| value.trim().to_owned());
    found.ok_or_else(|| error(format!("has no line {entry}=…")))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn references_are_filled_in_from_files_and_the_environment() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "# secrets\nuser = weir\nurl=postgres://a=b").unwrap();
        let path = file.path().display();
        let value = |text: String| resolve_value("url", &text);
        assert_eq!(value(format!("${{file:{path}:url}}")).unwrap(), "postgres://a=b");
        assert_eq!(value(format!("x-${{file:{path}:user}}-y")).unwrap(), "x-weir-y");
        assert_eq!(value("${env:CARGO_PKG_NAME}".to_owned()).unwrap(), "weir-connect");
        assert_eq!(value("no reference".to_owned()).unwrap(), "no reference");
        assert_eq!(value("${topic}-${env:CARGO_PKG_NAME}".to_owned()).unwrap(), "${topic}-weir-connect");
    }

    #[test]
    fn what_cannot_be_resolved_says_which_key_and_what_is_missing() {
        for (text, expected) in [
            ("${env:WEIR_SURELY_NOT_SET}", "url: the environment variable WEIR_SURELY_NOT_SET is not set"),
            ("${vault:x}", "url: `${vault:x}` is no reference: use ${env:NAME}, ${file:PATH} or ${file:PATH:KEY}"),
            ("${env:X", "url: a `${` is not closed by `}`"),
        ] {
            assert_eq!(resolve_value("url", text).unwrap_err().to_string(), expected);
        }
    }
}
