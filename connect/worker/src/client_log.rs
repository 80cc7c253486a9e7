//! What the Kafka clients of a worker report of themselves, as one voice: a lost broker is lost for each of them, and is
//! told once.
//!
//! Never decides anything: what an error means for a task is the business of whoever made the call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use tracing::Level;

use crate::client_traffic::ClientTraffic;

/// While an error goes on, it is told again after so long.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Topics whose absence is remembered as told.
const TOPICS_TOLD_MAX: usize = 1_000;

/// Shared by all clients of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClientLog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bootstrap: String,
    traffic: ClientTraffic,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// What was told, by code and, where that says what is concerned, by reason.
    at: BTreeMap<(i32, String), Instant>,
    /// Why a single broker was last out of reach: the best reason for all of them to be.
    unreachable: String,
}

/// One line of the log.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    level: Level,
    message: &'static str,
    reason: String,
}

impl ClientLog {
    pub(crate) fn new(bootstrap: &str) -> Self {
        Self {
            inner: Arc::new(Inner {
                bootstrap: bootstrap.to_owned(),
                traffic: ClientTraffic::default(),
                told: Mutex::default(),
            }),
        }
    }

    /// What all of them send and receive.
    pub(crate) fn traffic(&self) -> &ClientTraffic {
        &self.inner.traffic
    }

    pub(crate) fn error(&self, error: &KafkaError, reason: &str) {
        let line = self.inner.told.lock().unwrap_or_else(PoisonError::into_inner).line(error, reason, Instant::now());
        let Some(Line { level, message, reason }) = line else { return };
        let bootstrap = &self.inner.bootstrap;
        match level {
            Level::ERROR => tracing::error!(bootstrap, reason, "{message}"),
            Level::WARN => tracing::warn!(bootstrap, reason, "{message}"),
            Level::INFO => tracing::info!(bootstrap, reason, "{message}"),
            _ => tracing::debug!(bootstrap, reason, "{message}"),
        }
    }

    /// librdkafka's own lines: what matters of them comes as an error, too.
    pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", facility, "{message}");
            }
            _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
        }
    }
}

impl Told {
    fn line(&mut self, error: &KafkaError, reason: &str, now: Instant) -> Option<Line> {
        use RDKafkaErrorCode as Code;
        // The end of a partition is an error without a code, and none to tell of.
        let code = error.rdkafka_error_code()?;
        let (level, message) = match code {
            // Each client tells this of each broker; what counts is whether any is left.
            Code::BrokerTransportFailure | Code::Resolve => {
                self.unreachable = reason.to_owned();
                (Level::DEBUG, "a broker does not answer")
            }
            Code::AllBrokersDown => (Level::WARN, "no broker answers: trying again until one does"),
            Code::UnknownTopicOrPartition | Code::UnknownTopic => (Level::INFO, "waiting for a topic to be created"),
            Code::Fatal => (Level::ERROR, "a Kafka client cannot go on"),
            _ => (Level::WARN, "a Kafka client reports an error"),
        };
        let is_lost = code == Code::AllBrokersDown;
        let reason = if is_lost && !self.unreachable.is_empty() { &self.unreachable } else { reason }.to_owned();
        let key = (code as i32, if is_lost { String::new() } else { reason.clone() });
        self.at.retain(|_, at| now.duration_since(*at) < TOLD_AGAIN_AFTER);
        let level = if self.at.contains_key(&key) { Level::DEBUG } else { level };
        if level != Level::DEBUG && self.at.len() < TOPICS_TOLD_MAX {
            self.at.insert(key, now);
        }
        Some(Line { level, message, reason })
    }
}

impl ClientContext for ClientLog {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Self::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Self::error(self, &error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.traffic().note(&statistics);
    }
}

impl ConsumerContext for ClientLog {}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(told: &mut Told, code: RDKafkaErrorCode, reasons: &[&str], now: Instant) -> Vec<Option<Level>> {
        let error = KafkaError::Global(code);
        reasons.iter().map(|reason| told.line(&error, reason, now).map(|line| line.level)).collect()
    }

    #[test]
    fn a_lost_broker_is_one_line_however_many_clients_lose_it() {
        let (mut told, now) = (Told::default(), Instant::now());
        let transport = RDKafkaErrorCode::BrokerTransportFailure;
        let refused = "localhost:9092/1: Connection refused";
        assert_eq!(levels(&mut told, transport, &[refused, refused], now), [Some(Level::DEBUG); 2]);
        let lost =
            told.line(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down", now).unwrap();
        assert_eq!((lost.level, lost.reason.as_str()), (Level::WARN, refused));
        let all = RDKafkaErrorCode::AllBrokersDown;
        assert_eq!(levels(&mut told, all, &["1/1 brokers are down", "2/2"], now), [Some(Level::DEBUG); 2]);
        assert_eq!(levels(&mut told, all, &["1/1 brokers are down"], now + TOLD_AGAIN_AFTER), [Some(Level::WARN)]);
    }

    #[test]
    fn a_missing_topic_is_worth_a_line_each_and_an_end_none() {
        let (mut told, now) = (Told::default(), Instant::now());
        let missing = RDKafkaErrorCode::UnknownTopicOrPartition;
        let found = levels(&mut told, missing, &["topic a", "topic b", "topic a"], now);
        assert_eq!(found, [Some(Level::INFO), Some(Level::INFO), Some(Level::DEBUG)]);
        assert_eq!(told.line(&KafkaError::PartitionEOF(0), "", now), None);
        assert_eq!(levels(&mut told, RDKafkaErrorCode::Authentication, &["bad password"], now), [Some(Level::WARN)]);
    }
}
