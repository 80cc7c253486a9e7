//! One connection, and the offsets table that was found over it.

use std::future::Future;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use weir_connect_api::ConnectError;

use super::config::Settings;
use super::error::StatementError;
use super::offsets::OffsetsTable;

pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) offsets: OffsetsTable,
}

impl Session {
    pub(super) async fn open(settings: &Settings, connector: &str) -> Result<Self, ConnectError> {
        let mut connection = connect(&settings.connect, settings.connect_timeout).await?;
        let ensure = OffsetsTable::ensure(&mut connection, &settings.offsets_table, connector);
        let offsets = within(settings.write_timeout, "finding the offsets table", ensure).await?;
        Ok(Self { connection, offsets })
    }

    pub(super) async fn close(self) {
        // The server notices a closed socket too.
        let _ = self.connection.close().await;
    }
}

pub(super) async fn connect(options: &PgConnectOptions, limit: Duration) -> Result<PgConnection, ConnectError> {
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let connection = within(limit, &format!("connecting to {place}"), options.connect()).await;
    connection.map_err(|error| ConnectError { message: format!("{place}: {}", error.message), ..error })
}

/// Gives up what takes too long: on a network that swallows packets nothing else ends it.
pub(super) async fn within<T, E: Into<StatementError>>(
    limit: Duration,
    what: &str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, ConnectError> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result.map_err(|error| outside_rows(error.into())),
        Err(_) => Err(ConnectError::retriable(format!("{what}: Postgres gave no answer within {} s", limit.as_secs()))),
    }
}

/// Where no row is written, no row can be at fault.
fn outside_rows(error: StatementError) -> ConnectError {
    let is_record = error.is_record();
    let error = ConnectError::from(error);
    if is_record { ConnectError::fatal(error.in_full()) } else { error }
}
