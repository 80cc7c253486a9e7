//! kill -9 under load: nothing acknowledged is lost, nothing idempotent is doubled, and Kafka's own reader of log
//! files agrees with every byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use weir_tests::clients::{kafka_tool, python_script};
use weir_tests::process::{Process, run};
use weir_tests::wait::wait_until;
use weir_tests::weir::Weir;

const KILLS: usize = 8;
const LOAD_SECONDS: usize = 14;

#[tokio::test]
async fn acknowledged_records_survive_kill_9_and_none_comes_twice() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut weir = Weir::up(folder.path(), &["num.partitions: 3"], "").await?;
    let acknowledged = folder.path().join("acknowledged");
    let script = python_script(
        "load.py",
        &[&weir.bootstrap(), "load", &acknowledged.to_string_lossy(), &LOAD_SECONDS.to_string()],
    )?;
    let mut load = Process::start("load.py", script, &folder.path().join("load.log"))?;
    for kill in 1..=KILLS {
        let before = lines(&acknowledged);
        wait_until("more acknowledgements", Duration::from_secs(30), async || lines(&acknowledged) > before).await?;
        tokio::time::sleep(Duration::from_millis(170 * kill as u64 % 1000)).await;
        weir.kill_9()?;
        weir.start().await?;
    }
    wait_until("the load to end", Duration::from_secs(120), async || matches!(load.ended(), Ok(Some(_)))).await?;

    let read = run(python_script("load.py", &["--read", &weir.bootstrap(), "load"])?)?;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    read.lines().for_each(|number| *seen.entry(number).or_default() += 1);
    let acknowledged = std::fs::read_to_string(&acknowledged)?;
    ensure!(acknowledged.lines().count() > 1000, "the load was no load");
    let lost: Vec<&str> = acknowledged.lines().filter(|number| !seen.contains_key(number)).collect();
    assert!(lost.is_empty(), "{} acknowledged records are lost: {:?} …", lost.len(), &lost[..lost.len().min(5)]);
    let doubled: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{} records came twice: {:?} …", doubled.len(), &doubled[..doubled.len().min(5)]);
    weir.stop()?;
    kafka_agrees_with_every_byte(&folder.path().join("data"))
}

/// `kafka-dump-log --deep-iteration` over every segment and index below `data`.
pub(crate) fn kafka_agrees_with_every_byte(data: &Path) -> Result<()> {
    let mut logs = Vec::new();
    find_logs(data, &mut logs)?;
    ensure!(!logs.is_empty(), "there are no segments below {}", data.display());
    let files: Vec<_> = logs.iter().map(|path| path.to_string_lossy()).collect();
    let dumped = kafka_tool("kafka-dump-log", &["--deep-iteration", "--files", &files.join(",")])?;
    for complaint in ["isvalid: false", "Mismatches in", "Non-consecutive offsets in", "Exception"] {
        ensure!(!dumped.contains(complaint), "kafka-dump-log: {complaint}:\n{dumped}");
    }
    ensure!(dumped.contains("isvalid: true"), "kafka-dump-log saw no batch:\n{dumped}");
    let indexes = files.iter().map(|log| log.replace(".log", ".index")).collect::<Vec<_>>();
    let sane = kafka_tool("kafka-dump-log", &["--index-sanity-check", "--files", &indexes.join(",")])?;
    // The index of a short log has no entry yet.
    let good = sane.matches("passed sanity check").count() + sane.matches(".index is empty").count();
    ensure!(good == indexes.len(), "an index is not sane:\n{sane}");
    Ok(())
}

/// The segments with anything in them.
fn find_logs(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_logs(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "log") && path.metadata()?.len() > 0 && is_segment(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// `00000000000000000042.log`: other things are called .log too.
fn is_segment(path: &Path) -> bool {
    path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.len() == 20 && stem.parse::<u64>().is_ok())
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}
