//! `weir`'s own client commands against a real Apache Kafka: nothing in them may lean on what only Weir does.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value as Json, json};
use weir_tests::clients::kafka_tool_command;
use weir_tests::kafka::Kafka;
use weir_tests::process::Process;
use weir_tests::wait::{wait_for, wait_until};
use weir_tests::weir;

const JOIN_LIMIT: Duration = Duration::from_secs(30);

/// `weir` with one broker to talk to.
struct Cli<'a> {
    bootstrap: &'a str,
}

impl Cli<'_> {
    fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(weir::command(arguments)?.env("WEIR_BOOTSTRAP_SERVER", self.bootstrap).stdin(Stdio::null()).output()?)
    }

    fn ok(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && stderr.is_empty(), "{arguments:?}: {}\n{stderr}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    fn json(&self, arguments: &[&str]) -> Result<Json> {
        Ok(serde_json::from_str(&self.ok(&[arguments, &["--output", "json"]].concat())?)?)
    }

    /// What is said of a failure, which must be one.
    fn refused(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        ensure!(output.status.code() == Some(1), "{arguments:?} ends with {}", output.status);
        Ok(String::from_utf8(output.stderr)?)
    }

    fn produce(&self, arguments: &[&str], lines: &str) -> Result<String> {
        let mut command = weir::command(&[&["produce"], arguments].concat())?;
        command.env("WEIR_BOOTSTRAP_SERVER", self.bootstrap).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().context("stdin is piped")?.write_all(lines.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "produce {arguments:?}: {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }
}

#[tokio::test]
async fn every_client_command_works_with_apache_kafka() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kafka = Kafka::start(folder.path()).await?;
    let cli = Cli { bootstrap: &kafka.bootstrap };
    topics(&cli)?;
    records(&cli)?;
    groups(&cli)?;
    a_group_of_the_newer_protocol(&cli, folder.path()).await?;
    assert_eq!(cli.ok(&["topics", "delete", "orders", "made"])?, "deleted orders\ndeleted made\n");
    assert_eq!(cli.json(&["topics", "list"])?, json!([]));
    Ok(())
}

fn topics(cli: &Cli<'_>) -> Result<()> {
    let create = ["topics", "create", "orders", "-p", "2", "--config", "retention.ms=600000"];
    assert_eq!(cli.ok(&create)?, "created orders\n");
    assert_eq!(cli.ok(&["topics", "create", "orders", "--if-not-exists"])?, "orders exists already\n");
    assert!(cli.refused(&create)?.contains("TopicAlreadyExists"));
    let alter = ["-p", "3", "--config", "cleanup.policy=compact", "--delete-config", "retention.ms"];
    cli.ok(&[&["topics", "alter", "orders"], &alter[..]].concat())?;
    let described = cli.json(&["topics", "describe", "orders"])?;
    assert_eq!(described["configs"], json!({"cleanup.policy": "compact"}));
    assert_eq!(described["partitions"].as_array().map(Vec::len), Some(3));
    assert_eq!(described["partitions"][2]["isr"], json!([1]));
    assert_eq!(cli.json(&["topics", "list"])?[0]["partitions"], 3);
    Ok(())
}

fn records(cli: &Cli<'_>) -> Result<()> {
    let lines: String = (0..1000).map(|number| format!("key {number}\tvalue {number}\n")).collect();
    assert_eq!(
        cli.produce(&["orders", "--key-separator", "\t", "--header", "a=b"], &lines)?,
        "sent 1000 records to orders\n"
    );
    let packed = cli.produce(&["made", "--acks", "1", "--compression", "zstd"], "one\ntwo\n")?;
    assert_eq!(packed, "sent 2 records to made\n");
    assert_eq!(cli.ok(&["consume", "made", "--from-beginning", "-n", "2"])?, "one\ntwo\n");

    let all = cli.ok(&["consume", "orders", "--from-beginning", "-e", "--format", "key-value"])?;
    let (mut sent, mut read): (Vec<&str>, Vec<&str>) = (lines.lines().collect(), all.lines().collect());
    sent.sort_unstable();
    read.sort_unstable();
    assert_eq!(sent, read);
    let one = cli.ok(&["consume", "orders", "-p", "1", "--offset", "3", "-n", "1", "--format", "json"])?;
    let one: Json = serde_json::from_str(&one)?;
    assert_eq!((&one["partition"], &one["offset"], &one["headers"]), (&json!(1), &json!(3), &json!({"a": "b"})));
    Ok(())
}

fn groups(cli: &Cli<'_>) -> Result<()> {
    let consume = ["consume", "orders", "--group", "billing", "--from-beginning", "-e"];
    assert_eq!(cli.ok(&consume)?.lines().count(), 1000);
    assert_eq!(cli.ok(&consume)?, "", "the group goes on where it was");
    assert_eq!(cli.json(&["groups", "list"])?, json!([{"group": "billing", "state": "Empty", "protocol": "consumer"}]));
    let reset = ["groups", "reset-offsets", "billing", "--topic", "orders", "--shift-by", "-2"];
    cli.ok(&reset)?;
    assert_eq!(cli.ok(&consume)?, "", "a plan moves nothing");
    cli.ok(&[&reset[..], &["--execute"]].concat())?;
    let described = cli.json(&["groups", "describe", "billing"])?;
    let lag = described["offsets"].as_array().into_iter().flatten().filter_map(|row| row["lag"].as_i64());
    assert_eq!((lag.sum::<i64>(), &described["state"]), (6, &json!("Empty")));
    assert_eq!(cli.ok(&consume)?.lines().count(), 6);
    assert!(cli.refused(&["groups", "describe", "nobody"])?.contains("GroupIdNotFound"));
    assert_eq!(cli.ok(&["groups", "delete", "billing"])?, "deleted billing\n");
    assert_eq!(cli.json(&["groups", "list"])?, json!([]));
    Ok(())
}

/// KIP-848: it answers to an API of its own.
async fn a_group_of_the_newer_protocol(cli: &Cli<'_>, folder: &Path) -> Result<()> {
    let arguments = ["--bootstrap-server", cli.bootstrap, "--topic", "orders", "--group", "newer"];
    let newer = ["--from-beginning", "--command-property", "group.protocol=consumer"];
    let command = kafka_tool_command("kafka-console-consumer", &[&arguments[..], &newer].concat())?;
    let mut consumer = Process::start("kafka-console-consumer", command, &folder.join("consumer.log"))?;
    let described = async || cli.json(&["groups", "describe", "newer"]).ok().filter(|found| found["state"] == "Stable");
    let found = wait_for("the consumer to join", JOIN_LIMIT, described).await?;
    assert_eq!(found["members"][0]["assigned"], json!({"orders": [0, 1, 2]}), "{found:#}");
    assert_eq!(found["members"][0]["client"], "console-consumer");
    let all_read = async || consumer.log().lines().count() >= 1000;
    wait_until("the consumer to read everything", JOIN_LIMIT, all_read).await?;
    consumer.stop()?;
    cli.ok(&["groups", "reset-offsets", "newer", "--all-topics", "--to-earliest", "--execute"])?;
    let earliest = |row: &Json| row["committed"] == 0;
    let offsets = cli.json(&["groups", "describe", "newer"])?["offsets"].clone();
    assert!(offsets.as_array().is_some_and(|rows| rows.len() == 3 && rows.iter().all(earliest)), "{offsets:#}");
    assert_eq!(cli.ok(&["groups", "delete", "newer"])?, "deleted newer\n");
    Ok(())
}
