//! Groups as their operator sees and moves them.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::broker::Broker;
use crate::process::command;

const JOIN_LIMIT: Duration = Duration::from_secs(20);

/// A `weir consume` that goes on until it is dropped.
struct Member(Child);

impl Member {
    fn join(broker: &Broker, topic: &str, group: &str) -> Self {
        let mut command = command(broker.folder.path());
        command.args(["consume", topic, "--group", group, "--from-beginning"]);
        command.env("WEIR_BOOTSTRAP_SERVER", &broker.address).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn described(broker: &Broker, group: &str) -> Json {
    serde_json::from_str(&broker.ok(&["groups", "describe", group, "-o", "json"])).unwrap()
}

/// The description once it is as wanted.
fn described_when(broker: &Broker, group: &str, is_wanted: impl Fn(&Json) -> bool) -> Json {
    let give_up = Instant::now() + JOIN_LIMIT;
    loop {
        let (code, stdout, _) = broker.weir(&["groups", "describe", group, "-o", "json"]);
        let described = serde_json::from_str(&stdout).unwrap_or(Json::Null);
        if code == 0 && is_wanted(&described) {
            return described;
        }
        assert!(Instant::now() < give_up, "{described:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a group's next offsets are, by topic and partition.
fn committed(broker: &Broker, group: &str) -> Vec<(String, i64, i64)> {
    let described = described(broker, group);
    let row = |row: &Json| {
        (
            row["topic"].as_str().unwrap().to_owned(),
            row["partition"].as_i64().unwrap(),
            row["committed"].as_i64().unwrap(),
        )
    };
    described["offsets"].as_array().unwrap().iter().map(row).collect()
}

/// Two topics of two partitions with ten records each, read to the end by group `g`.
pub(crate) fn read_by_g() -> Broker {
    let broker = Broker::start();
    for topic in ["a", "b"] {
        broker.ok(&["topics", "create", topic, "-p", "2"]);
        for partition in ["0", "1"] {
            broker.produce(&[topic, "-p", partition], &"x\n".repeat(10));
        }
        assert_eq!(broker.ok(&["consume", topic, "--group", "g", "--from-beginning", "-e"]).lines().count(), 20);
    }
    broker
}

#[test]
fn members_are_shown_with_their_partitions_and_lag() {
    let broker = Broker::start();
    broker.ok(&["topics", "create", "t", "-p", "3"]);
    broker.produce(&["t", "-p", "1"], "a\nb\n");
    let _members = [Member::join(&broker, "t", "g"), Member::join(&broker, "t", "g")];
    let two_who_have_read = |found: &Json| {
        let is_read = found["offsets"].as_array().is_some_and(|rows| rows.iter().any(|row| row["lag"] == 0));
        found["state"] == "Stable" && found["members"].as_array().map(Vec::len) == Some(2) && is_read
    };
    let found = described_when(&broker, "g", two_who_have_read);
    assert_eq!(found["assignor"], "range");
    let members = found["members"].as_array().unwrap();
    let mut assigned: Vec<Json> = members.iter().map(|member| member["assigned"]["t"].clone()).collect();
    assigned.sort_by_key(|partitions| std::cmp::Reverse(partitions.as_array().map(Vec::len)));
    assert_eq!(assigned, [json!([0, 1]), json!([2])]);
    assert!(members.iter().all(|member| member["client"] == "weir" && member["host"] == "/127.0.0.1"), "{members:?}");
    let rows = found["offsets"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!((&rows[1]["committed"], &rows[1]["log_end_offset"]), (&json!(2), &json!(2)));
    assert_eq!(rows[1]["member"], rows[0]["member"]);

    let table = broker.ok(&["groups", "describe", "g"]);
    assert!(table.starts_with("group     g\nstate     Stable\nassignor  range\nlag       0\n\nMEMBER "), "{table}");
    assert!(table.contains("  t:0,1  ") && table.contains("  t:2 "), "{table}");
    let reset = ["groups", "reset-offsets", "g", "--topic", "t", "--to-earliest", "--execute"];
    let (code, _, stderr) = broker.weir(&reset);
    assert_eq!(
        (code, stderr.as_str()),
        (1, "weir: group g has 2 member(s): its offsets move only while it has none\n")
    );
}

#[test]
fn offsets_move_for_the_topics_and_partitions_named() {
    let broker = read_by_g();
    let reset = |more: &[&str]| broker.ok(&[&["groups", "reset-offsets", "g"], more].concat());
    let plan = reset(&["--topic", "a:1", "--topic", "b", "--shift-by", "-3"]);
    assert!(plan.ends_with("nothing was changed: add --execute to do it\n"), "{plan}");
    assert!(committed(&broker, "g").iter().all(|(_, _, offset)| *offset == 10), "a plan changes nothing");
    reset(&["--topic", "a:1", "--topic", "b", "--shift-by", "-3", "--execute"]);
    let offsets: Vec<i64> = committed(&broker, "g").into_iter().map(|(_, _, offset)| offset).collect();
    assert_eq!(offsets, [10, 7, 7, 7]);
    reset(&["--all-topics", "--to-earliest", "--execute"]);
    assert!(committed(&broker, "g").iter().all(|(_, _, offset)| *offset == 0));
    reset(&["--all-topics", "--by-duration", "PT0S", "--execute"]);
    assert!(committed(&broker, "g").iter().all(|(_, _, offset)| *offset == 10), "nothing is as new as now");
    reset(&["--topic", "a", "--by-duration", "P1D", "--execute"]);
    reset(&["--topic", "b", "--to-datetime", "2020-01-01T00:00:00", "--execute"]);
    assert!(committed(&broker, "g").iter().all(|(_, _, offset)| *offset == 0));
    let (code, stdout, stderr) = broker.weir(&["groups", "reset-offsets", "g", "--topic", "a:0", "--to-offset", "99"]);
    assert_eq!((code, stderr.as_str()), (0, "weir: a-0 holds 0 to 10: 10 instead of 99\n"), "{stdout}");
}

#[test]
fn a_reset_says_what_it_cannot_do() {
    let broker = Broker::start();
    broker.ok(&["topics", "create", "t"]);
    for (arguments, code, expected) in [
        (&["--topic", "t:5", "--to-latest"][..], 1, "t has no partition 5"),
        (&["--topic", "t", "--shift-by", "-1"], 1, "t-0 has no committed offset to shift"),
        (&["--all-topics", "--to-latest"], 1, "group g has committed nothing: name topics with --topic"),
        (&["--topic", "t", "--by-duration", "2h"], 1, "`2h` is no duration"),
        (&["--topic", "t"], 2, "--to-earliest"),
        (&["--to-latest"], 2, "--all-topics"),
        (&["--topic", "t", "--to-latest", "--to-earliest"], 2, "cannot be used with"),
    ] {
        let (found, _, stderr) = broker.weir(&[&["groups", "reset-offsets", "g"], arguments].concat());
        assert_eq!(found, code, "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}
