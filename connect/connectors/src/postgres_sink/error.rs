//! What a database error means for the task: by SQLSTATE, never by its text.
//!
//! | class | meaning here |
//! |---|---|
//! | 21, 22, 23, 44, 54, P0, 42804 | rows are at fault: the batch is taken apart until the bad ones are alone |
//! | 08, 25, 40, 53, 55, 57, 58, XX, no SQLSTATE | the server or the network: the same batch is written again |
//! | everything else (28, 3D, 42, 0A, …) | only a person can help: the task fails with the remedy |

use weir_connect_api::{ConnectError, ErrorClass};

/// An error of one statement, classified.
#[derive(Debug)]
pub(super) struct StatementError {
    pub(super) class: ErrorClass,
    pub(super) message: String,
    /// What it says of the row.
    pub(super) quote: Option<String>,
}

impl StatementError {
    pub(super) fn is_record(&self) -> bool {
        self.class == ErrorClass::Record
    }
}

impl From<sqlx::Error> for StatementError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let sqlstate = database.code().unwrap_or_default();
                let class = class(&sqlstate);
                if class == ErrorClass::Record {
                    return Self {
                        class,
                        message: refused(&sqlstate, database.constraint()),
                        quote: Some(database.message().to_owned()),
                    };
                }
                let message = match remedy(&sqlstate) {
                    Some(remedy) => format!("Postgres: {} (SQLSTATE {sqlstate}): {remedy}", database.message()),
                    None => format!("Postgres: {} (SQLSTATE {sqlstate})", database.message()),
                };
                Self { class, message, quote: None }
            }
            sqlx::Error::Configuration(_) => {
                Self { class: ErrorClass::Fatal, message: format!("connection to Postgres: {error}"), quote: None }
            }
            _ => Self {
                class: ErrorClass::Retriable { retry_after: None },
                message: format!("connection to Postgres: {error}"),
                quote: None,
            },
        }
    }
}

impl From<ConnectError> for StatementError {
    fn from(error: ConnectError) -> Self {
        Self { class: error.class, message: error.message, quote: error.quote }
    }
}

impl From<StatementError> for ConnectError {
    fn from(error: StatementError) -> Self {
        Self { class: error.class, message: error.message, quote: error.quote }
    }
}

/// A `sqlx` error as the worker sees it.
pub(super) fn connect_error(error: sqlx::Error) -> ConnectError {
    StatementError::from(error).into()
}

fn class(sqlstate: &str) -> ErrorClass {
    let retriable = ErrorClass::Retriable { retry_after: None };
    match sqlstate {
        "42804" => return ErrorClass::Record,
        // The connection reaches a standby: after a failover the same address is the primary again.
        "25006" => return retriable,
        _ => {}
    }
    match sqlstate.get(..2) {
        Some("21" | "22" | "23" | "44" | "54" | "P0") => ErrorClass::Record,
        Some("08" | "25" | "40" | "53" | "55" | "57" | "58" | "XX") | None => retriable,
        Some(_) => ErrorClass::Fatal,
    }
}

/// Without the database's own text, which quotes values.
fn refused(sqlstate: &str, constraint: Option<&str>) -> String {
    match constraint {
        Some(constraint) => format!("Postgres: the row is refused (SQLSTATE {sqlstate}, constraint {constraint})"),
        None => format!("Postgres: the row is refused (SQLSTATE {sqlstate})"),
    }
}

/// What a person can do about it.
fn remedy(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "42P01" => "create the table, correct `table`, or set auto.create=true",
        "42703" => "the table's columns changed: add the column or correct the configuration, then restart the task",
        "42P10" => "create a unique index or primary key over pk.fields, which upsert needs",
        "42501" => {
            "grant the connector's user what it needs: select, insert, update and delete on the table and on offsets.table"
        }
        "28P01" | "28000" => "correct user and password, or pg_hba.conf",
        "3D000" => "create the database or correct `url`",
        "3F000" => "create the schema or correct `table`",
        "53300" => "the server has no free connection; trying again",
        "25006" => "the server is a standby or read-only; trying again",
        "57P03" => "the server is starting or stopping; trying again",
        "57014" => "the statement was cancelled; a larger statement.timeout or a smaller batch.rows may help",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_sqlstate_has_its_consequence() {
        let retriable = ErrorClass::Retriable { retry_after: None };
        for (sqlstate, expected) in [
            ("21000", ErrorClass::Record),
            ("22001", ErrorClass::Record),
            ("22P03", ErrorClass::Record),
            ("23505", ErrorClass::Record),
            ("42804", ErrorClass::Record),
            ("P0001", ErrorClass::Record),
            ("08006", retriable),
            ("25006", retriable),
            ("40001", retriable),
            ("40P01", retriable),
            ("53300", retriable),
            ("55P03", retriable),
            ("57P01", retriable),
            ("57014", retriable),
            ("58030", retriable),
            ("", retriable),
            ("0A000", ErrorClass::Fatal),
            ("28P01", ErrorClass::Fatal),
            ("3D000", ErrorClass::Fatal),
            ("42501", ErrorClass::Fatal),
            ("42703", ErrorClass::Fatal),
            ("42P01", ErrorClass::Fatal),
        ] {
            assert_eq!(class(sqlstate), expected, "{sqlstate}");
        }
    }

    #[test]
    fn a_connection_that_breaks_is_tried_again() {
        let error = StatementError::from(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()));
        assert_eq!(error.class, ErrorClass::Retriable { retry_after: None });
        assert!(error.message.starts_with("connection to Postgres: "), "{}", error.message);
    }
}
