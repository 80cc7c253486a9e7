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
