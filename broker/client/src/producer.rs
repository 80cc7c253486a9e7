//! A producer of one topic: each batch lands once, whatever happens to connections and brokers meanwhile.
//!
//! With idempotence a batch carries this producer's id and a sequence number per partition, so a broker that has it
//! already says so, and sending again is safe. Without, only what a broker surely did not append is sent again: then an
//! error may stand for a batch that landed.
//!
//! Invariants: one batch per partition is under way at a time, so sequences never overtake each other. Never sends
//! forever: `delivery_limit` ends it, and a batch that was given up ends the producer's use, for its sequence is spent.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, ProducerId};
use weir_types::batch::RecordBatchBuilder;

use crate::client::{Client, TopicPartitions};
use crate::error::{ClientError, check};

/// The pauses between attempts: Kafka's `retry.backoff.ms` and `retry.backoff.max.ms`.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// What Kafka's producers send when there are no transactions.
const NO_TRANSACTION_TIMEOUT: i32 = i32::MAX;
const NO_PRODUCER_ID: i64 = -1;
const NO_EPOCH: i16 = -1;

/// Which answer a batch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// None: what a broker does not take is lost without a word.
    None,
    Leader,
    All,
}

impl Acks {
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct ProducerSettings {
    pub acks: Acks,
    /// Only with [`Acks::All`]: a broker refuses anything else.
    pub is_idempotent: bool,
    /// How long one batch may take with all its attempts: Kafka's `delivery.timeout.ms`.
    pub delivery_limit: Duration,
    /// Told once for each batch that is sent again, before the first pause.
    pub on_retry: fn(&ClientError),
}

pub struct Producer {
    client: Client,
    topic: String,
    leaders: TopicPartitions,
    settings: ProducerSettings,
    identity: Option<Identity>,
    next_sequences: HashMap<i32, i32>,
}

/// What a broker knows an idempotent producer by.
#[derive(Debug, Clone, Copy)]
struct Identity {
    id: i64,
    epoch: i16,
}

impl Producer {
    /// The topic may be created by the broker (`auto.create.topics.enable`).
    pub async fn open(mut client: Client, topic: &str, settings: ProducerSettings) -> Result<Self, ClientError> {
        let leaders = client.partitions_or_create(topic).await?;
        let (topic, next_sequences) = (topic.to_owned(), HashMap::new());
        let mut producer = Self { client, topic, leaders, settings, identity: None, next_sequences };
        if settings.is_idempotent {
            producer.identity = Some(producer.identify().await?);
        }
        Ok(producer)
    }

    pub fn partitions(&self) -> &TopicPartitions {
        &self.leaders
    }

    /// Returns once the batch is answered for, as `acks` asks.
    pub async fn send(&mut self, partition: i32, batch: RecordBatchBuilder) -> Result<(), ClientError> {
        let count = batch.record_count();
        let sequence = self.next_sequences.get(&partition).copied().unwrap_or(0);
        let batch = match self.identity {
            Some(Identity { id, epoch }) => batch.producer(id, epoch, sequence).build(),
            None => batch.build(),
        };
        self.deliver(partition, batch).await?;
        self.next_sequences.insert(partition, advanced(sequence, count));
        Ok(())
    }

    async fn deliver(&mut self, partition: i32, batch: Bytes) -> Result<(), ClientError> {
        let mut attempts = Attempts::new(self.settings);
        loop {
            match self.attempt(partition, batch.clone()).await {
                // The broker has had this batch before: an answer was lost, not the batch.
                Err(error) if self.identity.is_some() && is_duplicate(&error) => return Ok(()),
                Err(error) if self.may_send_again(&error) => attempts.pause(error).await?,
                result => return result,
            }
            self.find_leaders().await;
        }
    }

    async fn attempt(&mut self, partition: i32, batch: Bytes) -> Result<(), ClientError> {
        let leader = self.leaders.get(&partition).copied().unwrap_or(-1);
        if leader < 0 {
            return Err(ClientError::Leaderless(format!("{}-{partition}", self.topic)));
        }
        self.client.send_batch(&self.topic, partition, leader, self.settings.acks, batch).await.map(drop)
    }

    fn may_send_again(&self, error: &ClientError) -> bool {
        was_not_appended(error) || (self.identity.is_some() && may_have_been_appended(error))
    }

    /// Leaders as they are now, over new connections: what broke may have been one of the old ones. When nobody answers
    /// the old ones stand, and the next attempt tells.
    async fn find_leaders(&mut self) {
        self.client.reset();
        if let Ok(leaders) = self.client.partitions(&self.topic).await {
            self.leaders = leaders;
        }
    }

    /// Waits without a word for a cluster that is just starting.
    async fn identify(&mut self) -> Result<Identity, ClientError> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(NO_TRANSACTION_TIMEOUT)
            .with_producer_id(ProducerId(NO_PRODUCER_ID))
            .with_producer_epoch(NO_EPOCH);
        let mut attempts = Attempts { on_retry: None, ..Attempts::new(self.settings) };
        loop {
            let answer = self.client.any().await?.request(&request).await?;
            match check(|| "an id for the producer".to_owned(), answer.error_code, None) {
                Ok(()) => return Ok(Identity { id: *answer.producer_id, epoch: answer.producer_epoch }),
                Err(error) if error.kafka().is_some_and(|error| error.is_retriable()) => attempts.pause(error).await?,
                Err(error) => return Err(error),
            }
        }
    }
}

/// How often and how long something is tried.
struct Attempts {
    give_up: Instant,
    pause: Duration,
    on_retry: Option<fn(&ClientError)>,
}

impl Attempts {
    fn new(settings: ProducerSettings) -> Self {
        let give_up = Instant::now() + settings.delivery_limit;
        Self { give_up, pause: PAUSE_MIN, on_retry: Some(settings.on_retry) }
    }

    /// Waits, longer each time; the error when there is no time left.
    async fn pause(&mut self, error: ClientError) -> Result<(), ClientError> {
        if Instant::now() + self.pause >= self.give_up {
            return Err(error);
        }
        if let Some(told) = self.on_retry.take() {
            told(&error);
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}

/// Whether an error says for certain that no broker appended the batch, and that one may soon.
fn was_not_appended(error: &ClientError) -> bool {
    use ResponseError as E;
    match error {
        ClientError::Connect { .. } | ClientError::Leaderless(_) => true,
        _ => matches!(
            error.kafka(),
            Some(E::NotLeaderOrFollower | E::LeaderNotAvailable | E::FencedLeaderEpoch | E::UnknownLeaderEpoch)
                | Some(E::UnknownTopicOrPartition | E::NotEnoughReplicas | E::ThrottlingQuotaExceeded)
        ),
    }
}

/// Whether an error leaves open if a broker appended the batch.
fn may_have_been_appended(error: &ClientError) -> bool {
    match error {
        ClientError::Broken { .. } | ClientError::TimedOut { .. } => true,
        _ => error.kafka().is_some_and(|error| error.is_retriable()),
    }
}

fn is_duplicate(error: &ClientError) -> bool {
    error.kafka() == Some(ResponseError::DuplicateSequenceNumber)
}

/// Sequences count records from 0 to the largest 32-bit number, then from 0 again.
fn advanced(sequence: i32, count: i32) -> i32 {
    sequence.checked_add(count).unwrap_or_else(|| count - (i32::MAX - sequence) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: ResponseError) -> ClientError {
        ClientError::Refused { what: String::new(), error, message: None }
    }

    fn timed_out() -> ClientError {
        ClientError::TimedOut { address: String::new(), limit: Duration::ZERO }
    }

    #[test]
    fn sequences_begin_again_behind_the_largest() {
        assert_eq!(advanced(5, 3), 8);
        assert_eq!(advanced(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(advanced(i32::MAX, 1), 0);
        assert_eq!(advanced(i32::MAX - 1, 5), 3);
    }

    #[test]
    fn a_lost_answer_leaves_open_what_happened_and_a_wrong_leader_does_not() {
        assert!(was_not_appended(&refused(ResponseError::NotLeaderOrFollower)));
        assert!(!was_not_appended(&timed_out()) && may_have_been_appended(&timed_out()));
        let short = refused(ResponseError::NotEnoughReplicasAfterAppend);
        assert!(!was_not_appended(&short) && may_have_been_appended(&short));
        for end in [ResponseError::MessageTooLarge, ResponseError::OutOfOrderSequenceNumber] {
            assert!(!was_not_appended(&refused(end)) && !may_have_been_appended(&refused(end)), "{end:?}");
        }
    }
}
