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

#[test]
fn connectors_are_checked_in_the_forms_of_other_products() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("flat.properties", "# a tail\nname=a\nconnector.class=file-tail\npaths=/x\\\n ,/y\ntopic: t\n"),
        (
            "rest.json",
            "{\n\t\"name\": \"b\",\n\t\"config\": {\"connector.class\": \"file-tail\", \"paths\": \"/x\", \"topic\": \"t\"}\n}\n",
        ),
        (
            "strimzi.yaml",
            "# two\n---\napiVersion: kafka.strimzi.io/v1\nkind: KafkaConnector\nmetadata: {name: c}\nspec:\n  class: \
             file-tail\n  config: {paths: /x, topic: t}\n---\nname: d\nconnector.class: file-tail\npaths: /x\ntopic: t\n",
        ),
    ];
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let (code, stdout, _) = outcome(weir(folder.path()).arg("check").args(&names));
    let expected = "flat.properties: 0 settings, 1 connectors, 0 tests: nothing is wrong\n\
                    rest.json: 0 settings, 1 connectors, 0 tests: nothing is wrong\n\
                    strimzi.yaml: 0 settings, 2 connectors, 0 tests: nothing is wrong\n";
    assert_eq!((code, stdout.as_str()), (0, expected));
    for (name, text) in files {
        fs::write(folder.path().join(name), text.replace("topic", "topik")).unwrap();
    }
    let (code, stdout, _) = outcome(weir(folder.path()).arg("check").args(&names));
    assert_eq!(code, 2);
    for place in ["flat.properties:6:1", "rest.json:3:60", "strimzi.yaml:8:23", "strimzi.yaml:13:1"] {
        let line = stdout.lines().find(|line| line.starts_with(place)).unwrap_or_else(|| panic!("{place}: {stdout}"));
        assert!(line.ends_with("topik: unknown key; did you mean `topic`?"), "{line}");
    }
}

#[test]
fn settings_among_the_connectors_of_a_worker_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("worker.properties"), "group.id=a\n").unwrap();
    let (code, _, stderr) = outcome(weir(folder.path()).args(["connect", "run", "worker.properties"]));
    assert_eq!(code, 2);
    assert!(stderr.starts_with("weir: worker.properties:1:1: a file of connectors is asked for"), "{stderr}");
    let (code, _, stderr) = outcome(weir(folder.path()).args(["connect", "apply", "-f", "worker.properties"]));
    assert_eq!(
        (code, stderr.as_str()),
        (2, "weir: worker.properties: this is no connector: it has no `connector.class`\n")
    );
}
