//! The Connect worker as an operator meets it: REST, metrics and health, alone and beside a broker.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value as Json, json};
use weir_tests::http::{self, client, is_ok};
use weir_tests::postgres::Postgres;
use weir_tests::wait::wait_until;
use weir_tests::weir::{SearchNode, Weir, Worker, command};

const LIMIT: Duration = Duration::from_secs(60);

async fn put(url: &str, body: &Json) -> Result<(u16, String)> {
    let request = client().put(url).header("content-type", "application/json").body(body.to_string());
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

async fn state(connect: &str, connector: &str) -> Result<Json> {
    http::json(&format!("{connect}/connectors/{connector}/status")).await
}

/// A file with lines and a connector that reads it.
async fn with_a_tail(folder: &Path) -> Result<Weir> {
    std::fs::write(folder.join("app.log"), "one\ntwo\n")?;
    let yaml = format!(
        "connectors:\n  tail: {{class: file-tail, paths: ['{0}/app.log'], topic: app}}\n\
         \x20 docs: {{class: search, topics: [app], url: embedded, index: app}}\n",
        folder.display()
    );
    Weir::up(folder, &[], &yaml).await
}

#[tokio::test]
async fn the_topics_that_connectors_use_show_through_a_restart_until_they_are_reset() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut weir = with_a_tail(folder.path()).await?;
    let connect = weir.connect();
    let shows = async |name: &str, topics: &Json| {
        let found = http::json(&format!("{connect}/connectors/{name}/topics")).await;
        found.is_ok_and(|found| found == json!({name: {"topics": topics}}))
    };
    for name in ["tail", "docs"] {
        wait_until("the topic to be known", LIMIT, async || shows(name, &json!(["app"])).await).await?;
    }
    std::fs::remove_file(folder.path().join("app.log"))?;
    weir.stop()?;
    weir.start().await?;
    // No record was read since the restart: the file is gone.
    wait_until("the topic to be known still", LIMIT, async || shows("tail", &json!(["app"])).await).await?;
    let (status, _) = put(&format!("{connect}/connectors/tail/topics/reset"), &Json::Null).await?;
    assert_eq!(status, 202);
    assert!(shows("tail", &json!([])).await && shows("docs", &json!(["app"])).await);
    weir.stop()?;
    weir.start().await?;
    wait_until("the reset to be known still", LIMIT, async || shows("tail", &json!([])).await).await?;
    Ok(())
}

#[tokio::test]
async fn states_of_tasks_show_what_is_wanted_of_their_connector() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = with_a_tail(folder.path()).await?;
    let connect = weir.connect();
    let states = async |connector: &str, tasks: &[&str]| {
        let status = state(&connect, "tail").await.unwrap_or_default();
        let found: Vec<_> = status["tasks"].as_array().into_iter().flatten().map(|task| &task["state"]).collect();
        status["connector"]["state"] == connector && found == tasks
    };
    wait_until("the tail to run", LIMIT, async || states("RUNNING", &["RUNNING"]).await).await?;
    let metric =
        async |line: &str| http::text(&format!("{}/metrics", weir.http())).await.is_ok_and(|m| m.contains(line));
    for (wish, connector, tasks) in
        [("pause", "PAUSED", &["PAUSED"][..]), ("stop", "STOPPED", &[]), ("resume", "RUNNING", &["RUNNING"])]
    {
        let (status, text) = put(&format!("{connect}/connectors/tail/{wish}"), &Json::Null).await?;
        assert!(status < 300, "{wish}: {status} {text}");
        wait_until(wish, LIMIT, async || states(connector, tasks).await).await?;
        if wish == "pause" {
            assert!(metric("weir_connect_task_state{connector=\"tail\",state=\"PAUSED\",task=\"0\"} 1").await);
            assert!(metric("weir_connect_tasks{state=\"PAUSED\"} 1").await);
        }
        let of_tail = usize::from(wish == "resume");
        assert!(metric(&format!("weir_connect_tasks{{state=\"RUNNING\"}} {}", 1 + of_tail)).await, "{wish}");
    }
    let restart = async |query: &str| -> Result<(u16, Json)> {
        let answer = client().post(format!("{connect}/connectors/tail/restart{query}")).send().await?;
        Ok((answer.status().as_u16(), serde_json::from_str(&answer.text().await?).unwrap_or_default()))
    };
    let (status, shown) = restart("?includeTasks=true").await?;
    assert_eq!((status, shown["connector"]["state"].as_str()), (202, Some("RESTARTING")), "{shown}");
    assert_eq!(shown["tasks"][0]["state"], "RESTARTING", "{shown}");
    wait_until("the tail to run again", LIMIT, async || states("RUNNING", &["RUNNING"]).await).await?;
    let (status, shown) = restart("?includeTasks=true&onlyFailed=true").await?;
    assert_eq!((status, shown["tasks"][0]["state"].as_str()), (202, Some("RUNNING")), "nothing failed: {shown}");
    assert_eq!(restart("").await?.0, 204);
    assert_eq!(client().delete(format!("{connect}/connectors/tail")).send().await?.status().as_u16(), 204);
    assert!(metric("weir_connect_tasks{state=\"RUNNING\"} 1").await && !metric("connector=\"tail\"").await);
    Ok(())
}

#[tokio::test]
async fn a_failed_task_says_why_and_whether_it_is_started_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    let connect = weir.connect();
    let config = json!({
        "connector.class": "file-tail", "paths": "${env:WEIR_TEST_NOWHERE}/*.log", "topic": "app",
        "restart.attempts.max": "2",
    });
    assert_eq!(put(&format!("{connect}/connectors/tail/config"), &config).await?.0, 201);
    let failed = async |beginning: &str| {
        let task = state(&connect, "tail").await.unwrap_or_default()["tasks"][0].clone();
        let trace = task["trace"].as_str().unwrap_or_default();
        task["state"] == "FAILED" && trace.starts_with(beginning) && trace.contains("WEIR_TEST_NOWHERE")
    };
    wait_until("the first failure", LIMIT, async || failed("started again after ").await).await?;
    wait_until("the last", LIMIT, async || failed("not started again after 2 restarts: ").await).await?;
    let (metrics, counted) = (format!("{}/metrics", weir.http()), "weir_connect_tasks{state=\"FAILED\"} 1");
    let is_counted = async || http::text(&metrics).await.is_ok_and(|metrics| metrics.contains(counted));
    wait_until("the failed task to be counted", LIMIT, is_counted).await?;
    let output = command(&["connect", "status", "tail", "--url", &connect])?.output()?;
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("FAILED") && table.contains("not started again"), "{table}");
    Ok(())
}

#[tokio::test]
async fn log_levels_are_shown_and_set_while_it_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = with_a_tail(folder.path()).await?;
    let connect = weir.connect();
    let loggers = format!("{connect}/admin/loggers");
    assert_eq!(http::json(&loggers).await?["root"], json!({"level": "WARN", "last_modified": null}));
    assert_eq!((put(&format!("{loggers}/root"), &json!({"level": "LOUD"})).await?).0, 404);
    assert_eq!((put(&format!("{loggers}/root"), &json!({})).await?).0, 400);
    assert!(http::json(&format!("{loggers}/nobody")).await.unwrap_err().to_string().contains("404"));
    assert!(!weir.log().contains("DEBUG weir_connect::source"));
    let (status, changed) = put(&format!("{loggers}/weir_connect?scope=worker"), &json!({"level": "debug"})).await?;
    assert_eq!((status, changed.as_str()), (200, r#"["weir_connect"]"#));
    let set = http::json(&format!("{loggers}/weir_connect")).await?;
    assert!(set["level"] == "DEBUG" && set["last_modified"].is_u64(), "{set}");
    let tail = async || state(&connect, "tail").await.is_ok_and(|state| state["tasks"][0]["state"] == "RUNNING");
    wait_until("the tail to run", LIMIT, tail).await?;
    let restarted = client().post(format!("{connect}/connectors/tail/restart?includeTasks=true")).send().await?;
    assert_eq!(restarted.status().as_u16(), 202);
    wait_until("a line at DEBUG", LIMIT, async || weir.log().contains("DEBUG weir_connect::source")).await?;
    let (status, _) = put(&format!("{loggers}/root?scope=cluster"), &json!({"level": "ERROR"})).await?;
    assert_eq!((status, http::json(&loggers).await?["weir_connect"]["level"].as_str()), (204, Some("ERROR")));
    Ok(())
}

#[tokio::test]
async fn a_request_in_a_workers_first_second_waits_until_it_has_read_its_topics() -> Result<()> {
    let (broker, worker) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut weir = Weir::up(broker.path(), &[], "").await?;
    weir.stop()?;
    let alone = Worker::start(worker.path(), &weir.bootstrap(), &[])?;
    let live = format!("{}/health/live", alone.http());
    wait_until("the worker to live", LIMIT, async || is_ok(&live).await).await?;
    let ready = format!("{}/health/ready", alone.http());
    assert!(!is_ok(&ready).await, "there is no broker");
    let rest = alone.rest();
    let asked = tokio::spawn(async move {
        let config = json!({"connector.class": "file-tail", "paths": "/nowhere/*.log", "topic": "app"});
        put(&format!("{rest}/connectors/early/config"), &config).await
    });
    weir.start().await?;
    assert_eq!(asked.await??.0, 201, "{}", alone.log_tail());
    assert!(is_ok(&ready).await, "it has read its topics");
    let metrics = http::text(&format!("{}/metrics", alone.http())).await?;
    assert!(metrics.contains("weir_connect_connectors{state=\"RUNNING\"} 1"), "{metrics}");
    Ok(())
}

/// Configurations as they stand in the tutorials of Kafka Connect's own connectors.
#[tokio::test]
async fn well_known_classes_and_their_keys_run_from_end_to_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start().await?;
    std::fs::write(folder.path().join("orders.txt"), "{\"id\":1,\"what\":\"tea\"}\n{\"id\":2,\"what\":\"salt\"}\n")?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    let (connect, pool) = (weir.connect(), postgres.pool().await?);
    let jdbc = |class: &str, table: &str| {
        json!({
            "connector.class": class, "topics": "orders", "tasks.max": "1",
            "connection.url": format!("jdbc:{}", postgres.url().replace("postgres://weir@", "postgresql://")),
            "connection.user": "weir", "connection.password": "", "auto.create": "true", "insert.mode": "insert",
            "table.name.format": table, "batch.size": "3000", "max.retries": "10", "retry.backoff.ms": "3000",
            "dialect.name": "PostgreSqlDatabaseDialect", "pk.mode": "none",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        })
    };
    let elasticsearch = |class: &str, index: &str| {
        json!({
            "connector.class": class, "topics": "orders", "connection.url": "embedded", "index": index,
            "type.name": "_doc", "key.ignore": "true", "schema.ignore": "true", "linger.ms": "100",
            "max.buffered.records": "20000", "max.retries": "5",
        })
    };
    let file = |class: &str, topic: &str| {
        let path = folder.path().join("orders.txt");
        json!({"connector.class": class, "file": path, "topic": topic, "tasks.max": 1})
    };
    let connectors = [
        ("file", "source", file("org.apache.kafka.connect.file.FileStreamSourceConnector", "orders")),
        ("short", "source", file("FileStreamSource", "elsewhere")),
        ("confluent", "sink", jdbc("io.confluent.connect.jdbc.JdbcSinkConnector", "confluent")),
        ("aiven", "sink", jdbc("io.aiven.connect.jdbc.JdbcSinkConnector", "aiven")),
        ("es", "sink", elasticsearch("io.confluent.connect.elasticsearch.ElasticsearchSinkConnector", "es")),
        ("os", "sink", elasticsearch("io.aiven.kafka.connect.opensearch.OpensearchSinkConnector", "os")),
    ];
    for (name, _, config) in &connectors {
        let created = http::post(&format!("{connect}/connectors"), &json!({"name": name, "config": config})).await?;
        assert_eq!(created["config"]["connector.class"], config["connector.class"], "as it was given");
    }
    for (name, kind, _) in &connectors {
        let runs = async || {
            let status = state(&connect, name).await.unwrap_or_default();
            status["type"] == *kind && status["tasks"][0]["state"] == "RUNNING" && status["tasks"][0]["trace"].is_null()
        };
        wait_until(name, LIMIT, runs).await?;
    }
    for name in ["confluent", "aiven"] {
        let sum = format!("select coalesce(sum(id), 0)::bigint from {name}");
        let rows = async || {
            sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sum.as_str()))
                .fetch_one(&pool)
                .await
                .is_ok_and(|sum| sum == 3)
        };
        wait_until(name, LIMIT, rows).await?;
        let documents = format!("{}/{}/_count", weir.search(), if name == "aiven" { "os" } else { "es" });
        let counted = async || http::json(&documents).await.is_ok_and(|answer| answer["count"] == 2);
        wait_until(&documents, LIMIT, counted).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_lost_broker_is_one_line_of_the_workers_log() -> Result<()> {
    let (broker, worker) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut weir = Weir::up(broker.path(), &[], "").await?;
    std::fs::write(worker.path().join("app.log"), "one\n")?;
    let yaml = "connectors:\n  tail: {class: file-tail, paths: [app.log], topic: app}\n  \
                docs: {class: search, topics: [app, missing], url: 'http://127.0.0.1:1', index: app}\n";
    std::fs::write(worker.path().join("p.yaml"), yaml)?;
    let alone = Worker::start(worker.path(), &weir.bootstrap(), &["p.yaml"])?;
    let log = || std::fs::read_to_string(worker.path().join("worker.log")).unwrap_or_default();
    let reads = async || log().contains("connector=\"docs\"");
    wait_until("the sink to meet its record", LIMIT, reads).await.with_context(|| alone.log_tail())?;
    weir.kill_9()?;
    wait_until("the loss to be told", LIMIT, async || log().contains("no broker answers")).await?;
    weir.start().await?;
    // Each client has lost it by the time that one that writes has found it again.
    let paused = format!("{}/connectors/tail/pause", alone.rest());
    assert_eq!(put(&paused, &Json::Null).await?.0, 202);
    let log = log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("client_log")).collect();
    assert_eq!(told.iter().filter(|line| line.contains("no broker answers")).count(), 1, "{log}");
    assert!(!log.contains("ERROR") && told.iter().all(|line| !line.contains("a broker does not answer")), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_stop_in_order_has_nothing_to_warn_of() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("app.log"), "one\n")?;
    let connectors = "connectors:\n  tail: {class: file-tail, paths: [app.log], topic: app}\n  \
                      docs: {class: search, topics: [app], url: embedded, index: app}\n";
    let mut weir = Weir::up(folder.path(), &[], connectors).await?;
    let documents = format!("{}/app/_count", weir.search());
    let counted = async || http::json(&documents).await.is_ok_and(|answer| answer["count"] == 1);
    wait_until("the document", LIMIT, counted).await?;
    weir.stop()?;
    let log = weir.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_worker_runs_and_is_given_connectors_of_other_products_files() -> Result<()> {
    let (broker, worker) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let weir = Weir::up(broker.path(), &[], "").await?;
    let manifest = |state: &str| {
        let spec = format!("spec: {{class: file-tail, state: {state}, config: {{paths: /nowhere, topic: app}}}}");
        std::fs::write(
            worker.path().join("b.yaml"),
            format!("apiVersion: v1\nkind: KafkaConnector\nmetadata: {{name: b}}\n{spec}\n"),
        )
    };
    std::fs::write(
        worker.path().join("a.properties"),
        "name=a\nconnector.class=file-tail\npaths=/nowhere\ntopic=app\n",
    )?;
    std::fs::write(
        worker.path().join("c.json"),
        r#"{"name": "c", "initial_state": "STOPPED",
            "config": {"connector.class": "file-tail", "paths": "/nowhere", "topic": "app"}}"#,
    )?;
    manifest("paused")?;
    let alone = Worker::start(worker.path(), &weir.bootstrap(), &["a.properties", "b.yaml"])?;
    let rest = alone.rest();
    let shows = async |name: &str, expected: &str, tasks: usize| {
        let status = state(&rest, name).await.unwrap_or_default();
        let count = status["tasks"].as_array().map_or(0, Vec::len);
        status["connector"]["state"] == expected && count == tasks
    };
    wait_until("a to run", LIMIT, async || shows("a", "RUNNING", 1).await).await.with_context(|| alone.log_tail())?;
    assert!(shows("b", "PAUSED", 1).await);
    manifest("running")?;
    let mut apply = command(&["connect", "apply", "-f", "b.yaml", "-f", "c.json", "--url", &rest])?;
    let output = apply.current_dir(worker.path()).output()?;
    let (table, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && table.contains("change") && table.contains("create"), "{table}{errors}");
    wait_until("b to run", LIMIT, async || shows("b", "RUNNING", 1).await).await?;
    assert!(shows("c", "STOPPED", 0).await);
    Ok(())
}

#[tokio::test]
async fn the_search_node_alone_serves_metrics_and_health_on_both_loopbacks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = SearchNode::start(folder.path()).await?;
    let ports = node.ports();
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    for host in ["127.0.0.1", "[::1]"].into_iter().filter(|host| has_ipv6 || *host != "[::1]") {
        for url in [format!("http://{host}:{}/health/ready", ports.http), format!("http://{host}:{}/", ports.search)] {
            let waited = wait_until(&url, LIMIT, async || is_ok(&url).await).await;
            waited.with_context(|| node.log_tail())?;
        }
        let metrics = http::text(&format!("http://{host}:{}/metrics", ports.http)).await?;
        for name in ["weir_search_errors_total", "process_open_fds", "weir_build_info"] {
            assert!(metrics.contains(name), "{metrics}");
        }
    }
    Ok(())
}
