//! Every bound of the search node in one place.

use std::time::Duration;

/// Shards with an open writer. Each holds a thread and `writer_memory_bytes`; the least recently used is closed.
pub(crate) const OPEN_WRITERS_MAX: usize = 4;
/// A writer that saw no document for this long is closed.
pub(crate) const WRITER_IDLE_MAX: Duration = Duration::from_secs(300);
/// Shards of one node: each keeps files and memory maps open.
pub(crate) const SHARDS_MAX: usize = 4_096;
/// Documents that were written under an explicit id since the last commit, per shard: they are kept to answer
/// `create` and `update`. Reaching it commits.
pub(crate) const PENDING_IDS_MAX: usize = 50_000;
/// Leaf values of one document.
pub(crate) const DOCUMENT_FIELDS_MAX: usize = 2_000;
/// Bytes of one document's source.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// Bytes of an `_id`, as in Elasticsearch.
pub(crate) const ID_BYTES_MAX: usize = 512;
/// Bytes of an index name, as in Elasticsearch.
pub(crate) const INDEX_NAME_BYTES_MAX: usize = 200;
/// Timestamps beyond ± this do not fit nanoseconds in 64 bits (the year 2262).
pub(crate) const TIMESTAMP_MS_MAX: i64 = 9_200_000_000_000;
/// Bytes of a word that the tokenizer emits; longer ones are left out of the index, not of the document.
pub(crate) const TOKEN_BYTES_MAX: usize = 512;
/// Bytes of a request body after decompression; Elasticsearch's `http.max_content_length`.
pub(crate) const BODY_BYTES_MAX: usize = 100 << 20;
/// Actions of one bulk request.
pub(crate) const BULK_ITEMS_MAX: usize = 200_000;
/// Bytes of a query string.
pub(crate) const QUERY_BYTES_MAX: usize = 64 << 10;
/// Brackets within brackets, and queries within queries.
pub(crate) const QUERY_DEPTH_MAX: usize = 64;
/// Clauses of a query string; Elasticsearch's `max_clause_count`.
pub(crate) const QUERY_CLAUSES_MAX: usize = 1_024;
/// Fields that a search without a field name looks into.
pub(crate) const DEFAULT_FIELDS_MAX: usize = 64;
/// Bytes that a compiled regular expression may take.
pub(crate) const REGEX_BYTES_MAX: usize = 1 << 20;
/// `from + size` of a search, as in Elasticsearch.
pub(crate) const HITS_MAX: usize = 10_000;
/// Searches that run at a time; others wait.
pub(crate) const SEARCHES_MAX: usize = 8;
/// How long a search waits for its turn.
pub(crate) const SEARCH_WAIT_MAX: Duration = Duration::from_secs(30);
/// Searches in one `_msearch`.
pub(crate) const MSEARCH_MAX: usize = 200;
/// Buckets of one answer; Elasticsearch's `search.max_buckets` and tantivy's limit.
pub(crate) const BUCKETS_MAX: u32 = 65_000;
/// Bytes that the aggregations of one search may take.
pub(crate) const AGGREGATION_BYTES_MAX: u64 = 256 << 20;
/// Terms that are looked at where the order cannot be decided before all metrics are known.
pub(crate) const ORDERED_TERMS_MAX: u32 = 10_000;
/// Aggregations within aggregations.
pub(crate) const AGGREGATION_DEPTH_MAX: usize = 16;
/// Aggregations of one request.
pub(crate) const AGGREGATIONS_MAX: usize = 512;
/// Levels that a mapping shows; deeper paths stay dotted.
pub(crate) const FIELD_NAME_DEPTH_MAX: usize = 32;
