//! A real Prometheus with the rules that are shipped. All their durations are divided by one factor, so that with 60 an
//! hour passes in a minute; thresholds that are no durations stay as they are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde_json::{Value as Json, json};

use crate::http;
use crate::process::Process;
use crate::wait::wait_until;
use crate::weir::free_port;

const READY_LIMIT: Duration = Duration::from_secs(30);
/// Between two scrapes, and between two evaluations of the rules, before it is divided.
const INTERVAL_MS: u32 = 60_000;
/// Records of thresholds that are durations, and the most that they are divided by: disks and processes are no faster in a
/// test.
const SECONDS: [(&str, u32); 5] = [
    ("group_lag_seconds", u32::MAX),
    ("sink_lag_seconds", u32::MAX),
    ("broker_start_seconds", u32::MAX),
    ("index_uncommitted_seconds", 30),
    ("scrape_seconds", 4),
];

/// What is scraped.
pub struct Target {
    pub job: &'static str,
    pub cluster: &'static str,
    /// `http://host:port`.
    pub url: String,
}

pub type Labels = BTreeMap<String, String>;

/// What a series has had: values, and when, in seconds since 1970.
pub struct Series {
    pub labels: Labels,
    pub points: Vec<(f64, f64)>,
}

pub struct Prometheus {
    process: Process,
    url: String,
    targets: PathBuf,
}

impl Prometheus {
    /// In `folder`, with the rules of `dashboards/alerts` and `more` rules, all divided by `factor`.
    pub async fn start(folder: &Path, factor: u32, more: &str, targets: &[Target]) -> Result<Self> {
        let rules = folder.join("rules");
        std::fs::create_dir_all(&rules)?;
        for file in rule_files()? {
            let name = file.file_name().context("rules are files")?;
            std::fs::write(rules.join(name), divided(&std::fs::read_to_string(&file)?, factor)?)?;
        }
        std::fs::write(rules.join("more.yml"), divided(more, factor)?)?;
        let targets_file = folder.join("targets.json");
        write_targets(&targets_file, targets)?;
        let url = format!("http://127.0.0.1:{}", free_port()?);
        let address = url.trim_start_matches("http://");
        let interval = interval(factor).as_millis();
        let config = format!(
            "global: {{scrape_interval: {interval}ms, scrape_timeout: {interval}ms, evaluation_interval: {interval}ms}}\n\
             rule_files: ['{}/*.yml']\nscrape_configs:\n\
             \x20 - {{job_name: weir, file_sd_configs: [{{files: ['{}']}}]}}\n\
             \x20 - {{job_name: prometheus, static_configs: [{{targets: ['{address}']}}]}}\n",
            rules.display(),
            targets_file.display(),
        );
        std::fs::write(folder.join("prometheus.yml"), config)?;
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg("--enable-feature=exemplar-storage");
        let process = Process::start("prometheus", command, &folder.join("prometheus.log"))?;
        let mut prometheus = Self { process, url, targets: targets_file };
        let ready = format!("{}/-/ready", prometheus.url);
        wait_until("Prometheus to be ready", READY_LIMIT, async || prometheus.has_ended() || http::is_ok(&ready).await)
            .await?;
        anyhow::ensure!(!prometheus.has_ended(), "Prometheus ended at once:\n{}", prometheus.process.log_tail());
        Ok(prometheus)
    }

    /// Without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.process.ended(), Ok(None))
    }

    /// What is scraped from now on. It takes up to five seconds until Prometheus does so.
    pub fn scrape(&self, targets: &[Target]) -> Result<()> {
        write_targets(&self.targets, targets)
    }

    /// The labels of each series that an expression has now.
    pub async fn query(&self, expr: &str) -> Result<Vec<Labels>> {
        let found = self.ask(expr).await?;
        found.into_iter().map(|series| Ok(serde_json::from_value(series["metric"].clone())?)).collect()
    }

    /// Every point of the last `past` of each series that a selector has, as it was stored.
    pub async fn points(&self, selector: &str, past: Duration) -> Result<Vec<Series>> {
        let found = self.ask(&format!("{selector}[{}ms]", past.as_millis())).await?;
        found.iter().map(series).collect()
    }

    /// The exemplars of the last `past`: the labels of their series, and their own.
    pub async fn exemplars(&self, selector: &str, past: Duration) -> Result<Vec<(Labels, Labels)>> {
        let end = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let range =
            [("start", end.saturating_sub(past)), ("end", end)].map(|(key, at)| (key, at.as_secs_f64().to_string()));
        let parameters = [("query", selector.to_owned())].into_iter().chain(range);
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/query_exemplars", self.url), parameters)?;
        let answer = http::json(url.as_str()).await?;
        let mut all = Vec::new();
        for found in answer["data"].as_array().context("exemplars come by series")? {
            let series: Labels = serde_json::from_value(found["seriesLabels"].clone())?;
            for exemplar in found["exemplars"].as_array().context("a series has a list of them")? {
                all.push((series.clone(), serde_json::from_value(exemplar["labels"].clone())?));
            }
        }
        Ok(all)
    }

    async fn ask(&self, expr: &str) -> Result<Vec<Json>> {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/query", self.url), [("query", expr)])?;
        let mut answer = http::json(url.as_str()).await?;
        let series = answer["data"]["result"].as_array_mut().context("a result is a list")?;
        Ok(std::mem::take(series))
    }
}

fn series(found: &Json) -> Result<Series> {
    let points = found["values"].as_array().context("a range has values")?.iter();
    let points = points.map(|point| {
        let value = point[1].as_str().and_then(|text| text.parse().ok());
        point[0].as_f64().zip(value).context("a point is a time and a value")
    });
    Ok(Series { points: points.collect::<Result<_>>()?, labels: serde_json::from_value(found["metric"].clone())? })
}

/// Between two scrapes, and between two evaluations of the rules.
pub fn interval(factor: u32) -> Duration {
    Duration::from_millis(u64::from(INTERVAL_MS / factor))
}

/// In one step: Prometheus reads it whenever it changes.
fn write_targets(file: &Path, targets: &[Target]) -> Result<()> {
    let listed = targets.iter().map(|target| {
        let address = target.url.trim_start_matches("http://");
        json!({"targets": [address], "labels": {"job": target.job, "cluster": target.cluster}})
    });
    let next = file.with_extension("next");
    std::fs::write(&next, Json::Array(listed.collect()).to_string())?;
    Ok(std::fs::rename(next, file)?)
}

/// The rule files of this project.
pub fn rule_files() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/alerts");
    let files: Result<Vec<PathBuf>, _> = std::fs::read_dir(&folder)?.map(|entry| entry.map(|e| e.path())).collect();
    Ok(files?.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "yml")).collect())
}

/// Divides what lasts: `for:`, ranges, offsets, how far `predict_linear` looks ahead, and thresholds that are durations.
fn divided(rules: &str, factor: u32) -> Result<String> {
    let mut divisor = None;
    let mut out = String::with_capacity(rules.len());
    for line in rules.lines() {
        if let Some(name) = line.trim_start().strip_prefix("- record: ") {
            let is_it = |(seconds, _): &&(&str, u32)| name.strip_prefix("weir:threshold:") == Some(seconds);
            divisor = SECONDS.iter().find(is_it).map(|(_, most)| factor.min(*most));
        }
        if let Some((before, duration)) = line.split_once("for: ") {
            write!(out, "{before}for: {}", divided_duration(duration, factor)?)?;
        } else if let Some(((before, number), divisor)) = line.split_once("expr: vector(").zip(divisor) {
            let number: f64 = number.trim_end_matches(')').parse().with_context(|| line.to_owned())?;
            write!(out, "{before}expr: vector({})", number / f64::from(divisor))?;
        } else {
            out.push_str(&divided_offsets(&divided_ranges(line, factor)?, factor)?);
        }
        out.push('\n');
    }
    Ok(out)
}

fn divided_ranges(line: &str, factor: u32) -> Result<String> {
    let mut out = String::new();
    let mut parts = line.split('[');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        match part.split_once(']') {
            Some((range, rest)) if range.starts_with(|c: char| c.is_ascii_digit()) => {
                write!(out, "[{}]", divided_duration(range, factor)?)?;
                match rest.strip_prefix(", ").and_then(|rest| rest.split_once(')')) {
                    Some((ahead, rest)) => {
                        write!(out, ", {})", ahead.parse::<u32>().with_context(|| line.to_owned())? / factor)?;
                        out.push_str(rest);
                    }
                    None => out.push_str(rest),
                }
            }
            _ => write!(out, "[{part}")?,
        }
    }
    Ok(out)
}

fn divided_offsets(line: &str, factor: u32) -> Result<String> {
    let mut parts = line.split(" offset ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        let (duration, rest) = part.split_at(end);
        if duration.starts_with(|c: char| c.is_ascii_digit()) {
            write!(out, " offset {}{rest}", divided_duration(duration, factor)?)?;
        } else {
            write!(out, " offset {part}")?;
        }
    }
    Ok(out)
}

/// `5m` by 60 → `5000ms`.
fn divided_duration(duration: &str, factor: u32) -> Result<String> {
    let split = duration.find(|c: char| !c.is_ascii_digit()).unwrap_or(duration.len());
    let (number, unit) = duration.split_at(split);
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => anyhow::bail!("{duration} is no duration that rules have"),
    };
    let ms: u64 = number.parse::<u64>().with_context(|| duration.to_owned())? * unit_ms;
    Ok(format!("{}ms", ms / u64::from(factor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_lasts_is_divided_and_nothing_else() {
        let rules = "  - record: weir:threshold:sink_lag_seconds\n    expr: vector(300)\n\
                     \x20 - record: weir:threshold:produce_p99_seconds\n    expr: vector(0.5)\n\
                     \x20 - alert: A\n    expr: (rate(x{state=~\"[ab]\"}[5m] offset 1m) unless x offset 10m) > 3 and predict_linear(y[6h], 86400) < 0\n    for: 1h\n    description: the offset is lower\n";
        let expected = "  - record: weir:threshold:sink_lag_seconds\n    expr: vector(5)\n\
                        \x20 - record: weir:threshold:produce_p99_seconds\n    expr: vector(0.5)\n\
                        \x20 - alert: A\n    expr: (rate(x{state=~\"[ab]\"}[5000ms] offset 1000ms) unless x offset 10000ms) > 3 and predict_linear(y[360000ms], 1440) < 0\n    for: 60000ms\n    description: the offset is lower\n";
        assert_eq!(divided(rules, 60).unwrap(), expected);
    }
}
