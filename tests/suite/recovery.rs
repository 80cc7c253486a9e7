//! What a file tail finds again after a crash: records that were delivered and not yet committed, in files that come
//! and go.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_tests::clients::kcat;
use weir_tests::http;
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, Worker};

const LIMIT: Duration = Duration::from_secs(60);
const LINES: usize = 300;
/// Longer than the test: what is delivered stays uncommitted.
const NEVER: &str = "connect.offset.flush.interval.ms=600000";
const SOON: &str = "connect.offset.flush.interval.ms=100";

fn lines(topic: &str, weir: &Weir) -> Vec<String> {
    let read = kcat(&["-b", &weir.bootstrap(), "-C", "-t", topic, "-o", "beginning", "-e", "-q"]);
    read.unwrap_or_default().lines().map(str::to_owned).collect()
}

fn write(path: &Path, name: &str) -> Result<Vec<String>> {
    let lines: Vec<String> = (0..LINES).map(|n| format!("{name} {n:04}")).collect();
    std::fs::write(path, lines.join("\n") + "\n")?;
    Ok(lines)
}

#[tokio::test]
async fn a_file_that_was_away_while_another_was_committed_is_not_sent_twice() -> Result<()> {
    let (broker, worker) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let weir = Weir::up(broker.path(), &[], "").await?;
    let (logs, away) = (worker.path().join("logs"), worker.path().join("away.log"));
    std::fs::create_dir(&logs)?;
    let (a, b) = (logs.join("a.log"), logs.join("b.log"));
    let file = worker.path().join("tail.yaml");
    let yaml = format!("connectors:\n  tail: {{class: file-tail, paths: ['{}/*.log'], topic: app}}\n", logs.display());
    std::fs::write(&file, yaml)?;
    let file = file.to_string_lossy();
    let run = |flush: &str| Worker::start(worker.path(), &weir.bootstrap(), &["-c", &file, "--set", flush]);

    // A is delivered, and nobody has noted it when the worker dies.
    let mut expected = write(&a, "a")?;
    let first = run(NEVER)?;
    let arrived = async |count: usize| lines("app", &weir).len() >= count;
    wait_until("a to arrive", LIMIT, async || arrived(LINES).await).await.with_context(|| first.log_tail())?;
    first.kill_9()?;

    // While A is away, B is delivered and committed: the bound of the next recovery must stay before A's lines.
    std::fs::rename(&a, &away)?;
    expected.extend(write(&b, "b")?);
    let second = run(SOON)?;
    wait_until("b to arrive", LIMIT, async || arrived(2 * LINES).await).await.with_context(|| second.log_tail())?;
    let offsets = format!("{}/connectors/tail/offsets", second.rest());
    let is_committed = async || http::text(&offsets).await.is_ok_and(|text| text.contains("b.log"));
    wait_until("b to be committed", LIMIT, is_committed).await.with_context(|| second.log_tail())?;
    second.kill_9()?;

    std::fs::rename(&away, &a)?;
    let third = run(SOON)?;
    let offsets = format!("{}/connectors/tail/offsets", third.rest());
    let is_committed = async || http::text(&offsets).await.is_ok_and(|text| text.contains("a.log"));
    wait_until("a to be committed", LIMIT, is_committed).await.with_context(|| third.log_tail())?;
    let mut found = lines("app", &weir);
    found.sort();
    assert_eq!(found, expected);
    Ok(())
}
