//! The metadata image and the one way to change it: append records to the metadata log, then apply them.
//!
//! [`Metadata`] hands out the image and the settings that follow from it; [`file_log`] keeps the records of a single
//! broker. Changes are serialised: a decision sees every change made before it.

mod file_log;
mod producer_ids;

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use weir_control::metadata::{ConfigResource, MetadataImage, MetadataLog, MetadataLogError, MetadataRecord};

use crate::config::layers::BrokerLayers;
use crate::config::{ConfigError, Properties, Settings};
use crate::partition::Partitions;

pub(crate) use file_log::{FileMetadataLog, OpenMetadataError};
pub(crate) use producer_ids::ProducerIds;

/// An image and the settings it comes to.
#[derive(Debug)]
pub(crate) struct Current {
    pub image: Arc<MetadataImage>,
    pub settings: Arc<Settings>,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError<E> {
    #[error("{0}")]
    Refused(E),
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    #[error(transparent)]
    Config(#[from] ConfigError),
}

pub(crate) struct Metadata {
    file: Properties,
    node_id: i32,
    current: RwLock<Arc<Current>>,
    log: tokio::sync::Mutex<Box<dyn MetadataLog>>,
    partitions: Arc<Partitions>,
}

impl Metadata {
    /// `image` is what `log` holds; `partitions` follows every change of it.
    pub(crate) fn new(
        file: Properties,
        node_id: i32,
        image: MetadataImage,
        log: Box<dyn MetadataLog>,
        partitions: Arc<Partitions>,
    ) -> Result<Self, ConfigError> {
        let settings = resolve_settings(&file, node_id, &image)?;
        let current = Current { image: Arc::new(image), settings: Arc::new(settings) };
        Ok(Self {
            file,
            node_id,
            current: RwLock::new(Arc::new(current)),
            log: tokio::sync::Mutex::new(log),
            partitions,
        })
    }

    /// Decides on the newest image, makes the decision durable, applies it, and opens or closes the partitions that it
    /// concerns. Runs to its end even if the caller goes away: a record in the log is always in the image.
    pub(crate) async fn change<T, E, D>(self: &Arc<Self>, decide: D) -> Result<T, ChangeError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        D: FnOnce(&MetadataImage) -> Result<(Vec<MetadataRecord>, T), E> + Send + 'static,
    {
        let metadata = Arc::clone(self);
        match tokio::spawn(async move { metadata.change_in_order(decide).await }).await {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    async fn change_in_order<T, E, D>(&self, decide: D) -> Result<T, ChangeError<E>>
    where
        D: FnOnce(&MetadataImage) -> Result<(Vec<MetadataRecord>, T), E>,
    {
        let mut log = self.log.lock().await;
        let before = self.current();
        let (records, outcome) = decide(&before.image).map_err(ChangeError::Refused)?;
        if records.is_empty() {
            return Ok(outcome);
        }
        let mut image = MetadataImage::clone(&before.image);
        records.iter().for_each(|record| image.apply(record));
        // Settings that do not resolve are refused before they are written down.
        let settings = resolve_settings(&self.file, self.node_id, &image)?;
        log.append(&records).await?;
        let after = Arc::new(Current { image: Arc::new(image), settings: Arc::new(settings) });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&after);
        self.partitions.follow(&self.file, before, after).await;
        Ok(outcome)
    }

    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).image)
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).settings)
    }

    /// The properties the broker was started with.
    pub(crate) fn file(&self) -> &Properties {
        &self.file
    }
}

fn resolve_settings(file: &Properties, node_id: i32, image: &MetadataImage) -> Result<Settings, ConfigError> {
    let dynamic_broker = image.configs(&ConfigResource::Broker(node_id));
    let dynamic_default = image.configs(&ConfigResource::BrokerDefault);
    Settings::resolve(BrokerLayers { file, dynamic_broker: &dynamic_broker, dynamic_default: &dynamic_default })
}
