//! Traces, as a real receiver gets them: one from the file to the sinks, others' are continued, and none unless wanted.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::HeaderMap;
use serde_json::json;
use weir_tests::clients::kcat;
use weir_tests::http;
use weir_tests::lines::{Format, LineWriter};
use weir_tests::postgres::Postgres;
use weir_tests::process::run;
use weir_tests::prometheus::{Prometheus, Target};
use weir_tests::traces::{Receiver, Span};
use weir_tests::wait::{wait_for, wait_until};
use weir_tests::weir::{Weir, command};

const LIMIT: Duration = Duration::from_secs(40);
const LINES: u64 = 5;
/// Of a client that has begun a trace of its own.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

async fn pipeline(folder: &Path, postgres: &Postgres, variables: &[(&str, &str)]) -> Result<Weir> {
    let logs = folder.join("logs");
    std::fs::create_dir(&logs)?;
    let create = "create table app_log (line bigint, level text, service text, message text)";
    sqlx::raw_sql(create).execute(&postgres.pool().await?).await?;
    let yaml = format!(
        "connectors:\n\
         \x20 tail: {{class: file-tail, paths: ['{logs}/app.log'], topic: app, transforms: [{{parse: {{type: json}}}}]}}\n\
         \x20 rows: {{class: postgres, topics: [app], url: '{url}', table: app_log}}\n\
         \x20 docs: {{class: search, topics: [app], url: embedded, index: app}}\n",
        logs = logs.display(),
        url = postgres.url(),
    );
    let weir = Weir::up_with(folder, &[], &yaml, variables).await?;
    LineWriter::create(&logs.join("app.log"), Format::Json)?.write(LINES)?;
    Ok(weir)
}

fn to(receiver: &str) -> [(&str, &str); 2] {
    [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver), ("OTEL_BSP_SCHEDULE_DELAY", "200")]
}

fn headers(weir: &Weir, topic: &str) -> Result<String> {
    kcat(&["-b", &weir.bootstrap(), "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%h\n"])
}

fn named<'a>(spans: &'a [Span], trace: &str, name: &str) -> Option<&'a Span> {
    spans.iter().find(|span| span.trace == trace && span.name == name)
}

#[tokio::test]
async fn a_line_is_one_trace_from_the_file_to_the_sinks() -> Result<()> {
    let (folder, postgres, receiver) = (tempfile::tempdir()?, Postgres::start().await?, Receiver::start().await?);
    let weir = pipeline(folder.path(), &postgres, &to(&receiver.url)).await?;
    let names = [
        "create app",
        "send app",
        "Produce app",
        "append",
        "commit",
        "Fetch app",
        "process app",
        "put rows",
        "flush rows",
        "put docs",
        "flush docs",
    ];
    // The broker's requests are of the trace of their first record.
    let whole = async || {
        let spans = receiver.spans();
        let created = spans.iter().filter(|span| span.name == "create app");
        let mut traces = created.map(|span| span.trace.clone());
        let trace = traces.find(|trace| names.iter().all(|name| named(&spans, trace, name).is_some()))?;
        Some(spans.into_iter().filter(|span| span.trace == trace).collect::<Vec<_>>())
    };
    let spans = wait_for("a whole trace", LIMIT, whole).await.with_context(|| format!("{:#?}", receiver.spans()))?;
    let span = |name: &str| spans.iter().find(|span| span.name == name).with_context(|| name.to_owned());
    let create = span("create app")?;
    assert_eq!((create.parent.as_str(), create.service.as_str()), ("", "weir"));
    assert_eq!(create.attributes["weir.connector"], "tail");
    for name in ["send app", "Produce app", "Fetch app", "process app"] {
        assert_eq!(span(name)?.parent, create.id, "{name}");
        assert_eq!(span(name)?.attributes["messaging.system"], "kafka");
        assert_eq!(span(name)?.attributes["messaging.destination.name"], "app");
    }
    for (name, operation) in [
        ("create app", "create"),
        ("send app", "send"),
        ("Produce app", "send"),
        ("Fetch app", "receive"),
        ("process app", "process"),
    ] {
        for attribute in ["messaging.operation.name", "messaging.operation.type"] {
            assert_eq!(span(name)?.attributes[attribute], operation, "{name}");
        }
    }
    let produce = span("Produce app")?;
    assert_eq!(span("append")?.parent, produce.id);
    assert!(span("commit")?.nanos <= produce.nanos);
    let processes = spans.iter().filter(|span| span.name == "process app");
    let groups: Vec<_> = processes.map(|span| span.attributes["messaging.consumer.group.name"].as_str()).collect();
    assert!(groups.contains(&"connect-rows") && groups.contains(&"connect-docs"), "{groups:?}");
    assert!(headers(&weir, "app")?.contains(&format!("traceparent=00-{}-{}-01", create.trace, create.id)));
    let metrics = http::text(&format!("{}/metrics", weir.http())).await?;
    assert!(metrics.contains("weir_trace_spans_dropped_total 0"), "{metrics}");
    Ok(())
}

#[tokio::test]
async fn a_clients_trace_goes_on_and_its_header_stays_as_it_is() -> Result<()> {
    let (folder, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
    let weir = Weir::up_with(folder.path(), &[], "", &to(&receiver.url)).await?;
    let header = format!("traceparent=00-{TRACE}-{CLIENT}-01");
    let record = folder.path().join("record");
    std::fs::write(&record, "hello")?;
    kcat(&["-b", &weir.bootstrap(), "-P", "-t", "orders", "-H", &header, &record.to_string_lossy()])?;
    assert_eq!(headers(&weir, "orders")?, format!("{header}\n"));
    let told = async || {
        let spans = receiver.spans();
        let requests = ["Produce orders", "Fetch orders"].map(|name| named(&spans, TRACE, name).cloned());
        requests.into_iter().collect::<Option<Vec<_>>>()
    };
    for span in wait_for("the broker's part of the trace", LIMIT, told).await? {
        assert_eq!(span.parent, CLIENT, "{span:?}");
    }
    Ok(())
}

#[tokio::test]
async fn prometheus_finds_the_trace_of_a_request_beside_how_long_it_took() -> Result<()> {
    let (folder, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
    let weir = Weir::up_with(folder.path(), &[], "", &to(&receiver.url)).await?;
    let target = Target { job: "weir", cluster: "one", url: weir.http() };
    let prometheus = Prometheus::start(&folder.path().join("prometheus"), 60, "", &[target]).await?;
    let record = folder.path().join("record");
    std::fs::write(&record, "hello")?;
    let header = format!("traceparent=00-{TRACE}-{CLIENT}-01");
    let buckets = "weir_request_duration_seconds_bucket{api=\"Produce\"}";
    // Another request may take the place of one in its bucket before that is scraped.
    let stored = async || {
        kcat(&["-b", &weir.bootstrap(), "-P", "-t", "orders", "-H", &header, &record.to_string_lossy()]).ok()?;
        let all = prometheus.exemplars(buckets, Duration::from_secs(600)).await.ok()?;
        all.into_iter().find(|(_, exemplar)| exemplar["trace_id"] == TRACE)
    };
    let (series, exemplar) = wait_for("the exemplar", LIMIT, stored).await?;
    assert!(series["cluster"] == "one" && series.contains_key("le"), "{series:?}");
    let told = async || receiver.spans().into_iter().find(|span| span.id == exemplar["span_id"]);
    let span = wait_for("its span", LIMIT, told).await?;
    assert_eq!((span.name.as_str(), span.trace.as_str()), ("Produce orders", TRACE));
    // Prometheus has exemplars a moment before the samples of their scrape.
    let counted = async || {
        let counted = prometheus.query("weir_requests_total{api=\"Produce\"}").await;
        counted.is_ok_and(|series| series.len() == 1)
    };
    wait_until("a counter under its name", LIMIT, counted).await?;
    let asked = http::text(&format!("{}/metrics", weir.http())).await?;
    assert!(!asked.contains(TRACE), "who does not ask for OpenMetrics gets it");
    Ok(())
}

#[tokio::test]
async fn a_sink_may_begin_traces_of_its_own_that_refer_to_those_of_its_records() -> Result<()> {
    let (folder, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
    let docs =
        "connectors: {docs: {class: search, topics: [orders], url: embedded, index: orders, trace.context: link}}\n";
    let weir = Weir::up_with(folder.path(), &[], docs, &to(&receiver.url)).await?;
    let record = folder.path().join("record");
    std::fs::write(&record, "{\"a\":1}")?;
    let header = format!("traceparent=00-{TRACE}-{CLIENT}-01");
    kcat(&["-b", &weir.bootstrap(), "-P", "-t", "orders", "-H", &header, &record.to_string_lossy()])?;
    let told = async || receiver.spans().into_iter().find(|span| span.name == "process orders");
    let process = wait_for("the sink's work", LIMIT, told).await?;
    assert_eq!((process.parent.as_str(), process.links.as_slice()), ("", [TRACE.to_owned()].as_slice()));
    assert_ne!(process.trace, TRACE);
    let put = async || named(&receiver.spans(), &process.trace, "put docs").cloned();
    assert_eq!(wait_for("its call", LIMIT, put).await?.parent, process.id);
    Ok(())
}

#[tokio::test]
async fn what_a_client_does_not_sample_is_not_sampled_here() -> Result<()> {
    let (folder, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
    let weir = Weir::up_with(folder.path(), &[], "", &to(&receiver.url)).await?;
    let record = folder.path().join("record");
    std::fs::write(&record, "hello")?;
    for (topic, flags) in [("quiet", "00"), ("loud", "01")] {
        let header = format!("traceparent=00-{TRACE}-{CLIENT}-{flags}");
        kcat(&["-b", &weir.bootstrap(), "-P", "-t", topic, "-H", &header, &record.to_string_lossy()])?;
        assert_eq!(headers(&weir, topic)?, format!("{header}\n"));
    }
    let told = async || named(&receiver.spans(), TRACE, "Fetch loud").is_some();
    wait_until("the sampled one", LIMIT, told).await?;
    let spans = receiver.spans();
    let with_record = |span: &&Span| span.name.ends_with(" quiet") && !span.is_error;
    assert!(!spans.iter().any(|span| with_record(&span)), "{spans:#?}");
    Ok(())
}

#[tokio::test]
async fn a_trace_goes_on_in_the_requests_to_a_search_server() -> Result<()> {
    let (folder, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let bulk = move |headers: HeaderMap, body: String| async move {
        let _ = told.send(headers.get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned));
        let items = vec![json!({"create": {"status": 201}}); body.lines().count() / 2];
        axum::Json(json!({ "items": items }))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let server = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, axum::Router::new().route("/_bulk", axum::routing::post(bulk))).into_future());
    let docs = format!("connectors: {{docs: {{class: search, topics: [orders], url: '{server}', index: orders}}}}\n");
    let weir = Weir::up_with(folder.path(), &[], &docs, &to(&receiver.url)).await?;
    let record = folder.path().join("record");
    std::fs::write(&record, "{\"a\":1}")?;
    let header = format!("00-{TRACE}-{CLIENT}-01");
    kcat(&[
        "-b",
        &weir.bootstrap(),
        "-P",
        "-t",
        "orders",
        "-H",
        &format!("traceparent={header}"),
        &record.to_string_lossy(),
    ])?;
    let sent = tokio::time::timeout(LIMIT, heard.recv()).await.with_context(|| weir.log())?;
    assert_eq!(sent.flatten(), Some(header));
    Ok(())
}

#[tokio::test]
async fn a_sampler_that_does_not_exist_is_an_error_at_the_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [endpoint, _] = to("http://127.0.0.1:9");
    let started = Weir::up_with(folder.path(), &[], "", &[endpoint, ("OTEL_TRACES_SAMPLER", "bogus")]).await;
    let error = format!("{:#}", started.err().context("it starts")?);
    assert!(error.contains("OTEL_TRACES_SAMPLER=bogus is not one of always_on"), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_fails_is_kept_whatever_is_sampled() -> Result<()> {
    let (folder, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
    let [endpoint, delay] = to(&receiver.url);
    let variables = [endpoint, delay, ("OTEL_TRACES_SAMPLER", "always_off")];
    let config = ["auto.create.topics.enable: false", "message.max.bytes: 1000"];
    let weir = Weir::up_with(folder.path(), &config, "", &variables).await?;
    let mut create = command(&["topics", "create", "small"])?;
    create.env("WEIR_BOOTSTRAP_SERVER", weir.bootstrap());
    run(create)?;
    let record = folder.path().join("record");
    std::fs::write(&record, "x".repeat(5_000))?;
    let header = format!("traceparent=00-{TRACE}-{CLIENT}-00");
    let sent = kcat(&["-b", &weir.bootstrap(), "-P", "-t", "small", "-H", &header, &record.to_string_lossy()]);
    assert!(sent.is_err(), "5,000 bytes were taken");
    let failed = async || receiver.spans().into_iter().find(|span| span.name == "Produce small");
    let failed = wait_for("the refused request", LIMIT, failed).await?;
    assert!(failed.is_error && failed.attributes["error.type"] == "MESSAGE_TOO_LARGE", "{failed:?}");
    assert_eq!((failed.trace.as_str(), failed.parent.as_str()), (TRACE, CLIENT), "it stays where it belongs");
    let others = receiver.spans().into_iter().filter(|span| span.parent.is_empty() && !span.is_error).count();
    assert_eq!(others, 0, "{:#?}", receiver.spans());
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_is_away_costs_spans_and_nothing_else() -> Result<()> {
    let (folder, postgres) = (tempfile::tempdir()?, Postgres::start().await?);
    let weir = pipeline(folder.path(), &postgres, &to("http://127.0.0.1:9")).await?;
    let pool = postgres.pool().await?;
    let arrived = async || {
        let counted = sqlx::query_as("select count(*) from app_log").fetch_one(&pool).await;
        counted.is_ok_and(|(count,): (i64,)| count.unsigned_abs() == LINES)
    };
    wait_until("the lines to arrive", LIMIT, arrived).await.with_context(|| weir.log())?;
    let dropped = async || {
        let metrics = http::text(&format!("{}/metrics", weir.http())).await.ok()?;
        let count = metrics.lines().find_map(|line| line.strip_prefix("weir_trace_spans_dropped_total "))?;
        count.parse::<u64>().ok().filter(|count| *count > 0)
    };
    wait_for("spans to be counted as lost", LIMIT, dropped).await?;
    let log = weir.log();
    let said: Vec<_> = log.lines().filter(|line| line.contains("spans were not taken")).collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(said[0].contains("http://127.0.0.1:9/v1/traces") && said[0].contains("Connection refused"), "{}", said[0]);
    Ok(())
}

#[tokio::test]
async fn nothing_is_traced_unless_it_is_wanted() -> Result<()> {
    let (folder, postgres) = (tempfile::tempdir()?, Postgres::start().await?);
    let weir = pipeline(folder.path(), &postgres, &[]).await?;
    let found = async || headers(&weir, "app").ok().filter(|text| text.lines().count() as u64 == LINES);
    let headers = wait_for("the lines", LIMIT, found).await?;
    assert!(!headers.contains("traceparent"), "{headers}");
    Ok(())
}
