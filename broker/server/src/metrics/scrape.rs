//! The logs and the disk under them, as `/metrics` asks. Takes no lock of a partition: it reads what they publish.

use std::sync::Arc;

use super::topics::counted;
use super::{Bounds, Computed, Rows};
use crate::api::Context;
use crate::clock::now_ms;
use crate::net::Limits;

/// Adds what is computed of the broker. Must be called in the runtime that serves requests.
pub(crate) fn add(computed: &Computed, cx: &Arc<Context>, limits: &Arc<Limits>) {
    let (logs, disk, limits, bounds) = (Arc::clone(cx), Arc::clone(cx), Arc::clone(limits), cx.metrics.bounds);
    let topics = Arc::clone(cx);
    computed.add(move || {
        let all = topics.partitions.topics();
        topics.metrics.topics.read(counted(topics.metrics.bounds, &all))
    });
    computed.add(move || Logs::read(&logs, bounds).into_rows());
    computed.add(move || log_dir(Some(&disk)));
    computed.add(move || in_flight(Some(&limits)));
    super::cluster::add(computed, cx);
    super::runtime::add(computed);
}

/// All of them, empty.
pub(super) fn families(bounds: Bounds) -> Vec<Rows> {
    [Logs::new(bounds).into_rows(), log_dir(None), in_flight(None)].into_iter().flatten().collect()
}

fn in_flight(limits: Option<&Limits>) -> Vec<Rows> {
    let mut bytes = Rows::gauge("weir_request_bytes_in_flight", &[], "Bytes of requests being handled.");
    if let Some(limits) = limits {
        bytes.set(limits.request_bytes_in_flight() as f64);
    }
    vec![bytes]
}

struct Logs {
    size_bytes: Rows,
    segments: Rows,
    oldest_age: Rows,
    producer_ids: Rows,
}

impl Logs {
    fn new(bounds: Bounds) -> Self {
        let labels = bounds.topic_labels();
        Self {
            size_bytes: Rows::gauge("weir_log_size_bytes", labels, "Bytes of log on disk.").within(bounds),
            segments: Rows::gauge("weir_log_segments", labels, "Log segments on disk.").within(bounds),
            oldest_age: Rows::gauge(
                "weir_log_oldest_record_age_seconds",
                labels,
                "How long ago the oldest record that can be read was appended.",
            )
            .of_each()
            .within(bounds),
            producer_ids: Rows::gauge("weir_producer_ids", &[], "Idempotent producers that partitions remember."),
        }
    }

    fn read(cx: &Context, bounds: Bounds) -> Self {
        let mut logs = Self::new(bounds);
        let (now_ms, mut producer_ids) = (now_ms(), 0);
        for topic in cx.partitions.topics().iter() {
            for partition in &topic.partitions {
                let published = partition.published();
                let place = bounds.place(&topic.name, partition.name.partition);
                logs.size_bytes.add(place.values(), published.size_bytes() as f64);
                logs.segments.add(place.values(), published.segment_count() as f64);
                producer_ids += published.producer_count();
                let oldest_ms = partition.append_times().and_then(|times| times.at(published.log_start_offset()));
                let age = oldest_ms.map_or(0, |oldest_ms| (now_ms - oldest_ms).max(0));
                logs.oldest_age.add(place.values(), age as f64 / 1000.0);
            }
        }
        logs.producer_ids.set(producer_ids as f64);
        logs
    }

    fn into_rows(self) -> Vec<Rows> {
        vec![self.size_bytes, self.segments, self.oldest_age, self.producer_ids]
    }
}

/// The data folder and its disk.
fn log_dir(cx: Option<&Context>) -> Vec<Rows> {
    let rows = |name, help| Rows::gauge(name, &["log_dir"], help);
    let mut size = rows("weir_log_dir_size_bytes", "Bytes of all logs in the folder.");
    let mut free = rows("weir_log_dir_free_bytes", "Bytes free on the folder's disk.");
    let mut total = rows("weir_log_dir_total_bytes", "Bytes of the folder's disk.");
    let mut online = rows(
        "weir_log_dir_online",
        "1 while the folder's disk answers and has failed no write or sync since the start; a full disk is not a failed one.",
    );
    let mut busy = Rows::counter(
        "weir_disk_io_seconds_total",
        &["log_dir"],
        "Time that the disk under the folder had something to do, since the machine started.",
    );
    if let Some(cx) = cx {
        let folder: Arc<str> = cx.partitions.dir().path().to_string_lossy().into();
        let topics = cx.partitions.topics();
        let partitions = topics.iter().flat_map(|topic| &topic.partitions);
        size.add([&folder], partitions.map(|partition| partition.published().size_bytes() as f64).sum());
        let usage = cx.partitions.dir().usage();
        online.add([&folder], f64::from(u8::from(cx.partitions.dir().is_online())));
        if let Some(time) = cx.partitions.dir().disk_busy() {
            busy.add([&folder], time.as_secs_f64());
        }
        if let Ok(usage) = usage {
            free.add([&folder], usage.free_bytes as f64);
            total.add([&folder], usage.total_bytes as f64);
        }
    }
    vec![size, free, total, online, busy]
}
