//! From our errors to Kafka's codes: one exhaustive match per operation.

use std::hash::Hash;

use kafka_protocol::error::{ParseResponseErrorCode, ResponseError};
use tracing::error;
use weir_control::metadata::CreateTopicError;
use weir_repeats::Repeats;
use weir_storage::{AppendError, ReadError};

use crate::metadata::ChangeError;
use crate::partition::PartitionError;

// On a disk that is full or broken every request fails.
static NOT_CHANGED: Repeats = Repeats::new();
static NOT_READ: Repeats = Repeats::new();
static NOT_APPENDED: Repeats = Repeats::new();

/// An error as a client is told of it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) error: ResponseError,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }

    pub(crate) fn code(&self) -> i16 {
        self.error.code()
    }

    pub(crate) fn unknown_topic() -> Self {
        Self::new(ResponseError::UnknownTopicOrPartition, "This server does not host this topic-partition.")
    }

    pub(crate) fn unknown_topic_id() -> Self {
        Self::new(ResponseError::UnknownTopicId, "This server does not host this topic ID.")
    }
}

pub(super) fn create_topic_failure(error: &CreateTopicError) -> Failure {
    let code = match error {
        CreateTopicError::Exists(_) => ResponseError::TopicAlreadyExists,
        CreateTopicError::InvalidName(_) => ResponseError::InvalidTopicException,
        CreateTopicError::InvalidPartitions(_) | CreateTopicError::TooManyPartitions(_) => {
            ResponseError::InvalidPartitions
        }
        CreateTopicError::InvalidReplicationFactor { .. } => ResponseError::InvalidReplicationFactor,
        CreateTopicError::InvalidAssignment(_) => ResponseError::InvalidReplicaAssignment,
    };
    Failure::new(code, error.to_string())
}

/// `refused` says what the decision's own errors mean.
pub(super) fn change_failure<E>(error: &ChangeError<E>, refused: impl FnOnce(&E) -> Failure) -> Failure {
    match error {
        ChangeError::Refused(error) => refused(error),
        ChangeError::Config(error) => Failure::new(ResponseError::InvalidConfig, error.to_string()),
        ChangeError::Log(error) => {
            if let Some(suppressed) = NOT_CHANGED.say(()) {
                error!(%error, suppressed, "a metadata change was not made");
            }
            Failure::new(ResponseError::KafkaStorageError, error.to_string())
        }
    }
}

/// Why a write, or the wait for its commit, failed.
pub(super) fn partition_failure(error: &PartitionError) -> Failure {
    let code = match error {
        PartitionError::Gone => ResponseError::NotLeaderOrFollower,
        PartitionError::Offline(_) | PartitionError::SyncFailed(_) => ResponseError::KafkaStorageError,
        PartitionError::FencedLeaderEpoch { .. } => ResponseError::FencedLeaderEpoch,
        PartitionError::UnknownLeaderEpoch { .. } => ResponseError::UnknownLeaderEpoch,
        PartitionError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
        PartitionError::Append(error) => append_code(error),
        PartitionError::Read(ReadError::OffsetOutOfRange { .. }) => ResponseError::OffsetOutOfRange,
        PartitionError::Read(ReadError::Io(error)) => {
            if let Some(suppressed) = NOT_READ.say(()) {
                error!(%error, suppressed, "cannot read a log");
            }
            ResponseError::KafkaStorageError
        }
    };
    Failure::new(code, error.to_string())
}

fn append_code(error: &AppendError) -> ResponseError {
    match error {
        AppendError::Corrupt { .. } => ResponseError::CorruptMessage,
        AppendError::TooLarge { .. } => ResponseError::MessageTooLarge,
        AppendError::WrongMagic { .. } => ResponseError::UnsupportedForMessageFormat,
        AppendError::InvalidTimestamp { .. } => ResponseError::InvalidTimestamp,
        AppendError::InvalidRecord { .. } => ResponseError::InvalidRecord,
        AppendError::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ResponseError::InvalidProducerEpoch,
        AppendError::OffsetMismatch { .. } | AppendError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
        // KAFKA_STORAGE_ERROR is retriable: producers would hang for their whole delivery timeout and say nothing, where
        // somebody must act. This one fails at once, with the message.
        AppendError::DiskFull { .. } => {
            // All of its partitions fail alike.
            say_not_appended(error, "the disk is full");
            ResponseError::PolicyViolation
        }
        AppendError::Io { partition, .. } | AppendError::Poisoned { partition, .. } => {
            say_not_appended(error, partition);
            ResponseError::KafkaStorageError
        }
    }
}

fn say_not_appended(error: &AppendError, about: impl Hash) {
    if let Some(suppressed) = NOT_APPENDED.say(about) {
        error!(%error, suppressed, "an append failed");
    }
}

/// A response, which says how each thing that was asked for went.
pub(super) trait ErrorCodes {
    /// The codes in it, in its order; 0 for what went well.
    fn error_codes(&self) -> impl Iterator<Item = i16>;

    /// What the request failed with, if any of it failed.
    fn first_error(&self) -> Option<ResponseError> {
        self.error_codes().find_map(|code| code.err())
    }
}

/// `NotLeaderOrFollower` → `NOT_LEADER_OR_FOLLOWER`.
pub(super) fn kafka_name(error: ResponseError) -> String {
    let mut name = String::new();
    for c in format!("{error:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}
