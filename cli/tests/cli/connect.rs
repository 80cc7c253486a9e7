use std::fs;

use crate::process::{outcome, weir};

const YAML: &str = "connectors:\n  tail:\n    class: file-tail\n    paths: [/x]\n    topic: t\n    \
                    transforms: [{parse: {type: json}}]\n\
                    tests:\n- connector: tail\n  input: ['{\"a\":1}']\n  expect: [{value.a: EXPECTED}]\n";

#[test]
fn the_tests_of_a_file_are_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = |expected: &str| {
        fs::write(folder.path().join("p.yaml"), YAML.replace("EXPECTED", expected)).unwrap();
        outcome(weir(folder.path()).args(["connect", "test", "p.yaml"]))
    };
    assert_eq!(run("1"), (0, "p.yaml:8:3: tail: passed\n".to_owned(), String::new()));
    let (code, stdout, stderr) = run("2");
    assert_eq!(code, 1);
    assert_eq!(stdout, "p.yaml:8:3: tail: record 1: value.a: expected `2`, is `1`\n");
    assert_eq!(stderr, "weir: 1 of 1 tests failed\n");
}

#[test]
fn a_file_without_tests_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.yaml"), "connectors:\n").unwrap();
    let (code, _, stderr) = outcome(weir(folder.path()).args(["connect", "test", "p.yaml"]));
    assert_eq!((code, stderr.as_str()), (2, "weir: p.yaml: there are no `tests:` in it\n"));
}
