use std::io::Write;
use std::path::Path;

use weir_connect_api::{Config, Payload};

use super::super::config::definition;
use super::*;

async fn started(folder: &Path, poll_interval: &str) -> FileTailTask {
    let paths = folder.join("*.log").display().to_string();
    let raw =
        [("paths", paths.as_str()), ("topic", "t"), ("poll.interval", poll_interval), ("batch.records.max", "10")];
    let raw = raw.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let config: Config = definition().parse(&raw).unwrap();
    let mut task = FileTailTask::default();
    task.start(SourceContext { connector: "c".into(), task_index: 0, config, offsets: Vec::new() }).await.unwrap();
    task
}

fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn lines(batches: &[SourceBatch]) -> Vec<String> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    records
        .map(|record| match &record.value {
            Payload::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn a_poll_that_is_dropped_at_any_moment_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let expected: Vec<String> = (0..2000).map(|n| format!("line {n}")).collect();
    append(&folder.path().join("a.log"), &(expected.join("\n") + "\n"));
    let mut task = started(folder.path(), "10ms").await;
    let mut found = Vec::new();
    let mut patience = 0u64;
    while found.len() < expected.len() {
        patience = (patience + 7) % 300;
        if let Ok(batches) = tokio::time::timeout(Duration::from_micros(patience), task.poll()).await {
            found.extend(lines(&batches.unwrap()));
        }
    }
    assert_eq!(found, expected);
    task.stop().await;
}

#[tokio::test]
async fn a_change_is_heard_of_long_before_the_next_look() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    append(&path, "one\n");
    let mut task = started(folder.path(), "60s").await;
    assert_eq!(lines(&task.poll().await.unwrap()), ["one"]);
    assert!(task.poll().await.unwrap().is_empty(), "nothing came within the wait");
    append(&path, "two\n");
    assert_eq!(lines(&task.poll().await.unwrap()), ["two"]);
    task.stop().await;
}

#[tokio::test]
async fn a_task_that_was_not_started_says_so() {
    assert!(FileTailTask::default().poll().await.is_err());
}
