//! The fields of a shard: the same for every shard, whatever the documents hold.
//!
//! | field | holds | used for |
//! |---|---|---|
//! | `@timestamp` | milliseconds, fast | ranges, sort, histograms |
//! | `_id` | raw, stored | `ids`, replacing a document |
//! | `_seq` | fast | the tie-breaker `_doc`: stable across merges |
//! | `_source` | stored bytes | what a hit shows |
//! | `message` | words with positions | search without a field name |
//! | `_dynamic` | all other values by JSON path: words, and the whole value as a column | everything else |

use tantivy::schema::{
    BytesOptions, DateOptions, DateTimePrecision, Field, IndexRecordOption, JsonObjectOptions, NumericOptions, Schema,
    TextFieldIndexing, TextOptions,
};

use super::tokenizer::TOKENIZER;

pub(crate) const TIMESTAMP: &str = "@timestamp";
pub(crate) const ID: &str = "_id";
pub(crate) const SEQ: &str = "_seq";
pub(crate) const SOURCE: &str = "_source";
pub(crate) const MESSAGE: &str = "message";
pub(crate) const DYNAMIC: &str = "_dynamic";

/// Handles of the fields of [`schema`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    pub(crate) timestamp: Field,
    pub(crate) id: Field,
    pub(crate) seq: Field,
    pub(crate) source: Field,
    pub(crate) message: Field,
    pub(crate) dynamic: Field,
}

impl Fields {
    /// The handles in a schema read from disk.
    pub(crate) fn of(schema: &Schema) -> tantivy::Result<Self> {
        Ok(Self {
            timestamp: schema.get_field(TIMESTAMP)?,
            id: schema.get_field(ID)?,
            seq: schema.get_field(SEQ)?,
            source: schema.get_field(SOURCE)?,
            message: schema.get_field(MESSAGE)?,
            dynamic: schema.get_field(DYNAMIC)?,
        })
    }
}

pub(crate) fn schema() -> Schema {
    let words = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions)
        .set_fieldnorms(false);
    let raw = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    let mut schema = Schema::builder();
    let timestamp = DateOptions::default().set_fast().set_precision(DateTimePrecision::Milliseconds);
    schema.add_date_field(TIMESTAMP, timestamp);
    schema.add_text_field(ID, TextOptions::default().set_indexing_options(raw).set_stored());
    schema.add_i64_field(SEQ, NumericOptions::default().set_fast());
    schema.add_bytes_field(SOURCE, BytesOptions::default().set_stored());
    schema.add_text_field(MESSAGE, TextOptions::default().set_indexing_options(words.clone()));
    let dynamic = JsonObjectOptions::default().set_indexing_options(words).set_fast("raw").set_expand_dots_enabled();
    schema.add_json_field(DYNAMIC, dynamic);
    schema.build()
}
