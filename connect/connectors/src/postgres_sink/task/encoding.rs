//! From the records that wait to the batch: rows of known tables; tables and columns are found or made on the way.

use std::sync::Arc;
use std::time::Instant;

use weir_connect_api::{ConnectError, SinkRecord};

use super::{Started, no_table};
use crate::postgres_sink::batch::BATCH_BYTES_MAX;
use crate::postgres_sink::catalogue::{self, Table};
use crate::postgres_sink::config::Settings;
use crate::postgres_sink::create::{self, SAMPLE_RECORDS_MAX};
use crate::postgres_sink::encode::layout::Layout;
use crate::postgres_sink::encode::row::{RowEncoder, RowError};
use crate::postgres_sink::error::connect_error;
use crate::postgres_sink::name::TableName;
use crate::postgres_sink::session::{Session, within};

/// Fields without a column.
type Unknown = Vec<(String, serde_json::Value)>;

impl Started {
    /// Encodes until nothing waits or the batch is full.
    pub(super) async fn encode(&mut self) -> Result<(), ConnectError> {
        while !self.waiting.is_empty() && !self.is_full() {
            let table = self.next_table()?;
            if !self.encoders.contains_key(&table) {
                self.find_table(&table).await?;
            }
            if let Some((record, unknown)) = self.encode_run(&table) {
                self.waiting.push_front(record);
                self.evolve(&table, &unknown).await?;
            }
        }
        Ok(())
    }

    /// The table of the first record that waits.
    fn next_table(&self) -> Result<TableName, ConnectError> {
        let topic = self.waiting.front().map_or("", topic_of);
        let name = self.settings.table_for(topic);
        name.map_err(|e| ConnectError::fatal(format!("topic {topic} gives no table's name: {e}")))
    }

    /// Encodes records as long as they are of the same table and there is room. Gives a record that needs new columns.
    fn encode_run(&mut self, table: &TableName) -> Option<(SinkRecord, Unknown)> {
        let encoder = self.encoders.get_mut(table)?;
        let room = self.settings.batch_rows.saturating_sub(self.batch.row_count());
        let index = self.batch.table_index(&encoder.layout);
        let rows = &mut self.batch.tables[index];
        let topic = self.waiting.front()?.record.topic.clone();
        self.batch_since.get_or_insert_with(Instant::now);
        let has_one_table = self.settings.has_one_table();
        for _ in 0..room {
            if rows.rows.size_bytes() >= BATCH_BYTES_MAX {
                break;
            }
            let record = self.waiting.pop_front_if(|next| has_one_table || next.record.topic == topic)?;
            // Not assigned any more, or read a second time: not this task's to write.
            let Some(position) = self.positions.get_mut(&record.origin) else { continue };
            if position.stored.is_some_and(|stored| record.offset < stored) {
                continue;
            }
            let next = record.offset + 1;
            match encoder.encode(&record, &mut rows.rows) {
                Ok(()) => rows.push(record),
                Err(RowError::Bad(error)) => self.batch.rejected.push((record, error)),
                Err(RowError::Unknown(fields)) => return Some((record, fields)),
            }
            position.encoded = Some(next);
        }
        None
    }

    async fn find_table(&mut self, name: &TableName) -> Result<(), ConnectError> {
        self.finish().await?;
        let settings = Arc::clone(&self.settings);
        let same_table = |r: &&SinkRecord| settings.table_for(topic_of(r)).as_ref() == Ok(name);
        let sample_count = if settings.auto_create { SAMPLE_RECORDS_MAX } else { 0 };
        let sample: Vec<SinkRecord> = self.waiting.iter().filter(same_table).take(sample_count).cloned().collect();
        let session = self.session().await?;
        let found =
            within(settings.write_timeout, "finding the table", find_or_create(session, name, &settings, &sample));
        let found = found.await;
        let layout = Arc::new(Layout::new(self.checked(found)?, &settings)?);
        self.encoders.insert(name.clone(), RowEncoder::new(layout, &settings));
        Ok(())
    }

    /// Adds columns. The table is looked up again before the next record is encoded.
    async fn evolve(&mut self, name: &TableName, unknown: &Unknown) -> Result<(), ConnectError> {
        self.finish().await?;
        let Some(encoder) = self.encoders.remove(name) else { return Ok(()) };
        let limit = self.settings.write_timeout;
        let session = self.session().await?;
        let add = create::evolve(&mut session.connection, &encoder.layout.table, unknown);
        let added = within(limit, "adding columns", add).await;
        self.checked(added)
    }
}

fn topic_of(record: &SinkRecord) -> &str {
    record.record.topic.as_deref().unwrap_or(&record.origin.topic)
}

async fn find_or_create(
    session: &mut Session,
    name: &TableName,
    settings: &Settings,
    sample: &[SinkRecord],
) -> Result<Table, ConnectError> {
    let connection = &mut session.connection;
    if let Some(table) = catalogue::load(connection, name).await.map_err(connect_error)? {
        return Ok(table);
    }
    if settings.auto_create {
        create::create(connection, name, settings, sample).await?;
        if let Some(table) = catalogue::load(connection, name).await.map_err(connect_error)? {
            return Ok(table);
        }
    }
    Err(no_table(name))
}
