//! Commands against a real process.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::process::{Process, free_port, outcome, weir};

/// A `weir broker` in a folder of its own.
pub(crate) struct Broker {
    pub(crate) folder: tempfile::TempDir,
    process: Process,
    pub(crate) address: String,
    settings: Vec<String>,
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::start_at(format!("localhost:{}", free_port()), &[])
    }

    /// `settings` are further arguments.
    pub(crate) fn start_at(address: String, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let process = Self::run(folder.path(), &address, &settings);
        Self { folder, process, address, settings }
    }

    fn run(folder: &Path, address: &str, more: &[String]) -> Process {
        let listeners = format!("listeners=PLAINTEXT://{address}");
        let settings = ["--set", &listeners, "--set", "http.listeners=", "--set", "group.initial.rebalance.delay.ms=0"];
        let mut arguments = [&["broker", "--log-level", "error"], &settings[..]].concat();
        arguments.extend(more.iter().map(String::as_str));
        Process::start(folder, &arguments)
    }

    pub(crate) fn kill_9(&mut self) {
        self.process.kill_9();
    }

    /// On the same address, with the same data; it has ended before.
    pub(crate) fn restart(&mut self) {
        self.process = Self::run(self.folder.path(), &self.address, &self.settings);
    }

    pub(crate) fn weir(&self, arguments: &[&str]) -> (i32, String, String) {
        outcome(weir(self.folder.path()).args(arguments).env("WEIR_BOOTSTRAP_SERVER", &self.address))
    }

    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.weir(arguments);
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        stdout
    }

    pub(crate) fn produce(&self, arguments: &[&str], lines: &str) {
        let mut command = weir(self.folder.path());
        command.args(["produce"]).args(arguments).env("WEIR_BOOTSTRAP_SERVER", &self.address).write_stdin(lines);
        let (code, stdout, stderr) = outcome(&mut command);
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert_eq!(stdout, format!("sent {} records to {}\n", lines.lines().count(), arguments[0]));
    }
}

#[test]
fn topics_are_created_listed_altered_and_deleted() {
    let broker = Broker::start();
    assert!(broker.process.banner[1].ends_with(&broker.address), "{:?}", broker.process.banner);
    assert_eq!(
        broker.ok(&["topics", "create", "orders", "-p", "2", "--config", "retention.ms=60000"]),
        "created orders\n"
    );
    assert_eq!(broker.ok(&["topics", "create", "orders", "--if-not-exists"]), "orders exists already\n");
    let (code, _, stderr) = broker.weir(&["topics", "create", "orders"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("weir: topic orders: exists already (TopicAlreadyExists)"), "{stderr}");
    broker.ok(&[
        "topics",
        "alter",
        "orders",
        "-p",
        "3",
        "--config",
        "cleanup.policy=compact",
        "--delete-config",
        "retention.ms",
    ]);
    let described: Json = serde_json::from_str(&broker.ok(&["topics", "describe", "orders", "-o", "json"])).unwrap();
    assert_eq!(described["configs"], json!({"cleanup.policy": "compact"}));
    assert_eq!(described["partitions"].as_array().unwrap().len(), 3);
    assert_eq!(described["partitions"][0]["replicas"], json!([1]));
    let listed = broker.ok(&["topics", "list"]);
    assert!(listed.starts_with("TOPIC   PARTITIONS  REPLICAS  ID\norders  3           1         "), "{listed}");
    let (code, stdout, stderr) = broker.weir(&["topics", "delete", "nope", "orders"]);
    assert_eq!((code, stdout.as_str()), (1, "deleted orders\n"));
    assert!(stderr.contains("topic nope: does not exist; `weir topics list` shows what does"), "{stderr}");
    assert_eq!(broker.ok(&["topics", "list", "-o", "json"]), "[]\n");
}

#[test]
fn lines_come_out_as_they_went_in_with_every_codec() {
    let broker = Broker::start();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: String = (0..5000).map(|number| format!("line {number} of {codec}\n")).collect();
        broker.produce(&[codec, "--compression", codec], &lines);
        assert!(broker.ok(&["consume", codec, "--from-beginning", "-e"]) == lines, "{codec}");
    }
}

#[test]
fn keys_headers_and_nulls_survive() {
    let broker = Broker::start();
    let arguments = ["t", "--key-separator", "=", "--null-marker", "-", "--header", "from=test"];
    broker.produce(&arguments, "a=1\na={\"b\":[2]}\na=-\n");
    let records: Vec<Json> = broker
        .ok(&["consume", "t", "--from-beginning", "-e", "--format", "json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let values: Vec<&Json> = records.iter().map(|record| &record["value"]).collect();
    assert_eq!(values, [&json!("1"), &json!({"b": [2]}), &Json::Null]);
    assert!(records.iter().all(|record| record["key"] == "a" && record["headers"] == json!({"from": "test"})));
    assert_eq!(broker.ok(&["consume", "t", "--offset", "-2", "-n", "1", "--format", "key-value"]), "a\t{\"b\":[2]}\n");
    let (code, _, stderr) = broker.weir(&["consume", "t", "--offset", "9"]);
    assert_eq!((code, stderr.as_str()), (1, "weir: t-0 has no offset 9: it holds 0 to 3\n"));
}

#[test]
fn a_group_goes_on_where_it_was_also_after_a_restart() {
    let mut broker = Broker::start();
    let lines: String = (0..100).map(|number| format!("{number}\n")).collect();
    broker.produce(&["t"], &lines);
    let first = broker.ok(&["consume", "t", "--group", "g", "--from-beginning", "-n", "60"]);
    assert!(broker.process.terminate().success());
    broker.restart();
    let second = broker.ok(&["consume", "t", "--group", "g", "-e"]);
    assert_eq!(first + &second, lines);

    let described: Json = serde_json::from_str(&broker.ok(&["groups", "describe", "g", "-o", "json"])).unwrap();
    let offsets =
        json!([{"topic": "t", "partition": 0, "committed": 100, "log_end_offset": 100, "lag": 0, "member": null}]);
    assert_eq!((&described["state"], &described["offsets"]), (&json!("Empty"), &offsets));
    broker.ok(&["groups", "reset-offsets", "g", "--topic", "t", "--shift-by", "-10"]);
    assert_eq!(broker.ok(&["consume", "t", "--group", "g", "-e"]), "", "a plan changes nothing");
    broker.ok(&["groups", "reset-offsets", "g", "--topic", "t", "--shift-by", "-10", "--execute"]);
    assert_eq!(broker.ok(&["consume", "t", "--group", "g", "-e"]).lines().next(), Some("90"));
    assert_eq!(broker.ok(&["groups", "delete", "g"]), "deleted g\n");
    assert_eq!(broker.ok(&["groups", "list", "-o", "json"]), "[]\n");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let broker = Broker::start();
    broker.produce(&["t"], &"line\n".repeat(200_000));
    let script = format!(
        "set -o pipefail; {} consume t --from-beginning --bootstrap-server {} | head -n 1",
        env!("CARGO_BIN_EXE_weir"),
        broker.address
    );
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..], &output.stderr[..]), (Some(0), &b"line\n"[..], &b""[..]));
}

#[test]
fn a_second_process_is_kept_from_the_folder_and_the_port() {
    let broker = Broker::start();
    let other = tempfile::tempdir().unwrap();
    let listeners = format!("listeners=PLAINTEXT://{}", broker.address);
    let start = |folder: &Path, listeners: &str| {
        outcome(weir(folder).args(["broker", "--set", "http.listeners=", "--set", listeners]))
    };
    let (code, stdout, stderr) =
        start(broker.folder.path(), &format!("listeners=PLAINTEXT://localhost:{}", free_port()));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("another process uses this data folder") && stderr.lines().count() == 1, "{stderr}");
    let (code, stdout, stderr) = start(other.path(), &listeners);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("Address already in use") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn clients_of_each_listener_are_told_its_own_address() {
    let (inside, outside, nobody) = (free_port(), free_port(), free_port());
    let settings = [
        format!("listeners=PLAINTEXT://localhost:{inside},OUTSIDE://localhost:{outside}"),
        format!("advertised.listeners=PLAINTEXT://localhost:{nobody},OUTSIDE://localhost:{outside}"),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT".to_owned(),
    ];
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let broker = Broker::start_at(format!("localhost:{outside}"), &arguments);
    broker.produce(&["orders"], "one\n");
    assert_eq!(broker.ok(&["consume", "orders", "--from-beginning", "--exit-at-end"]), "one\n");
    let through_inside = ["consume", "orders", "--bootstrap-server", &format!("localhost:{inside}"), "-n", "1"];
    let (code, _, stderr) = broker.weir(&through_inside);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains(&nobody.to_string()), "{stderr}");
}
