//! `weir connect`: the worker's REST from a terminal, and the worker itself.

mod apply;
mod rehearse;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value as Json, json};

use crate::args::OutputFormat;
use crate::commands::rest::Rest;
use crate::commands::serve;
use crate::output::{Colour, Listing, Results, print_json, print_text};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir connect list\n  \
    weir connect create orders-to-postgres class=postgres topics=orders url=postgres://localhost/shop table=orders\n  \
    weir connect status orders-to-postgres --output json\n  \
    weir connect restart orders-to-postgres\n  \
    weir connect offsets orders-to-postgres")]
pub(crate) struct ConnectArgs {
    #[command(subcommand)]
    action: Action,
    /// The worker's REST address
    #[arg(long, env = "WEIR_CONNECT_URL", default_value = "http://localhost:8083", global = true, value_name = "URL")]
    url: String,
    /// How to print
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: OutputFormat,
}

#[derive(Subcommand)]
enum Action {
    /// Run a worker, with the connectors of a file
    #[command(after_help = "Examples:\n  \
        weir connect run -c pipeline.yaml\n  \
        weir connect run --search -c pipeline.yaml       # with a search node of its own: url: embedded\n  \
        weir connect run -c pipeline.yaml --set connect.bootstrap.servers=kafka1:9092,kafka2:9092\n  \
        weir connect run -c worker.properties tail.properties postgres-sink.json strimzi/*.yaml")]
    Run(serve::RunArgs),
    /// List connectors with their states
    List,
    /// Show a connector's state and that of its tasks, with what went wrong
    Status { name: String },
    /// Show a connector's configuration
    Config { name: String },
    /// Create a connector, or change the configuration of one
    Create {
        name: String,
        /// key=value, as many as it takes
        #[arg(required = true, value_name = "KEY=VALUE")]
        config: Vec<String>,
    },
    /// Bring a worker's connectors to what files say; only what differs is restarted
    #[command(after_help = "Examples:\n  \
        weir connect apply pipeline.yaml --dry-run       # shows what would change\n  \
        weir connect apply pipeline.yaml\n  \
        weir connect apply pipeline.yaml --prune         # and deletes connectors that are not in the file\n  \
        weir connect apply -f tail.json -f strimzi.yaml  # as kcctl and Strimzi write them")]
    Apply(apply::ApplyArgs),
    /// Run the `tests:` of a file: lines through a connector's transforms, without a worker
    #[command(after_help = "Example:\n  weir connect test pipeline.yaml\n\n\
        Exit codes: 0 all passed, 1 some did not, 2 the file is wrong.")]
    Test { file: PathBuf },
    /// Say what is wrong with a configuration, without creating anything
    Validate {
        #[arg(required = true, value_name = "KEY=VALUE")]
        config: Vec<String>,
    },
    /// Stop working until it is resumed
    Pause { name: String },
    /// Work again
    Resume { name: String },
    /// Stop working, let go of the tasks; offsets can be changed then
    Stop { name: String },
    /// Start a connector and its tasks anew
    Restart { name: String },
    /// Delete connectors; their offsets stay
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show where a connector stands
    Offsets {
        name: String,
        /// Forget them, so that the connector begins anew; it must be stopped
        #[arg(long)]
        reset: bool,
    },
    /// List the classes that connectors can have
    Plugins,
}

pub(crate) async fn run(args: ConnectArgs) -> anyhow::Result<()> {
    let rest = Rest::new(&args.url, "a Connect worker");
    let format = args.output;
    let _progress = match &args.action {
        Action::Run(_) => None,
        _ => Some(rest.waiting()),
    };
    match args.action {
        Action::Run(args) => serve::worker(&args).await,
        Action::List => list(&rest, format).await,
        Action::Status { name } => status(&rest, &name, format).await,
        Action::Config { name } => print_json(&rest.get(&format!("/connectors/{name}/config")).await?),
        Action::Create { name, config } => {
            let path = format!("/connectors/{name}/config");
            print_json(&rest.call(Method::PUT, &path, Some(&parse(&config)?)).await?)
        }
        Action::Apply(apply) => apply::run(&rest, &apply, format).await,
        Action::Test { file } => rehearse::run(&file, format),
        Action::Validate { config } => validate(&rest, parse(&config)?, format).await,
        Action::Pause { name } => act(&rest, Method::PUT, &name, "pause", "paused").await,
        Action::Resume { name } => act(&rest, Method::PUT, &name, "resume", "resumed").await,
        Action::Stop { name } => act(&rest, Method::PUT, &name, "stop", "stopped").await,
        Action::Restart { name } => act(&rest, Method::POST, &name, "restart?includeTasks=true", "restarted").await,
        Action::Delete { names } => {
            let mut results = Results::default();
            for name in names {
                let gone = rest.call(Method::DELETE, &format!("/connectors/{name}"), None).await;
                results.add(&format!("deleted {name}"), gone.map(drop))?;
            }
            results.finish()
        }
        Action::Offsets { name, reset } => {
            let method = if reset { Method::DELETE } else { Method::GET };
            print_json(&rest.call(method, &format!("/connectors/{name}/offsets"), None).await?)
        }
        Action::Plugins => plugins(&rest, format).await,
    }
}

async fn list(rest: &Rest, format: OutputFormat) -> anyhow::Result<()> {
    let all = rest.get("/connectors?expand=status&expand=info").await?;
    let mut listing = Listing::new(&["connector", "type", "class", "state", "tasks", "failed"])
        .painted("state", Colour::of_state)
        .painted("failed", Colour::of_failures);
    for (name, entry) in all.as_object().context("the worker's answer is no object")? {
        let status = &entry["status"];
        let tasks = status["tasks"].as_array().map_or(&[][..], Vec::as_slice);
        let failed = tasks.iter().filter(|task| task["state"] == "FAILED").count();
        let (kind, class) = (&status["type"], &entry["info"]["config"]["connector.class"]);
        let state = &status["connector"]["state"];
        listing.row(vec![json!(name), kind.clone(), class.clone(), state.clone(), json!(tasks.len()), json!(failed)]);
    }
    listing.print(format)
}

async fn status(rest: &Rest, name: &str, format: OutputFormat) -> anyhow::Result<()> {
    let status = rest.get(&format!("/connectors/{name}/status")).await?;
    if format == OutputFormat::Json {
        return print_json(&status);
    }
    let mut listing = Listing::new(&["part", "state", "worker", "what went wrong"]).painted("state", Colour::of_state);
    let trace = |part: &Json| json!(part["trace"].as_str().and_then(|trace| trace.lines().next()));
    let connector = &status["connector"];
    let part =
        |name: String, part: &Json| vec![json!(name), part["state"].clone(), part["worker_id"].clone(), trace(part)];
    listing.row(part("connector".to_owned(), connector));
    for task in status["tasks"].as_array().into_iter().flatten() {
        listing.row(part(format!("task {}", task["id"]), task));
    }
    listing.print(format)
}

async fn validate(rest: &Rest, mut config: Json, format: OutputFormat) -> anyhow::Result<()> {
    if config["name"].is_null() {
        // What it will be called is no part of the question.
        config["name"] = json!("unnamed");
    }
    let class = config["connector.class"].as_str().context("connector.class (or class) is required")?;
    let path = format!("/connector-plugins/{class}/config/validate");
    let answer = rest.call(Method::PUT, &path, Some(&config)).await?;
    let mut listing = Listing::new(&["key", "error"]);
    for entry in answer["configs"].as_array().into_iter().flatten() {
        for error in entry["value"]["errors"].as_array().into_iter().flatten() {
            listing.row(vec![entry["value"]["name"].clone(), error.clone()]);
        }
    }
    match answer["error_count"].as_u64() {
        Some(0) => print_text("valid\n"),
        count => {
            listing.print(format)?;
            bail!("{} error(s)", count.unwrap_or_default())
        }
    }
}

async fn plugins(rest: &Rest, format: OutputFormat) -> anyhow::Result<()> {
    let plugins = rest.get("/connector-plugins").await?;
    let mut listing = Listing::new(&["class", "type", "version"]);
    for plugin in plugins.as_array().into_iter().flatten() {
        listing.row(vec![plugin["class"].clone(), plugin["type"].clone(), plugin["version"].clone()]);
    }
    listing.print(format)
}

/// `class` is short for `connector.class`, as in YAML.
fn parse(pairs: &[String]) -> anyhow::Result<Json> {
    let mut config = Map::new();
    for pair in pairs {
        let (key, value) = pair.split_once('=').with_context(|| format!("`{pair}` is not key=value"))?;
        let key = if key == "class" { "connector.class" } else { key };
        config.insert(key.to_owned(), json!(value));
    }
    Ok(Json::Object(config))
}

/// The worker's REST; errors are told in the worker's own words.
async fn act(rest: &Rest, method: Method, name: &str, action: &str, done: &str) -> anyhow::Result<()> {
    rest.call(method, &format!("/connectors/{name}/{action}"), None).await?;
    print_text(&format!("{done} {name}\n"))
}
