//! What the screen shows, read as any operator would: from the metrics page, Connect's REST, Postgres and the index.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value as Json;
use sqlx::postgres::PgPool;
use weir_tests::http;
use weir_tests::weir::Ports;

use crate::STREAMS;
use crate::generator::Written;

/// One line of the screen's first table.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamFigures {
    pub(crate) written: u64,
    pub(crate) records: u64,
    pub(crate) rows: u64,
    pub(crate) documents: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectorFigures {
    pub(crate) state: String,
    pub(crate) lag_records: Option<f64>,
    pub(crate) lag_seconds: Option<f64>,
    /// The first line of what went wrong, for a failed task.
    pub(crate) trace: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) streams: Vec<StreamFigures>,
    pub(crate) connectors: BTreeMap<String, ConnectorFigures>,
}

impl Figures {
    /// Whether every line has arrived everywhere, as far as counts tell.
    pub(crate) fn is_drained(&self) -> bool {
        self.streams.iter().all(|s| s.rows >= s.written && s.documents >= s.written)
    }
}

pub(crate) struct Gauge {
    ports: Ports,
    pub(crate) pool: PgPool,
}

impl Gauge {
    pub(crate) fn new(ports: Ports, pool: PgPool) -> Self {
        Self { ports, pool }
    }

    /// Reads all; what does not answer counts as zero, as it is not there yet.
    pub(crate) async fn read(&self, written: &Written) -> Figures {
        let metrics = self.metrics().await.unwrap_or_default();
        let mut streams = Vec::new();
        for (stream, written) in STREAMS.iter().zip(written) {
            let series = format!("weir_records_in_total{{topic=\"{}\"}}", stream.topic);
            streams.push(StreamFigures {
                written: *written,
                records: metrics.get(&series).copied().unwrap_or(0.0) as u64,
                rows: self.rows(stream.table).await.unwrap_or(0),
                documents: self.documents(stream.index).await.unwrap_or(0),
            });
        }
        Figures { streams, connectors: self.connectors(&metrics).await.unwrap_or_default() }
    }

    async fn rows(&self, table: &str) -> Result<u64> {
        let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let (count,): (i64,) = sqlx::query_as(sql).fetch_one(&self.pool).await?;
        Ok(u64::try_from(count)?)
    }

    async fn documents(&self, index: &str) -> Result<u64> {
        let answer = self.search(index, &serde_json::json!({"size": 0, "track_total_hits": true})).await?;
        Ok(answer["hits"]["total"]["value"].as_u64().unwrap_or(0))
    }

    pub(crate) async fn search(&self, index: &str, body: &Json) -> Result<Json> {
        let url = format!("http://localhost:{}/{index}/_search", self.ports.search);
        http::post(&url, body).await
    }

    async fn connectors(&self, metrics: &BTreeMap<String, f64>) -> Result<BTreeMap<String, ConnectorFigures>> {
        let url = format!("http://localhost:{}/connectors?expand=status", self.ports.connect);
        let answer: BTreeMap<String, Json> = serde_json::from_value(http::json(&url).await?)?;
        let figures = answer.into_iter().map(|(name, entry)| {
            let task = &entry["status"]["tasks"][0];
            let state = task["state"].as_str().or(entry["status"]["connector"]["state"].as_str()).unwrap_or("?");
            let lag = |unit: &str| metrics.get(&format!("weir_connect_lag_{unit}{{connector=\"{name}\"}}")).copied();
            let trace = task["trace"].as_str().and_then(|trace| trace.lines().next()).map(str::to_owned);
            let figures = ConnectorFigures {
                state: state.to_owned(),
                lag_records: lag("records"),
                lag_seconds: lag("seconds"),
                trace,
            };
            (name, figures)
        });
        Ok(figures.collect())
    }

    /// Series of the metrics page by their full name.
    async fn metrics(&self) -> Result<BTreeMap<String, f64>> {
        let url = format!("http://localhost:{}/metrics", self.ports.http);
        let text = http::text(&url).await?;
        let series = text.lines().filter(|line| !line.starts_with('#'));
        Ok(series
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(k, v)| Some((k.to_owned(), v.parse().ok()?)))
            .collect())
    }
}
