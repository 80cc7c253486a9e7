//! Files that are not one YAML document: several of them, or JSON.

use super::{Node, YamlError, parse};

/// Reads all documents of a file; those that hold nothing are left out, unless none holds anything.
pub fn parse_all(file: &str, text: &str) -> Result<Vec<Node>, YamlError> {
    let mut roots = split(text).iter().map(|document| parse(file, document)).collect::<Result<Vec<_>, _>>()?;
    let holds = |root: &Node| root.mapping("the file").is_ok_and(|entries| !entries.is_empty());
    if roots.iter().any(holds) {
        roots.retain(holds);
    } else {
        roots.truncate(1);
    }
    Ok(roots)
}

/// Each document with as many empty lines before it as make its places those of the file. A line that begins with `---`
/// begins a document wherever it stands, with `...` ends one.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for (number, line) in text.lines().enumerate() {
        let after =
            |mark: &str| line.strip_prefix(mark).filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        let rest = after("---").or_else(|| after("..."));
        if rest.is_some() {
            documents.push("\n".repeat(number));
        }
        if let Some(document) = documents.last_mut() {
            // What stands behind the mark keeps its column.
            let line = rest.map_or_else(|| line.to_owned(), |rest| format!("   {rest}"));
            document.push_str(&line);
            document.push('\n');
        }
    }
    documents
}

/// Reads JSON, which is YAML but for its way to write characters beyond U+FFFF.
pub fn parse_json(file: &str, text: &str) -> Result<Node, YamlError> {
    parse(file, &without_surrogates(text))
}

/// What JSON writes as two `\u` escapes YAML writes as one `\U`.
fn without_surrogates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(character) = surrogates(rest) {
            out.push_str(&format!("\\U{:08x}", u32::from(character)));
            rest = &rest[12..];
        } else {
            // An escape has two characters at least: an escaped backslash begins no other.
            let end = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    out + rest
}

/// The character that the twelve bytes at the beginning stand for.
fn surrogates(text: &str) -> Option<char> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let units = [unit(text)?, unit(text.get(6..)?)?];
    char::decode_utf16(units).next()?.ok().filter(|character| character.len_utf16() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(root: &Node) -> &str {
        root.mapping("").unwrap()[0].node.scalar("").unwrap()
    }

    #[test]
    fn each_document_keeps_its_places_in_the_file() {
        let text = "# first\n---\na: 1\n--- {b: 2}\n...\n---\n# nothing\n---\nc: |\n  --- no mark\n";
        let roots = parse_all("f", text).unwrap();
        let keys: Vec<String> = roots
            .iter()
            .map(|root| {
                let entry = &root.mapping("").unwrap()[0];
                format!("{} at {}", entry.key, entry.at)
            })
            .collect();
        assert_eq!(keys, ["a at f:3:1", "b at f:4:6", "c at f:9:1"]);
        assert_eq!(scalar(&roots[2]), "--- no mark\n");
        assert!(parse_all("f", "a: 1\n---\nb: [\n").unwrap_err().at.line > 2);
        assert_eq!(parse_all("f", "").unwrap().len(), 1);
    }

    #[test]
    fn json_is_read_with_tabs_and_with_its_escapes() {
        let root = parse_json("f", "{\n\t\"a\":\"\\ud83d\\ude00 \\\\ud83d \\/ \\u00e4\\n\"\n}").unwrap();
        assert_eq!(scalar(&root), "\u{1f600} \\ud83d / \u{e4}\n");
        assert_eq!(root.mapping("").unwrap()[0].at.to_string(), "f:2:2");
        let error = parse_json("f", "{\"a\": 1,\n \"a\": 2}").unwrap_err();
        assert_eq!(error.to_string(), "f:2:2: the key `a` stands here a second time");
    }
}
