//! The broker as handlers see it.

use std::sync::Arc;

use weir_control::metadata::MetadataImage;

use crate::config::Settings;
use crate::config::listeners::Endpoint;
use crate::groups::{GroupLags, Groups};
use crate::metadata::{Metadata, ProducerIds};
use crate::metrics::{ApiMetrics, Metrics};
use crate::partition::Partitions;

/// One per process, shared by all requests.
pub(crate) struct Context {
    pub node_id: i32,
    pub cluster_id: String,
    /// Where clients are told to connect, one per listener, with the ports that were really bound.
    pub advertised: Vec<Endpoint>,
    pub metadata: Arc<Metadata>,
    pub producer_ids: ProducerIds,
    pub partitions: Arc<Partitions>,
    pub groups: Arc<Groups>,
    pub lags: Arc<GroupLags>,
    pub metrics: Arc<Metrics>,
    /// By row of the table of APIs.
    pub(super) api_metrics: Vec<ApiMetrics>,
}

/// A broker as clients of one listener are told of it.
pub(crate) struct AdvertisedBroker {
    pub node_id: i32,
    pub host: String,
    pub port: u16,
    pub rack: Option<String>,
}

impl Context {
    pub(crate) fn new(
        node_id: i32,
        cluster_id: String,
        advertised: Vec<Endpoint>,
        metadata: Arc<Metadata>,
        partitions: Arc<Partitions>,
        lags: Arc<GroupLags>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let api_metrics = super::table_metrics(&metrics);
        let (producer_ids, groups) = (ProducerIds::default(), Arc::clone(lags.coordinator()));
        Self { node_id, cluster_id, advertised, metadata, producer_ids, partitions, groups, lags, metrics, api_metrics }
    }

    /// The settings that count now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.metadata.settings()
    }

    /// The counters of every API.
    pub(crate) fn api_metrics(&self) -> &[ApiMetrics] {
        &self.api_metrics
    }

    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.metadata.image()
    }

    /// The registered brokers, under the addresses for clients of `listener`. Never empty.
    pub(crate) fn brokers(&self, listener: &str) -> Vec<AdvertisedBroker> {
        let endpoint = self.advertised.iter().find(|endpoint| &*endpoint.name == listener).or(self.advertised.first());
        let (host, port) = endpoint.map(|endpoint| (endpoint.host.clone(), endpoint.port)).unwrap_or_default();
        vec![AdvertisedBroker { node_id: self.node_id, host, port, rack: self.settings().rack.clone() }]
    }

    /// The ids of the registered brokers, in order.
    pub(crate) fn broker_ids(&self) -> Vec<i32> {
        vec![self.node_id]
    }
}
