//! The proof at the end: every line's own number, in Postgres and in the index, exactly once.

use anyhow::{Context, Result};
use serde_json::{Value as Json, json};

use crate::figures::Gauge;
use crate::generator::Written;
use crate::{STREAMS, Stream};

const PAGE_DOCUMENTS: usize = 10_000;

/// How often each number came; index is the line's number.
struct Tally {
    counts: Vec<u8>,
    strangers: u64,
}

impl Tally {
    fn new(written: u64) -> Result<Self> {
        Ok(Self { counts: vec![0; usize::try_from(written)?], strangers: 0 })
    }

    fn add(&mut self, number: Option<u64>) {
        let slot = number.and_then(|n| self.counts.get_mut(usize::try_from(n).ok()?));
        match slot {
            Some(count) => *count = count.saturating_add(1),
            None => self.strangers += 1,
        }
    }

    /// Prints one line; true when each number came exactly once and nothing else did.
    fn report(&self, place: &str) -> bool {
        let lost = self.counts.iter().filter(|count| **count == 0).count();
        let doubled = self.counts.iter().filter(|count| **count > 1).count();
        let exact = lost == 0 && doubled == 0 && self.strangers == 0;
        let verdict = if exact { "exactly once" } else { "NOT exactly once" };
        println!(
            "  {place:<28} {:>10} lines: {lost} lost, {doubled} doubled, {} without a known number: {verdict}",
            self.counts.len(),
            self.strangers
        );
        if let Some(first) = self.counts.iter().position(|count| *count != 1) {
            println!("    first at line {first}, seen {} times", self.counts[first]);
        }
        exact
    }
}

pub(crate) async fn prove(gauge: &Gauge, written: &Written) -> Result<bool> {
    println!("\nproof, by each line's own number:");
    let mut proved = true;
    for (stream, written) in STREAMS.iter().zip(written) {
        proved &= in_postgres(gauge, stream, *written).await?.report(&format!("Postgres {}", stream.table));
        proved &= in_index(gauge, stream, *written).await?.report(&format!("index {}", stream.index));
    }
    Ok(proved)
}

async fn in_postgres(gauge: &Gauge, stream: &Stream, written: u64) -> Result<Tally> {
    let sql = sqlx::AssertSqlSafe(format!("select line from {}", stream.table));
    let rows: Vec<(Option<i64>,)> = sqlx::query_as(sql).fetch_all(&gauge.pool).await?;
    let mut tally = Tally::new(written)?;
    rows.into_iter().for_each(|(line,)| tally.add(line.and_then(|n| u64::try_from(n).ok())));
    Ok(tally)
}

async fn in_index(gauge: &Gauge, stream: &Stream, written: u64) -> Result<Tally> {
    let mut tally = Tally::new(written)?;
    let mut after: Option<Json> = None;
    loop {
        let mut body = json!({"size": PAGE_DOCUMENTS, "sort": [{"@timestamp": "asc"}, {"_doc": "asc"}]});
        if let Some(after) = after.take() {
            body["search_after"] = after;
        }
        let answer = gauge.search(stream.index, &body).await?;
        let hits = answer["hits"]["hits"].as_array().context("the answer has no hits")?;
        hits.iter().for_each(|hit| tally.add(hit["_source"]["line"].as_u64()));
        match hits.last() {
            Some(last) if hits.len() == PAGE_DOCUMENTS => after = Some(last["sort"].clone()),
            _ => return Ok(tally),
        }
    }
}
