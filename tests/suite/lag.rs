//! Lag in seconds and its status, against what the test knows by its own clock.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use weir_tests::clients::{kafka_tool, python_script};
use weir_tests::http;
use weir_tests::process::{Process, run};
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, command};

/// How far lag in seconds may be off.
const ERROR_MAX_S: f64 = 1.0;
const LIMIT: Duration = Duration::from_secs(30);
/// Short windows, and append times on disk often enough that a kill costs less than the error allowed.
const BROKER: [&str; 2] = ["group.lag.window.ms: 3000", "log.flush.offset.checkpoint.interval.ms: 500"];

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A producer whose clock is an hour late, and when each of its records was acknowledged.
struct Producer(Process);

impl Producer {
    fn start(weir: &Weir, topic: &str, seconds: u32) -> Result<Self> {
        let arguments = ["produce", &weir.bootstrap(), topic, &seconds.to_string(), "20"];
        let log = weir.folder().join(format!("producer-{topic}-{}.log", now_s()));
        Ok(Self(Process::start("the producer", python_script("lag.py", &arguments)?, &log)?))
    }

    /// Seconds since 1970, by offset.
    fn acknowledged(&self) -> BTreeMap<i64, f64> {
        let parse = |line: &str| {
            let (offset, time) = line.split_once(' ')?;
            Some((offset.parse().ok()?, time.parse().ok()?))
        };
        self.0.log().lines().filter_map(parse).collect()
    }

    async fn finished(&mut self) -> Result<()> {
        wait_until("the producer to end", LIMIT, async || matches!(self.0.ended(), Ok(Some(_)))).await
    }
}

fn commit(weir: &Weir, topic: &str, group: &str, offset: i64) -> Result<()> {
    run(python_script("lag.py", &["commit", &weir.bootstrap(), topic, group, &offset.to_string()])?)?;
    Ok(())
}

async fn status(weir: &Weir, group: &str) -> Result<Json> {
    http::json(&format!("{}/v1/groups/{group}/status", weir.http())).await
}

/// The value of a series of `/metrics` whose labels hold all of these texts.
async fn metric(weir: &Weir, name: &str, labels: &[&str]) -> Result<f64> {
    let text = http::text(&format!("{}/metrics", weir.http())).await?;
    let is_it = |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label));
    let line = text.lines().find(is_it).with_context(|| format!("no series {name} with {labels:?}"))?;
    Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
}

/// Compares what is shown with the truth: how long ago the record at `committed` was acknowledged.
async fn assert_lag(weir: &Weir, group: &str, committed: i64, truth: &BTreeMap<i64, f64>) -> Result<()> {
    let shown = metric(weir, "weir_group_lag_seconds", &[&format!("group=\"{group}\""), "topic=\"t\""]).await?;
    let expected = truth.get(&committed).map_or(0.0, |appended| now_s() - appended);
    let is_right = if expected == 0.0 { shown == 0.0 } else { (shown - expected).abs() <= ERROR_MAX_S };
    ensure!(is_right, "group {group} at {committed}: shown {shown} s, is {expected} s");
    Ok(())
}

#[tokio::test]
async fn lag_in_seconds_is_the_age_of_the_first_unread_record() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut weir = Weir::up(folder.path(), &BROKER, "").await?;
    let create = ["--bootstrap-server", &weir.bootstrap(), "--create", "--topic", "t", "--partitions", "1"];
    kafka_tool("kafka-topics", &create)?;

    // One reads slowly, one stopped early, one goes back half way.
    let mut producer = Producer::start(&weir, "t", 8)?;
    commit(&weir, "t", "stopped", 5)?;
    for step in 1..=6 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let truth = producer.acknowledged();
        let end = truth.keys().next_back().map_or(0, |last| last + 1);
        let slow = end / 2;
        commit(&weir, "t", "slow", slow)?;
        commit(&weir, "t", "rewound", if step < 4 { end } else { 3 })?;
        for (group, committed) in [("stopped", 5), ("slow", slow)] {
            assert_lag(&weir, group, committed, &producer.acknowledged()).await?;
        }
    }
    producer.finished().await?;
    let truth = producer.acknowledged();
    let (end, half) = (truth.len() as i64, truth.len() as i64 / 2);
    commit(&weir, "t", "slow", half)?;
    commit(&weir, "t", "caught-up", end)?;
    let groups = [("stopped", 5), ("slow", half), ("rewound", 3), ("caught-up", end)];
    for (group, committed) in groups {
        assert_lag(&weir, group, committed, &truth).await?;
    }

    // The broker knows it still after a stop, and after a kill.
    weir.stop()?;
    weir.start().await?;
    for (group, committed) in groups {
        assert_lag(&weir, group, committed, &truth).await.context("after a stop")?;
    }
    let mut second = Producer::start(&weir, "t", 2)?;
    second.finished().await?;
    let truth: BTreeMap<i64, f64> = truth.into_iter().chain(second.acknowledged()).collect();
    weir.kill_9()?;
    weir.start().await?;
    for (group, committed) in groups.into_iter().chain([("late", end + 20)]) {
        commit(&weir, "t", group, committed)?;
        assert_lag(&weir, group, committed, &truth).await.context("after a kill")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_status_says_what_is_wrong_with_a_group_and_the_command_line_shows_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &BROKER, "").await?;
    let create = ["--bootstrap-server", &weir.bootstrap(), "--create", "--topic", "t", "--partitions", "1"];
    kafka_tool("kafka-topics", &create)?;
    Producer::start(&weir, "t", 2)?.finished().await?;
    let watched = folder.path().join("watched");
    let _watch = Process::start("weir lag", command(&["lag", "--watch", "--url", &weir.http()])?, &watched)?;
    for (group, offset) in [("stopped", 30), ("lost", 5), ("rewound", 40), ("caught-up", 40)] {
        commit(&weir, "t", group, offset)?;
    }
    let is = async |group: &str, wanted: &str| {
        wait_until(&format!("{group} to be {wanted}"), LIMIT, async || {
            status(&weir, group).await.is_ok_and(|found| found["status"] == wanted)
        })
        .await
    };
    is("stopped", "STOPPED").await?;
    commit(&weir, "t", "rewound", 20)?;
    is("rewound", "REWOUND").await?;
    std::fs::write(folder.path().join("delete.json"), r#"{"partitions":[{"topic":"t","partition":0,"offset":12}]}"#)?;
    let file = folder.path().join("delete.json").display().to_string();
    kafka_tool("kafka-delete-records", &["--bootstrap-server", &weir.bootstrap(), "--offset-json-file", &file])?;
    is("lost", "LOST").await?;
    is("caught-up", "OK").await?;

    let lost = status(&weir, "lost").await?;
    assert_eq!((&lost["lost_records"], &lost["partitions"][0]["log_start_offset"]), (&7.into(), &12.into()));
    let labels = ["group=\"lost\"", "topic=\"t\""];
    assert!((metric(&weir, "weir_group_lost_records_total", &labels).await? - 7.0).abs() < f64::EPSILON);
    assert!((metric(&weir, "weir_group_lag_status", &["group=\"lost\""]).await? - 5.0).abs() < f64::EPSILON);

    let lag = |more: &[&str]| -> Result<std::process::Output> {
        Ok(command(&[&["lag", "--url", &weir.http()], more].concat())?.output()?)
    };
    let table = String::from_utf8(lag(&[])?.stdout)?;
    for row in ["lost       LOST", "stopped    STOPPED", "caught-up  OK", "has no members, and has been at offset 30"] {
        assert!(table.contains(row), "{row:?} is not in\n{table}");
    }
    wait_until("who watches to see it", LIMIT, async || {
        let seen = std::fs::read_to_string(&watched).unwrap_or_default();
        // One table after another; no codes of a terminal where there is none.
        seen.matches("EVIDENCE").count() > 1 && seen.contains("lost       LOST") && !seen.contains('\x1b')
    })
    .await?;
    let json: Json = serde_json::from_slice(&lag(&["stopped", "-o", "json"])?.stdout)?;
    assert_eq!(json["partitions"][0]["lag_records"], 10);
    let checked = lag(&["--check"])?;
    assert_eq!(checked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&checked.stderr).contains("lost is LOST"), "{checked:?}");
    assert_eq!(lag(&["caught-up", "--check"])?.status.code(), Some(0));
    let unknown = lag(&["no/such group"])?;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no group \"no/such group\""), "{unknown:?}");

    // A group that is deleted takes its series along; so does a topic.
    run(command(&["groups", "delete", "stopped", "--bootstrap-server", &weir.bootstrap()])?)?;
    assert!(metric(&weir, "weir_group_lag_seconds", &["group=\"stopped\""]).await.is_err());
    run(command(&["topics", "delete", "t", "--bootstrap-server", &weir.bootstrap()])?)?;
    wait_until("the series to go", LIMIT, async || {
        metric(&weir, "weir_group_lag_seconds", &["topic=\"t\""]).await.is_err()
    })
    .await
}
