//! `weir health`: whether a process lives and does its work, for probes that run commands.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::Client;
use tokio::time::{Instant, sleep};

use crate::output::{Progress, print_text};

/// Shorter than the limits that container runtimes usually set.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Between two questions while it waits.
const WAIT_STEP: Duration = Duration::from_millis(200);

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir health                                # is it ready?\n  \
    weir health --live                         # does it answer at all, even while logs are recovered?\n  \
    weir health --wait 60                      # go on as soon as it is, within a minute\n  \
    weir health --url http://localhost:9465    # the worker of `weir connect run`\n\n\
    Exits with 0 if so, 1 if not yet, 3 if nobody answers.")]
pub(crate) struct HealthArgs {
    /// Ask only whether it answers, not whether all of its parts do their work
    #[arg(long)]
    live: bool,
    /// Wait so long for it, if it is not yet so
    #[arg(long, default_value_t = 0, value_name = "SECONDS", hide_default_value = true)]
    wait: u32,
    /// The HTTP address of the process
    #[arg(long, env = "WEIR_URL", default_value = "http://localhost:9464", value_name = "URL")]
    url: String,
}

pub(crate) async fn run(args: HealthArgs) -> anyhow::Result<()> {
    let url = args.url.trim_end_matches('/');
    let url = format!("{url}/health/{}", if args.live { "live" } else { "ready" });
    let http = Client::builder().timeout(ANSWER_LIMIT).build()?;
    let until = Instant::now() + Duration::from_secs(args.wait.into());
    let waiting = Progress::waiting(&format!("waiting for {url}"));
    let found = loop {
        match ask(&http, &url).await {
            Err(_) if Instant::now() < until => sleep(WAIT_STEP).await,
            found => break found,
        }
    };
    drop(waiting);
    print_text(&found?)
}

async fn ask(http: &Client, url: &str) -> anyhow::Result<String> {
    let answer = http.get(url).send().await.with_context(|| format!("{url}: nobody answers"))?;
    let status = answer.status();
    let text = answer.text().await?;
    if !status.is_success() {
        bail!("{url} answers {status}: {}", text.trim());
    }
    Ok(text)
}
