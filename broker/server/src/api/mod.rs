//! What the broker answers: one file per Kafka API, and THE table that finds it.
//!
//! To add an API: a file here with `handle`, and a line in [`TABLE`]. What stands in the table is advertised; nothing
//! else is. Handlers see the broker through [`Context`] alone. Kafka's error codes appear here and nowhere else; what a response
//! fails with its [`error::ErrorCodes`] say, which counters and traces are told from one place, [`Answer`].

mod alter_configs;
mod api_versions;
mod auto_create;
mod call;
mod configs;
mod context;
mod convert;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_topic_partitions;
mod error;
mod fetch;
mod find_coordinator;
mod group_errors;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
mod trace;

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures::future::BoxFuture;
use kafka_protocol::messages::*;
use weir_protocol::api::{self as spec, ApiSpec};
use weir_protocol::decode;
use weir_protocol::header::{RequestHeader, RequestPrefix};

use crate::metrics::{ApiMetrics, Metrics};

pub(crate) use call::{Call, CallError, Peer, RecordRange, Reply};
pub(crate) use context::Context;

use call::Handled;
use error::kafka_name;
use trace::{RequestTrace, Times, Told};

/// A row whose handler is `async fn handle(&Context, &Call, Request) -> Response`.
macro_rules! api {
    ($spec:ident, $handler:path, $request:ty) => {
        Api {
            spec: &spec::$spec,
            begin: |cx, call, body| {
                let request = decode::decode::<$request>(call.api.name, call.version, body.freeze())?;
                Ok(Box::pin(async move {
                    let response = $handler(&cx, &call, request).await;
                    call.reply(&response)
                }))
            },
        }
    };
}

/// THE table of APIs.
static TABLE: &[Api] = &[
    Api { spec: &spec::PRODUCE, begin: produce::begin },
    Api { spec: &spec::FETCH, begin: fetch::begin },
    api!(LIST_OFFSETS, list_offsets::handle, ListOffsetsRequest),
    api!(METADATA, metadata::handle, MetadataRequest),
    api!(OFFSET_COMMIT, offset_commit::handle, OffsetCommitRequest),
    api!(OFFSET_FETCH, offset_fetch::handle, OffsetFetchRequest),
    api!(FIND_COORDINATOR, find_coordinator::handle, FindCoordinatorRequest),
    api!(JOIN_GROUP, join_group::handle, JoinGroupRequest),
    api!(HEARTBEAT, heartbeat::handle, HeartbeatRequest),
    api!(LEAVE_GROUP, leave_group::handle, LeaveGroupRequest),
    api!(SYNC_GROUP, sync_group::handle, SyncGroupRequest),
    api!(DESCRIBE_GROUPS, describe_groups::handle, DescribeGroupsRequest),
    api!(LIST_GROUPS, list_groups::handle, ListGroupsRequest),
    api!(API_VERSIONS, api_versions::handle, ApiVersionsRequest),
    api!(CREATE_TOPICS, create_topics::handle, CreateTopicsRequest),
    api!(DELETE_TOPICS, delete_topics::handle, DeleteTopicsRequest),
    api!(DELETE_RECORDS, delete_records::handle, DeleteRecordsRequest),
    api!(INIT_PRODUCER_ID, init_producer_id::handle, InitProducerIdRequest),
    api!(OFFSET_FOR_LEADER_EPOCH, offset_for_leader_epoch::handle, OffsetForLeaderEpochRequest),
    api!(DESCRIBE_CONFIGS, describe_configs::handle, DescribeConfigsRequest),
    api!(ALTER_CONFIGS, alter_configs::handle, AlterConfigsRequest),
    api!(DESCRIBE_LOG_DIRS, describe_log_dirs::handle, DescribeLogDirsRequest),
    api!(CREATE_PARTITIONS, create_partitions::handle, CreatePartitionsRequest),
    api!(DELETE_GROUPS, delete_groups::handle, DeleteGroupsRequest),
    api!(INCREMENTAL_ALTER_CONFIGS, incremental_alter_configs::handle, IncrementalAlterConfigsRequest),
    api!(LIST_PARTITION_REASSIGNMENTS, list_partition_reassignments::handle, ListPartitionReassignmentsRequest),
    api!(OFFSET_DELETE, offset_delete::handle, OffsetDeleteRequest),
    api!(DESCRIBE_CLUSTER, describe_cluster::handle, DescribeClusterRequest),
    api!(LIST_CONFIG_RESOURCES, list_config_resources::handle, ListConfigResourcesRequest),
    api!(DESCRIBE_TOPIC_PARTITIONS, describe_topic_partitions::handle, DescribeTopicPartitionsRequest),
];

/// One row: what is known of the API, and how a request of it begins.
struct Api {
    spec: &'static ApiSpec,
    begin: fn(Arc<Context>, Call, BytesMut) -> Result<Handling, CallError>,
}

/// A handler at work.
type Handling = BoxFuture<'static, Result<Handled, CallError>>;

/// An answer under way. Counted, with its duration and where that went, when it is ready.
pub(crate) struct Answer {
    handling: Handling,
    received: Instant,
    started: Instant,
    /// Time in which it was worked on.
    local: Duration,
    is_waiting: bool,
    metrics: ApiMetrics,
    trace: Option<(&'static ApiSpec, Arc<RequestTrace>)>,
}

/// An answer that is to be sent.
pub(crate) struct Answered {
    reply: Reply,
    ready: Instant,
    metrics: ApiMetrics,
    told: Option<Box<Told>>,
}

/// An answer that is being sent.
pub(crate) struct Sending {
    ready: Instant,
    sending: Instant,
    metrics: ApiMetrics,
    told: Option<Box<Told>>,
}

impl Answered {
    /// It begins to be sent.
    pub(crate) fn send(self) -> (Reply, Sending) {
        let Self { reply, ready, metrics, told } = self;
        (reply, Sending { ready, sending: Instant::now(), metrics, told })
    }
}

impl Sending {
    /// It is sent.
    pub(crate) fn done(&self) {
        self.metrics.sent(self.ready, self.sending);
        let Some(told) = &self.told else { return };
        if let Some(span) = told.tell(self.sending) {
            self.metrics.kept(self.ready - told.times.started, &span);
        }
    }
}

impl Answer {
    fn new(
        handling: Handling,
        received: Instant,
        metrics: ApiMetrics,
        trace: Option<(&'static ApiSpec, Arc<RequestTrace>)>,
    ) -> Self {
        metrics.begun(received);
        Self { handling, received, started: Instant::now(), local: Duration::ZERO, is_waiting: false, metrics, trace }
    }

    fn set_waiting(&mut self, is_waiting: bool) {
        if self.is_waiting != is_waiting {
            self.metrics.waiting.add(if is_waiting { 1 } else { -1 });
            self.is_waiting = is_waiting;
        }
    }
}

impl Future for Answer {
    type Output = Result<Answered, CallError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let begun = Instant::now();
        let within = self.trace.as_ref().map(|(_, trace)| trace.enter());
        let polled = self.handling.as_mut().poll(task);
        drop(within);
        let ready = Instant::now();
        self.local += ready - begun;
        self.set_waiting(polled.is_pending());
        let Handled { reply, error } = std::task::ready!(polled)?;
        let error = error.map(kafka_name);
        self.metrics.answered(ready - self.started, self.local, error.as_deref());
        let told = self.trace.take().map(|(api, trace)| {
            let times = Times { received: self.received, started: self.started, local: self.local, ready };
            Box::new(Told { trace, api, times, error })
        });
        Poll::Ready(Ok(Answered { reply, ready, metrics: self.metrics.clone(), told }))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.set_waiting(false);
    }
}

/// The counters of every row, in the table's order.
pub(crate) fn table_metrics(metrics: &Metrics) -> Vec<ApiMetrics> {
    TABLE.iter().map(|row| metrics.api(row.spec)).collect()
}

/// Every API that is answered, as ApiVersions advertises it.
fn advertised() -> impl Iterator<Item = &'static ApiSpec> {
    TABLE.iter().map(|row| row.spec)
}

/// Whether a connection may begin this request while earlier ones of its kind are unanswered: Produce only.
pub(crate) fn may_overlap(frame: &[u8]) -> bool {
    RequestPrefix::parse(frame).is_ok_and(|prefix| prefix.api_key == spec::PRODUCE.key)
}

/// Begins a request: `frame` is what follows its length, whole since `received`. An error closes the connection, as in Kafka: there is no
/// answer that the peer could read.
pub(crate) fn begin(
    cx: &Arc<Context>,
    peer: &Arc<Peer>,
    mut frame: BytesMut,
    received: Instant,
) -> Result<Answer, CallError> {
    let prefix = RequestPrefix::parse(&frame).map_err(decode::DecodeError::Header)?;
    let RequestPrefix { api_key, api_version, correlation_id } = prefix;
    let index = TABLE.iter().position(|row| row.spec.key == api_key).ok_or(CallError::UnknownApi { api_key })?;
    let row = &TABLE[index];
    let mut call = Call::new(row.spec, api_version, correlation_id, peer);
    let trace = call.trace.clone().map(|trace| (row.spec, trace));
    let answer = |handling| Answer::new(handling, received, cx.api_metrics[index].clone(), trace);
    if !row.spec.serves(api_version) {
        if api_key == spec::API_VERSIONS.key {
            // The body is of a version unknown here: answered without a look at it.
            call.version = 0;
            let response = api_versions::unsupported_version();
            return Ok(answer(Box::pin(std::future::ready(call.reply(&response)))));
        }
        return Err(CallError::UnsupportedVersion { api: row.spec.name, version: api_version });
    }
    let header = RequestHeader::parse(&frame, row.spec).map_err(decode::DecodeError::Header)?;
    call.client_id = header.client_id;
    let body = frame.split_off(header.size_bytes);
    (row.begin)(Arc::clone(cx), call, body).map(answer)
}
