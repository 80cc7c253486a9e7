//! A sink task as the worker drives it, with everything a test wants to see.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use weir_connect_api::{
    ConnectError, Connector, Payload, Record, RecordReporter, SinkContext, SinkRecord, SinkTask, Task, TopicPartition,
};
use weir_connectors::search_sink::SearchSink;
use weir_search::SearchNode;

/// Keeps what was reported.
#[derive(Default)]
struct Reported(Mutex<Vec<(i64, String)>>);

#[async_trait]
impl RecordReporter for Reported {
    async fn report(&self, record: &SinkRecord, error: &ConnectError) -> Result<(), ConnectError> {
        self.0.lock().unwrap().push((record.offset, error.in_full()));
        Ok(())
    }
}

pub(crate) struct Sink {
    pub(crate) task: Box<dyn SinkTask>,
    reported: Arc<Reported>,
}

impl Sink {
    pub(crate) async fn start(node: Option<SearchNode>, pairs: &[(&str, &str)]) -> Self {
        let connector = SearchSink::new(node);
        let raw: IndexMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let config = connector.config_def().parse(&raw).unwrap();
        let reported = Arc::new(Reported::default());
        let Task::Sink(mut task) = connector.task() else { panic!("not a sink") };
        let reporter = Arc::clone(&reported) as Arc<dyn RecordReporter>;
        task.start(SinkContext { connector: "test".into(), task_index: 0, config, reporter }).await.unwrap();
        Self { task, reported }
    }

    pub(crate) async fn put(&mut self, records: Vec<SinkRecord>) -> Result<(), ConnectError> {
        let read_to = records.iter().map(|record| (record.origin.clone(), record.offset + 1)).collect();
        self.task.put(records, &read_to).await
    }

    /// Puts and flushes; gives the offset of partition 0.
    pub(crate) async fn write(&mut self, records: Vec<SinkRecord>) -> Result<Option<i64>, ConnectError> {
        self.put(records).await?;
        Ok(self.task.flush().await?.get(&partition()).copied())
    }

    /// Sorted by offset.
    pub(crate) fn reported(&self) -> Vec<(i64, String)> {
        let mut reported = self.reported.0.lock().unwrap().clone();
        reported.sort();
        reported
    }
}

pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new("logs", 0)
}

/// At 2026-11-23T08:00:00Z.
pub(crate) fn record(offset: i64, key: Payload, value: Payload) -> SinkRecord {
    let timestamp_ms = Some(1_795_420_800_000);
    let record = Record { topic: Some("logs".into()), key, value, timestamp_ms, ..Record::default() };
    SinkRecord { origin: partition(), offset, record, original: None }
}

pub(crate) fn text(text: &str) -> Payload {
    Payload::JsonText(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn numbered(offsets: std::ops::Range<i64>) -> Vec<SinkRecord> {
    offsets.map(|offset| record(offset, Payload::Null, text(&format!(r#"{{"n":{offset}}}"#)))).collect()
}
