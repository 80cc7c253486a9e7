//! Metrics of the index and of searches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::config::ShardSpan;
use crate::index::commits::{Commits, CommitsCollector};
use crate::index::document::Document;
use crate::index::name::ShardName;
use crate::index::shards::{self, Shards, WriteReport};

/// Seconds: most searches take milliseconds.
const SEARCH_BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Every family that a search node exports, without its values: for its reference.
pub fn families() -> prometheus::Result<Vec<Box<dyn Collector>>> {
    Ok(Metrics::new()?.collectors())
}

pub(crate) struct Metrics {
    documents: IntCounterVec,
    docs: IntGaugeVec,
    size_bytes: IntGaugeVec,
    segments: IntGaugeVec,
    pub(crate) commits: Arc<Commits>,
    search_seconds: HistogramVec,
    pub(crate) search_errors: IntCounter,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        self.collectors().into_iter().try_for_each(|collector| registry.register(collector))
    }

    pub(crate) fn new() -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["index"]);
        Ok(Self {
            documents: IntCounterVec::new(
                Opts::new("weir_index_documents_total", "Documents taken by the index, by what became of them."),
                &["index", "status"],
            )?,
            docs: gauge("weir_index_docs", "Documents that searches see.")?,
            size_bytes: gauge("weir_index_size_bytes", "Bytes of an index on disk.")?,
            segments: gauge("weir_index_segments", "Segments of an index.")?,
            commits: Arc::new(Commits::new()?),
            search_seconds: HistogramVec::new(
                HistogramOpts::new("weir_search_seconds", "Time of a search request.").buckets(SEARCH_BUCKETS.to_vec()),
                &["index"],
            )?,
            search_errors: IntCounter::new("weir_search_errors_total", "Searches that were answered with an error.")?,
        })
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.documents.clone()),
            Box::new(self.docs.clone()),
            Box::new(self.size_bytes.clone()),
            Box::new(self.segments.clone()),
            Box::new(CommitsCollector(Arc::clone(&self.commits))),
            Box::new(self.search_seconds.clone()),
            Box::new(self.search_errors.clone()),
        ]
    }

    /// Counts a write. A batch nearly always goes to one index; where it does not, its outcome counts for the first.
    pub(crate) fn count_written(&self, documents: &[Document], report: &WriteReport) {
        let Some(document) = documents.first() else { return };
        let name = ShardName::of(&document.index, document.timestamp_ms, ShardSpan::Day);
        // Names that are refused must not become series.
        let index = name.as_ref().map_or("__invalid", ShardName::base);
        for (status, count) in
            [("written", report.written), ("skipped", report.skipped), ("rejected", report.rejected.len())]
        {
            self.documents.with_label_values(&[index, status]).inc_by(count as u64);
        }
    }

    /// A search over several indexes counts for the first.
    pub(crate) fn observe_search(&self, index: &str, took: Duration) {
        self.search_seconds.with_label_values(&[index]).observe(took.as_secs_f64());
    }

    /// Measures what is on disk. An index that is gone loses its series.
    pub(crate) fn measure(&self, shards: &Shards) {
        let mut indexes: BTreeMap<String, (i64, u64, usize)> = BTreeMap::new();
        for shard in shards.all() {
            let searcher = shard.searcher();
            let sums = indexes.entry(shard.name().base().to_owned()).or_default();
            sums.0 += searcher.num_docs() as i64;
            sums.1 += shards::size_bytes(shard.dir());
            sums.2 += searcher.segment_readers().len();
        }
        self.commits.keep_indexes(|index| indexes.contains_key(index));
        self.docs.reset();
        self.size_bytes.reset();
        self.segments.reset();
        for (index, (docs, size_bytes, segments)) in indexes {
            self.docs.with_label_values(&[&index]).set(docs);
            self.size_bytes.with_label_values(&[&index]).set(size_bytes as i64);
            self.segments.with_label_values(&[&index]).set(segments as i64);
        }
    }
}
