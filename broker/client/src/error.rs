//! What can go wrong between us and a broker, in words for the person at the terminal.

use std::time::Duration;

use kafka_protocol::ResponseError;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{address}: cannot connect: {source}; is a broker running there? (--bootstrap-server names another)")]
    Connect { address: String, source: std::io::Error },
    #[error("{address}: no answer within {limit:?}")]
    TimedOut { address: String, limit: Duration },
    #[error("{address}: the connection broke: {source}")]
    Broken { address: String, source: std::io::Error },
    #[error("{address}: {what}: is this a Kafka broker?")]
    Malformed { address: String, what: String },
    #[error("{address}: speaks {api} in versions {theirs}, this client in {ours}")]
    Unsupported { address: String, api: &'static str, theirs: String, ours: String },
    #[error("{address}: does not know {api}")]
    Unknown { address: String, api: &'static str },
    #[error("`{0}` is not an address: host:port")]
    Address(String),
    #[error("{what}: {}", in_words(*error, message.as_deref()))]
    Refused { what: String, error: ResponseError, message: Option<String> },
    #[error("{what}: unknown error code {code}")]
    UnknownCode { what: String, code: i16 },
    #[error("{0} does not exist")]
    Missing(String),
    #[error("{0} has no leader at the moment")]
    Leaderless(String),
}

/// What the commonest errors mean to a person, and what to do; the broker's own words for the others.
fn in_words(error: ResponseError, message: Option<&str>) -> String {
    let meaning = match error {
        ResponseError::UnknownTopicOrPartition => "does not exist; `weir topics list` shows what does",
        ResponseError::TopicAlreadyExists => "exists already",
        ResponseError::GroupIdNotFound => "does not exist; `weir groups list` shows what does",
        ResponseError::NonEmptyGroup => "has members; stop them first",
        _ => return format!("{error:?}{}", message.map(|text| format!(" ({text})")).unwrap_or_default()),
    };
    format!("{meaning} ({error:?})")
}

impl ClientError {
    /// Kafka's error, where the broker gave one.
    pub fn kafka(&self) -> Option<ResponseError> {
        match self {
            Self::Refused { error, .. } => Some(*error),
            _ => None,
        }
    }
}

/// Turns an error code of an answer into an error that says what it was about.
pub fn check(what: impl FnOnce() -> String, code: i16, message: Option<&str>) -> Result<(), ClientError> {
    if code == 0 {
        return Ok(());
    }
    Err(match ResponseError::try_from_code(code) {
        Some(error) => ClientError::Refused { what: what(), error, message: message.map(str::to_owned) },
        None => ClientError::UnknownCode { what: what(), code },
    })
}
