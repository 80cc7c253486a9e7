//! The task before it knows its destination: the configuration of the start says which of the two it is.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use weir_connect_api::{ConnectError, Offsets, SinkContext, SinkRecord, SinkTask, TopicPartition, TypedConfig};
use weir_search::SearchNode;

use super::bulk::BulkSink;
use super::config::{Destination, Settings};
use super::document::Documents;
use super::embedded::{self, EmbeddedSink};

pub(super) struct SearchSinkTask {
    node: Option<SearchNode>,
    sink: Option<Box<dyn SinkTask>>,
}

impl SearchSinkTask {
    pub(super) fn new(node: Option<SearchNode>) -> Self {
        Self { node, sink: None }
    }

    fn sink(&mut self) -> Result<&mut Box<dyn SinkTask>, ConnectError> {
        self.sink.as_mut().ok_or_else(|| ConnectError::fatal("the task is not started"))
    }
}

#[async_trait]
impl SinkTask for SearchSinkTask {
    async fn start(&mut self, context: SinkContext) -> Result<(), ConnectError> {
        let Settings { destination, index, is_keyed, linger } = Settings::checked(&context.config)?;
        let documents = Documents::new(index, is_keyed);
        let mut sink: Box<dyn SinkTask> = match destination {
            Destination::Embedded => {
                let node = self.node.as_ref().ok_or_else(embedded::no_node)?;
                Box::new(EmbeddedSink::new(node.sink(&context.connector), documents, &context, linger))
            }
            Destination::Servers(servers) => Box::new(BulkSink::new(&servers, documents, &context, linger)?),
        };
        sink.start(context).await?;
        self.sink = Some(sink);
        Ok(())
    }

    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<Offsets, ConnectError> {
        self.sink()?.open(partitions).await
    }

    async fn put(&mut self, records: Vec<SinkRecord>, read_to: &Offsets) -> Result<(), ConnectError> {
        self.sink()?.put(records, read_to).await
    }

    fn linger(&self) -> Option<Duration> {
        self.sink.as_ref()?.linger()
    }

    async fn flush(&mut self) -> Result<Offsets, ConnectError> {
        self.sink()?.flush().await
    }

    async fn close(&mut self, partitions: &[TopicPartition]) {
        if let Some(sink) = &mut self.sink {
            sink.close(partitions).await;
        }
    }

    async fn alter_offsets(&mut self, offsets: &BTreeMap<TopicPartition, Option<i64>>) -> Result<(), ConnectError> {
        self.sink()?.alter_offsets(offsets).await
    }

    async fn stop(&mut self) {
        if let Some(mut sink) = self.sink.take() {
            sink.stop().await;
        }
    }
}
