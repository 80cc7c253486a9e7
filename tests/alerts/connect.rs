//! Connectors: sinks whose target is missing, away or silent, and records that cannot be used.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::json;
use weir_tests::http;
use weir_tests::postgres::Postgres;
use weir_tests::prometheus::{Prometheus, Target};
use weir_tests::wait::wait_until;
use weir_tests::weir::Worker;

use crate::stage::Stage;
use crate::wave::Wave;
use crate::{Fault, fault, minutes};

const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
/// A worker beside that of the broker's own process needs topics of its own.
const APART: [&str; 4] = [
    "connect.group.id=apart",
    "connect.config.storage.topic=apart-configs",
    "connect.offset.storage.topic=apart-offsets",
    "connect.status.storage.topic=apart-status",
];

pub(super) struct Connect {
    away: Postgres,
    silent: Postgres,
    _apart: Worker,
}

impl Wave for Connect {
    const NAME: &'static str = "connect";
    const FAULTS: &'static [Fault] = &[
        fault("the table of a sink is missing", "WeirTaskFailed", "connect", "no-table", 8.0),
        fault("the Postgres of a sink is stopped", "WeirSinkLag", "connect", "away", 24.0),
        fault("that of a sink in a worker of its own is", "WeirSinkLag", "connect", "apart", 24.0),
        fault("the Postgres of a sink does not answer any more", "WeirSinkLag", "connect", "silent", 24.0),
        fault("one line in a hundred is poison", "WeirDeadLetters", "connect", "letters", 6.0),
        fault("many lines are", "WeirConnectorErrors", "connect", "refuses", 20.0),
        fault("a document has a time that is none", "WeirIndexRejects", "connect", "odd", 6.0),
    ];

    async fn set_up(stage: &mut Stage) -> Result<Self> {
        let (away, silent) = (Postgres::start().await?, Postgres::start().await?);
        for postgres in [&away, &silent] {
            sqlx::raw_sql("create table orders (line bigint)").execute(&postgres.pool().await?).await?;
        }
        let folder = stage.disk("connect", "256m")?;
        let folder = folder.display();
        let yaml = format!(
            "connectors:\n\
             \x20 away: {{class: postgres, topics: [orders], url: '{away}', table: orders}}\n\
             \x20 silent: {{class: postgres, topics: [orders], url: '{silent}', table: orders}}\n\
             \x20 letters: {{class: file-tail, paths: ['{folder}/letters.log'], topic: letters, transforms: [{{parse: {{type: json}}}}], \
             errors: {{tolerance: all, deadletterqueue.topic.name: dead}}}}\n\
             \x20 refuses: {{class: file-tail, paths: ['{folder}/refuses.log'], topic: refuses, transforms: [{{parse: {{type: json}}}}], \
             errors: {{tolerance: all}}}}\n\
             \x20 odd: {{class: search, topics: [odd], url: embedded, index: odd, errors: {{tolerance: all}}}}\n",
            away = away.url(),
            silent = silent.url(),
        );
        stage.cluster_on_its_disk("connect", &[], &yaml, &[]).await?;
        let apart = apart(stage, &away.url()).await?;
        stage.program("produce", "connect", &["20", "orders", "odd"])?;
        for log in ["letters", "refuses"] {
            let log = log_of(stage, log);
            stage.append(&log, "{\"line\": 1}\n".repeat(10), minutes(0.1))?;
        }
        Ok(Self { away, silent, _apart: apart })
    }

    async fn cause(&mut self, stage: &mut Stage, _: &Prometheus) -> Result<()> {
        stage.now("connect", "silent");
        self.silent.freeze()?;
        stage.now("connect", "away");
        stage.now("connect", "apart");
        self.away.stop()?;
        poison(stage, "letters", 1.0)?;
        poison(stage, "refuses", 0.05)?;
        stage.now("connect", "odd");
        stage.program("odd", "connect", &["1", "odd"])?;
        let url = format!("{}/connectors/no-table/config", stage.weir("connect")?.connect());
        let postgres = stage.postgres.url();
        let config = json!({"connector.class": "postgres", "topics": "orders", "url": postgres, "table": "missing",
            "auto.create": "false"});
        stage.now("connect", "no-table");
        let answer = http::client().put(&url).header("content-type", "application/json").body(config.to_string());
        let answer = answer.send().await?;
        ensure!(answer.status().is_success(), "{url} answers {}", answer.text().await?);
        Ok(())
    }
}

/// A worker that is no part of a broker, with a sink.
async fn apart(stage: &mut Stage, url: &str) -> Result<Worker> {
    let yaml = format!("connectors:\n  apart: {{class: postgres, topics: [orders], url: '{url}', table: orders}}\n");
    let file = stage.folder().join("apart.yaml").display().to_string();
    std::fs::write(&file, yaml)?;
    let topics: Vec<&str> = APART.iter().flat_map(|setting| ["--set", setting]).collect();
    let worker =
        Worker::start(stage.folder(), &stage.weir("connect")?.bootstrap(), &[&[&*file], &topics[..]].concat())?;
    let ready = format!("{}/health/ready", worker.http());
    wait_until("the worker to be ready", LIMIT, async || http::is_ok(&ready).await).await?;
    stage.targets.push(Target { job: "weir-connect", cluster: "connect", url: worker.http() });
    Ok(worker)
}

/// A line that is no JSON, every so many minutes.
fn poison(stage: &mut Stage, connector: &'static str, every: f64) -> Result<()> {
    let log = log_of(stage, connector);
    stage.now("connect", connector);
    stage.append(&log, "poison\n", minutes(every))
}

fn log_of(stage: &Stage, connector: &str) -> std::path::PathBuf {
    Path::new(stage.folder()).join("connect").join(connector).with_extension("log")
}
