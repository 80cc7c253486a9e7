//! A sink task as the worker drives it, with everything a test wants to see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use weir_connect_api::{
    Config, ConnectError, Connector, Offsets, Payload, Record, RecordReporter, SinkContext, SinkRecord, SinkTask, Task,
    TopicPartition,
};
use weir_connectors::postgres_sink::PostgresSink;

/// Keeps what was reported, or refuses it as `errors.tolerance=none` does.
#[derive(Default)]
pub(crate) struct Reported {
    pub(crate) records: Mutex<Vec<(i64, String)>>,
    pub(crate) refuses: bool,
}

#[async_trait]
impl RecordReporter for Reported {
    async fn report(&self, record: &SinkRecord, error: &ConnectError) -> Result<(), ConnectError> {
        if self.refuses {
            return Err(ConnectError::fatal(error.message.clone()));
        }
        self.records.lock().unwrap().push((record.offset, error.in_full()));
        Ok(())
    }
}

pub(crate) struct Sink {
    pub(crate) task: Box<dyn SinkTask>,
    pub(crate) reported: Arc<Reported>,
}

pub(crate) fn config(url: &str, pairs: &[(&str, &str)]) -> Config {
    let mut raw = IndexMap::from([("url".to_owned(), url.to_owned())]);
    raw.extend(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    PostgresSink.config_def().parse(&raw).unwrap()
}

impl Sink {
    pub(crate) async fn start(url: &str, pairs: &[(&str, &str)]) -> Self {
        Self::start_with(url, pairs, Reported::default()).await
    }

    pub(crate) async fn start_with(url: &str, pairs: &[(&str, &str)], reported: Reported) -> Self {
        let reported = Arc::new(reported);
        let Task::Sink(mut task) = PostgresSink.task() else { panic!("not a sink") };
        let context = SinkContext {
            connector: "test".into(),
            task_index: 0,
            config: config(url, pairs),
            reporter: Arc::clone(&reported) as Arc<dyn RecordReporter>,
        };
        task.start(context).await.unwrap();
        Self { task, reported }
    }

    /// Started, with partition 0 of topic `t` open.
    pub(crate) async fn open(url: &str, pairs: &[(&str, &str)]) -> Self {
        let mut sink = Self::start(url, pairs).await;
        sink.task.open(&[partition()]).await.unwrap();
        sink
    }

    pub(crate) async fn put(&mut self, records: Vec<SinkRecord>) -> Result<(), ConnectError> {
        let read_to = records.iter().map(|record| (record.origin.clone(), record.offset + 1)).collect();
        self.task.put(records, &read_to).await
    }

    /// Puts and flushes; gives the offset of partition 0.
    pub(crate) async fn write(&mut self, records: Vec<SinkRecord>) -> Result<Option<i64>, ConnectError> {
        self.put(records).await?;
        Ok(self.flush().await?.get(&partition()).copied())
    }

    pub(crate) async fn flush(&mut self) -> Result<Offsets, ConnectError> {
        self.task.flush().await
    }

    pub(crate) fn reported(&self) -> Vec<(i64, String)> {
        self.reported.records.lock().unwrap().clone()
    }

    pub(crate) fn reported_offsets(&self) -> Vec<i64> {
        self.reported().into_iter().map(|(offset, _)| offset).collect()
    }
}

pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

pub(crate) fn record(offset: i64, key: Payload, value: Payload) -> SinkRecord {
    let record = Record { topic: Some("t".into()), partition: Some(0), key, value, ..Record::default() };
    SinkRecord { origin: partition(), offset, record, original: None }
}

pub(crate) fn json(offset: i64, value: &str) -> SinkRecord {
    record(offset, Payload::Null, Payload::JsonText(Bytes::copy_from_slice(value.as_bytes())))
}

pub(crate) fn keyed(offset: i64, key: &str, value: Option<&str>) -> SinkRecord {
    let text = |text: &str| Payload::JsonText(Bytes::copy_from_slice(text.as_bytes()));
    record(offset, text(key), value.map_or(Payload::Null, text))
}

/// Records `{"id": offset, …}`.
pub(crate) fn ids(offsets: std::ops::Range<i64>) -> Vec<SinkRecord> {
    offsets.map(|offset| json(offset, &format!(r#"{{"id": {offset}, "name": "n{offset}"}}"#))).collect()
}

pub(crate) fn offsets(next: Option<i64>) -> BTreeMap<TopicPartition, Option<i64>> {
    BTreeMap::from([(partition(), next)])
}
