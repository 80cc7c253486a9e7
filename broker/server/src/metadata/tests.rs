use std::fs;

use weir_control::metadata::{ConfigResource, MetadataLog, MetadataRecord};
use weir_storage::fs::{Fs, Hook, Operation, Verdict};
use weir_types::TopicId;

use super::*;

fn records(name: &str) -> Vec<MetadataRecord> {
    let topic_id = TopicId::random();
    vec![
        MetadataRecord::Topic { name: name.into(), topic_id },
        MetadataRecord::Partition {
            topic_id,
            partition: 0,
            replicas: vec![1],
            isr: vec![1],
            leader: 1,
            leader_epoch: 0,
        },
        MetadataRecord::Config {
            resource: ConfigResource::Topic(name.into()),
            key: "retention.ms".to_owned(),
            value: Some("1".to_owned()),
        },
    ]
}

async fn folder_with(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = FileMetadataLog::open(Fs::default(), folder.path()).unwrap();
    for name in names {
        log.append(&records(name)).await.unwrap();
    }
    folder
}

fn topic_names(folder: &std::path::Path) -> Vec<String> {
    let (_, image) = FileMetadataLog::open(Fs::default(), folder).unwrap();
    image.topics().map(|topic| topic.name.to_string()).collect()
}

#[tokio::test]
async fn what_was_appended_is_there_after_opening_again() {
    let folder = folder_with(&["a", "b"]).await;
    let (_, image) = FileMetadataLog::open(Fs::default(), folder.path()).unwrap();
    assert_eq!(image.topic("b").unwrap().partitions.len(), 1);
    assert_eq!(image.configs(&ConfigResource::Topic("a".into()))["retention.ms"], "1");
}

#[tokio::test]
async fn an_append_cut_at_any_byte_is_gone_whole_and_the_rest_stays() {
    let folder = folder_with(&["a", "b"]).await;
    let path = folder.path().join("weir-metadata.log");
    let whole = fs::read(&path).unwrap();
    let last_line = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for len in last_line..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(topic_names(folder.path()), ["a"], "cut at {len}");
        assert_eq!(fs::read(&path).unwrap(), whole[..last_line], "cut at {len}");
    }
}

/// A disk that syncs no more.
struct NoSync;

impl Hook for NoSync {
    fn before(&self, operation: Operation<'_>) -> Verdict {
        match operation {
            Operation::Sync(_) => Verdict::Fail(std::io::Error::other("the disk does not answer")),
            _ => Verdict::Proceed,
        }
    }
}

#[tokio::test]
async fn a_sync_that_fails_takes_the_folder_offline_and_nothing_is_appended_any_more() {
    let folder = folder_with(&["a"]).await;
    let fs = Fs::with_hook(Arc::new(NoSync));
    let (mut log, _) = FileMetadataLog::open(fs.clone(), folder.path()).unwrap();
    assert!(!fs.has_failed());
    let error = log.append(&records("b")).await.unwrap_err();
    assert!(error.to_string().contains("the disk does not answer"), "{error}");
    assert!(fs.has_failed());
    let error = log.append(&records("c")).await.unwrap_err();
    assert!(matches!(error, MetadataLogError::Closed { .. }), "{error}");
}

#[tokio::test]
async fn damage_before_the_last_line_is_an_error_that_names_the_line() {
    let folder = folder_with(&["a", "b"]).await;
    let path = folder.path().join("weir-metadata.log");
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = FileMetadataLog::open(Fs::default(), folder.path()).err().unwrap();
    assert!(matches!(error, OpenMetadataError::Damaged { line: 2, .. }), "{error}");
}

#[tokio::test]
async fn a_file_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("weir-metadata.log"), "weir-metadata 2\n").unwrap();
    assert!(matches!(FileMetadataLog::open(Fs::default(), folder.path()), Err(OpenMetadataError::Version { .. })));
}

#[tokio::test]
async fn a_long_log_of_few_facts_is_rewritten_on_open() {
    let folder = folder_with(&[]).await;
    let path = folder.path().join("weir-metadata.log");
    let (mut log, _) = FileMetadataLog::open(Fs::default(), folder.path()).unwrap();
    let churn = vec![MetadataRecord::ProducerIds { next_producer_id: 7 }; 20_000];
    log.append(&churn).await.unwrap();
    log.append(&records("a")).await.unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 256 * 1024);
    assert_eq!(topic_names(folder.path()), ["a"]);
    assert!(fs::metadata(&path).unwrap().len() < 1024);
    assert_eq!(topic_names(folder.path()), ["a"]);
}
