//! The worker's metrics: `weir_connect_…`, registered once, with one set of series per connector.
//!
//! Series begin at 0 when a connector is created, stay while its tasks fail, and go when it is deleted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use weir_connect_api::{ConnectError, ConnectorKind, Stage, TopicPartition};

use crate::state::State;

const STAGES: [Stage; 8] = [
    Stage::TaskPoll,
    Stage::TaskPut,
    Stage::Transformation,
    Stage::KeyConverter,
    Stage::ValueConverter,
    Stage::HeaderConverter,
    Stage::KafkaProduce,
    Stage::KafkaConsume,
];
/// The direction of records that sinks move.
const SINK: &str = "in";
const BATCH_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[derive(Clone)]
pub struct Metrics {
    connectors: IntGaugeVec,
    tasks: IntGaugeVec,
    task_state: IntGaugeVec,
    records: IntCounterVec,
    bytes: IntCounterVec,
    errors: IntCounterVec,
    dead_letters: IntCounterVec,
    retries: IntCounterVec,
    lag_records: IntGaugeVec,
    lag_seconds: GaugeVec,
    batch_seconds: HistogramVec,
    last_error: GaugeVec,
    /// Under Kafka Connect's name, and shown with its others: see [`crate::compat`].
    task_failures: IntCounterVec,
}

impl Metrics {
    /// Fails when the registry holds one of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::new()?;
        metrics.collectors().into_iter().try_for_each(|collector| registry.register(collector))?;
        Ok(metrics)
    }

    fn new() -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauge = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let real = |name: &str, help: &str| GaugeVec::new(Opts::new(name, help), &["connector"]);
        let batch = HistogramOpts::new("weir_connect_batch_seconds", "Time to write or flush a batch.");
        let batch = HistogramVec::new(batch.buckets(BATCH_SECONDS.to_vec()), &["connector"])?;
        let both = &["connector", "direction"][..];
        Ok(Self {
            connectors: gauge("weir_connect_connectors", "Connectors by state.", &["state"])?,
            tasks: gauge("weir_connect_tasks", "Tasks by state.", &["state"])?,
            task_state: gauge(
                "weir_connect_task_state",
                "1 for the state a task is in.",
                &["connector", "task", "state"],
            )?,
            records: counter(
                "weir_connect_records_total",
                "Records read from topics (in) and written to them (out).",
                both,
            )?,
            bytes: counter("weir_connect_bytes_total", "Bytes of record values, as records_total.", both)?,
            errors: counter("weir_connect_errors_total", "Records that failed, by stage.", &["connector", "stage"])?,
            dead_letters: counter(
                "weir_connect_dlq_records_total",
                "Records in the dead letter topic.",
                &["connector"],
            )?,
            retries: counter(
                "weir_connect_retries_total",
                "Calls repeated after an error that may pass.",
                &["connector"],
            )?,
            lag_records: gauge(
                "weir_connect_lag_records",
                "Records in a sink's topics that it has not written, over all its tasks.",
                &["connector"],
            )?,
            lag_seconds: real(
                "weir_connect_lag_seconds",
                "How long the oldest record that a sink has not written has waited: since the broker appended it, where the topic has \
                 message.timestamp.type=LogAppendTime, else since the task first heard of it; 0 when all are written.",
            )?,
            batch_seconds: batch,
            last_error: real(
                "weir_connect_last_error_timestamp_seconds",
                "When a connector last met an error, since 1970; 0 for never.",
            )?,
            task_failures: counter(
                "kafka_connect_task_error_total_record_failures",
                "Records that failed, by task.",
                &["connector", "task"],
            )?,
        })
    }

    pub(crate) fn task_failures(&self) -> IntCounterVec {
        self.task_failures.clone()
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.connectors.clone()),
            Box::new(self.tasks.clone()),
            Box::new(self.task_state.clone()),
            Box::new(self.records.clone()),
            Box::new(self.bytes.clone()),
            Box::new(self.errors.clone()),
            Box::new(self.dead_letters.clone()),
            Box::new(self.retries.clone()),
            Box::new(self.lag_records.clone()),
            Box::new(self.lag_seconds.clone()),
            Box::new(self.batch_seconds.clone()),
            Box::new(self.last_error.clone()),
        ]
    }

    /// The series of one connector, from 0.
    pub fn connector(&self, name: &str, kind: ConnectorKind) -> ConnectorMetrics {
        let direction = match kind {
            ConnectorKind::Source => "out",
            ConnectorKind::Sink => SINK,
        };
        let series = ConnectorMetrics { all: self.clone(), name: name.to_owned(), direction, lags: Arc::default() };
        self.records.with_label_values(&[name, direction]);
        self.bytes.with_label_values(&[name, direction]);
        for stage in STAGES {
            self.errors.with_label_values(&[name, stage.as_str()]);
        }
        for counter in [&self.dead_letters, &self.retries] {
            counter.with_label_values(&[name]);
        }
        self.last_error.with_label_values(&[name]);
        if kind == ConnectorKind::Sink {
            self.lag_records.with_label_values(&[name]);
            self.lag_seconds.with_label_values(&[name]);
        }
        series
    }

    /// How many connectors and tasks are in each state.
    pub fn set_states(&self, connectors: &[State], tasks: &[State]) {
        let count = |states: &[State], state: State| i64::try_from(states.iter().filter(|s| **s == state).count());
        for state in State::ALL {
            self.connectors.with_label_values(&[state.as_str()]).set(count(connectors, state).unwrap_or(i64::MAX));
            self.tasks.with_label_values(&[state.as_str()]).set(count(tasks, state).unwrap_or(i64::MAX));
        }
    }
}

/// Every family that a worker exports, without its values: for its reference.
pub fn families() -> prometheus::Result<Vec<Box<dyn Collector>>> {
    Ok(Metrics::new()?.collectors())
}

/// What one connector reports.
#[derive(Clone)]
pub struct ConnectorMetrics {
    all: Metrics,
    name: String,
    direction: &'static str,
    /// By partition, so that one which passes from a task to another counts once. What a failed task has shown stays until it
    /// runs again, or another has its partitions: the records are still not written.
    lags: Arc<Mutex<BTreeMap<TopicPartition, Lag>>>,
}

/// How far a task is behind in a partition.
#[derive(Debug, Clone, Copy)]
pub struct Lag {
    pub task: usize,
    pub records: i64,
    pub waited: Duration,
}

impl ConnectorMetrics {
    /// Records a source wrote to topics, or a sink read from them.
    pub fn moved(&self, records: u64, bytes: u64) {
        self.all.records.with_label_values(&[&self.name, self.direction]).inc_by(records);
        self.all.bytes.with_label_values(&[&self.name, self.direction]).inc_by(bytes);
    }

    pub fn failed(&self, task: usize, stage: Stage) {
        self.all.task_failures.with_label_values(&[&self.name, &task.to_string()]).inc();
        self.all.errors.with_label_values(&[&self.name, stage.as_str()]).inc();
        self.met_error();
    }

    pub fn dead_lettered(&self) {
        self.all.dead_letters.with_label_values(&[&self.name]).inc();
    }

    pub fn retried(&self, error: &ConnectError, waited: Duration) {
        tracing::warn!(connector = self.name, %error, ?waited, "an error that may pass: trying again");
        self.all.retries.with_label_values(&[&self.name]).inc();
        self.met_error();
    }

    pub fn met_error(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        self.all.last_error.with_label_values(&[&self.name]).set(now);
    }

    pub fn batch_took(&self, took: Duration) {
        self.all.batch_seconds.with_label_values(&[&self.name]).observe(took.as_secs_f64());
    }

    /// How far `task` is behind in its partitions, in all that it has.
    pub fn lag(&self, task: usize, of_task: impl IntoIterator<Item = (TopicPartition, Lag)>) {
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.retain(|_, lag| lag.task != task);
        lags.extend(of_task);
        let records = lags.values().map(|lag| lag.records).sum();
        let waited = lags.values().map(|lag| lag.waited).max().unwrap_or_default();
        self.all.lag_records.with_label_values(&[&self.name]).set(records);
        self.all.lag_seconds.with_label_values(&[&self.name]).set(waited.as_secs_f64());
    }

    pub fn set_task_state(&self, task: usize, current: State) {
        self.all.task_failures.with_label_values(&[&self.name, &task.to_string()]);
        for state in State::ALL {
            let labels = [self.name.as_str(), &task.to_string(), state.as_str()];
            self.all.task_state.with_label_values(&labels).set(i64::from(state == current));
        }
    }

    pub fn remove_task(&self, task: usize) {
        if self.direction == SINK {
            self.lag(task, []);
        }
        let _ = self.all.task_failures.remove_label_values(&[&self.name, &task.to_string()]);
        for state in State::ALL {
            let _ = self.all.task_state.remove_label_values(&[&self.name, &task.to_string(), state.as_str()]);
        }
    }

    /// The connector was deleted.
    pub fn remove(&self) {
        let name = self.name.as_str();
        let _ = self.all.records.remove_label_values(&[name, self.direction]);
        let _ = self.all.bytes.remove_label_values(&[name, self.direction]);
        for stage in STAGES {
            let _ = self.all.errors.remove_label_values(&[name, stage.as_str()]);
        }
        for counter in [&self.all.dead_letters, &self.all.retries] {
            let _ = counter.remove_label_values(&[name]);
        }
        let _ = self.all.lag_records.remove_label_values(&[name]);
        for gauge in [&self.all.lag_seconds, &self.all.last_error] {
            let _ = gauge.remove_label_values(&[name]);
        }
        let _ = self.all.batch_seconds.remove_label_values(&[name]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Series of the connector: records and seconds.
    fn shown(metrics: &Metrics) -> (i64, f64) {
        (metrics.lag_records.with_label_values(&["rows"]).get(), metrics.lag_seconds.with_label_values(&["rows"]).get())
    }

    fn lags(task: usize, partitions: &[(i32, i64, u64)]) -> Vec<(TopicPartition, Lag)> {
        let lag = |(partition, records, seconds): &(i32, i64, u64)| {
            let lag = Lag { task, records: *records, waited: Duration::from_secs(*seconds) };
            (TopicPartition::new("orders", *partition), lag)
        };
        partitions.iter().map(lag).collect()
    }

    #[test]
    fn lag_is_that_of_all_tasks_and_a_partition_counts_once() {
        let all = Metrics::new().unwrap();
        let rows = all.connector("rows", ConnectorKind::Sink);
        rows.lag(0, lags(0, &[(0, 10, 30), (1, 5, 2)]));
        rows.lag(1, lags(1, &[(2, 7, 3)]));
        assert_eq!(shown(&all), (22, 30.0));
        rows.lag(1, lags(1, &[(2, 0, 0)]));
        assert_eq!(shown(&all), (15, 30.0));
        // The first has failed, and the second got one of its partitions.
        rows.lag(1, lags(1, &[(0, 10, 31), (2, 0, 0)]));
        assert_eq!(shown(&all), (15, 31.0));
        rows.remove_task(1);
        assert_eq!(shown(&all), (5, 2.0));
        rows.remove_task(0);
        assert_eq!(shown(&all), (0, 0.0));
    }
}
