//! Connectors and their tasks: created, started, paused, restarted, deleted; states kept and shown.
//!
//! Invariants: a failing task never stops another; a failed task is restarted, waiting longer each time, at most
//! `restart.attempts.max` times in a row; a configuration is durable before it acts; nothing here waits for a task while
//! the lock on the list is held.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use tokio::sync::Mutex as AsyncMutex;
use weir_connect_api::{Config, ConfigProblem, Connector, ConnectorKind};

use crate::active_topics::ActiveTopics;
use crate::definition::Plugins;
use crate::document::{NamedConfig, WantedState};
use crate::kafka::{Cluster, ClusterError};
use crate::metrics::{ConnectorMetrics, Metrics};
use crate::offsets::SharedOffsets;
use crate::state::{State, TargetState};
use crate::store::{Rows, Table};
use crate::tasks::{TaskHandle, TaskPlan};

pub type RawConfig = IndexMap<String, String>;

/// Why a wish could not be fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("Connector {0} not found")]
    Unknown(String),
    #[error("Connector {0} already exists")]
    Exists(String),
    #[error("connector {name} has no task {task}")]
    UnknownTask { name: String, task: usize },
    #[error("{}", numbered(.0))]
    Invalid(Vec<ConfigProblem>),
    #[error("{0}")]
    NotStopped(String),
    #[error("{0}")]
    Bad(String),
    #[error("{0}")]
    Forbidden(&'static str),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// Kafka Connect's list of errors.
fn numbered(problems: &[ConfigProblem]) -> String {
    let lines: String = problems.iter().enumerate().map(|(n, problem)| format!("\n{}. {problem}", n + 1)).collect();
    format!("Connector configuration is invalid and contains the following {} error(s):{lines}", problems.len())
}

/// What all connectors of a worker share.
pub struct Shared {
    pub plugins: Plugins,
    pub cluster: Cluster,
    pub cluster_id: Option<String>,
    pub offsets: SharedOffsets,
    pub metrics: Metrics,
    pub worker_id: String,
    pub commit_every: Duration,
    pub status: Table,
    /// `None` with `topic.tracking.enable=false`.
    pub(crate) active_topics: Option<Arc<ActiveTopics>>,
    pub is_topic_reset_allowed: bool,
}

pub struct Runtime {
    pub shared: Arc<Shared>,
    configs: Table,
    connectors: Mutex<BTreeMap<String, Entry>>,
    /// Held through a change, so that changes happen one after the other.
    changing: AsyncMutex<()>,
}

struct Entry {
    raw: RawConfig,
    config: Config,
    kind: ConnectorKind,
    target: TargetState,
    is_restarting: bool,
    tasks: Vec<TaskHandle>,
    metrics: ConnectorMetrics,
}

impl Entry {
    fn state(&self) -> State {
        if self.is_restarting { State::Restarting } else { connector_state(self.target) }
    }
}

/// What is to be started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// No task: a connector has nothing of its own that runs.
    Connector,
    ConnectorAndTasks,
    /// Those tasks that failed.
    FailedTasks,
    Task(usize),
}

impl Restart {
    fn takes(self, task: &TaskView) -> bool {
        match self {
            Self::Connector => false,
            Self::ConnectorAndTasks => true,
            Self::FailedTasks => task.state == State::Failed,
            Self::Task(index) => task.id == index,
        }
    }
}

/// A connector as REST shows it.
#[derive(Debug, Clone)]
pub struct View {
    pub name: String,
    pub config: RawConfig,
    pub kind: ConnectorKind,
    pub state: State,
    pub tasks: Vec<TaskView>,
}

#[derive(Debug, Clone)]
pub struct TaskView {
    pub id: usize,
    pub state: State,
    pub trace: Option<String>,
}

impl Runtime {
    pub fn new(shared: Arc<Shared>, configs: Table) -> Self {
        Self { shared, configs, connectors: Mutex::default(), changing: AsyncMutex::default() }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        self.connectors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the config topic holds.
    pub async fn restore(&self, rows: &BTreeMap<String, Json>) {
        for (key, value) in rows {
            let Some(name) = key.strip_prefix("connector-") else { continue };
            let Ok(raw) = serde_json::from_value::<RawConfig>(value["properties"].clone()) else {
                tracing::warn!(name, "the stored configuration of a connector is not understood: skipped");
                continue;
            };
            let target = rows.get(&format!("target-state-{name}")).and_then(|row| row["state"].as_str());
            let target = target.and_then(TargetState::parse).unwrap_or_default();
            let _changing = self.changing.lock().await;
            if let Err(error) = self.install(name, raw, target).await {
                tracing::error!(name, %error, "a stored connector cannot be started");
            }
        }
        self.show_states();
    }

    pub fn names(&self) -> Vec<String> {
        self.entries().keys().cloned().collect()
    }

    pub fn view(&self, name: &str) -> Result<View, RuntimeError> {
        let entries = self.entries();
        let entry = entries.get(name).ok_or_else(|| RuntimeError::Unknown(name.to_owned()))?;
        let task = |(id, task): (usize, &TaskHandle)| {
            let (state, trace) = task.status();
            TaskView { id, state, trace }
        };
        Ok(View {
            name: name.to_owned(),
            config: entry.raw.clone(),
            kind: entry.kind,
            state: entry.state(),
            tasks: entry.tasks.iter().enumerate().map(task).collect(),
        })
    }

    pub(crate) fn active_topics(&self) -> Result<&ActiveTopics, RuntimeError> {
        self.shared.active_topics.as_deref().ok_or(RuntimeError::Forbidden("Topic tracking is disabled."))
    }

    /// Creates a connector; an error when there is one of that name.
    pub async fn create(&self, name: &str, raw: RawConfig, target: TargetState) -> Result<(), RuntimeError> {
        let _changing = self.changing.lock().await;
        if self.entries().contains_key(name) {
            return Err(RuntimeError::Exists(name.to_owned()));
        }
        self.store_and_install(name, raw, target).await
    }

    /// Creates a connector or gives one a new configuration; true when it was created. The same configuration again
    /// changes nothing.
    pub async fn put(&self, name: &str, raw: RawConfig) -> Result<bool, RuntimeError> {
        let _changing = self.changing.lock().await;
        let known = self.entries().get(name).map(|entry| (entry.raw == named(name, raw.clone()), entry.target));
        match known {
            Some((true, _)) => Ok(false),
            Some((false, target)) => self.store_and_install(name, raw, target).await.map(|()| false),
            None => self.store_and_install(name, raw, TargetState::Started).await.map(|()| true),
        }
    }

    /// Does as a file says: creates the connector or changes its configuration, and brings it to the wanted state.
    pub async fn apply(&self, connector: NamedConfig) -> Result<(), RuntimeError> {
        let NamedConfig { name, config, state, .. } = connector;
        let is_new = self.view(&name).is_err();
        match state {
            Some(wanted) if is_new => self.create(&name, config, wanted.when_created()).await,
            Some(WantedState::Always(TargetState::Started)) => {
                self.put(&name, config).await?;
                self.set_target(&name, TargetState::Started).await
            }
            // At rest first: the new configuration then starts nothing.
            Some(WantedState::Always(target)) => {
                self.set_target(&name, target).await?;
                self.put(&name, config).await.map(drop)
            }
            Some(WantedState::Initially(_)) | None => self.put(&name, config).await.map(drop),
        }
    }

    async fn store_and_install(&self, name: &str, raw: RawConfig, target: TargetState) -> Result<(), RuntimeError> {
        let raw = named(name, raw);
        self.shared.plugins.check(&raw).map_err(RuntimeError::Invalid)?;
        let rows = vec![
            (format!("connector-{name}"), Some(json!({"properties": raw}))),
            (format!("target-state-{name}"), Some(target_row(target))),
        ];
        self.configs.put(rows).await?;
        self.install(name, raw, target).await?;
        self.keep_state(name, target).await;
        self.show_states();
        Ok(())
    }

    /// Stops what runs under that name and starts the new configuration.
    async fn install(&self, name: &str, raw: RawConfig, target: TargetState) -> Result<(), RuntimeError> {
        let (connector, config) = self.shared.plugins.check(&raw).map_err(RuntimeError::Invalid)?;
        let kind = connector.kind();
        self.end_tasks(name).await;
        let metrics = self.shared.metrics.connector(name, kind);
        let entry = Entry { raw, config, kind, target, is_restarting: false, tasks: Vec::new(), metrics };
        self.entries().insert(name.to_owned(), entry);
        self.begin_tasks(name)
    }

    /// Starts the tasks of a connector that is to run; those of a paused one only show themselves, a stopped one has none.
    fn begin_tasks(&self, name: &str) -> Result<(), RuntimeError> {
        let mut entries = self.entries();
        let entry = entries.get_mut(name).ok_or_else(|| RuntimeError::Unknown(name.to_owned()))?;
        let connector = self.connector(entry)?;
        let count = match entry.target {
            TargetState::Stopped => 0,
            _ => connector.task_count(&entry.config, entry.config.usize("tasks.max")).max(1),
        };
        entry.tasks = (0..count).map(|index| self.begin_task(name, entry, connector, index)).collect();
        Ok(())
    }

    fn connector(&self, entry: &Entry) -> Result<&Arc<dyn Connector>, RuntimeError> {
        self.shared.plugins.class_of(&entry.raw).map_err(|problem| RuntimeError::Invalid(vec![problem]))
    }

    fn begin_task(&self, name: &str, entry: &Entry, connector: &Arc<dyn Connector>, index: usize) -> TaskHandle {
        let plan = TaskPlan {
            shared: Arc::clone(&self.shared),
            connector: Arc::clone(connector),
            name: name.into(),
            index,
            config: entry.config.clone(),
            metrics: entry.metrics.clone(),
        };
        match entry.target {
            TargetState::Started => TaskHandle::start(plan),
            TargetState::Paused | TargetState::Stopped => TaskHandle::paused(plan),
        }
    }

    /// Ends all tasks; they show their last state until they have. Gives how many there were.
    async fn end_tasks(&self, name: &str) -> usize {
        let ending = self.entries().get_mut(name).map(|entry| {
            let ending: Vec<_> = entry.tasks.iter_mut().map(TaskHandle::end).collect();
            (ending, entry.metrics.clone())
        });
        let Some((ending, metrics)) = ending else { return 0 };
        let count = ending.len();
        futures::future::join_all(ending).await;
        if let Some(entry) = self.entries().get_mut(name) {
            entry.tasks.clear();
        }
        (0..count).for_each(|task| metrics.remove_task(task));
        count
    }

    pub async fn set_target(&self, name: &str, target: TargetState) -> Result<(), RuntimeError> {
        let _changing = self.changing.lock().await;
        if self.change(name, |entry| entry.target)? == target {
            return Ok(());
        }
        self.configs.put(vec![(format!("target-state-{name}"), Some(target_row(target)))]).await?;
        let tasks = self.end_tasks(name).await;
        self.change(name, |entry| entry.target = target)?;
        self.begin_tasks(name)?;
        self.keep_state(name, target).await;
        if target == TargetState::Stopped {
            self.shared.status.put(no_task_rows(name, tasks)).await?;
        }
        self.show_states();
        Ok(())
    }

    /// Keeps the connector's state in the status topic, for tools that read it there.
    async fn keep_state(&self, name: &str, target: TargetState) {
        let state = connector_state(target).as_str();
        let row = json!({"state": state, "trace": null, "worker_id": self.shared.worker_id, "generation": 1});
        if let Err(error) = self.shared.status.put(vec![(format!("status-connector-{name}"), Some(row))]).await {
            tracing::warn!(name, %error, "the state of a connector is not kept");
        }
    }

    /// Starts tasks of a connector anew and gives what is shown meanwhile: RESTARTING (KIP-745).
    pub async fn restart(&self, name: &str, which: Restart) -> Result<View, RuntimeError> {
        let _changing = self.changing.lock().await;
        let view = self.view(name)?;
        if let Restart::Task(task) = which
            && view.tasks.len() <= task
        {
            return Err(RuntimeError::UnknownTask { name: name.to_owned(), task });
        }
        let chosen: Vec<usize> = view.tasks.iter().filter(|task| which.takes(task)).map(|task| task.id).collect();
        let ending = self.change(name, |entry| {
            entry.is_restarting = which == Restart::Connector || which == Restart::ConnectorAndTasks;
            chosen.iter().map(|task| entry.tasks[*task].end_for_restart()).collect::<Vec<_>>()
        })?;
        let shown = self.view(name)?;
        self.show_states();
        futures::future::join_all(ending).await;
        self.change(name, |entry| {
            entry.is_restarting = false;
            let connector = self.connector(entry)?;
            for task in chosen {
                entry.tasks[task] = self.begin_task(name, entry, connector, task);
            }
            Ok::<_, RuntimeError>(())
        })??;
        Ok(shown)
    }

    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Entry) -> T) -> Result<T, RuntimeError> {
        self.entries().get_mut(name).map(change).ok_or_else(|| RuntimeError::Unknown(name.to_owned()))
    }

    pub async fn delete(&self, name: &str) -> Result<(), RuntimeError> {
        let _changing = self.changing.lock().await;
        self.view(name)?;
        self.configs.put(vec![(format!("connector-{name}"), None), (format!("target-state-{name}"), None)]).await?;
        let mut gone = no_task_rows(name, self.end_tasks(name).await);
        gone.push((format!("status-connector-{name}"), None));
        self.shared.status.put(gone).await?;
        if let Some(topics) = &self.shared.active_topics {
            topics.reset(name);
        }
        if let Some(entry) = self.entries().remove(name) {
            entry.metrics.remove();
        }
        self.show_states();
        Ok(())
    }

    /// Stops everything; what is configured stays configured.
    pub async fn shutdown(&self) {
        let _changing = self.changing.lock().await;
        let names = self.names();
        futures::future::join_all(names.iter().map(|name| self.end_tasks(name))).await;
        self.configs.flush();
    }

    /// Brings the gauges of states up to date.
    pub fn show_states(&self) {
        let entries = self.entries();
        let connectors: Vec<State> = entries.values().map(Entry::state).collect();
        let tasks: Vec<State> =
            entries.values().flat_map(|entry| entry.tasks.iter().map(|task| task.status().0)).collect();
        self.shared.metrics.set_states(&connectors, &tasks);
    }
}

fn connector_state(target: TargetState) -> State {
    match target {
        TargetState::Started => State::Running,
        TargetState::Paused => State::Paused,
        TargetState::Stopped => State::Stopped,
    }
}

fn no_task_rows(name: &str, tasks: usize) -> Rows {
    (0..tasks).map(|task| (format!("status-task-{name}-{task}"), None)).collect()
}

fn target_row(target: TargetState) -> Json {
    json!({"state": target.as_str()})
}

/// A configuration holds its own name, as in Kafka Connect.
fn named(name: &str, mut raw: RawConfig) -> RawConfig {
    raw.insert("name".to_owned(), name.to_owned());
    raw
}
