//! One batch into Postgres: a transaction that moves the offsets and writes the rows, all or nothing.
//!
//! The first try has no savepoints. When rows are at fault, a second transaction halves what fails under savepoints
//! until the bad rows are alone; they are reported, acknowledged, and only then is the transaction committed.

use std::future::Future;
use std::ops::Range;

use sqlx::postgres::PgConnection;
use weir_connect_api::{ConnectError, RecordReporter};

use super::batch::{Batch, TableRows};
use super::config::Settings;
use super::error::StatementError;
use super::offsets::Moved;
use super::session::Session;
use super::{append, catalogue, upsert};

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Written {
    Committed,
    /// A table is not what the rows were encoded for: encode them again.
    Stale,
}

/// Why a batch is not written. The batch is unchanged but for records that were reported meanwhile.
#[derive(Debug)]
pub(super) enum WriteError {
    Statement(StatementError),
    /// From the reporter, or because another task has the partitions.
    Connect(ConnectError),
}

impl From<StatementError> for WriteError {
    fn from(error: StatementError) -> Self {
        Self::Statement(error)
    }
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Statement(error.into())
    }
}

impl From<ConnectError> for WriteError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

impl From<WriteError> for ConnectError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Statement(error) => error.into(),
            WriteError::Connect(error) => error,
        }
    }
}

/// A write gives back what it was given; the session only if it may be used again.
pub(super) struct Outcome {
    pub(super) session: Option<Session>,
    pub(super) batch: Batch,
    pub(super) result: Result<Written, ConnectError>,
}

/// How batches of one task are written.
pub(super) struct Writer<'a> {
    pub(super) settings: &'a Settings,
    pub(super) reporter: &'a dyn RecordReporter,
}

impl Writer<'_> {
    pub(super) async fn write(&self, mut session: Session, mut batch: Batch) -> Outcome {
        match self.try_write(&mut session, &mut batch).await {
            Ok(written) => Outcome { session: Some(session), batch, result: Ok(written) },
            Err(error) => Outcome { session: None, batch, result: Err(error.into()) },
        }
    }

    async fn try_write(&self, session: &mut Session, batch: &mut Batch) -> Result<Written, WriteError> {
        while let Some((record, error)) = batch.rejected.last() {
            self.reporter.report(record, error).await?;
            batch.rejected.pop();
        }
        match self.limited(self.at_once(session, batch)).await {
            Err(WriteError::Statement(error)) if error.is_record() => {}
            result => return result,
        }
        self.limited(rollback(session)).await?;
        for table in &batch.tables {
            let current = self.limited(catalogue::load(&mut session.connection, &table.layout.table.name)).await?;
            if current.as_ref() != Some(&table.layout.table) {
                return Ok(Written::Stale);
            }
        }
        self.isolating(session, batch).await
    }

    async fn at_once(&self, session: &mut Session, batch: &Batch) -> Result<Written, WriteError> {
        if begin(session, batch, "begin").await? {
            for table in &batch.tables {
                self.piece(&mut session.connection, table, 0..table.records.len()).await?;
            }
            sqlx::raw_sql("commit").execute(&mut session.connection).await?;
        }
        Ok(Written::Committed)
    }

    async fn isolating(&self, session: &mut Session, batch: &mut Batch) -> Result<Written, WriteError> {
        // A deferred constraint would be noticed at the commit, when it is too late to say which row it was.
        if !self.limited(begin(session, batch, "begin; set constraints all immediate")).await? {
            return Ok(Written::Committed);
        }
        for table in &mut batch.tables {
            for (row, error) in self.halve(&mut session.connection, table).await? {
                self.reporter.report(&table.records[row], &error.into()).await?;
                table.reported[row] = true;
            }
        }
        self.limited(async { sqlx::raw_sql("commit").execute(&mut session.connection).await }).await?;
        Ok(Written::Committed)
    }

    /// Writes all rows that can be written and gives those that cannot.
    async fn halve(
        &self,
        connection: &mut PgConnection,
        table: &TableRows,
    ) -> Result<Vec<(usize, StatementError)>, WriteError> {
        let mut bad = Vec::new();
        let all = 0..table.records.len();
        let mut open = Vec::from([all]);
        while let Some(rows) = open.pop() {
            match self.limited(self.saved_piece(connection, table, rows.clone())).await? {
                Ok(()) => {}
                Err(error) if rows.len() == 1 => bad.push((rows.start, error)),
                Err(_) => {
                    // The first half is on top: rows of a key are written in their order.
                    let middle = rows.start + rows.len() / 2;
                    open.push(middle..rows.end);
                    open.push(rows.start..middle);
                }
            }
        }
        Ok(bad)
    }

    /// A piece under a savepoint. The inner error says that rows are at fault; then it is as if nothing was written.
    async fn saved_piece(
        &self,
        connection: &mut PgConnection,
        table: &TableRows,
        rows: Range<usize>,
    ) -> Result<Result<(), StatementError>, WriteError> {
        sqlx::raw_sql("savepoint piece").execute(&mut *connection).await?;
        let (undo, result) = match self.piece(connection, table, rows).await {
            Ok(()) => ("release savepoint piece", Ok(())),
            Err(error) if error.is_record() => ("rollback to savepoint piece; release savepoint piece", Err(error)),
            Err(error) => return Err(error.into()),
        };
        sqlx::raw_sql(undo).execute(connection).await?;
        Ok(result)
    }

    async fn piece(
        &self,
        connection: &mut PgConnection,
        table: &TableRows,
        rows: Range<usize>,
    ) -> Result<(), StatementError> {
        if self.settings.is_upsert {
            upsert::write(connection, table, rows).await
        } else {
            append::write(connection, table, rows).await
        }
    }

    /// Gives up what takes too long: on a network that swallows packets nothing else ends it.
    async fn limited<T, E: Into<WriteError>>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, WriteError> {
        let limit = self.settings.write_timeout;
        match tokio::time::timeout(limit, call).await {
            Ok(result) => result.map_err(Into::into),
            Err(_) => {
                let message = format!("writing a batch: Postgres gave no answer within {} s", limit.as_secs());
                Err(ConnectError::retriable(message).into())
            }
        }
    }
}

/// Begins and moves the offsets. `false` if there is nothing left to write.
async fn begin(session: &mut Session, batch: &Batch, statement: &'static str) -> Result<bool, WriteError> {
    sqlx::raw_sql(statement).execute(&mut session.connection).await?;
    match session.offsets.advance(&mut session.connection, &batch.moves).await? {
        Moved::Yes => Ok(true),
        Moved::Already => {
            rollback(session).await?;
            Ok(false)
        }
        Moved::Fenced(reason) => Err(ConnectError::fatal(format!("{reason}; this task stops writing")).into()),
    }
}

async fn rollback(session: &mut Session) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("rollback").execute(&mut session.connection).await?;
    Ok(())
}
