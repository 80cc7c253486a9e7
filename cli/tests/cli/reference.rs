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
        assert!(said == committed, "docs/{file} is not what the code says: run `make docs`");
    }
}
