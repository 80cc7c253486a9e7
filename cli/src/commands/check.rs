//! `weir check`: what is wrong with configuration files, said before anything runs.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use weir_client::Client;
use weir_connect::{Plugins, dial};
use weir_connect_api::config::problems_text;
use weir_connectors::Services;

use crate::args::OutputFormat;
use crate::config::{Config, ConfigError, Counts, Findings};
use crate::output::{Progress, print_json, print_text};
use crate::serve::plugins;

/// The `url` of the search node in the same process.
const EMBEDDED: &str = "embedded";

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir check weir.yaml\n  \
    weir check /etc/kafka/server.properties pipelines/*.yaml --output json\n  \
    weir check pipeline.yaml --connect               # dials databases, search servers and brokers, too\n\n\
    Exit codes: 0 nothing is wrong, 1 something does not answer (--connect), 2 something is wrong.")]
pub(crate) struct CheckArgs {
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also connect to everything that the files name
    #[arg(long)]
    connect: bool,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    output: OutputFormat,
}

/// What one file's check and its dialling came to.
struct Report {
    file: String,
    findings: Findings,
    dialled: Vec<(String, Result<String, String>)>,
}

pub(crate) async fn run(args: CheckArgs) -> anyhow::Result<()> {
    let plugins = plugins(&Services::default());
    let _progress = args.connect.then(|| Progress::waiting("dialling what the files name"));
    let mut reports = Vec::new();
    for path in &args.files {
        let mut report =
            Report { file: path.display().to_string(), findings: Findings::default(), dialled: Vec::new() };
        match Config::read(path) {
            Ok(config) => {
                report.findings = config.findings(&plugins);
                if args.connect && report.findings.problems.is_empty() {
                    report.dialled = dial_all(&config, &plugins).await?;
                }
            }
            Err(error) => report.findings.problems.push(error.to_string()),
        }
        reports.push(report);
    }
    match args.output {
        OutputFormat::Json => print_json(&reports.iter().map(Report::json).collect())?,
        OutputFormat::Table => print_text(&reports.iter().map(Report::text).collect::<String>())?,
    }
    let wrong: usize = reports.iter().map(|report| report.findings.problems.len()).sum();
    let silent = reports.iter().flat_map(|report| &report.dialled).filter(|(_, answer)| answer.is_err()).count();
    match (wrong, silent) {
        (0, 0) => Ok(()),
        (0, silent) => Err(anyhow::anyhow!("{silent} of what was dialled did not answer")),
        (wrong, _) => Err(ConfigError::new(format!("{wrong} problem(s)")).into()),
    }
}

/// The worker's brokers and what each connector talks to.
async fn dial_all(config: &Config, plugins: &Plugins) -> anyhow::Result<Vec<(String, Result<String, String>)>> {
    let mut dialled = Vec::new();
    let connectors = config.checked_connectors(plugins)?;
    if !connectors.is_empty() && config.names_brokers() {
        let brokers = config.worker(None)?.bootstrap_servers;
        let answer = Client::connect(&brokers, "weir").await.map(|_| "answers".to_owned());
        dialled.push((format!("brokers {brokers}"), answer.map_err(|error| error.to_string())));
    }
    for named in connectors {
        let answer = match plugins.check(&named.config) {
            // The node of the process that will run it; here is none.
            Ok((_, checked)) if checked.opt_str("url") == Some(EMBEDDED) => Ok("embedded".to_owned()),
            Ok((connector, checked)) => dial(connector.as_ref(), &checked).await.map_err(|error| error.to_string()),
            Err(problems) => Err(problems_text(&problems)),
        };
        dialled.push((format!("connector {}", named.name), answer));
    }
    Ok(dialled)
}

impl Report {
    fn text(&self) -> String {
        let Findings { problems, warnings, counts } = &self.findings;
        let mut text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        warnings.iter().for_each(|warning| text.push_str(&format!("{warning} (warning)\n")));
        for (what, answer) in &self.dialled {
            match answer {
                Ok(answer) => text.push_str(&format!("{}: {what}: {answer}\n", self.file)),
                Err(error) => text.push_str(&format!("{}: {what}: {error}\n", self.file)),
            }
        }
        if problems.is_empty() && self.dialled.iter().all(|(_, answer)| answer.is_ok()) {
            text.push_str(&format!("{}: {}: nothing is wrong\n", self.file, in_words(counts)));
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let Findings { problems, warnings, counts } = &self.findings;
        let dialled = self.dialled.iter().map(|(what, answer)| match answer {
            Ok(answer) => json!({"what": what, "answer": answer}),
            Err(error) => json!({"what": what, "error": error}),
        });
        json!({
            "file": self.file, "problems": problems, "warnings": warnings, "dialled": dialled.collect::<Vec<_>>(),
            "settings": counts.settings, "connectors": counts.connectors, "tests": counts.tests,
        })
    }
}

fn in_words(counts: &Counts) -> String {
    let Counts { settings, connectors, tests } = counts;
    format!("{settings} settings, {connectors} connectors, {tests} tests")
}
