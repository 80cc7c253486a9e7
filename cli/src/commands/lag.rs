//! `weir lag`: how far groups are behind, and whether that is getting better.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value as Json, json};

use super::rest::Rest;
use crate::args::OutputFormat;
use crate::output::{Colour, Listing, clear_screen, print_json, print_text};

/// Between two looks of `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir lag                       # all groups\n  \
    weir lag billing               # each partition of one\n  \
    weir lag --watch\n  \
    weir lag --check || echo 'a group needs help'\n  \
    weir lag billing --output json\n\n\
    OK       it keeps up\n\
    WARN     its lag has not fallen once over the window (group.lag.window.ms)\n\
    REWOUND  its commits went back\n\
    STALLED  it has members and records to read, but does not move\n\
    STOPPED  it has no members, and has not read everything\n\
    LOST     records were deleted before it read them")]
pub(crate) struct LagArgs {
    /// Show this group's partitions
    group: Option<String>,
    /// Show it again every two seconds
    #[arg(long, short)]
    watch: bool,
    /// Exit with 1 if a group is not OK
    #[arg(long, conflicts_with = "watch")]
    check: bool,
    /// The broker's HTTP address
    #[arg(long, env = "WEIR_URL", default_value = "http://localhost:9464", value_name = "URL")]
    url: String,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(crate) async fn run(args: LagArgs) -> anyhow::Result<()> {
    let rest = Rest::new(&args.url, "a Weir broker");
    let path = match &args.group {
        Some(group) => format!("/v1/groups/{}/status", percent_encoded(group)),
        None => "/v1/groups".to_owned(),
    };
    loop {
        let answer = {
            let _progress = rest.waiting();
            rest.get(&path).await?
        };
        if args.watch {
            clear_screen()?;
        }
        match (args.output, &args.group) {
            (OutputFormat::Json, _) => print_json(&answer)?,
            (OutputFormat::Table, Some(_)) => partitions(&answer)?,
            (OutputFormat::Table, None) => groups(&answer)?,
        }
        if args.check {
            return check(&answer);
        }
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

fn groups(answer: &Json) -> anyhow::Result<()> {
    let mut listing =
        Listing::new(&["group", "status", "for", "members", "lag", "seconds", "lost", "worst", "evidence"])
            .painted("status", Colour::of_lag_status)
            .painted("lost", Colour::of_failures);
    for group in answer["groups"].as_array().context("the broker's answer has no groups")? {
        let worst = &group["worst"];
        let worst = worst["topic"].as_str().map(|topic| format!("{topic}-{}", worst["partition"]));
        listing.row(vec![
            group["group"].clone(),
            group["status"].clone(),
            lasts(&group["since_ms"]),
            group["members"].clone(),
            group["lag_records"].clone(),
            rounded(&group["lag_seconds"]),
            group["lost_records"].clone(),
            json!(worst.unwrap_or_default()),
            group["evidence"].clone(),
        ]);
    }
    listing.print(OutputFormat::Table)
}

fn partitions(answer: &Json) -> anyhow::Result<()> {
    let mut listing = Listing::new(&[
        "topic",
        "partition",
        "status",
        "for",
        "committed",
        "end",
        "lag",
        "seconds",
        "lost",
        "evidence",
    ])
    .painted("status", Colour::of_lag_status)
    .painted("lost", Colour::of_failures);
    let partitions = answer["partitions"].as_array().context("the broker's answer has no partitions")?;
    if partitions.is_empty() {
        return print_text(&without_commits(answer));
    }
    for partition in partitions {
        listing.row(vec![
            partition["topic"].clone(),
            partition["partition"].clone(),
            partition["status"].clone(),
            lasts(&partition["since_ms"]),
            partition["committed_offset"].clone(),
            partition["end_offset"].clone(),
            partition["lag_records"].clone(),
            rounded(&partition["lag_seconds"]),
            partition["lost_records"].clone(),
            partition["evidence"].clone(),
        ]);
    }
    listing.print(OutputFormat::Table)
}

/// In words, where a table would be empty.
fn without_commits(answer: &Json) -> String {
    let (group, members) =
        (answer["group"].as_str().unwrap_or_default(), answer["members"].as_u64().unwrap_or_default());
    format!("{group} has committed nothing, so there is no lag to show; its members: {members}\n")
}

/// An error if a group is not OK.
fn check(answer: &Json) -> anyhow::Result<()> {
    let groups = answer["groups"].as_array().map_or_else(|| vec![answer], |groups| groups.iter().collect());
    let bad: Vec<String> = groups
        .iter()
        .filter(|group| group["status"] != "OK")
        .map(|group| {
            format!(
                "{} is {}",
                group["group"].as_str().unwrap_or_default(),
                group["status"].as_str().unwrap_or_default()
            )
        })
        .collect();
    if bad.is_empty() { Ok(()) } else { bail!("{}", bad.join(", ")) }
}

fn lasts(since_ms: &Json) -> Json {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = Duration::from_millis(since_ms.as_u64().unwrap_or_default());
    let seconds = now.saturating_sub(since).as_secs();
    json!(match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, hours, ..) => format!("{days}d{hours:02}h"),
    })
}

fn rounded(seconds: &Json) -> Json {
    json!(format!("{:.1}", seconds.as_f64().unwrap_or_default()))
}

/// A group's name as one segment of a path.
fn percent_encoded(name: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_without_commits_is_said_to_have_none() {
        let said = without_commits(&json!({"group": "billing", "members": 2, "partitions": []}));
        assert_eq!(said, "billing has committed nothing, so there is no lag to show; its members: 2\n");
    }
}
