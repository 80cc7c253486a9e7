//! `weir topics`.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest, TopicName,
};
use serde_json::{Value as Json, json};
use weir_client::{Client, check, string, topic_name};

use crate::args::{Cluster, OutputFormat};
use crate::output::{Listing, Progress, Results, print_json, print_text};

/// Kafka's number for a topic among config resources.
const TOPIC_RESOURCE: i8 = 2;
const SET: i8 = 0;
const DELETE: i8 = 1;
/// Kafka's number for a config that was set on the topic itself.
const SOURCE_TOPIC: i8 = 1;
const BROKER_DEFAULT: i32 = -1;
const TIMEOUT_MS: i32 = 30_000;
/// Topics in one request, so that one sees how far it has come.
const DELETED_AT_ONCE_MAX: usize = 20;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    weir topics create orders --partitions 3 --config retention.ms=86400000\n  \
    weir topics list --output json\n  \
    weir topics describe orders\n  \
    weir topics alter orders --partitions 6 --config cleanup.policy=compact --delete-config retention.ms\n  \
    weir topics delete orders")]
pub(crate) struct TopicsArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    cluster: Cluster,
    /// How to print
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: OutputFormat,
}

#[derive(Subcommand)]
enum Action {
    /// Create a topic
    Create {
        topic: String,
        /// How many partitions; the broker's num.partitions when not given
        #[arg(long, short)]
        partitions: Option<i32>,
        /// How many replicas; the broker's default.replication.factor when not given
        #[arg(long)]
        replication_factor: Option<i16>,
        /// A topic config, key=value; may be repeated
        #[arg(long, value_name = "KEY=VALUE")]
        config: Vec<String>,
        /// Do nothing when the topic exists already
        #[arg(long)]
        if_not_exists: bool,
    },
    /// List topics
    List {
        /// Show __consumer_offsets and its like, too
        #[arg(long)]
        internal: bool,
    },
    /// Show partitions, replicas, offsets and the configs that were set
    Describe { topic: String },
    /// Add partitions, set and take back configs
    Alter {
        topic: String,
        /// The new number of partitions, which can only grow
        #[arg(long, short)]
        partitions: Option<i32>,
        /// A topic config to set, key=value; may be repeated
        #[arg(long, value_name = "KEY=VALUE")]
        config: Vec<String>,
        /// A topic config to take back to its default; may be repeated
        #[arg(long, value_name = "KEY")]
        delete_config: Vec<String>,
    },
    /// Delete topics
    Delete {
        #[arg(required = true)]
        topics: Vec<String>,
    },
}

pub(crate) async fn run(args: TopicsArgs) -> anyhow::Result<()> {
    let _progress = (!matches!(args.action, Action::Delete { .. })).then(|| args.cluster.waiting());
    let mut client = args.cluster.connect().await?;
    match args.action {
        Action::Create { topic, partitions, replication_factor, config, if_not_exists } => {
            let wanted = CreatableTopic::default()
                .with_name(topic_name(&topic))
                .with_num_partitions(partitions.unwrap_or(BROKER_DEFAULT))
                .with_replication_factor(replication_factor.unwrap_or(BROKER_DEFAULT as i16))
                .with_configs(creatable(&config)?);
            create(&mut client, wanted, if_not_exists).await
        }
        Action::List { internal } => list(&mut client, internal, args.output).await,
        Action::Describe { topic } => describe(&mut client, &topic, args.output).await,
        Action::Alter { topic, partitions, config, delete_config } => {
            if partitions.is_none() && config.is_empty() && delete_config.is_empty() {
                bail!("nothing to alter: give --partitions, --config or --delete-config");
            }
            if let Some(count) = partitions {
                grow(&mut client, &topic, count).await?;
            }
            alter_configs(&mut client, &topic, &config, &delete_config).await
        }
        Action::Delete { topics } => delete(&mut client, &topics).await,
    }
}

async fn create(client: &mut Client, wanted: CreatableTopic, if_not_exists: bool) -> anyhow::Result<()> {
    let request = CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(TIMEOUT_MS);
    let answer = client.any().await?.request(&request).await?;
    let made = answer.topics.first().context("the broker said nothing of the topic")?;
    let name = made.name.as_str();
    match check(|| format!("topic {name}"), made.error_code, made.error_message.as_deref()) {
        Err(error) if if_not_exists && error.kafka() == Some(ResponseError::TopicAlreadyExists) => {
            print_text(&format!("{name} exists already\n"))
        }
        result => {
            result?;
            print_text(&format!("created {name}\n"))
        }
    }
}

async fn list(client: &mut Client, internal: bool, format: OutputFormat) -> anyhow::Result<()> {
    let mut topics = client.metadata(None).await?.topics;
    topics.retain(|topic| internal || !topic.is_internal);
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let mut listing = Listing::new(&["topic", "partitions", "replicas", "id"]);
    for topic in topics {
        let replicas = topic.partitions.first().map_or(0, |partition| partition.replica_nodes.len());
        let name = topic.name.map(|name| name.to_string());
        let id = weir_types::TopicId(*topic.topic_id.as_bytes()).to_string();
        listing.row(vec![json!(name), json!(topic.partitions.len()), json!(replicas), json!(id)]);
    }
    listing.print(format)
}

async fn describe(client: &mut Client, topic: &str, format: OutputFormat) -> anyhow::Result<()> {
    let answer = client.metadata(Some(&[topic])).await?;
    let found = answer.topics.first().context("the broker said nothing of the topic")?;
    check(|| format!("topic {topic}"), found.error_code, None)?;
    let mut partitions = found.partitions.clone();
    partitions.sort_by_key(|partition| partition.partition_index);
    let mut listing = Listing::new(&["partition", "leader", "replicas", "isr", "log start offset", "log end offset"]);
    let leaders = partitions.iter().map(|partition| (partition.partition_index, *partition.leader_id)).collect();
    let held = client.held(topic, &leaders).await?;
    for partition in &partitions {
        let (index, leader) = (partition.partition_index, *partition.leader_id);
        let (start, end) = held.get(&index).map(|held| (held.start, held.end)).unzip();
        let nodes =
            |nodes: &[kafka_protocol::messages::BrokerId]| json!(nodes.iter().map(|node| node.0).collect::<Vec<_>>());
        let (replicas, isr) = (nodes(&partition.replica_nodes), nodes(&partition.isr_nodes));
        listing.row(vec![json!(index), json!(leader), replicas, isr, json!(start), json!(end)]);
    }
    let configs = own_configs(client, topic).await?;
    if format == OutputFormat::Json {
        let document = json!({"topic": topic, "configs": configs, "partitions": listing.into_json()});
        return print_json(&document);
    }
    let configs: Vec<String> =
        configs.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or(""))).collect();
    print_text(&format!(
        "topic    {topic}\nconfigs  {}\n\n",
        if configs.is_empty() { "-".to_owned() } else { configs.join(" ") }
    ))?;
    listing.print(format)
}

/// The configs that were set on the topic itself.
async fn own_configs(client: &mut Client, topic: &str) -> anyhow::Result<serde_json::Map<String, Json>> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(string(topic))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.any().await?.request(&request).await?;
    let found = answer.results.first().context("the broker said nothing of the topic's configs")?;
    check(|| format!("configs of {topic}"), found.error_code, found.error_message.as_deref())?;
    let own = found.configs.iter().filter(|config| config.config_source == SOURCE_TOPIC);
    Ok(own.map(|config| (config.name.to_string(), json!(config.value.as_deref()))).collect())
}

async fn grow(client: &mut Client, topic: &str, count: i32) -> anyhow::Result<()> {
    let wanted = CreatePartitionsTopic::default().with_name(topic_name(topic)).with_count(count).with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![wanted]).with_timeout_ms(TIMEOUT_MS);
    let answer = client.any().await?.request(&request).await?;
    let grown = answer.results.first().context("the broker said nothing of the topic")?;
    check(|| format!("topic {topic}"), grown.error_code, grown.error_message.as_deref())?;
    print_text(&format!("{topic} has {count} partitions now\n"))
}

async fn alter_configs(client: &mut Client, topic: &str, set: &[String], delete: &[String]) -> anyhow::Result<()> {
    if set.is_empty() && delete.is_empty() {
        return Ok(());
    }
    let mut configs = Vec::new();
    for pair in set {
        let (key, value) = key_value(pair)?;
        let config = AlterableConfig::default().with_name(string(key)).with_config_operation(SET);
        configs.push(config.with_value(Some(string(value))));
    }
    for key in delete {
        configs.push(AlterableConfig::default().with_name(string(key)).with_config_operation(DELETE).with_value(None));
    }
    let resource = AlterConfigsResource::default().with_resource_type(TOPIC_RESOURCE);
    let resource = resource.with_resource_name(string(topic)).with_configs(configs);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.any().await?.request(&request).await?;
    let altered = answer.responses.first().context("the broker said nothing of the topic")?;
    check(|| format!("configs of {topic}"), altered.error_code, altered.error_message.as_deref())?;
    print_text(&format!("altered the configs of {topic}\n"))
}

async fn delete(client: &mut Client, topics: &[String]) -> anyhow::Result<()> {
    let mut results = Results::default();
    let progress = Progress::of(topics.len(), "topics deleted");
    for topics in topics.chunks(DELETED_AT_ONCE_MAX) {
        let state = |topic: &String| DeleteTopicState::default().with_name(Some(topic_name(topic)));
        let request =
            DeleteTopicsRequest::default().with_topics(topics.iter().map(state).collect()).with_timeout_ms(TIMEOUT_MS);
        let answer = client.any().await?.request(&request).await?;
        // Brokers answer in an order of their own.
        for topic in topics {
            let is_it = |name: &TopicName| name.as_str() == topic;
            let gone = answer.responses.iter().find(|gone| gone.name.as_ref().is_some_and(is_it));
            let gone = gone.with_context(|| format!("the broker said nothing of topic {topic}"))?;
            let result = check(|| format!("topic {topic}"), gone.error_code, gone.error_message.as_deref());
            results.add(&format!("deleted {topic}"), result.map_err(Into::into))?;
            progress.add_one();
        }
    }
    results.finish()
}

fn creatable(pairs: &[String]) -> anyhow::Result<Vec<CreatableTopicConfig>> {
    let config = |pair: &String| {
        let (key, value) = key_value(pair)?;
        Ok(CreatableTopicConfig::default().with_name(string(key)).with_value(Some(string(value))))
    };
    pairs.iter().map(config).collect()
}

fn key_value(pair: &str) -> anyhow::Result<(&str, &str)> {
    pair.split_once('=').with_context(|| format!("`{pair}` is not key=value"))
}
