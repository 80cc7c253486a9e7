//! What the worker tells of records that belong to a trace, or begin one: `create` and `send` of what a source makes, `process` of
//! what a sink takes, with the calls into the sink below it. Names and attributes as in OpenTelemetry's conventions for
//! messaging.
//!
//! A record that has a `traceparent` keeps it. Nothing here runs while traces are off.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use weir_connect_api::{Config, ConfigKey, ConfigType, ConnectError, ErrorClass, Header, Record, SinkRecord};
use weir_trace::{Keep, SpanContext, SpanKind, TRACEPARENT, Work, context_of, traceparent};

/// Of one batch of a sink so many records are told at most: a batch is one call, whatever is in it.
const BATCH_RECORDS_MAX: usize = 64;
/// And of all batches until the sink is flushed.
const PROCESSING_MAX: usize = 1024;

const RELATION: &str = "trace.context";
const PARENT: &str = "parent";
const LINK: &str = "link";

/// Of every sink.
pub(crate) fn config_key() -> ConfigKey {
    let meaning =
        "What the trace of a record is to the sink's work on it: its parent, or a link from a trace of the work's own.";
    ConfigKey::new(RELATION, ConfigType::String, meaning).default(PARENT).choices(&[PARENT, LINK])
}

/// Work of a trace that is kept, or begins one that is.
fn work(
    verb: &'static str,
    topic: &str,
    kind: SpanKind,
    parent: Option<&SpanContext>,
    began: SystemTime,
) -> Option<Work> {
    let work = Work::begun(Keep::Sampled, kind, parent, began)?.named(format!("{verb} {topic}"));
    let work = work.with("messaging.operation.name", verb).with("messaging.operation.type", verb);
    Some(work.with("messaging.system", "kafka").with("messaging.destination.name", topic.to_owned()))
}

/// The context that a record carries.
pub(crate) fn of_headers(headers: &[Header]) -> Option<SpanContext> {
    context_of(headers.iter().filter_map(|header| Some((&*header.key, header.value.as_deref()?))))
}

/// A source has made a record, since `began`: the record gets the context, unless it has one.
pub(crate) fn created(record: &mut Record, connector: &str, began: SystemTime) {
    let Some(topic) = record.topic.clone() else { return };
    let parent = of_headers(&record.headers);
    let Some(work) = work("create", &topic, SpanKind::Producer, parent.as_ref(), began) else { return };
    let context = work.with("weir.connector", connector.to_owned()).ended(SystemTime::now());
    if !record.headers.iter().any(|header| *header.key == *TRACEPARENT) {
        let value = Some(Bytes::from(traceparent(&context)));
        record.headers.push(Header { key: TRACEPARENT.into(), value });
    }
}

/// Records of traces that are on their way to the broker, by their context, and since when. As many as are unsettled, at most.
#[derive(Default)]
pub(crate) struct Sending(HashMap<Bytes, SystemTime>);

impl Sending {
    pub(crate) fn queued(&mut self, record: &Record) {
        if of_headers(&record.headers).is_some() {
            let header = record.headers.iter().find(|header| *header.key == *TRACEPARENT);
            self.0.extend(header.and_then(|header| Some((header.value.clone()?, SystemTime::now()))));
        }
    }

    /// The broker has answered; an error is librdkafka's word for it.
    pub(crate) fn answered(&mut self, message: &BorrowedMessage<'_>, error: Option<String>) {
        if self.0.is_empty() {
            return;
        }
        let Some(headers) = message.headers() else { return };
        let header = headers.iter().find(|header| header.key == TRACEPARENT).and_then(|header| header.value);
        let Some((value, queued)) = header.and_then(|value| Some((value, self.0.remove(value)?))) else { return };
        let parent = context_of([(TRACEPARENT, value)]);
        let work = work("send", message.topic(), SpanKind::Client, parent.as_ref(), queued);
        work.map(|work| work.failed(error).ended(SystemTime::now()));
    }
}

fn error_type(error: &ConnectError) -> &'static str {
    match error.class {
        ErrorClass::Retriable { .. } => "retriable",
        ErrorClass::Record => "record",
        ErrorClass::Fatal => "fatal",
    }
}

/// What the trace of a record is to the work of a sink on it: [`RELATION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// The work belongs to it.
    Parent,
    /// The work begins a trace of its own, which refers to it.
    Link,
}

/// A record that a sink works on.
pub(crate) struct Processing {
    context: SpanContext,
    relation: Relation,
    topic: Arc<str>,
    began: SystemTime,
    put: Option<(SystemTime, SystemTime)>,
}

/// Those records of a batch that belong to traces.
pub(crate) fn processing(records: &[SinkRecord], config: &Config) -> Vec<Processing> {
    if !weir_trace::is_on() {
        return Vec::new();
    }
    let relation = if config.str(RELATION) == LINK { Relation::Link } else { Relation::Parent };
    let began = SystemTime::now();
    let traced = records.iter().filter_map(|record| Some((of_headers(&record.record.headers)?, record)));
    let mut traced: Vec<_> = traced.collect();
    // Those that are most likely kept first.
    traced.sort_by_key(|(context, _)| !context.is_sampled());
    traced
        .into_iter()
        .take(BATCH_RECORDS_MAX)
        .map(|(context, record)| {
            let topic = Arc::clone(&record.origin.topic);
            Processing { context, relation, topic, began, put: None }
        })
        .collect()
}

impl Processing {
    /// Adds what there is room for.
    pub(crate) fn more(all: &mut Vec<Self>, records: Vec<Self>) {
        let room = PROCESSING_MAX.saturating_sub(all.len());
        all.extend(records.into_iter().take(room));
    }

    /// They were put into the sink since `began`.
    pub(crate) fn put(records: &mut [Self], began: SystemTime) {
        let ended = SystemTime::now();
        records.iter_mut().for_each(|record| record.put = Some((began, ended)));
    }

    /// The sink has them, or has failed; it was flushed since `flushed`.
    pub(crate) fn done(records: Vec<Self>, connector: &str, flushed: SystemTime, error: Option<&ConnectError>) {
        let now = SystemTime::now();
        for Self { context, relation, topic, began, put } in records {
            let parent = (relation == Relation::Parent).then_some(&context);
            let Some(mut process) = work("process", &topic, SpanKind::Consumer, parent, began) else { continue };
            if relation == Relation::Link {
                process = process.linked(context);
            }
            let context = process
                .with("messaging.consumer.group.name", format!("connect-{connector}"))
                .with("weir.connector", connector.to_owned())
                .failed(error.map(error_type))
                .ended(now);
            let calls = put.map(|(began, ended)| ("put", began, ended)).into_iter().chain([("flush", flushed, now)]);
            for (call, began, ended) in calls {
                let work = Work::begun(Keep::Sampled, SpanKind::Client, Some(&context), began);
                work.map(|work| work.named(format!("{call} {connector}")).ended(ended));
            }
        }
    }
}
