//! The one error that crosses the line between a connector and the worker.

use std::time::Duration;

/// What the worker does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same call may succeed later: the worker repeats it with backoff, for ever, and shows that it does.
    Retriable { retry_after: Option<Duration> },
    /// One record is at fault: `errors.tolerance` decides between a dead letter and a failed task.
    Record,
    /// Only a person can help (wrong table, wrong password): the task fails at once.
    Fatal,
}

/// Where a record was when it failed; Kafka Connect's words, they go into `__connect.errors.stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    TaskPoll,
    TaskPut,
    Transformation,
    KeyConverter,
    ValueConverter,
    HeaderConverter,
    KafkaProduce,
    KafkaConsume,
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskPoll => "TASK_POLL",
            Self::TaskPut => "TASK_PUT",
            Self::Transformation => "TRANSFORMATION",
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::HeaderConverter => "HEADER_CONVERTER",
            Self::KafkaProduce => "KAFKA_PRODUCE",
            Self::KafkaConsume => "KAFKA_CONSUME",
        }
    }
}

/// `message` says what happened, on what, and where there is one, the remedy: it is shown in REST and logs, and has nothing of a
/// record in it. What has is `quote`, for those who may see records: it goes into the headers of dead letters.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    pub class: ErrorClass,
    pub message: String,
    pub quote: Option<String>,
}

impl ConnectError {
    pub fn retriable(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Retriable { retry_after: None }, message: message.into(), quote: None }
    }

    pub fn record(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Record, message: message.into(), quote: None }
    }

    pub fn fatal(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Fatal, message: message.into(), quote: None }
    }

    /// With what the record has that is wrong.
    pub fn quoting(self, quote: impl Into<String>) -> Self {
        Self { quote: Some(quote.into()), ..self }
    }

    /// For those who may see records.
    pub fn in_full(&self) -> String {
        match &self.quote {
            Some(quote) => format!("{}: {quote}", self.message),
            None => self.message.clone(),
        }
    }

    pub fn is_retriable(&self) -> bool {
        matches!(self.class, ErrorClass::Retriable { .. })
    }
}
