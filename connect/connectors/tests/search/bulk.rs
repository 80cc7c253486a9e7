//! Each answer that a server can give has its consequence, and no document is lost or doubled.

use axum::http::StatusCode;
use weir_connect_api::{Connector, ErrorClass, Payload};
use weir_connectors::search_sink::SearchSink;

use crate::scripted::{Script, Scripted};
use crate::sink::{Sink, numbered, record, text};

async fn sink(server: &Scripted, pairs: &[(&str, &str)]) -> Sink {
    Sink::start(None, &[&[("url", server.url.as_str())], pairs].concat()).await
}

fn id(offset: i64) -> String {
    format!("logs-0-{offset}")
}

#[tokio::test]
async fn documents_arrive_once_with_the_records_place_as_id() {
    let server = Scripted::start(Script::default()).await;
    let pairs = [("index", "${topic}-%Y.%m.%d"), ("user", "u"), ("password", "p"), ("connection.compression", "true")];
    let mut sink = sink(&server, &pairs).await;
    assert_eq!(sink.write(numbered(0..10)).await.unwrap(), Some(10));
    // Read again after a restart: the server refuses what it has.
    assert_eq!(sink.write(numbered(5..12)).await.unwrap(), Some(12));
    assert_eq!(server.ids().len(), 12);
    server.see(|script| {
        let (source, _) = &script.documents[&("logs-2026.11.23".to_owned(), id(3))];
        assert_eq!(*source, serde_json::json!({"@timestamp": "2026-11-23T08:00:00.000Z", "n": 3}));
        assert_eq!(script.authorization.as_deref(), Some("Basic dTpw"));
    });
    assert_eq!(sink.reported(), []);
}

#[tokio::test]
async fn only_the_items_that_were_put_off_are_sent_again() {
    let items = [(id(1), [429, 503].into()), (id(2), [403].into()), (id(4), [400].into()), (id(5), [404].into())];
    let server = Scripted::start(Script { items: items.into(), ..Script::default() }).await;
    let mut sink = sink(&server, &[]).await;
    assert_eq!(sink.write(numbered(0..6)).await.unwrap(), Some(6));
    assert_eq!(server.ids(), [id(0), id(1), id(2), id(3)]);
    server.see(|script| {
        let sent = |offset| script.sent[&id(offset)];
        assert_eq!([sent(0), sent(1), sent(2), sent(3), sent(4), sent(5)], [1, 3, 2, 1, 1, 1]);
    });
    let reported = sink.reported();
    assert_eq!(reported.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(reported[0].1, "create answered 400: scripted: so it is");
}

#[tokio::test]
async fn a_server_that_stays_busy_is_the_workers_to_wait_for_and_nothing_is_lost() {
    let busy = std::iter::repeat_n((StatusCode::TOO_MANY_REQUESTS, "busy"), 6).collect();
    let server = Scripted::start(Script { requests: busy, ..Script::default() }).await;
    let mut sink = sink(&server, &[]).await;
    sink.put(numbered(0..3)).await.unwrap();
    let error = sink.task.flush().await.unwrap_err();
    assert!(error.is_retriable() && error.message.contains("429"), "{error}");
    assert_eq!(sink.task.flush().await.unwrap().into_values().collect::<Vec<_>>(), [3]);
    assert_eq!(server.ids().len(), 3);
}

#[tokio::test]
async fn who_is_not_let_in_advances_nothing() {
    for (status, class) in [
        (StatusCode::UNAUTHORIZED, ErrorClass::Fatal),
        (StatusCode::FORBIDDEN, ErrorClass::Retriable { retry_after: Some(std::time::Duration::ZERO) }),
        (StatusCode::NOT_FOUND, ErrorClass::Fatal),
    ] {
        let refusals = std::iter::repeat_n((status, "no"), 4).collect();
        let server = Scripted::start(Script { requests: refusals, ..Script::default() }).await;
        let mut sink = sink(&server, &[]).await;
        sink.put(numbered(0..3)).await.unwrap();
        let error = sink.task.flush().await.unwrap_err();
        assert_eq!(error.class, class, "{error}");
        assert!(error.message.contains(status.as_str()), "{error}");
        assert_eq!(server.ids().len(), 0);
        assert_eq!(sink.reported(), []);
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_halved_until_one_document_is_alone() {
    let server = Scripted::start(Script { body_bytes_max: Some(400), ..Script::default() }).await;
    let mut sink = sink(&server, &[]).await;
    let mut records = numbered(0..20);
    records[7] = record(7, Payload::Null, text(&format!(r#"{{"long":"{}"}}"#, "x".repeat(500))));
    assert_eq!(sink.write(records).await.unwrap(), Some(20));
    assert_eq!(server.ids().len(), 19);
    let reported = sink.reported();
    assert_eq!((reported.len(), reported[0].0), (1, 7));
    assert!(reported[0].1.contains("413"), "{}", reported[0].1);
}

#[tokio::test]
async fn a_request_that_is_refused_as_a_whole_is_halved_too() {
    let refusals = [(StatusCode::BAD_REQUEST, "malformed")].into();
    let server = Scripted::start(Script { requests: refusals, ..Script::default() }).await;
    let mut sink = sink(&server, &[]).await;
    assert_eq!(sink.write(numbered(0..4)).await.unwrap(), Some(4));
    assert_eq!(server.ids().len(), 4);
    assert_eq!(server.see(|script| script.bodies), 3);
}

#[tokio::test]
async fn of_a_key_the_latest_record_counts_in_whatever_order_they_arrive() {
    let server = Scripted::start(Script::default()).await;
    let mut sink = sink(&server, &[("key.ignore", "false")]).await;
    let keyed = |offset, key: &str, value: Payload| record(offset, text(&format!("\"{key}\"")), value);
    let records = || {
        vec![
            keyed(0, "a", text(r#"{"v":1}"#)),
            keyed(1, "b", text(r#"{"v":1}"#)),
            keyed(2, "a", text(r#"{"v":2}"#)),
            keyed(3, "b", Payload::Null),
            keyed(4, "never-there", Payload::Null),
            record(5, Payload::Null, text("{}")),
        ]
    };
    assert_eq!(sink.write(records()).await.unwrap(), Some(6));
    // An older record that comes again replaces nothing.
    assert_eq!(sink.write(records()[..1].to_vec()).await.unwrap(), Some(1));
    server.see(|script| {
        assert_eq!(script.documents.len(), 1);
        let (source, version) = &script.documents[&("logs".to_owned(), "a".to_owned())];
        assert_eq!((source["v"].as_i64(), *version), (Some(2), Some(2)));
    });
    assert_eq!(sink.reported().len(), 1, "a record without a key has no id");
}

#[tokio::test]
async fn large_loads_go_in_several_requests_at_once() {
    let server = Scripted::start(Script::default()).await;
    let mut sink = sink(&server, &[("batch.bytes", "4KiB")]).await;
    for start in 0..10 {
        sink.put(numbered(start * 500..(start + 1) * 500)).await.unwrap();
    }
    assert_eq!(sink.task.flush().await.unwrap().into_values().collect::<Vec<_>>(), [5000]);
    assert_eq!(server.ids().len(), 5000);
    assert!(server.see(|script| script.bodies) > 50);
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let mut sink = Sink::start(None, &[("url", "http://127.0.0.1:1")]).await;
    sink.put(numbered(0..1)).await.unwrap();
    let error = sink.task.flush().await.unwrap_err();
    assert!(error.is_retriable() && error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn dialling_says_what_answers_or_why_nothing_does() {
    let requests = [(StatusCode::UNAUTHORIZED, "who are you")].into();
    let server = Scripted::start(Script { requests, ..Script::default() }).await;
    let connector = SearchSink::new(None);
    let config = |url: &str| connector.config_def().parse(&[("url".to_owned(), url.to_owned())].into()).unwrap();
    assert_eq!(connector.dial(&config(&server.url)).await.unwrap_err().class, ErrorClass::Fatal);
    assert_eq!(connector.dial(&config(&server.url)).await.unwrap(), "elasticsearch 8.17.0, cluster test");
    assert!(connector.dial(&config("embedded")).await.unwrap_err().message.contains("no search node"));
}
