//! What one transaction writes: the rows of some records and how far their partitions move.

use std::sync::Arc;

use weir_connect_api::{ConnectError, SinkRecord};

use super::encode::layout::{Layout, Rows};
use super::offsets::Move;

/// A batch with so many encoded bytes is full, however few its rows are.
pub(super) const BATCH_BYTES_MAX: usize = 16 << 20;

/// The rows of one table, and the record of each.
pub(super) struct TableRows {
    pub(super) layout: Arc<Layout>,
    pub(super) rows: Rows,
    pub(super) records: Vec<SinkRecord>,
    /// Rows that were found bad and reported: never written again.
    pub(super) reported: Vec<bool>,
}

impl TableRows {
    fn new(layout: Arc<Layout>) -> Self {
        Self { layout, rows: Rows::default(), records: Vec::new(), reported: Vec::new() }
    }

    /// Adds the record whose row was just encoded.
    pub(super) fn push(&mut self, record: SinkRecord) {
        self.records.push(record);
        self.reported.push(false);
    }
}

#[derive(Default)]
pub(super) struct Batch {
    pub(super) tables: Vec<TableRows>,
    /// Records that gave no row, to be reported before the offsets move.
    pub(super) rejected: Vec<(SinkRecord, ConnectError)>,
    pub(super) moves: Vec<Move>,
}

impl Batch {
    /// Where the rows of the layout go.
    pub(super) fn table_index(&mut self, layout: &Arc<Layout>) -> usize {
        if let Some(index) = self.tables.iter().position(|table| Arc::ptr_eq(&table.layout, layout)) {
            return index;
        }
        self.tables.push(TableRows::new(Arc::clone(layout)));
        self.tables.len() - 1
    }

    pub(super) fn row_count(&self) -> usize {
        self.tables.iter().map(|table| table.records.len()).sum::<usize>() + self.rejected.len()
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.tables.iter().map(|table| table.rows.size_bytes()).sum()
    }

    /// The records again, for encoding them anew; those already reported are left out.
    pub(super) fn into_records(self) -> Vec<SinkRecord> {
        let written = self.tables.into_iter().flat_map(|table| {
            table.records.into_iter().zip(table.reported).filter(|(_, reported)| !reported).map(|(record, _)| record)
        });
        let mut records: Vec<SinkRecord> = written.chain(self.rejected.into_iter().map(|(record, _)| record)).collect();
        records.sort_by(|a, b| a.origin.cmp(&b.origin).then(a.offset.cmp(&b.offset)));
        records
    }
}
