//! One task: run, and when it fails run again, until told to stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir_connect_api::config::problems_text;
use weir_connect_api::{Config, ConnectError, Connector, Task};
use weir_trace::{SpanContext, within_context};

use crate::active_topics::TopicUse;
use crate::chain::Chain;
use crate::converter::Converter;
use crate::dead_letters::DeadLetters;
use crate::health::Health;
use crate::metrics::ConnectorMetrics;
use crate::producer::RecordProducer;
use crate::retry::Backoff;
use crate::runtime::Shared;
use crate::secrets;
use crate::sink::{SinkRun, Subscription};
use crate::source::SourceRun;
use crate::state::State;

/// A task that ran this long has recovered: the count of its restarts begins anew.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// How long a task may take to end by itself.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// What a task is made of, each time anew.
pub(crate) struct TaskPlan {
    pub shared: Arc<Shared>,
    pub connector: Arc<dyn Connector>,
    pub name: Arc<str>,
    pub index: usize,
    pub config: Config,
    pub metrics: ConnectorMetrics,
}

pub(crate) struct TaskHandle {
    health: Health,
    stop: CancellationToken,
    /// `None` once the task was told to end.
    supervisor: Option<JoinHandle<()>>,
}

impl TaskHandle {
    pub(crate) fn start(plan: TaskPlan) -> Self {
        let (health, stop) = (Health::new(), CancellationToken::new());
        let supervisor = tokio::spawn(supervise(plan, health.clone(), stop.clone()));
        Self { health, stop, supervisor: Some(supervisor) }
    }

    /// A task of a paused connector: it is there and shows so, but does nothing.
    pub(crate) fn paused(plan: TaskPlan) -> Self {
        let (health, stop) = (Health::paused(), CancellationToken::new());
        let (shown, until) = (health.clone(), stop.clone());
        let supervisor = tokio::spawn(async move {
            plan.show(&shown, State::Paused, None).await;
            until.cancelled().await;
        });
        Self { health, stop, supervisor: Some(supervisor) }
    }

    /// The state, and what is wrong, while something is.
    pub(crate) fn status(&self) -> (State, Option<String>) {
        self.health.get()
    }

    /// Asks the task to end, to be started again: until then that is what it shows.
    pub(crate) fn end_for_restart(&mut self) -> impl Future<Output = ()> + use<> {
        let ending = self.end();
        self.health.set(State::Restarting, None);
        ending
    }

    /// Asks the task to end; what is given waits, and cuts it off when it takes too long.
    pub(crate) fn end(&mut self) -> impl Future<Output = ()> + use<> {
        self.stop.cancel();
        let supervisor = self.supervisor.take();
        async move {
            let Some(mut supervisor) = supervisor else { return };
            if tokio::time::timeout(STOP_GRACE, &mut supervisor).await.is_err() {
                tracing::warn!("a task did not end within {STOP_GRACE:?}: it is cut off");
                supervisor.abort();
            }
        }
    }
}

async fn supervise(plan: TaskPlan, health: Health, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let mut restarts = 0;
    let restarts_max = plan.config.usize("restart.attempts.max");
    while !stop.is_cancelled() {
        let began = Instant::now();
        plan.show(&health, State::Running, None).await;
        let Failure { error, record } = match plan.run(health.clone(), stop.child_token()).await {
            Ok(()) => return,
            Err(_) if stop.is_cancelled() => return,
            Err(failure) => failure,
        };
        if began.elapsed() >= HEALTHY_AFTER {
            backoff.reset();
            restarts = 0;
        }
        plan.metrics.met_error();
        let (name, index) = (&plan.name, plan.index);
        let within = within_context(record);
        tracing::error!(connector = %name, task = index, %error, restarts, "a task failed");
        drop(within);
        if restarts >= restarts_max {
            plan.show(&health, State::Failed, Some(given_up(&error, restarts))).await;
            return stop.cancelled().await;
        }
        restarts += 1;
        let wait = backoff.next(&error);
        plan.show(&health, State::Failed, Some(tried_again(&error, wait, restarts, restarts_max))).await;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Why a run ended.
struct Failure {
    error: ConnectError,
    /// The trace of the record that was at fault, if one was.
    record: Option<SpanContext>,
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self { error, record: None }
    }
}

/// The trace of a failed task that waits for its next start.
fn tried_again(error: &ConnectError, wait: Duration, restart: usize, restarts_max: usize) -> String {
    format!("started again after {wait:?} (restart {restart} of {restarts_max}): {}", error.message)
}

/// The trace of a failed task that a person has to start.
fn given_up(error: &ConnectError, restarts: usize) -> String {
    match restarts {
        0 => error.message.clone(),
        restarts => format!("not started again after {restarts} restarts: {}", error.message),
    }
}

impl TaskPlan {
    /// Sets the state for REST and metrics, and keeps it in the status topic.
    async fn show(&self, health: &Health, state: State, trace: Option<String>) {
        health.set(state, trace.clone());
        self.metrics.set_task_state(self.index, state);
        let row = json!({"state": state.as_str(), "trace": trace, "worker_id": self.shared.worker_id, "generation": 1});
        let key = format!("status-task-{}-{}", self.name, self.index);
        if let Err(error) = self.shared.status.put(vec![(key, Some(row))]).await {
            tracing::warn!(%error, "the state of a task is not kept");
        }
    }

    async fn run(&self, health: Health, stop: CancellationToken) -> Result<(), Failure> {
        let config = secrets::resolve(&self.config).map_err(|error| ConnectError::fatal(error.to_string()))?;
        // With secrets filled in, values that could not be checked before are.
        let config = crate::definition::Plugins::definition(self.connector.as_ref()).parse(config.entries());
        let config = config.map_err(|problems| ConnectError::fatal(problems_text(&problems)))?;
        let chain = Chain::build(&config, &self.shared.plugins.transforms);
        let chain = chain.map_err(|problems| ConnectError::fatal(problems_text(&problems)))?;
        let cluster = self.shared.cluster.clone();
        let dead_letters =
            DeadLetters::new(Arc::clone(&self.name), self.index, &config, cluster.clone(), self.metrics.clone());
        let dead_letters = Arc::new(dead_letters);
        let converters = (converter(&config, "key.converter"), converter(&config, "value.converter"));
        let topics = TopicUse::new(self.shared.active_topics.clone(), Arc::clone(&self.name), self.index);
        let letters = Arc::clone(&dead_letters);
        let ended = match self.connector.task() {
            Task::Source(task) => {
                let overrides = config.below("producer.override.");
                let client_id = format!("{}-{}", self.name, self.index);
                let producer = RecordProducer::open(&cluster, &client_id, &overrides, converters);
                let run = SourceRun {
                    connector: Arc::clone(&self.name),
                    task_index: self.index,
                    producer: producer.map_err(|error| ConnectError::fatal(error.to_string()))?,
                    offsets: self.shared.offsets.clone(),
                    commit_every: self.shared.commit_every,
                    metrics: self.metrics.clone(),
                    config,
                    cluster,
                    chain,
                    dead_letters,
                    health,
                    topics,
                };
                run.run(task, stop).await
            }
            Task::Sink(task) => {
                let run = SinkRun {
                    connector: Arc::clone(&self.name),
                    task_index: self.index,
                    subscription: self.subscription(&config, converters),
                    metrics: self.metrics.clone(),
                    config,
                    cluster,
                    chain,
                    dead_letters,
                    health,
                    topics,
                };
                run.run(task, stop).await
            }
        };
        ended.map_err(|error| Failure { error, record: letters.failed_on() })
    }

    fn subscription(&self, config: &Config, converters: (Converter, Converter)) -> Subscription {
        let topics = match config.opt_str("topics.regex").filter(|regex| !regex.is_empty()) {
            // librdkafka takes a name that begins with ^ as a regular expression.
            Some(regex) if regex.starts_with('^') => vec![regex.to_owned()],
            Some(regex) => vec![format!("^{regex}$")],
            None => config.list("topics").into_iter().map(str::to_owned).collect(),
        };
        Subscription {
            topics,
            group: group_of(&self.name),
            key_converter: converters.0,
            value_converter: converters.1,
            overrides: config.below("consumer.override."),
        }
    }
}

/// The consumer group of a sink, by Kafka Connect's rule: tools link by it.
pub(crate) fn group_of(connector: &str) -> String {
    format!("connect-{connector}")
}

fn converter(config: &Config, key: &str) -> Converter {
    Converter::named(config.str(key)).unwrap_or(Converter::Auto)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_of_a_failed_task_says_whether_it_is_started_again() {
        let error = ConnectError::fatal("the table is missing");
        let trace = tried_again(&error, Duration::from_millis(500), 2, 100);
        assert_eq!(trace, "started again after 500ms (restart 2 of 100): the table is missing");
        assert_eq!(given_up(&error, 0), "the table is missing");
        assert_eq!(given_up(&error, 3), "not started again after 3 restarts: the table is missing");
    }
}
