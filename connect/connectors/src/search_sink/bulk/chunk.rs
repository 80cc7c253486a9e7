//! The documents of one request and its body: an action line and, but for deletes, a source line each.

use std::ops::Range;

use bytes::Bytes;
use serde_json::json;
use weir_connect_api::SinkRecord;
use weir_search::{Action, Document};
use weir_trace::{SpanContext, context_of};

/// A document in a body.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) record: SinkRecord,
    lines: Range<usize>,
}

/// A body that still grows.
#[derive(Default)]
pub(super) struct Building {
    pub(super) items: Vec<Item>,
    pub(super) body: Vec<u8>,
}

/// A body to be sent, perhaps several times.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) items: Vec<Item>,
    pub(super) body: Bytes,
}

impl Building {
    pub(super) fn push(&mut self, record: SinkRecord, document: &Document) {
        let start = self.body.len();
        self.body.extend_from_slice(action_line(document).as_bytes());
        self.body.push(b'\n');
        match document.action {
            Action::Delete => {}
            Action::Update { upsert } => {
                self.body.extend_from_slice(b"{\"doc\":");
                self.body.extend_from_slice(&document.source);
                self.body.extend_from_slice(if upsert { b",\"doc_as_upsert\":true}\n" } else { b"}\n" });
            }
            Action::Append | Action::Create | Action::Index => {
                self.body.extend_from_slice(&document.source);
                self.body.push(b'\n');
            }
        }
        self.items.push(Item { record, lines: start..self.body.len() });
    }

    /// `None` if there is nothing in it.
    pub(super) fn seal(self) -> Option<Chunk> {
        (!self.items.is_empty()).then(|| Chunk { items: self.items, body: self.body.into() })
    }
}

impl Chunk {
    /// That of the first record which has one.
    pub(super) fn trace(&self) -> Option<SpanContext> {
        if !weir_trace::is_on() {
            return None;
        }
        self.items.iter().find_map(|item| {
            let headers = &item.record.record.headers;
            context_of(headers.iter().filter_map(|header| Some((&*header.key, header.value.as_deref()?))))
        })
    }
}

fn action_line(document: &Document) -> String {
    let (index, id, offset) = (&*document.index, &document.id, document.origin.offset);
    match document.action {
        Action::Append | Action::Create => json!({"create": {"_index": index, "_id": id}}),
        Action::Index => {
            json!({"index": {"_index": index, "_id": id, "version": offset, "version_type": "external"}})
        }
        Action::Delete => {
            json!({"delete": {"_index": index, "_id": id, "version": offset, "version_type": "external"}})
        }
        Action::Update { .. } => json!({"update": {"_index": index, "_id": id}}),
    }
    .to_string()
}

impl Chunk {
    /// The items that are marked.
    pub(super) fn subset(self, kept: &[bool]) -> Option<Self> {
        let mut building = Building::default();
        for (item, _) in self.items.into_iter().zip(kept).filter(|(_, kept)| **kept) {
            let start = building.body.len();
            building.body.extend_from_slice(&self.body[item.lines]);
            building.items.push(Item { record: item.record, lines: start..building.body.len() });
        }
        building.seal()
    }

    /// Two chunks of half the documents; a chunk of one comes back as it is.
    pub(super) fn halves(mut self) -> Result<(Self, Self), Self> {
        if self.items.len() < 2 {
            return Err(self);
        }
        let mut second = self.items.split_off(self.items.len() / 2);
        let cut = second[0].lines.start;
        for item in &mut second {
            item.lines = item.lines.start - cut..item.lines.end - cut;
        }
        let second = Self { items: second, body: self.body.split_off(cut) };
        Ok((self, second))
    }
}
