use std::fs;
use std::path::Path;

use crate::process::{outcome, weir};

#[test]
fn the_references_in_docs_are_what_the_code_says() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (page, file) in [
        ("configuration", "configuration.md"),
        ("connectors", "connectors-reference.md"),
        ("metrics", "metrics-reference.md"),
    ] {
        let (code, said, _) = outcome(weir(Path::new(".")).args(["reference", page]));
        assert_eq!(code, 0);
        let committed = fs::read_to_string(docs.join(file)).unwrap_or_default();
        // What uses a metric is added behind what the code says of it.
        let has_more = |said: &str| page == "metrics" && said.starts_with('|');
        let is_as_said = |(said, now): (&str, &str)| if has_more(said) { now.starts_with(said) } else { now == said };
        let is_whole = said.lines().count() == committed.lines().count();
        let is_same = is_whole && said.lines().zip(committed.lines()).all(is_as_said);
        assert!(is_same, "docs/{file} is not what the code says: run `make docs`");
    }
}
