//! Opening all partitions on start, in parallel, and closing them on shutdown.

use std::collections::HashMap;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use tracing::{error, info, warn};
use weir_control::metadata::{MetadataImage, PartitionImage, TopicImage};
use weir_storage::{AppendTimes, Checkpoints, FoundPartition, LogConfig, LogDir};
use weir_types::TopicPartition;

use super::Partition;
use super::flush::{Flusher, FlusherThreads};
use super::registry::{Origin, Partitions, Topic};
use super::topics::Topics;
use crate::clock::now_ms;
use crate::config::log::log_config;
use crate::config::{Properties, Settings};
use crate::metrics::{Metrics, TopicMetrics};

/// Why a broker's partitions could not be opened at all. A single log that cannot be opened is offline instead.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the flush threads: {0}")]
pub struct RecoverError(#[from] io::Error);

/// All partitions of the broker, open.
pub(crate) struct Recovered {
    pub partitions: Arc<Partitions>,
    pub flusher_threads: FlusherThreads,
}

/// One log to open.
struct Job {
    topic: usize,
    name: TopicPartition,
    state: PartitionImage,
    config: Arc<LogConfig>,
    origin: Origin,
}

impl Partitions {
    /// Opens every partition of the image, `recovery_threads` at a time. `progress` counts up to the partition count.
    pub(crate) fn recover(
        dir: LogDir,
        file: &Properties,
        settings: &Settings,
        image: &MetadataImage,
        metrics: &Arc<Metrics>,
    ) -> Result<Recovered, RecoverError> {
        let (flusher, flusher_threads) = Flusher::start(settings.flush_policy, metrics)?;
        let is_clean = dir.was_clean_shutdown();
        let mut found: HashMap<TopicPartition, FoundPartition> =
            dir.partitions().into_iter().map(|found| (found.partition.clone(), found)).collect();
        let partitions = Arc::new(Self {
            node_id: settings.node_id,
            dir,
            flusher,
            metrics: Arc::clone(metrics),
            topics: Topics::default(),
            has_deleted_folders: AtomicBool::new(false),
        });
        let topics: Vec<(Arc<TopicImage>, Arc<TopicMetrics>)> =
            image.topics().map(|topic| (Arc::clone(topic), metrics.topic())).collect();
        let mut jobs = Vec::with_capacity(image.partition_count());
        for (topic, (topic_image, _)) in topics.iter().enumerate() {
            let config = Arc::new(log_config(file, settings.node_id, image, &topic_image.name));
            for (index, state) in topic_image.partitions.iter().enumerate() {
                let name = TopicPartition::new(Arc::clone(&topic_image.name), index as i32);
                let origin = match found.remove(&name) {
                    Some(found) => Origin {
                        recovery_point: found.recovery_point,
                        log_start_offset: found.log_start_offset,
                        is_clean,
                    },
                    None => Origin { recovery_point: 0, log_start_offset: 0, is_clean },
                };
                jobs.push(Job { topic, name, state: state.clone(), config: Arc::clone(&config), origin });
            }
        }
        for stray in found.keys() {
            warn!(topic = %stray.topic, partition = stray.partition, "a folder belongs to no topic of this cluster; it is left alone");
        }
        partitions.open_all(jobs, &topics, settings.recovery_threads);
        Ok(Recovered { partitions, flusher_threads })
    }

    fn open_all(&self, jobs: Vec<Job>, topics: &[(Arc<TopicImage>, Arc<TopicMetrics>)], threads: usize) {
        let started = std::time::Instant::now();
        let count = jobs.len();
        let done = AtomicUsize::new(0);
        let opened = in_parallel(threads, jobs, |job| {
            let (image, metrics) = &topics[job.topic];
            let partition = self.open(job.name, image.id, &job.state, &job.config, job.origin, metrics);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            self.metrics.recovery_progress.set(done as f64 / count as f64);
            (job.topic, partition)
        });
        self.metrics.recovery_progress.set(1.0);
        let mut by_topic: Vec<Vec<Arc<Partition>>> = topics.iter().map(|_| Vec::new()).collect();
        for (topic, partition) in opened {
            by_topic[topic].push(partition);
        }
        let topics = topics.iter().zip(by_topic).map(|((image, metrics), mut partitions)| {
            partitions.sort_by_key(|partition| partition.name.partition);
            let topic = Topic { name: Arc::clone(&image.name), id: image.id, partitions, metrics: Arc::clone(metrics) };
            Arc::new(topic)
        });
        self.topics.begin_with(topics.collect());
        info!(partitions = count, elapsed = ?started.elapsed(), "partitions opened");
    }

    /// Writes down how far each partition is synced, so that recovery after a crash begins there.
    pub(crate) fn write_checkpoints(&self) -> io::Result<()> {
        let mut checkpoints = Checkpoints::default();
        for topic in self.topics().iter() {
            for partition in &topic.partitions {
                let points = partition.pass(|log, upto| (log.recovery_point(), log.log_start_offset(), upto.end));
                if let Some((recovery_point, log_start_offset, high_watermark)) = points {
                    checkpoints.recovery_points.push((partition.name.clone(), recovery_point));
                    checkpoints.log_start_offsets.push((partition.name.clone(), log_start_offset));
                    checkpoints.high_watermarks.push((partition.name.clone(), high_watermark));
                }
                save_append_times(partition);
            }
        }
        self.dir.write_checkpoints(&checkpoints)
    }

    /// Closes every log and marks the folder clean. Nothing may append any more.
    pub(crate) fn close(&self, threads: usize) {
        let partitions: Vec<Arc<Partition>> =
            self.topics().iter().flat_map(|topic| topic.partitions.iter().cloned()).collect();
        let points = Mutex::new(Checkpoints::default());
        let closed = in_parallel(threads, partitions, |partition| {
            let Some(log) = partition.take_log() else { return true };
            match log.close(now_ms()) {
                Ok(closed) => {
                    let mut points = points.lock().unwrap_or_else(PoisonError::into_inner);
                    points.recovery_points.push((partition.name.clone(), closed.recovery_point));
                    points.log_start_offsets.push((partition.name.clone(), closed.log_start_offset));
                    points.high_watermarks.push((partition.name.clone(), closed.log_end_offset));
                    true
                }
                Err(error) => {
                    error!(topic = %partition.name.topic, partition = partition.name.partition, %error, "cannot close a log");
                    false
                }
            }
        });
        let points = points.into_inner().unwrap_or_else(PoisonError::into_inner);
        let marked = self.dir.write_checkpoints(&points).and_then(|()| {
            // A log that did not close must be recovered: no marker.
            if closed.into_iter().all(|is_closed| is_closed) { self.dir.mark_clean_shutdown() } else { Ok(()) }
        });
        if let Err(error) = marked {
            error!(%error, "cannot mark the data folder as cleanly shut down; the next start will recover it");
        }
    }
}

/// What a crash loses of them is estimated. A partition that was deleted meanwhile has no folder to write into.
fn save_append_times(partition: &Partition) {
    if let Some(Err(error)) = partition.append_times().map(AppendTimes::save)
        && partition.published().is_readable()
    {
        warn!(topic = %partition.name.topic, partition = partition.name.partition, %error, "append-time-checkpoint is not written");
    }
}

/// Runs `work` on every item, on so many threads; results in no particular order.
fn in_parallel<T: Send, R: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut results = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let taken = item.lock().unwrap_or_else(PoisonError::into_inner).take();
            results.extend(taken.map(&work));
        }
        results
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.clamp(1, items.len().max(1))).map(|_| scope.spawn(worker)).collect();
        let mut results = worker();
        for handle in workers {
            match handle.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}
