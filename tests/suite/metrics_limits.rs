//! `/metrics` under bad input and at its limits: hostile names, scrapes by the hundred, topics that come and go, tens of
//! thousands of groups. The page stays valid, the process small, and whoever produces is served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use weir_tests::clients::kcat;
use weir_tests::http;
use weir_tests::process::run;
use weir_tests::wait::wait_until;
use weir_tests::weir::{Weir, command};

use crate::metrics::promtool_accepts;

const LIMIT: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "orders";
const SCRAPERS: usize = 200;
const SLOW_SCRAPERS: usize = 50;
const ROUNDS: usize = 40;
const GROUPS: usize = 50_000;
/// Groups that one connection commits before it waits for the answers.
const PIPELINED: usize = 500;
const SERIES_MAX: usize = 1_000;
/// Of a group with its offset, and of what a scrape of them all takes for a moment.
const GROUP_BYTES_MAX: u64 = 8 << 10;
const RESIDENT_GROWTH_MAX_BYTES: u64 = 150 << 20;

/// With more patience than usual: what tens of thousands of groups cost is no figure of a build without optimization.
async fn scrape(weir: &Weir) -> Result<String> {
    let answer = http::client().get(format!("{}/metrics", weir.http())).timeout(PATIENCE).send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

/// A broker with a topic that has a record, and with a group that has read it.
async fn with_a_group(folder: &Path, config: &[&str]) -> Result<Weir> {
    let weir = Weir::up(folder, &[&["group.initial.rebalance.delay.ms: 0"], config].concat(), "").await?;
    says(&weir, &["topics", "create", TOPIC])?;
    produce(&weir, TOPIC)?;
    says(&weir, &["consume", TOPIC, "--from-beginning", "--group", "reads", "-n", "1"])?;
    Ok(weir)
}

fn says(weir: &Weir, arguments: &[&str]) -> Result<String> {
    run(command(&[arguments, &["--bootstrap-server", &weir.bootstrap()]].concat())?)
}

/// A record, acknowledged.
fn produce(weir: &Weir, topic: &str) -> Result<()> {
    let file = weir.folder().join("record");
    std::fs::write(&file, "record\n")?;
    kcat(&["-P", "-b", &weir.bootstrap(), "-t", topic, "-l", &file.to_string_lossy()]).map(drop)
}

/// OffsetCommit v2 of offset 1 in partition 0 of the topic, without a member.
fn commit(group: &str) -> Result<Vec<u8>> {
    let text = |text: &str| -> Result<Vec<u8>> {
        Ok([&u16::try_from(text.len())?.to_be_bytes()[..], text.as_bytes()].concat())
    };
    let one = 1i32.to_be_bytes();
    let body = [
        &[0, 8, 0, 2, 0, 0, 0, 7, 0xff, 0xff][..],
        &text(group)?,
        &(-1i32).to_be_bytes(),
        &text("")?,
        &(-1i64).to_be_bytes(),
        &one,
        &text(TOPIC)?,
        &one,
        &0i32.to_be_bytes(),
        &1i64.to_be_bytes(),
        &[0xff, 0xff],
    ];
    let body = body.concat();
    Ok([&u32::try_from(body.len())?.to_be_bytes()[..], &body].concat())
}

/// Commits for each of the groups, many at once.
fn commit_all(weir: &Weir, groups: &[String]) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", weir.ports.kafka))?;
    stream.set_read_timeout(Some(LIMIT))?;
    for some in groups.chunks(PIPELINED) {
        let requests: Vec<_> = some.iter().map(|group| commit(group)).collect::<Result<_>>()?;
        stream.write_all(&requests.concat())?;
        for group in some {
            let mut size = [0; 4];
            stream.read_exact(&mut size)?;
            let mut answer = vec![0; u32::from_be_bytes(size) as usize];
            stream.read_exact(&mut answer)?;
            ensure!(answer.ends_with(&[0, 0]), "the commit of {group:?} is answered with {answer:?}");
        }
    }
    Ok(())
}

/// Series of a family.
fn count(text: &str, family: &str) -> usize {
    text.lines().filter(|line| line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' ']))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_any_bytes_leave_the_page_valid() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = with_a_group(folder.path(), &[]).await?;
    let long = "t".repeat(249);
    says(&weir, &["topics", "create", &long])?;
    produce(&weir, &long)?;
    let groups = [
        r#"a "quoted" one"#.to_owned(),
        "two\nlines\r\n".to_owned(),
        r"back\slash\n".to_owned(),
        r#"x"} 1"#.to_owned(),
        "y\n# TYPE weir_evil counter\nweir_evil 1".to_owned(),
        "ü€😀\u{7f}\u{1}\t".to_owned(),
        "g".repeat(249),
    ];
    commit_all(&weir, &groups)?;
    let text = scrape(&weir).await?;
    promtool_accepts(&text)?;
    for group in &groups {
        let escaped = group.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
        let series = format!("\nweir_group_members{{group=\"{escaped}\"}} 0\n");
        ensure!(text.contains(&series), "no {series} in\n{text}");
    }
    ensure!(text.contains(&format!("\nweir_records_in_total{{topic=\"{long}\"}} 1\n")));
    ensure!(!text.lines().any(|line| line.starts_with("weir_evil")), "a group's name has become a metric");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scrapers_by_the_hundred_and_slow_ones_harm_nobody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = with_a_group(folder.path(), &[]).await?;
    scrape(&weir).await?;
    let before = weir.resident_bytes()?;
    // These ask and do not read.
    let mut slow = Vec::new();
    for _ in 0..SLOW_SCRAPERS {
        let mut stream = TcpStream::connect(("127.0.0.1", weir.ports.http))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")?;
        slow.push(stream);
    }
    let weir = Arc::new(weir);
    let scraper = || {
        let weir = Arc::clone(&weir);
        tokio::spawn(async move { scrape(&weir).await })
    };
    let scrapers: Vec<_> = std::iter::repeat_with(scraper).take(SCRAPERS).collect();
    produce(&weir, TOPIC)?;
    for scraper in scrapers {
        let text = scraper.await??;
        ensure!(text.contains("\nweir_broker_state 3\n") && text.ends_with('\n'), "cut short:\n{text}");
    }
    drop(slow);
    promtool_accepts(&scrape(&weir).await?)?;
    let grown = weir.resident_bytes()?.saturating_sub(before);
    ensure!(grown < RESIDENT_GROWTH_MAX_BYTES, "{} MiB more", grown >> 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_come_and_go_leave_no_series() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let limit = format!("metrics.max.series.per.family: {ROUNDS}");
    let config = ["metrics.level: partition", "offsets.topic.num.partitions: 1", &limit];
    let weir = with_a_group(folder.path(), &config).await?;
    // More than the limit in all, never more than a few at once: the limit counts those that are there.
    for round in 0..ROUNDS {
        let topic = format!("passing-{round}");
        says(&weir, &["topics", "create", &topic, "--partitions", "3"])?;
        produce(&weir, &topic)?;
        if round % 10 == 0 {
            let shown = scrape(&weir).await?;
            ensure!(shown.contains(&format!("topic=\"{topic}\"")), "{topic} is not shown:\n{shown}");
        }
        says(&weir, &["topics", "delete", &topic])?;
    }
    let are_gone = async || scrape(&weir).await.is_ok_and(|text| !text.contains("topic=\"passing-"));
    wait_until("the series of deleted topics to be gone", LIMIT, are_gone).await?;
    let text = scrape(&weir).await?;
    ensure!(text.contains("\nweir_metrics_dropped_series 0\n"), "deleted topics still count:\n{text}");
    promtool_accepts(&text)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_groups_have_bounds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let limit = format!("metrics.max.series.per.family: {SERIES_MAX}");
    let weir = with_a_group(folder.path(), &[&limit, "log.flush: os"]).await?;
    let before = weir.resident_bytes()?;
    let groups: Vec<_> = (0..GROUPS).map(|number| format!("group-{number:05}")).collect();
    let (first, second) = groups.split_at(GROUPS / 2);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| commit_all(&weir, first));
        commit_all(&weir, second)?;
        first.join().map_err(|_| anyhow::anyhow!("the commits of the first half have panicked"))?
    })?;
    let began = Instant::now();
    let text = scrape(&weir).await?;
    let scraped = began.elapsed();
    promtool_accepts(&text)?;
    ensure!(text.contains(&format!("\nweir_groups{{state=\"Empty\"}} {}\n", GROUPS + 1)), "they are not counted");
    // One more each, for what the limit leaves over.
    for family in ["weir_group_members", "weir_group_lag_records", "weir_group_state", "weir_group_lag_status"] {
        let series = count(&text, family);
        ensure!((1..=SERIES_MAX + 1).contains(&series), "{family} has {series} series");
    }
    ensure!(!text.contains("\nweir_metrics_dropped_series 0\n"), "nothing was left out");
    produce(&weir, TOPIC)?;
    let grown = weir.resident_bytes()?.saturating_sub(before);
    println!("{GROUPS} groups: {} MiB more, a page of {} KiB in {scraped:?}", grown >> 20, text.len() >> 10);
    ensure!(grown < GROUP_BYTES_MAX * GROUPS as u64, "{} bytes a group", grown / GROUPS as u64);
    Ok(())
}
