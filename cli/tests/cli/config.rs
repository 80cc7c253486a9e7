use std::fs;

use crate::process::{Process, free_port, outcome, weir};

/// What `weir …` says in a folder with these files.
fn refused(files: &[(&str, &str)], arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let (code, stdout, stderr) = outcome(weir(folder.path()).args(arguments));
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert!(!folder.path().join("weir-data").exists(), "something was opened before all was checked");
    stderr
}

#[test]
fn what_is_wrong_is_told_with_file_line_column_and_the_nearest_key() {
    let up = ["up", "-c", "weir.yaml"];
    for (yaml, expected) in [
        (
            "broker:\n  log.retenton.ms: 5\n",
            "weir.yaml:2:3: unknown key `log.retenton.ms`; did you mean `log.retention.ms`?",
        ),
        ("broker:\n  num.partitions: many\n", "weir.yaml:2:3: `num.partitions`: `many` is not a whole number"),
        ("serch: {}\n", "weir.yaml:1:1: unknown section `serch`; did you mean `search`?"),
        ("connect:\n  group.ids: x\n", "weir.yaml:2:3: group.ids: unknown key; did you mean `group.id`?"),
        ("data: [a\n", "weir.yaml:2:1: this is not YAML: while parsing a flow sequence, expected ',' or ']'"),
        (
            "connectors:\n  tail:\n    class: file-tial\n    topic: t\n",
            "weir.yaml:3:5: connector tail: connector.class: Failed to find any class that implements Connector and which \
             name matches file-tial, did you mean `file-tail`?; known: file-tail, postgres, search",
        ),
    ] {
        assert_eq!(refused(&[("weir.yaml", yaml)], &up), format!("weir: {expected}\n"));
    }
}

#[test]
fn the_banner_says_where_the_brokers_own_keys_put_its_data() {
    let folder = tempfile::tempdir().unwrap();
    for (key, place) in [("log.dirs", "logs"), ("log.dir", "old-logs")] {
        let kafka = free_port();
        let file = format!("listeners=PLAINTEXT://localhost:{kafka}\nhttp.listeners=\n{key}={place}\n");
        fs::write(folder.path().join("server.properties"), file).unwrap();
        let weir = Process::start(folder.path(), &["broker", "--log-level", "error", "-c", "server.properties"]);
        assert_eq!(weir.banner[1..], [format!("  kafka    localhost:{kafka}"), format!("  log.dirs {place}")]);
        assert!(folder.path().join(place).join("meta.properties").exists());
        assert!(!folder.path().join("weir-data").exists());
    }
}

#[test]
fn what_is_wrong_is_told_before_a_port_is_asked_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = format!("{{listeners: 'http://{}'}}", taken.local_addr().unwrap());
    let yaml = format!("search: {listeners}\nconnect: {listeners}\nbroker:\n  log.retenton.ms: 5\n");
    let expected = "weir: weir.yaml:4:3: unknown key `log.retenton.ms`; did you mean `log.retention.ms`?\n";
    assert_eq!(refused(&[("weir.yaml", &yaml)], &["up", "-c", "weir.yaml"]), expected);
}

#[test]
fn kafkas_file_is_read_with_its_lines() {
    let said = refused(
        &[("server.properties", "# Kafka's\nnode.id=1\n\nlog.segment.bytes = \\\n  small\n")],
        &["broker", "-c", "server.properties"],
    );
    assert_eq!(said, "weir: server.properties:4:1: `log.segment.bytes`: `small` is not a whole number\n");
}

#[test]
fn settings_of_the_command_line_are_checked_too() {
    assert_eq!(refused(&[], &["up", "--set", "data"]), "weir: --set: `data` is not key=value\n");
    assert_eq!(
        refused(&[], &["broker", "--set", "log.flsh=os"]),
        "weir: --set: unknown key `log.flsh`; did you mean `log.flush`?\n"
    );
    assert_eq!(refused(&[], &["up", "-c", "none.yaml"]), "weir: none.yaml: No such file or directory (os error 2)\n");
}

#[test]
fn variables_are_settings() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, stderr) = outcome(weir(folder.path()).arg("broker").env("WEIR_BROKER_NUM_PARTITIONS", "x"));
    assert_eq!(code, 2);
    assert_eq!(stderr, "weir: WEIR_BROKER_NUM_PARTITIONS: `num.partitions`: `x` is not a whole number\n");
}

#[test]
fn check_tells_everything_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "broker: {num.partitions: x, log.dirz: /a}\nsearch: {shard.span: week}\n\
                connectors:\n  docs: {class: search, topics: [a], url: embedded, indx: b}\n";
    fs::write(folder.path().join("a.yaml"), yaml).unwrap();
    fs::write(folder.path().join("b.properties"), "num.partitions=3\n").unwrap();
    let (code, stdout, stderr) = outcome(weir(folder.path()).args(["check", "a.yaml", "b.properties"]));
    assert_eq!(code, 2);
    let expected = "a.yaml:2:10: shard.span: `week` is not one of day, hour\n\
                    a.yaml:1:10: `num.partitions`: `x` is not a whole number\n\
                    a.yaml:1:29: unknown key `log.dirz`; did you mean `log.dir`?\n\
                    a.yaml:4:53: connector docs: indx: unknown key; did you mean `index`?\n\
                    b.properties: 1 settings, 0 connectors, 0 tests: nothing is wrong\n";
    assert_eq!(stdout, expected);
    assert_eq!(stderr, "weir: 4 problem(s)\n");
}

#[test]
fn the_example_is_right() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/access-log/weir.yaml");
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, _) = outcome(weir(folder.path()).args(["check", example]));
    assert_eq!((code, stdout.contains("6 connectors, 2 tests: nothing is wrong")), (0, true), "{stdout}");
}
