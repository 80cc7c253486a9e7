//! How fast documents of an access log go into the index, and what it costs.
//!
//! `cargo run --release -p weir-search --example index_throughput -- [documents] [batch]`

use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_search::{Action, Document, Origin, SearchConfig, SearchNode, TopicOffsets};

/// 2026-11-23T00:00:00Z.
const DAY_START_MS: i64 = 1_795_392_000_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: i64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let batch: i64 = arguments.next().map_or(Ok(5_000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let config = SearchConfig { commit_interval: Duration::from_secs(1), ..SearchConfig::new(dir.path()) };
    let node = SearchNode::open(config, &prometheus::Registry::new())?;
    let sink = node.sink("throughput");
    let mut source_bytes = 0;
    let mut making = Duration::ZERO;
    let started = Instant::now();
    for first in (0..count).step_by(usize::try_from(batch)?) {
        let made_at = Instant::now();
        let documents: Vec<Document> = (first..(first + batch).min(count)).map(document).collect();
        source_bytes += documents.iter().map(|document| document.source.len()).sum::<usize>();
        making += made_at.elapsed();
        sink.write(documents).await?;
    }
    sink.commit(TopicOffsets::from([("access".to_owned(), [(0, count)].into())])).await?;
    let took = (started.elapsed() - making).as_secs_f64();
    let disk_bytes: u64 = walk(dir.path())?;
    println!("{count} documents of {} bytes in {took:.2} s", source_bytes / usize::try_from(count)?);
    println!("{:.0} documents/s, {:.1} MB/s", count as f64 / took, source_bytes as f64 / took / 1e6);
    println!("disk {:.2} of the sources", disk_bytes as f64 / source_bytes as f64);
    let status = std::fs::read_to_string("/proc/self/status")?;
    for line in status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")) {
        println!("{line}");
    }
    Ok(())
}

fn document(number: i64) -> Document {
    let timestamp_ms = DAY_START_MS + number;
    let at = chrono::DateTime::from_timestamp_millis(timestamp_ms).unwrap_or_default();
    let mixed = number.wrapping_mul(2_654_435_761) as u32;
    let source = format!(
        r#"{{"@timestamp":"{}","client":"10.{}.{}.{}","method":"{}","path":"/api/v{}/orders/{}","status":{},"bytes":{},"message":"request {number} took {} ms"}}"#,
        at.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
        mixed & 7,
        (mixed >> 3) & 63,
        (mixed >> 9) & 255,
        ["GET", "GET", "GET", "POST"][(mixed >> 17) as usize & 3],
        mixed >> 19 & 1,
        mixed % 5_000,
        [200, 200, 200, 404, 500][mixed as usize % 5],
        mixed % 20_000,
        mixed % 900,
    );
    Document {
        index: "access".into(),
        id: format!("access-0-{number}"),
        action: Action::Append,
        origin: Origin { topic: "access".into(), partition: 0, offset: number },
        timestamp_ms,
        source: Bytes::from(source),
    }
}

fn walk(dir: &std::path::Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { walk(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
