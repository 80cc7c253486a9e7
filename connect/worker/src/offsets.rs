//! The offset store as tasks and REST share it: reads from memory, writes one after the other.

use std::sync::Arc;

use tokio::sync::Mutex;
use weir_connect_api::ConnectError;

use crate::store::{Change, OffsetStore, Position};

#[derive(Clone)]
pub struct SharedOffsets {
    store: Arc<Mutex<OffsetStore>>,
}

impl SharedOffsets {
    pub fn new(store: OffsetStore) -> Self {
        Self { store: Arc::new(Mutex::new(store)) }
    }

    pub async fn position(&self, connector: &str) -> Position {
        self.store.lock().await.position(connector)
    }

    /// Returns once the change is durable in the offsets topic.
    pub async fn commit(&self, connector: &str, change: Change) -> Result<(), ConnectError> {
        let (table, offsets, bounds) = self.store.lock().await.change(connector, &change);
        // One after the other: a topic of several partitions keeps no order between them.
        for rows in [offsets, bounds] {
            table.put(rows).await.map_err(|error| ConnectError::retriable(error.to_string()))?;
        }
        self.store.lock().await.applied(connector, change);
        Ok(())
    }
}
