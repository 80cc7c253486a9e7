//! One task: run, and when it fails run again, until told to stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir_connect_api::{Config, ConnectError, Connector, Task};

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
    supervisor: JoinHandle<()>,
}

impl TaskHandle {
    pub(crate) fn start(plan: TaskPlan) -> Self {
        let health = Health::new();
        let stop = CancellationToken::new();
        let supervisor = tokio::spawn(supervise(plan, health.clone(), stop.clone()));
        Self { health, stop, supervisor }
    }

    /// The state, and what is wrong, while something is.
    pub(crate) fn status(&self) -> (State, Option<String>) {
        self.health.get()
    }

    /// Asks the task to end, waits, then cuts it off.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_GRACE, &mut self.supervisor).await.is_err() {
            tracing::warn!("a task did not end within {STOP_GRACE:?}: it is cut off");
            self.supervisor.abort();
        }
    }
}

async fn supervise(plan: TaskPlan, health: Health, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let mut restarts = 0;
    let restarts_max = plan.config.usize("restart.attempts.max");
    loop {
        let began = Instant::now();
        plan.show(&health, State::Running, None).await;
        let error = match plan.run(health.clone(), stop.child_token()).await {
            Ok(()) => return,
            Err(_) if stop.is_cancelled() => return,
            Err(error) => error,
        };
        if began.elapsed() >= HEALTHY_AFTER {
            backoff.reset();
            restarts = 0;
        }
        plan.metrics.met_error();
        let (name, index) = (&plan.name, plan.index);
        tracing::error!(connector = %name, task = index, %error, restarts, "a task failed");
        plan.show(&health, State::Failed, Some(error.message.clone())).await;
        if restarts >= restarts_max {
            stop.cancelled().await;
            return;
        }
        restarts += 1;
        backoff.wait(&stop, &error).await;
        if stop.is_cancelled() {
            return;
        }
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

    async fn run(&self, health: Health, stop: CancellationToken) -> Result<(), ConnectError> {
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
        match self.connector.task() {
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
        }
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

fn problems_text(problems: &[weir_connect_api::ConfigProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
