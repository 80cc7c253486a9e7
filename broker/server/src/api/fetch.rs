//! Fetch, v4..=17.
//!
//! v7: sessions (KIP-227): always answered with session 0, which asks the client to fetch in full. v9: leader epochs.
//! v12: diverging epochs (KIP-595). v13: topics by id (KIP-516). v15: replica state. v17: directory ids.
//! Answers hold ranges of log files, never bytes. A fetch that finds less than `min_bytes` waits, without a place to
//! queue: it watches its partitions and looks again whenever one of them moves.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::FetchPartition as Wanted;
use weir_protocol::decode;
use weir_protocol::fetch::{FetchPartition, FetchResponse, FetchTopic, encode};
use weir_protocol::produce::TopicRef;

use super::error::{ErrorCodes, Failure, partition_failure};
use super::{Call, CallError, Context, Handled, Handling, RecordRange, Reply};
use crate::partition::{Fetched, Partition, PartitionError, Topic, Watch, Watcher};

const TOPIC_ID_VERSION_MIN: i16 = 13;
const READ_COMMITTED: i8 = 1;

pub(super) fn begin(cx: Arc<Context>, call: Call, body: BytesMut) -> Result<Handling, CallError> {
    let request = decode::decode::<FetchRequest>(call.api.name, call.version, body.freeze())?;
    Ok(Box::pin(handle(cx, call, request)))
}

/// A topic as the request names it, and what it is here.
struct Asked {
    named: TopicRef,
    found: Option<Arc<Topic>>,
    partitions: Vec<Wanted>,
}

/// One look at all partitions.
struct Look {
    topics: Vec<FetchTopic<RecordRange>>,
    size_bytes: usize,
    /// Errors and diverging epochs are told at once.
    must_answer: bool,
}

async fn handle(cx: Arc<Context>, call: Call, request: FetchRequest) -> Result<Handled, CallError> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let bytes_max = (request.max_bytes.max(0) as usize).min(cx.settings().fetch_bytes_max);
    let bytes_min = (request.min_bytes.max(0) as usize).min(bytes_max);
    let is_committed_only = request.isolation_level == READ_COMMITTED;
    let asked: Vec<Asked> = request.topics.into_iter().map(|topic| ask(&cx, &call, topic)).collect();

    let mut look = look(&asked, bytes_max, is_committed_only);
    if !look.must_answer && look.size_bytes < bytes_min && request.max_wait_ms > 0 {
        let watcher = Watcher::default();
        let _watches = watch(&watcher, &asked);
        loop {
            // Looked at again before the first sleep: something may have come before the watching began.
            look = self::look(&asked, bytes_max, is_committed_only);
            if look.must_answer || look.size_bytes >= bytes_min {
                break;
            }
            if tokio::time::timeout_at(deadline, watcher.woken()).await.is_err() {
                break;
            }
        }
    }
    count(&call, &asked, &look);
    let response = FetchResponse { error_code: 0, topics: look.topics };
    let error = response.first_error();
    Ok(Handled { reply: Reply::Pieces(encode(response, call.version, call.correlation_id)), error })
}

fn ask(cx: &Context, call: &Call, topic: kafka_protocol::messages::fetch_request::FetchTopic) -> Asked {
    let named = if call.version >= TOPIC_ID_VERSION_MIN {
        TopicRef::Id(topic.topic_id.into_bytes())
    } else {
        TopicRef::Name(Arc::from(&**topic.topic))
    };
    Asked { found: cx.partitions.topic(&named), named, partitions: topic.partitions }
}

fn watch(watcher: &Watcher, asked: &[Asked]) -> Vec<Watch> {
    let found = asked.iter().filter_map(|topic| Some((topic.found.as_ref()?, &topic.partitions)));
    found
        .flat_map(|(topic, wanted)| wanted.iter().filter_map(|wanted| topic.partition(wanted.partition)))
        .map(|partition| watcher.watch(partition))
        .collect()
}

fn look(asked: &[Asked], bytes_max: usize, is_committed_only: bool) -> Look {
    let mut look = Look { topics: Vec::with_capacity(asked.len()), size_bytes: 0, must_answer: asked.is_empty() };
    for topic in asked {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let bytes_left = bytes_max.saturating_sub(look.size_bytes).min(wanted.partition_max_bytes.max(0) as usize);
            // The first batch of an answer comes whatever its size, or a reader could never pass it (KIP-74).
            let answer = match read(topic, wanted, bytes_left, look.size_bytes == 0) {
                Ok(Read::Records(fetched)) => records(wanted.partition, fetched, is_committed_only),
                Ok(Read::Diverging { epoch, end_offset, partition }) => {
                    look.must_answer = true;
                    let mut answer = empty(wanted.partition, 0, is_committed_only);
                    answer.diverging_epoch = Some((epoch, end_offset));
                    if let Ok(offsets) = partition.offsets() {
                        answer.high_watermark = offsets.high_watermark;
                        answer.last_stable_offset = offsets.last_stable_offset;
                        answer.log_start_offset = offsets.log_start_offset;
                    }
                    answer
                }
                Err(failure) => {
                    look.must_answer = true;
                    empty(wanted.partition, failure.code(), is_committed_only)
                }
            };
            look.size_bytes += answer.payload.as_ref().map_or(0, |range| range.len);
            partitions.push(answer);
        }
        look.topics.push(FetchTopic { topic: topic.named.clone(), partitions });
    }
    look
}

enum Read {
    Records(Fetched),
    /// The reader's last epoch ended here before the reader's offset.
    Diverging {
        epoch: i32,
        end_offset: i64,
        partition: Arc<Partition>,
    },
}

fn read(topic: &Asked, wanted: &Wanted, bytes_max: usize, at_least_one: bool) -> Result<Read, Failure> {
    let Some(found) = &topic.found else {
        return Err(match topic.named {
            TopicRef::Name(_) => Failure::unknown_topic(),
            TopicRef::Id(_) => Failure::unknown_topic_id(),
        });
    };
    let partition = found.partition(wanted.partition).ok_or_else(Failure::unknown_topic)?;
    let read = || -> Result<Read, PartitionError> {
        partition.check_leader_epoch(wanted.current_leader_epoch)?;
        if wanted.last_fetched_epoch >= 0 {
            let (epoch, end_offset) = partition.epoch_end_offset(wanted.last_fetched_epoch)?;
            // Epoch -1: the log no longer knows, and the reader's offset decides alone.
            if epoch >= 0 && (epoch < wanted.last_fetched_epoch || end_offset < wanted.fetch_offset) {
                return Ok(Read::Diverging { epoch, end_offset, partition: Arc::clone(partition) });
            }
        }
        partition.read(wanted.fetch_offset, bytes_max, at_least_one).map(Read::Records)
    };
    read().map_err(|error| partition_failure(&error))
}

fn records(index: i32, fetched: Fetched, is_committed_only: bool) -> FetchPartition<RecordRange> {
    let Fetched { offsets, range } = fetched;
    FetchPartition {
        high_watermark: offsets.high_watermark,
        last_stable_offset: offsets.last_stable_offset,
        log_start_offset: offsets.log_start_offset,
        payload: (range.len > 0).then_some(RecordRange { file: range.file, position: range.position, len: range.len }),
        ..empty(index, 0, is_committed_only)
    }
}

fn empty(index: i32, error_code: i16, is_committed_only: bool) -> FetchPartition<RecordRange> {
    FetchPartition {
        index,
        error_code,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        // Null for read_uncommitted; without transactions nothing is ever aborted.
        aborted_transactions: is_committed_only.then(Vec::new),
        current_leader: None,
        diverging_epoch: None,
        payload: None,
    }
}

fn count(call: &Call, asked: &[Asked], look: &Look) {
    for (asked, answered) in asked.iter().zip(&look.topics) {
        for found in &answered.partitions {
            let Some(topic) = &asked.found else { continue };
            topic.metrics.asked_to_read(found.error_code == 0);
            if let (Some(partition), Some(range)) = (topic.partition(found.index), &found.payload) {
                partition.metrics.sent(range.len as u64);
                call.answers_with(&topic.name, range);
            }
        }
    }
}

impl ErrorCodes for FetchResponse<RecordRange> {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        std::iter::once(self.error_code).chain(partitions.map(|partition| partition.error_code))
    }
}
