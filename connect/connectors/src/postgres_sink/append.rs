//! Rows by binary COPY.
//!
//! ```text
//! "PGCOPY\n\xff\r\n\0" | i32 flags | i32 length of the extension | rows … | i16 -1
//! ```

use std::ops::Range;

use sqlx::postgres::PgConnection;
use weir_connect_api::ErrorClass;

use super::batch::TableRows;
use super::encode::layout::Layout;
use super::error::StatementError;
use super::name::quoted_list;

const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// What is sent at once: large enough to keep Postgres busy, small next to the batch.
const CHUNK_BYTES: usize = 1 << 20;

/// Copies the rows that were not reported. Rows with different defaults need a statement each.
pub(super) async fn write(
    connection: &mut PgConnection,
    table: &TableRows,
    rows: Range<usize>,
) -> Result<(), StatementError> {
    let mut written: Vec<u64> = Vec::new();
    for row in rows.clone() {
        let present = table.rows.rows[row].present;
        if !table.reported[row] && !written.contains(&present) {
            written.push(present);
            copy(connection, table, rows.clone(), present).await?;
        }
    }
    Ok(())
}

async fn copy(
    connection: &mut PgConnection,
    table: &TableRows,
    rows: Range<usize>,
    present: u64,
) -> Result<(), StatementError> {
    let mut copy = connection.copy_in_raw(&statement(&table.layout, present)).await?;
    copy.send(&HEADER[..]).await?;
    for run in runs(table, rows, present) {
        for chunk in table.rows.bytes[run].chunks(CHUNK_BYTES) {
            copy.send(chunk).await?;
        }
    }
    copy.send(&TRAILER[..]).await?;
    copy.finish().await.map_err(copy_error)?;
    Ok(())
}

/// A value that is shorter than its column's type is a breach of the protocol to Postgres; here it means that the type
/// has changed, or that the row is bad.
fn copy_error(error: sqlx::Error) -> StatementError {
    let is_protocol_violation = error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "08P01");
    let error = StatementError::from(error);
    if is_protocol_violation { StatementError { class: ErrorClass::Record, ..error } } else { error }
}

fn statement(layout: &Layout, present: u64) -> String {
    let columns = quoted_list(layout.columns(present).map(|i| layout.table.columns[i].name.as_str()));
    format!("copy {} ({columns}) from stdin with (format binary)", layout.table.name)
}

/// The bytes of the rows that have these defaults, neighbours joined.
fn runs(table: &TableRows, rows: Range<usize>, present: u64) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for row in rows {
        let encoded = &table.rows.rows[row];
        if table.reported[row] || encoded.present != present {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.end == encoded.bytes.start => run.end = encoded.bytes.end,
            _ => runs.push(encoded.bytes.clone()),
        }
    }
    runs
}
