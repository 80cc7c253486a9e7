//! The worker under the names that Kafka Connect's own metrics get from jmx_exporter with Strimzi's rules, for dashboards and
//! alerts that use them. Put together from what runs whenever somebody asks.
//!
//! A connector and a task have a series for the state that they are in alone, as there: dashboards join on it.

use std::sync::{Arc, Weak};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts, Registry};
use tokio::sync::SetOnce;
use weir_connect_api::ConnectorKind;

use crate::client_traffic::ClientKind;
use crate::metrics::Metrics;
use crate::rest::Slot;
use crate::runtime::{Runtime, View};
use crate::state::State;

/// States that tasks are counted by, in Kafka Connect's words; none of Weir's is ever `destroyed`.
const COUNTED: [(&str, Option<State>); 6] = [
    ("running", Some(State::Running)),
    ("paused", Some(State::Paused)),
    ("failed", Some(State::Failed)),
    ("unassigned", Some(State::Unassigned)),
    ("restarting", Some(State::Restarting)),
    ("destroyed", None),
];

pub(crate) fn register(registry: &Registry, slot: &Slot, metrics: &Metrics) -> prometheus::Result<()> {
    let descs = Names::new()?.all().flat_map(|family| family.desc()).cloned().collect();
    registry.register(Box::new(Compat { descs, slot: slot.downgrade() }))?;
    registry.register(Box::new(metrics.task_failures()))
}

struct Compat {
    descs: Vec<Desc>,
    /// A worker that has stopped is not kept.
    slot: Weak<SetOnce<Arc<Runtime>>>,
}

impl Collector for Compat {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(slot) = self.slot.upgrade() else { return Vec::new() };
        let Some(runtime) = slot.get() else { return Vec::new() };
        match Names::of(runtime) {
            Ok(names) => names.all().flat_map(|family| family.collect()).collect(),
            Err(error) => {
                tracing::error!(%error, "the worker was not measured");
                Vec::new()
            }
        }
    }
}

/// The families, with the values of one moment.
struct Names {
    /// Over everything, without labels.
    worker: Vec<GaugeVec>,
    traffic: Vec<CounterVec>,
    connector_status: GaugeVec,
    connector_class: GaugeVec,
    connector_version: GaugeVec,
    connector_type: GaugeVec,
    task_counts: Vec<GaugeVec>,
    task_total: GaugeVec,
    task_status: GaugeVec,
}

/// Families over everything and what they are, in order.
const WORKER: [(&str, &str); 8] = [
    ("kafka_connect_worker_connector_count", "Connectors of the worker."),
    ("kafka_connect_worker_task_count", "Tasks of the worker."),
    ("kafka_connect_coordinator_assigned_connectors", "Connectors of the worker."),
    ("kafka_connect_coordinator_assigned_tasks", "Tasks of the worker."),
    ("kafka_connect_worker_rebalance_rebalancing", "1 while workers share out tasks anew; there is one worker."),
    ("kafka_consumer_connection_count", "Connections to brokers that the worker's consumers hold open."),
    ("kafka_producer_connection_count", "Connections to brokers that the worker's producers hold open."),
    ("kafka_admin_client_connection_count", "Connections for administration; they last for a request."),
];
const TRAFFIC: [(&str, &str); 2] = [
    ("kafka_consumer_incoming_byte_total", "Bytes that the worker's consumers were sent."),
    ("kafka_producer_outgoing_byte_total", "Bytes that the worker's producers sent."),
];

impl Names {
    fn new() -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str, labels: &[&str]| GaugeVec::new(Opts::new(name, help), labels);
        let of_connector = |what: &str, labels: &[&str]| {
            let name = format!("kafka_connect_connector_{what}");
            gauge(&name, "1 for what the connector is or is in.", labels)
        };
        let task_count = |(state, _): (&str, Option<State>)| {
            let name = format!("kafka_connect_worker_connector_{state}_task_count");
            gauge(&name, "Tasks of the connector in that state.", &["connector"])
        };
        let total = "kafka_connect_worker_connector_total_task_count";
        Ok(Self {
            worker: WORKER.map(|(name, help)| gauge(name, help, &[])).into_iter().collect::<Result<_, _>>()?,
            traffic: TRAFFIC
                .map(|(name, help)| CounterVec::new(Opts::new(name, help), &[]))
                .into_iter()
                .collect::<Result<_, _>>()?,
            connector_status: of_connector("status", &["connector", "status"])?,
            connector_class: of_connector("connector_class", &["connector", "connector_class"])?,
            connector_version: of_connector("connector_version", &["connector", "connector_version"])?,
            connector_type: of_connector("connector_type", &["connector", "connector_type"])?,
            task_counts: COUNTED.map(task_count).into_iter().collect::<Result<_, _>>()?,
            task_total: gauge(total, "Tasks of the connector.", &["connector"])?,
            task_status: of_connector("task_status", &["connector", "task", "status"])?,
        })
    }

    fn of(runtime: &Runtime) -> prometheus::Result<Self> {
        let names = Self::new()?;
        // One that is deleted meanwhile is gone.
        let views: Vec<View> = runtime.names().iter().filter_map(|name| runtime.view(name).ok()).collect();
        let (connectors, tasks) = (views.len(), views.iter().map(|view| view.tasks.len()).sum::<usize>());
        let traffic = runtime.shared.cluster.log().traffic().clone();
        let open = |kind| traffic.connections(kind) as f64;
        let of_worker = [
            connectors as f64,
            tasks as f64,
            connectors as f64,
            tasks as f64,
            0.0,
            open(ClientKind::Consumer),
            open(ClientKind::Producer),
            0.0,
        ];
        for (family, value) in names.worker.iter().zip(of_worker) {
            family.with_label_values::<&str>(&[]).set(value);
        }
        let bytes = [traffic.received_bytes(ClientKind::Consumer), traffic.sent_bytes(ClientKind::Producer)];
        for (family, value) in names.traffic.iter().zip(bytes) {
            family.with_label_values::<&str>(&[]).inc_by(value as f64);
        }
        views.iter().for_each(|view| names.add(runtime, view));
        Ok(names)
    }

    fn add(&self, runtime: &Runtime, view: &View) {
        let name = view.name.as_str();
        let is = |family: &GaugeVec, what: &str| family.with_label_values(&[name, what]).set(1.0);
        is(&self.connector_status, &word(view.state));
        if let Ok(connector) = runtime.shared.plugins.class_of(&view.config) {
            is(&self.connector_class, connector.class());
            is(&self.connector_version, connector.version());
        }
        is(
            &self.connector_type,
            match view.kind {
                ConnectorKind::Source => "source",
                ConnectorKind::Sink => "sink",
            },
        );
        for (family, (_, state)) in self.task_counts.iter().zip(COUNTED) {
            let count = view.tasks.iter().filter(|task| Some(task.state) == state).count();
            family.with_label_values(&[name]).set(count as f64);
        }
        self.task_total.with_label_values(&[name]).set(view.tasks.len() as f64);
        for task in &view.tasks {
            self.task_status.with_label_values(&[name, &task.id.to_string(), &word(task.state)]).set(1.0);
        }
    }

    fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let of_connector = [
            &self.connector_status,
            &self.connector_class,
            &self.connector_version,
            &self.connector_type,
            &self.task_total,
            &self.task_status,
        ];
        let gauges = self.worker.iter().chain(&self.task_counts).chain(of_connector);
        gauges.map(|family| family as &dyn Collector).chain(self.traffic.iter().map(|family| family as &dyn Collector))
    }
}

/// A state as Kafka Connect's metrics spell it.
fn word(state: State) -> String {
    state.as_str().to_ascii_lowercase()
}
