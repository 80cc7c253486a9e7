//! A small file system that fills up: producers get a clear error, reading and deleting go on, and writing does too
//! once there is room, without a restart.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;
use weir_tests::clients::kafka_tool;
use weir_tests::disk::SmallDisk;
use weir_tests::http;
use weir_tests::process::run;
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, command, free_port};

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nobody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (kafka, http) = (free_port()?, free_port()?);
    let mut broker = command(&[
        "broker",
        "--set",
        &format!("listeners=PLAINTEXT://127.0.0.1:{kafka}"),
        "--set",
        &format!("http.listeners=http://127.0.0.1:{http}"),
        "--set",
        &format!("log.dirs={}", folder.path().join("data").display()),
    ])?;
    let full = std::fs::File::options().write(true).open("/dev/full")?;
    let mut broker = broker.stdout(Stdio::null()).stderr(full).spawn()?;
    let serves = async || http::text(&format!("http://127.0.0.1:{http}/health/ready")).await.is_ok();
    let ready = wait_until("the broker to serve", Duration::from_secs(30), serves).await;
    let created = run(command(&["topics", "create", "t", "--bootstrap-server", &format!("127.0.0.1:{kafka}")])?);
    let process = rustix::process::Pid::from_child(&broker);
    rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
    let status = broker.wait()?;
    ready?;
    created?;
    assert!(status.success(), "{status}");
    Ok(())
}

#[tokio::test]
async fn a_full_disk_stops_writers_only() -> Result<()> {
    if !rustix::process::getuid().is_root() {
        println!("only root can mount a small file system: nothing was tested");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let _disk = SmallDisk::mount(&data, "48m")?;
    let weir =
        Weir::up(folder.path(), &["offsets.topic.num.partitions: 1", "log.segment.delete.delay.ms: 100"], "").await?;
    let bootstrap = weir.bootstrap();
    let kafka =
        |name: &str, arguments: &[&str]| kafka_tool(name, &[&["--bootstrap-server", &bootstrap], arguments].concat());
    for topic in ["first", "second"] {
        kafka("kafka-topics", &["--create", "--topic", topic, "--config", "file.delete.delay.ms=0"])?;
    }
    let lines = folder.path().join("lines");
    std::fs::write(&lines, format!("{}\n", "x".repeat(999)).repeat(10_000))?;
    let produce = |topic: &str| {
        run(command(&["produce", topic, "--bootstrap-server", &bootstrap, "--file", &lines.to_string_lossy()])?)
    };

    produce("first")?;
    let full = (0..8).find_map(|_| produce("second").err());
    let said = format!("{:#}", full.expect("48 MiB cannot hold 80"));
    assert!(said.contains("KAFKA_STORAGE_ERROR") || said.contains("disk"), "{said}");

    // Each further try would be a line on the disk that is full.
    for _ in 0..20 {
        let _ = produce("second");
    }
    let log = weir.log();
    assert_eq!(log.matches("an append failed").count(), 1, "{log}");

    let first = kafka("kafka-get-offsets", &["--topic", "first"])?;
    assert_eq!(first.trim(), "first:0:10000", "reading goes on");
    kafka("kafka-topics", &["--delete", "--topic", "second"])?;
    wait_until("room to write again", Duration::from_secs(90), async || produce("first").is_ok()).await?;
    Ok(())
}
