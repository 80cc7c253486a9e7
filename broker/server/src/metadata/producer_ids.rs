//! Giving out producer ids: whole blocks are taken from the metadata log, single ids from memory.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use weir_control::metadata::MetadataRecord;

use super::{ChangeError, Metadata};

/// Ids per record in the log, as in Kafka; what is left of a block is lost on restart.
const BLOCK_IDS: i64 = 1000;

#[derive(Default)]
pub(crate) struct ProducerIds {
    block: tokio::sync::Mutex<Range<i64>>,
}

impl ProducerIds {
    /// An id that was never given out before, also not before a restart.
    pub(crate) async fn next(&self, metadata: &Arc<Metadata>) -> Result<i64, ChangeError<Infallible>> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            *block = metadata
                .change(|image| {
                    let start = image.next_producer_id();
                    let end = start + BLOCK_IDS;
                    Ok((vec![MetadataRecord::ProducerIds { next_producer_id: end }], start..end))
                })
                .await?;
        }
        let id = block.start;
        block.start += 1;
        Ok(id)
    }
}
