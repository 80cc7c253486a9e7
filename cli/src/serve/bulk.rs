//! Documents that come in over HTTP: they go through a topic, from which a search sink of this process takes them. What
//! was answered for is durable, and one path owns the index.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use kafka_protocol::ResponseError;
use weir_client::{Client, ClientError, TopicPartitions, partition_of_key};
use weir_connect::Document;
use weir_connect::document::NamedConfig;
use weir_connect::yaml::{YamlError, parse};
use weir_connectors::search_sink::record_of;
use weir_search::{BulkAppendError, BulkItem, BulkLog};
use weir_types::batch::RecordBatchBuilder;

/// A batch is sent before it gets larger than this, unless one document is.
const BATCH_BYTES: usize = 512 << 10;
const CLIENT_ID: &str = "weir-bulk";

pub(super) struct TopicBulkLog {
    brokers: String,
    topic: String,
}

type Results = Vec<Result<i64, BulkAppendError>>;

impl TopicBulkLog {
    /// Makes the topic where there is none.
    pub(super) async fn open(brokers: String, topic: String) -> Result<Self, ClientError> {
        Client::connect(&brokers, CLIENT_ID).await?.partitions_or_create(&topic).await?;
        Ok(Self { brokers, topic })
    }

    async fn send(&self, items: &[BulkItem], results: &mut Results) -> Result<(), ClientError> {
        let mut client = Client::connect(&self.brokers, CLIENT_ID).await?;
        let leaders = client.partitions_or_create(&self.topic).await?;
        let mut batches: BTreeMap<i32, Batch> = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            // One document's actions stay in order.
            let partition = partition_of_key(item.id.as_bytes(), &leaders);
            let batch = batches.entry(partition).or_default();
            if !batch.indexes.is_empty() && batch.builder.size_bytes() + item.source.len() > BATCH_BYTES {
                let full = std::mem::take(batch);
                self.flush(&mut client, &leaders, partition, full, results).await?;
            }
            batch.add(index, item);
        }
        for (partition, batch) in batches {
            self.flush(&mut client, &leaders, partition, batch, results).await?;
        }
        Ok(())
    }

    /// Only what concerns more than this batch is an error.
    async fn flush(
        &self,
        client: &mut Client,
        leaders: &TopicPartitions,
        partition: i32,
        batch: Batch,
        results: &mut Results,
    ) -> Result<(), ClientError> {
        let leader = leaders.get(&partition).copied().unwrap_or(-1);
        let sent = client.produce(&self.topic, partition, leader, batch.builder.build()).await;
        match sent {
            Ok(base_offset) => {
                (base_offset..).zip(batch.indexes).for_each(|(offset, index)| results[index] = Ok(offset));
            }
            Err(error) if error.kafka() == Some(ResponseError::MessageTooLarge) => {
                let refused = BulkAppendError::Refused(format!("the document is too large: {error}"));
                batch.indexes.into_iter().for_each(|index| results[index] = Err(refused.clone()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[async_trait]
impl BulkLog for TopicBulkLog {
    async fn append(&self, items: Vec<BulkItem>) -> Results {
        let unanswered = BulkAppendError::Unavailable("it was not sent".to_owned());
        let mut results = vec![Err(unanswered.clone()); items.len()];
        if let Err(error) = self.send(&items, &mut results).await {
            let error = Err(BulkAppendError::Unavailable(error.to_string()));
            results.iter_mut().filter(|result| **result == Err(unanswered.clone())).for_each(|r| *r = error.clone());
        }
        results
    }
}

/// Records for one partition, and which items they are.
struct Batch {
    builder: RecordBatchBuilder,
    indexes: Vec<usize>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { builder: RecordBatchBuilder::new(0), indexes: Vec::new() }
    }
}

impl Batch {
    fn add(&mut self, index: usize, item: &BulkItem) {
        let record = record_of(item);
        let headers: Vec<_> = record.headers.iter().map(|header| (&*header.key, header.value.as_deref())).collect();
        let (key, value) = (record.key.to_wire(), record.value.to_wire());
        self.builder.append(now_ms(), key.as_deref(), value.as_deref(), &headers);
        self.indexes.push(index);
    }
}

/// The connector that takes the documents out of the topic.
pub(super) fn connector(topic: &str) -> Result<Vec<NamedConfig>, YamlError> {
    let topic = topic.replace('\'', "''");
    let text = format!(
        "connectors: {{search-bulk: {{class: search, topics: ['{topic}'], url: embedded, errors.tolerance: all, \
         errors.deadletterqueue.topic.name: '{topic}-dlq'}}}}"
    );
    Ok(Document::read(&parse("search.bulk.topic", &text)?)?.connectors)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
