//! Apache Kafka's own command-line tools, unmodified.

use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use weir_tests::clients::{kafka_tool, kafka_tool_command};
use weir_tests::weir::Weir;

/// A tool against one broker.
struct Tools {
    bootstrap: String,
}

impl Tools {
    fn run(&self, name: &str, arguments: &[&str]) -> Result<String> {
        kafka_tool(name, &[&["--bootstrap-server", &self.bootstrap], arguments].concat())
    }

    fn console_produce(&self, topic: &str, lines: &str) -> Result<()> {
        let arguments = ["--bootstrap-server", &self.bootstrap, "--topic", topic];
        let mut command = kafka_tool_command("kafka-console-producer", &arguments)?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().context("stdin is piped")?.write_all(lines.as_bytes())?;
        ensure!(child.wait()?.success(), "kafka-console-producer failed");
        Ok(())
    }
}

async fn weir(folder: &tempfile::TempDir) -> Result<(Weir, Tools)> {
    let weir = Weir::up(folder.path(), &[], "").await?;
    let tools = Tools { bootstrap: weir.bootstrap() };
    Ok((weir, tools))
}

#[tokio::test]
async fn topics_are_created_described_grown_and_deleted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_weir, tools) = weir(&folder).await?;
    let create = ["--create", "--topic", "orders", "--partitions", "3", "--config", "retention.ms=60000"];
    tools.run("kafka-topics", &create)?;
    let described = tools.run("kafka-topics", &["--describe", "--topic", "orders"])?;
    assert!(described.contains("PartitionCount: 3") && described.contains("retention.ms=60000"), "{described}");
    assert_eq!(described.matches("Leader: ").count(), 3, "{described}");

    tools.run("kafka-topics", &["--alter", "--topic", "orders", "--partitions", "5"])?;
    assert!(tools.run("kafka-topics", &["--describe", "--topic", "orders"])?.contains("PartitionCount: 5"));
    let again = tools.run("kafka-topics", &create).expect_err("a topic cannot be created twice");
    assert!(format!("{again:#}").contains("already exists"), "{again:#}");

    tools.run("kafka-topics", &["--delete", "--topic", "orders"])?;
    assert!(!tools.run("kafka-topics", &["--list"])?.contains("orders"));
    Ok(())
}

#[tokio::test]
async fn console_tools_send_read_and_count() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_weir, tools) = weir(&folder).await?;
    tools.run("kafka-topics", &["--create", "--topic", "words", "--partitions", "1"])?;
    tools.console_produce("words", "one\ntwo\nthree\n")?;
    let consume = ["--topic", "words", "--from-beginning", "--max-messages", "3", "--group", "readers"];
    assert_eq!(tools.run("kafka-console-consumer", &consume)?, "one\ntwo\nthree\n");

    for (time, expected) in [("-1", "words:0:3"), ("-2", "words:0:0"), ("0", "words:0:0")] {
        let offsets = tools.run("kafka-get-offsets", &["--topic", "words", "--time", time])?;
        assert_eq!(offsets.trim(), expected, "--time {time}");
    }
    // The three may share a millisecond: then the first of them has the greatest timestamp.
    let greatest = tools.run("kafka-get-offsets", &["--topic", "words", "--time", "-3"])?;
    assert!(["words:0:0", "words:0:1", "words:0:2"].contains(&greatest.trim()), "{greatest}");

    let json = folder.path().join("delete.json");
    std::fs::write(&json, r#"{"partitions":[{"topic":"words","partition":0,"offset":2}],"version":1}"#)?;
    let deleted = tools.run("kafka-delete-records", &["--offset-json-file", &json.to_string_lossy()])?;
    assert!(deleted.contains("low_watermark: 2"), "{deleted}");
    assert_eq!(tools.run("kafka-get-offsets", &["--topic", "words", "--time", "-2"])?.trim(), "words:0:2");
    Ok(())
}

#[tokio::test]
async fn consumer_groups_are_listed_described_reset_and_deleted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_weir, tools) = weir(&folder).await?;
    tools.run("kafka-topics", &["--create", "--topic", "words", "--partitions", "1"])?;
    tools.console_produce("words", "one\ntwo\nthree\n")?;
    let consume = ["--topic", "words", "--from-beginning", "--max-messages", "2", "--group", "readers"];
    tools.run("kafka-console-consumer", &consume)?;

    assert!(tools.run("kafka-consumer-groups", &["--list"])?.lines().any(|line| line == "readers"));
    let describe = ["--describe", "--group", "readers"];
    let described = tools.run("kafka-consumer-groups", &describe)?;
    let row = described.lines().find(|line| line.starts_with("readers")).context("a row for the group")?;
    let cells: Vec<&str> = row.split_whitespace().take(6).collect();
    assert_eq!(cells[..2], ["readers", "words"], "{described}");
    assert_eq!(cells[3..], ["2", "3", "1"], "committed 2, end 3, lag 1: {described}");

    let reset = ["--reset-offsets", "--group", "readers", "--topic", "words", "--to-earliest", "--execute"];
    tools.run("kafka-consumer-groups", &reset)?;
    let read =
        tools.run("kafka-console-consumer", &["--topic", "words", "--max-messages", "3", "--group", "readers"])?;
    assert_eq!(read, "one\ntwo\nthree\n");

    let offsets = ["--delete-offsets", "--group", "readers", "--topic", "words"];
    assert!(tools.run("kafka-consumer-groups", &offsets)?.contains("Successful"));
    tools.run("kafka-consumer-groups", &["--delete", "--group", "readers"])?;
    assert!(!tools.run("kafka-consumer-groups", &["--list"])?.contains("readers"));
    Ok(())
}

#[tokio::test]
async fn configs_are_described_altered_and_taken_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_weir, tools) = weir(&folder).await?;
    tools.run("kafka-topics", &["--create", "--topic", "orders"])?;
    let topic = ["--entity-type", "topics", "--entity-name", "orders"];
    let alter = ["--alter", "--add-config", "retention.ms=1000,cleanup.policy=compact"];
    tools.run("kafka-configs", &[&topic[..], &alter].concat())?;
    let described = tools.run("kafka-configs", &[&topic[..], &["--describe"]].concat())?;
    assert!(described.contains("retention.ms=1000") && described.contains("cleanup.policy=compact"), "{described}");
    tools.run("kafka-configs", &[&topic[..], &["--alter", "--delete-config", "retention.ms"]].concat())?;
    let described = tools.run("kafka-configs", &[&topic[..], &["--describe"]].concat())?;
    assert!(!described.contains("retention.ms=1000"), "{described}");

    let all = tools.run("kafka-configs", &[&topic[..], &["--describe", "--all"]].concat())?;
    assert!(all.contains("segment.bytes=1073741824"), "{all}");
    let broker =
        tools.run("kafka-configs", &["--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"])?;
    assert!(broker.contains("num.partitions=1") && broker.contains("log.retention.hours=168"), "{broker}");
    Ok(())
}

#[tokio::test]
async fn log_dirs_and_cluster_are_described() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_weir, tools) = weir(&folder).await?;
    tools.run("kafka-topics", &["--create", "--topic", "orders"])?;
    tools.console_produce("orders", "one\n")?;
    let dirs = tools.run("kafka-log-dirs", &["--describe", "--topic-list", "orders"])?;
    assert!(dirs.contains(r#""partition":"orders-0","size":"#), "{dirs}");
    let id = kafka_tool("kafka-cluster", &["cluster-id", "--bootstrap-server", &tools.bootstrap])?;
    assert!(id.contains("Cluster ID: "), "{id}");
    assert!(tools.run("kafka-broker-api-versions", &[])?.contains("Produce(0): 0 to 13"));
    Ok(())
}

#[tokio::test]
async fn the_performance_tools_run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_weir, tools) = weir(&folder).await?;
    let records = "50000";
    let properties = format!("bootstrap.servers={}", tools.bootstrap);
    let mut produce = vec!["--topic", "load", "--num-records", records, "--record-size", "200", "--throughput", "-1"];
    produce.extend(["--command-property", &properties, "acks=all"]);
    let produced = kafka_tool("kafka-producer-perf-test", &produce)?;
    assert!(produced.contains("50000 records sent"), "{produced}");
    tools.run("kafka-consumer-perf-test", &["--topic", "load", "--num-records", records, "--timeout", "20000"])?;
    Ok(())
}
