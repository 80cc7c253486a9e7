//! What is written and not committed yet, with the offsets that it goes up to.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use tantivy::schema::TantivyDocument;
use tantivy::{IndexWriter, Term};

use super::{Applied, Content, Prepared, Shard};
use crate::index::document::{self, Action, Document, DocumentError, Parsed};
use crate::index::offsets::SinkOffsets;
use crate::limits::PENDING_IDS_MAX;

#[derive(Default)]
pub(super) struct State {
    pub(super) writer: Option<OpenWriter>,
    /// What the last commit holds.
    pub(super) committed: SinkOffsets,
}

pub(super) struct OpenWriter {
    pub(super) writer: IndexWriter,
    /// What the next commit will hold.
    pub(super) applied: SinkOffsets,
    /// Sources written under an explicit id since the last commit; `None` was deleted.
    pub(super) pending: HashMap<String, Option<Bytes>>,
    pub(super) dirty_since: Option<Instant>,
    pub(super) used_at: Instant,
}

impl State {
    /// The only way to commit: with the offsets of what is in it.
    pub(super) fn commit(&mut self, shard: &Shard) -> tantivy::Result<()> {
        if self.writer.as_ref().is_none_or(|open| open.dirty_since.is_none()) {
            return Ok(());
        }
        let began = Instant::now();
        let committed = self.commit_dirty(shard);
        match committed {
            Ok(()) => shard.commits.succeeded(&shard.name, began.elapsed()),
            Err(_) => shard.commits.failed(&shard.name),
        }
        committed
    }

    fn commit_dirty(&mut self, shard: &Shard) -> tantivy::Result<()> {
        let Some(open) = self.writer.as_mut() else { return Ok(()) };
        let mut prepared = open.writer.prepare_commit()?;
        prepared.set_payload(&open.applied.to_payload());
        prepared.commit()?;
        open.dirty_since = None;
        open.pending.clear();
        self.committed = open.applied.clone();
        shard.reader.reload()
    }

    pub(super) fn apply_one(
        &mut self,
        shard: &Shard,
        connector: &str,
        prepared: Prepared<'_>,
    ) -> tantivy::Result<Applied> {
        if self.writer.as_ref().is_some_and(|open| open.pending.len() >= PENDING_IDS_MAX) {
            self.commit(shard)?;
        }
        let Some(open) = self.writer.as_mut() else { return Ok(Applied::Duplicate) };
        let origin = &prepared.document.origin;
        let next_offset = open.applied.next_offset(connector, &origin.topic, origin.partition).unwrap_or(i64::MIN);
        if origin.offset < next_offset {
            return Ok(Applied::Duplicate);
        }
        let is_replayed = open.applied.is_replayed(connector, &origin.topic, origin.partition, origin.offset);
        let applied = open.index(shard, prepared, is_replayed)?;
        open.applied.advance(connector, &origin.topic, origin.partition, origin.offset + 1);
        open.used_at = Instant::now();
        if open.dirty_since.is_none() {
            open.dirty_since = Some(open.used_at);
            shard.commits.wait(&shard.name, open.used_at);
        }
        Ok(applied)
    }
}

impl OpenWriter {
    fn index(&mut self, shard: &Shard, prepared: Prepared<'_>, is_replayed: bool) -> tantivy::Result<Applied> {
        let document = prepared.document;
        match (document.action, prepared.content) {
            (Action::Append, Content::Fields(fields)) if !is_replayed => {
                self.writer.add_document(*fields).map(|_| Applied::Done)
            }
            (Action::Create, Content::Fields(_)) if self.source(shard, &document.id)?.is_some() => {
                Ok(Applied::Duplicate)
            }
            (_, Content::Fields(fields)) => self.replace(shard, document, &document.source, *fields),
            (action, Content::Changes(changes)) => {
                self.update(shard, document, *changes, action == Action::Update { upsert: true })
            }
            (_, Content::Nothing) => {
                self.writer.delete_term(Term::from_field_text(shard.fields.id, &document.id));
                self.pending.insert(document.id.clone(), None);
                Ok(Applied::Done)
            }
        }
    }

    fn update(
        &mut self,
        shard: &Shard,
        document: &Document,
        changes: Parsed,
        is_upsert: bool,
    ) -> tantivy::Result<Applied> {
        let current = self.source(shard, &document.id)?;
        if current.is_none() && !is_upsert {
            let (index, id) = (shard.name.to_string(), document.id.clone());
            return Ok(Applied::Rejected(DocumentError::Missing { index, id }));
        }
        let current = current.unwrap_or_else(|| Bytes::from_static(b"{}"));
        let merged = document::parse_source(&current, changes.timestamp_ms).and_then(|current| {
            let mut source = Value::Object(current.fields);
            merge(&mut source, Value::Object(changes.fields));
            let source = Bytes::from(source.to_string());
            document::parse_source(&source, current.timestamp_ms).map(|parsed| (source, parsed))
        });
        match merged {
            Ok((source, parsed)) => {
                let fields = document::to_fields(&document.id, document.seq(), &source, parsed, &shard.fields);
                self.replace(shard, document, &source, fields)
            }
            Err(error) => Ok(Applied::Rejected(error)),
        }
    }

    fn replace(
        &mut self,
        shard: &Shard,
        document: &Document,
        source: &Bytes,
        fields: TantivyDocument,
    ) -> tantivy::Result<Applied> {
        self.writer.delete_term(Term::from_field_text(shard.fields.id, &document.id));
        self.writer.add_document(fields)?;
        self.pending.insert(document.id.clone(), Some(source.clone()));
        Ok(Applied::Done)
    }

    /// The source under an id, as the next commit will have it.
    fn source(&self, shard: &Shard, id: &str) -> tantivy::Result<Option<Bytes>> {
        match self.pending.get(id) {
            Some(pending) => Ok(pending.clone()),
            None => shard.committed_source(id),
        }
    }
}

/// Objects merge key by key; anything else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
