//! What is read when `/metrics` is asked: sizes, counts and states that would be wasteful to keep up to date.
//!
//! Takes no lock of a partition: it reads what they publish.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, Gauge, GaugeVec, Opts, Registry};
use weir_types::limits::METRIC_SERIES_MAX;

use super::process::ProcessUsage;
use crate::api::Context;
use crate::net::Limits;

/// Adds the scraped metrics to the registry.
pub(crate) fn register(registry: &Registry, cx: &Arc<Context>, limits: &Arc<Limits>) -> Result<(), Error> {
    registry.register(Box::new(Scrape { cx: Arc::clone(cx), limits: Arc::clone(limits), gauges: Gauges::new()? }))
}

struct Scrape {
    cx: Arc<Context>,
    limits: Arc<Limits>,
    gauges: Gauges,
}

/// Written and read in one scrape; counters of the operating system are gauges here, since it does the counting.
struct Gauges {
    broker_info: GaugeVec,
    partitions: GaugeVec,
    log_size_bytes: GaugeVec,
    log_segments: GaugeVec,
    log_dir_size_bytes: GaugeVec,
    log_dir_free_bytes: GaugeVec,
    log_dir_total_bytes: GaugeVec,
    log_dir_online: GaugeVec,
    connections: Gauge,
    request_bytes_in_flight: Gauge,
    process: Vec<ProcessGauge>,
}

/// A gauge and the part of the process's usage that it shows.
type ProcessGauge = (Gauge, fn(&ProcessUsage) -> f64);

impl Gauges {
    fn new() -> Result<Self, Error> {
        let gauge = |name: &str, help: &str| Gauge::new(name, help);
        let by = |name: &str, help: &str, labels: &[&str]| GaugeVec::new(Opts::new(name, help), labels);
        Ok(Self {
            broker_info: by("weir_broker_info", "1, with this broker's id and rack.", &["broker", "rack"])?,
            partitions: by("weir_partitions", "Partitions of this broker, by state.", &["state"])?,
            log_size_bytes: by("weir_log_size_bytes", "Bytes of log on disk.", &["topic"])?,
            log_segments: by("weir_log_segments", "Log segments on disk.", &["topic"])?,
            log_dir_size_bytes: by("weir_log_dir_size_bytes", "Bytes of all logs in the folder.", &["log_dir"])?,
            log_dir_free_bytes: by("weir_log_dir_free_bytes", "Bytes free on the folder's disk.", &["log_dir"])?,
            log_dir_total_bytes: by("weir_log_dir_total_bytes", "Bytes of the folder's disk.", &["log_dir"])?,
            log_dir_online: by("weir_log_dir_online", "1 while the folder's disk answers.", &["log_dir"])?,
            connections: gauge("weir_connections", "Open client connections.")?,
            request_bytes_in_flight: gauge("weir_request_bytes_in_flight", "Bytes of requests being handled.")?,
            process: vec![
                (gauge("process_cpu_seconds_total", "CPU time, user and system.")?, |p| p.cpu_seconds),
                (gauge("process_resident_memory_bytes", "Resident memory.")?, |p| p.resident_bytes),
                (gauge("process_virtual_memory_bytes", "Virtual memory.")?, |p| p.virtual_bytes),
                (gauge("process_start_time_seconds", "Start, in seconds since 1970.")?, |p| p.start_time_seconds),
                (gauge("process_open_fds", "Open file descriptors.")?, |p| p.open_fds),
                (gauge("process_max_fds", "Limit of open file descriptors.")?, |p| p.max_fds),
                (gauge("process_threads", "Threads.")?, |p| p.threads),
            ],
        })
    }

    fn collectors(&self) -> Vec<&dyn Collector> {
        let mut all: Vec<&dyn Collector> = vec![
            &self.broker_info,
            &self.partitions,
            &self.log_size_bytes,
            &self.log_segments,
            &self.log_dir_size_bytes,
            &self.log_dir_free_bytes,
            &self.log_dir_total_bytes,
            &self.log_dir_online,
            &self.connections,
            &self.request_bytes_in_flight,
        ];
        all.extend(self.process.iter().map(|(gauge, _)| gauge as &dyn Collector));
        all
    }
}

impl Collector for Scrape {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.collectors().into_iter().flat_map(|collector| collector.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read_partitions();
        self.read_log_dir();
        let rack = self.cx.settings().rack.clone().unwrap_or_default();
        self.gauges.broker_info.reset();
        self.gauges.broker_info.with_label_values(&[&*self.cx.node_id.to_string(), &*rack]).set(1.0);
        self.gauges.connections.set(self.limits.connections() as f64);
        self.gauges.request_bytes_in_flight.set(self.limits.request_bytes_in_flight() as f64);
        let usage = ProcessUsage::read();
        for (gauge, read) in &self.gauges.process {
            gauge.set(read(&usage));
        }
        self.gauges.collectors().into_iter().flat_map(|collector| collector.collect()).collect()
    }
}

impl Scrape {
    fn read_partitions(&self) {
        let gauges = &self.gauges;
        gauges.log_size_bytes.reset();
        gauges.log_segments.reset();
        let mut by_state = HashMap::from([("online", 0), ("offline", 0)]);
        let (mut series, mut total_bytes) = (0, 0);
        for topic in self.cx.partitions.topics() {
            let size_bytes: u64 = topic.partitions.iter().map(|partition| partition.published().size_bytes()).sum();
            let segments: usize = topic.partitions.iter().map(|partition| partition.published().segment_count()).sum();
            total_bytes += size_bytes;
            series += 1;
            if series <= METRIC_SERIES_MAX {
                gauges.log_size_bytes.with_label_values(&[&*topic.name]).set(size_bytes as f64);
                gauges.log_segments.with_label_values(&[&*topic.name]).set(segments as f64);
            }
            for partition in &topic.partitions {
                *by_state.entry(if partition.published().is_online() { "online" } else { "offline" }).or_default() += 1;
            }
        }
        for (state, count) in by_state {
            gauges.partitions.with_label_values(&[state]).set(f64::from(count));
        }
        let folder = self.cx.partitions.dir().path().to_string_lossy().into_owned();
        gauges.log_dir_size_bytes.with_label_values(&[&*folder]).set(total_bytes as f64);
    }

    fn read_log_dir(&self) {
        let folder = self.cx.partitions.dir().path().to_string_lossy().into_owned();
        let online = self.gauges.log_dir_online.with_label_values(&[&*folder]);
        match self.cx.partitions.dir().usage() {
            Ok(usage) => {
                online.set(1.0);
                self.gauges.log_dir_free_bytes.with_label_values(&[&*folder]).set(usage.free_bytes as f64);
                self.gauges.log_dir_total_bytes.with_label_values(&[&*folder]).set(usage.total_bytes as f64);
            }
            Err(_) => online.set(0.0),
        }
    }
}
