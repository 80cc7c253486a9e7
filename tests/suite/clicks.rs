//! The course program that many people learn Kafka with, as it is written everywhere.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value as Json;
use weir_tests::clients::{kafka_tool, python_script};
use weir_tests::process::run;
use weir_tests::weir::Weir;

const CLICKS: usize = 500;

#[tokio::test]
async fn the_course_program_goes_on_at_its_offset_across_restarts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut weir = Weir::up(folder.path(), &[], "").await?;
    let bootstrap = weir.bootstrap();
    let create = ["--bootstrap-server", &bootstrap, "--create", "--topic", "user_clicks", "--partitions", "3"];
    kafka_tool("kafka-topics", &create)?;

    produce(&bootstrap)?;
    let mut seen = consume(&bootstrap, 200)?;
    weir.stop()?;
    weir.start().await?;
    seen.extend(consume(&bootstrap, CLICKS - 200)?);
    assert_each_once(&seen, CLICKS);

    // And once more after a kill: nothing comes twice, only what is new.
    produce(&bootstrap)?;
    weir.kill_9()?;
    weir.start().await?;
    assert_each_once(&consume(&bootstrap, CLICKS)?, CLICKS);
    Ok(())
}

#[tokio::test]
async fn a_topic_is_created_by_the_first_click() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    produce(&weir.bootstrap())?;
    assert_each_once(&consume(&weir.bootstrap(), CLICKS)?, CLICKS);
    Ok(())
}

fn produce(bootstrap: &str) -> Result<()> {
    run(python_script("clicks.py", &["produce", bootstrap, &CLICKS.to_string()])?)?;
    Ok(())
}

fn consume(bootstrap: &str, count: usize) -> Result<Vec<Json>> {
    let out = run(python_script("clicks.py", &["consume", bootstrap, &count.to_string()])?)?;
    Ok(out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Each number once, and offsets rising without a gap within each partition.
fn assert_each_once(clicks: &[Json], count: usize) {
    let numbers: BTreeSet<u64> = clicks.iter().filter_map(|click| click["number"].as_u64()).collect();
    assert_eq!((clicks.len(), numbers.len()), (count, count), "each click comes exactly once");
    let mut next: BTreeMap<i64, i64> = BTreeMap::new();
    for click in clicks {
        let (partition, offset) = (click["partition"].as_i64().unwrap(), click["offset"].as_i64().unwrap());
        if let Some(expected) = next.insert(partition, offset + 1) {
            assert_eq!(offset, expected, "partition {partition} is read without a gap");
        }
    }
}
