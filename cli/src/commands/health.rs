//! `weir health`: whether a process lives and does its work, for probes that run commands.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::output::print_text;

/// Shorter than the limits that container runtimes usually set.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir health                                # is it ready?\n  \
    weir health --live                         # does it answer at all, even while logs are recovered?\n  \
    weir health --url http://localhost:9465    # the worker of `weir connect run`\n\n\
    Exits with 0 if so, 1 if not yet, 3 if nobody answers.")]
pub(crate) struct HealthArgs {
    /// Ask only whether it answers, not whether all of its parts do their work
    #[arg(long)]
    live: bool,
    /// The HTTP address of the process
    #[arg(long, env = "WEIR_URL", default_value = "http://localhost:9464", value_name = "URL")]
    url: String,
}

pub(crate) async fn run(args: HealthArgs) -> anyhow::Result<()> {
    let url = args.url.trim_end_matches('/');
    let url = format!("{url}/health/{}", if args.live { "live" } else { "ready" });
    let http = reqwest::Client::builder().timeout(ANSWER_LIMIT).build()?;
    let answer = http.get(&url).send().await.with_context(|| format!("{url}: nobody answers"))?;
    let status = answer.status();
    let text = answer.text().await?;
    if !status.is_success() {
        bail!("{url} answers {status}: {}", text.trim());
    }
    print_text(&text)
}
