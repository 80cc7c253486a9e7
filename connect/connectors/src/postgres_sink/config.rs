//! The keys of the Postgres sink, and what they mean once checked.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use url::Url;
use weir_connect_api::{Config, ConfigDef, ConfigKey, ConfigProblem, ConfigType, Importance, TypedConfig};

use super::name::TableName;
use crate::sink_keys;

const TOPIC_PLACEHOLDER: &str = "${topic}";
/// What `pk.mode: kafka` calls its columns unless `pk.fields` says otherwise; the JDBC sink's names.
const KAFKA_KEY_COLUMNS: [&str; 3] = ["__connect_topic", "__connect_partition", "__connect_offset"];
/// A server that is silent for so long is taken for gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// On top of the statement timeout: how long a whole transaction may take before its connection is given up.
const WRITE_SLACK: Duration = Duration::from_secs(30);

pub(super) fn definition() -> ConfigDef {
    use ConfigType::{Boolean, Duration as Time, List, Password, String as Text};
    let key = ConfigKey::new;
    let mut keys = vec![
        sink_keys::url(Password, "Where Postgres is: postgres://user:password@host:5432/database?sslmode=require. A JDBC URL does too."),
        sink_keys::user("The user, if the URL names none."),
        sink_keys::password("The password, if the URL holds none."),
        key("table", Text, "The table, with its schema if that is not in the user's search_path. `${topic}` stands for the record's topic.")
            .default(TOPIC_PLACEHOLDER)
            .importance(Importance::High)
            .aliases(&["table.name.format"]),
        key("insert.mode", Text, "append (or insert) adds rows with COPY; upsert replaces the row with the same key.")
            .default("append")
            .choices(&["append", "insert", "upsert"]),
        key("pk.mode", Text, "Where a row's key comes from: none; kafka (topic, partition, offset); record_key; record_value.")
            .default("none")
            .choices(&["none", "kafka", "record_key", "record_value"]),
        key("pk.fields", List, "The key's columns. Empty: the table's primary key, or for kafka __connect_topic, __connect_partition, __connect_offset.")
            .default(""),
        key("delete.enabled", Boolean, "A record with a key and no value deletes the row with that key. Needs upsert and pk.mode=record_key.")
            .default("false"),
        key("auto.create", Boolean, "Creates a missing table from the fields of the first records.").default("false"),
        key("auto.evolve", Boolean, "Adds a column for a field that the table lacks; the same as unknown.fields=evolve.")
            .default("false"),
        key("unknown.fields", Text, "A field without a column: ignore it, put it into a jsonb column, evolve (add a column), or error.")
            .default("ignore")
            .choices(&["ignore", "jsonb", "evolve", "error"]),
        key("unknown.fields.column", Text, "The jsonb column for unknown.fields=jsonb.").default("extra"),
        key("value.column", Text, "The column that takes a value that is not a JSON object, such as a line of text.")
            .default("message"),
        sink_keys::batch_count("batch.rows", "The most rows of one transaction."),
        sink_keys::linger("200ms", "How long rows wait for more before they are written."),
        key("statement.timeout", Time, "A statement that takes longer is cancelled, and the batch is written again.")
            .default("60s")
            .range(1_000, 3_600_000),
        key("offsets.table", Text, "The table that holds the next offset of each partition; created when missing.")
            .default("weir_connect_offsets"),
    ];
    keys.extend(sink_keys::retries());
    keys.extend(jdbc_keys());
    ConfigDef::new(keys)
}

/// Keys of the JDBC sinks that say what is so here, or what is not needed.
fn jdbc_keys() -> [ConfigKey; 5] {
    use ConfigType::{Duration as Time, Int, String as Text};
    let retried = "Taken for the JDBC sinks' sake: connecting is repeated until it succeeds.";
    [
        sink_keys::taken("connection.attempts", Int, retried),
        sink_keys::taken("connection.backoff.ms", Time, retried),
        sink_keys::taken("dialect.name", Text, "Taken for the JDBC sinks' sake: the database is Postgres.")
            .choices(&["PostgreSqlDatabaseDialect"]),
        sink_keys::taken("quote.sql.identifiers", Text, "Taken for the JDBC sinks' sake: names are always quoted.")
            .choices(&["always"]),
        sink_keys::taken("db.timezone", Text, "Taken for the JDBC sinks' sake: times are in UTC.").choices(&["UTC"]),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PkMode {
    None,
    Kafka,
    RecordKey,
    RecordValue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UnknownFields {
    Ignore,
    Jsonb { column: String },
    Evolve,
    Error,
}

/// The configuration, typed.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) connect: PgConnectOptions,
    pub(super) connect_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) table: String,
    pub(super) is_upsert: bool,
    pub(super) pk_mode: PkMode,
    /// Empty: the table's primary key.
    pub(super) pk_fields: Vec<String>,
    pub(super) deletes: bool,
    pub(super) auto_create: bool,
    pub(super) unknown_fields: UnknownFields,
    pub(super) value_column: String,
    pub(super) batch_rows: usize,
    pub(super) linger: Duration,
    pub(super) offsets_table: TableName,
}

impl TypedConfig for Settings {
    fn new(config: &Config) -> Result<Self, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let mut noted = |result: Result<(), ConfigProblem>| problems.extend(result.err());
        let connect = connect_options(config);
        noted(connect.as_ref().map(|_| ()).map_err(Clone::clone));
        let offsets_table = TableName::parse(config.str("offsets.table"));
        noted(offsets_table.as_ref().map(|_| ()).map_err(|e| ConfigProblem::new("offsets.table", e.clone())));
        let table = config.str("table").trim().to_owned();
        noted(
            TableName::parse(&table.replace(TOPIC_PLACEHOLDER, "t"))
                .map(|_| ())
                .map_err(|e| ConfigProblem::new("table", e)),
        );
        let pk_mode = pk_mode(config);
        let is_upsert = config.str("insert.mode").eq_ignore_ascii_case("upsert");
        let pk_fields = pk_fields(config, pk_mode);
        let deletes = config.bool("delete.enabled");
        noted(check_keys(is_upsert, pk_mode, &pk_fields, deletes));
        let (Ok(connect), Ok(offsets_table)) = (connect, offsets_table) else { return Err(problems) };
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            connect,
            connect_timeout: CONNECT_TIMEOUT,
            write_timeout: config.duration("statement.timeout") + WRITE_SLACK,
            table,
            is_upsert,
            pk_mode,
            pk_fields,
            deletes,
            auto_create: config.bool("auto.create"),
            unknown_fields: unknown_fields(config),
            value_column: config.str("value.column").to_owned(),
            batch_rows: config.usize("batch.rows"),
            linger: config.duration("linger"),
            offsets_table,
        })
    }
}

impl Settings {
    /// Whether all topics go to the same table.
    pub(super) fn has_one_table(&self) -> bool {
        !self.table.contains(TOPIC_PLACEHOLDER)
    }

    pub(super) fn table_for(&self, topic: &str) -> Result<TableName, String> {
        TableName::parse(&self.table.replace(TOPIC_PLACEHOLDER, topic))
    }
}

fn pk_mode(config: &Config) -> PkMode {
    match config.str("pk.mode").to_ascii_lowercase().as_str() {
        "kafka" => PkMode::Kafka,
        "record_key" => PkMode::RecordKey,
        "record_value" => PkMode::RecordValue,
        _ => PkMode::None,
    }
}

fn pk_fields(config: &Config, mode: PkMode) -> Vec<String> {
    let fields = config.list("pk.fields");
    let fields = if fields.is_empty() && mode == PkMode::Kafka { KAFKA_KEY_COLUMNS.to_vec() } else { fields };
    fields.into_iter().map(str::to_owned).collect()
}

fn unknown_fields(config: &Config) -> UnknownFields {
    match config.str("unknown.fields").to_ascii_lowercase().as_str() {
        "jsonb" => UnknownFields::Jsonb { column: config.str("unknown.fields.column").to_owned() },
        "evolve" => UnknownFields::Evolve,
        "error" => UnknownFields::Error,
        _ if config.bool("auto.evolve") => UnknownFields::Evolve,
        _ => UnknownFields::Ignore,
    }
}

fn check_keys(is_upsert: bool, mode: PkMode, fields: &[String], deletes: bool) -> Result<(), ConfigProblem> {
    let problem = |key, message| Err(ConfigProblem::new(key, message));
    match mode {
        PkMode::None if is_upsert => problem("pk.mode", "upsert needs a key: set kafka, record_key or record_value"),
        PkMode::Kafka if fields.len() != 3 => {
            problem("pk.fields", "pk.mode=kafka needs three columns: for the topic, the partition and the offset")
        }
        _ if deletes && (!is_upsert || mode != PkMode::RecordKey) => {
            problem("delete.enabled", "deleting needs insert.mode=upsert and pk.mode=record_key")
        }
        _ => Ok(()),
    }
}

/// A value that still holds a `${…}` reference is looked at when the task starts.
fn connect_options(config: &Config) -> Result<PgConnectOptions, ConfigProblem> {
    let problem = |e: String| ConfigProblem::new("url", e);
    let raw = config.str("url").trim();
    if raw.contains("${") {
        return Ok(PgConnectOptions::new_without_pgpass());
    }
    let (url, user, password) = plain_url(raw).map_err(problem)?;
    let mut options = PgConnectOptions::from_str(url.as_str()).map_err(|e| problem(e.to_string()))?;
    if let Some(user) = config.opt_str("user").map(str::to_owned).or(user) {
        options = options.username(&user);
    }
    if let Some(password) = config.opt_str("password").map(str::to_owned).or(password) {
        options = options.password(&password);
    }
    let statement_timeout_ms = config.duration("statement.timeout").as_millis().to_string();
    Ok(options.application_name("weir").options([
        ("statement_timeout", statement_timeout_ms.as_str()),
        // A task that is cut off in a transaction must not hold its locks for ever.
        ("idle_in_transaction_session_timeout", statement_timeout_ms.as_str()),
        ("timezone", "UTC"),
        ("client_min_messages", "warning"),
    ]))
}

/// The URL without what only JDBC knows, and the user and password that JDBC puts into its parameters.
fn plain_url(raw: &str) -> Result<(Url, Option<String>, Option<String>), String> {
    let plain = raw.strip_prefix("jdbc:").unwrap_or(raw);
    let mut url =
        Url::parse(plain).map_err(|e| format!("not a URL: {e}; it looks like postgres://user@host:5432/database"))?;
    if !["postgres", "postgresql"].contains(&url.scheme()) {
        return Err(format!("`{}:` is not postgres://", url.scheme()));
    }
    let (mut user, mut password) = (None, None);
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter_map(|(key, value)| match &*key {
            "user" => {
                user = Some(value.into_owned());
                None
            }
            "password" => {
                password = Some(value.into_owned());
                None
            }
            _ => Some((key.into_owned(), value.into_owned())),
        })
        .collect();
    if kept.is_empty() {
        url.set_query(None);
    } else {
        url.query_pairs_mut().clear().extend_pairs(kept);
    }
    Ok((url, user, password))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, Vec<ConfigProblem>> {
        testing::settings(&definition(), pairs)
    }

    #[test]
    fn a_jdbc_sinks_configuration_is_understood() {
        let settings = settings(&[
            ("connection.url", "jdbc:postgresql://db:5433/shop?user=app&password=s%20x"),
            ("table.name.format", "kafka_${topic}"),
            ("insert.mode", "insert"),
            ("pk.mode", "kafka"),
            ("batch.size", "3000"),
        ])
        .unwrap();
        assert_eq!(settings.connect.get_host(), "db");
        assert_eq!(settings.connect.get_port(), 5433);
        assert_eq!(settings.connect.get_username(), "app");
        assert_eq!(settings.connect.get_database(), Some("shop"));
        assert_eq!(settings.table_for("orders").unwrap().to_string(), "\"kafka_orders\"");
        assert_eq!(settings.pk_fields, KAFKA_KEY_COLUMNS);
        assert_eq!(settings.batch_rows, 3000);
    }

    #[test]
    fn what_cannot_work_together_is_refused_with_the_key() {
        let key = |pairs: &[(&str, &str)]| settings(pairs).unwrap_err()[0].key.clone();
        let url = ("url", "postgres://a@b/c");
        assert_eq!(key(&[("url", "mysql://a@b/c")]), "url");
        assert_eq!(key(&[url, ("insert.mode", "upsert")]), "pk.mode");
        assert_eq!(key(&[url, ("delete.enabled", "true")]), "delete.enabled");
        assert_eq!(key(&[url, ("pk.mode", "kafka"), ("pk.fields", "a,b")]), "pk.fields");
        assert_eq!(key(&[url, ("table", "a..b")]), "table");
    }
}
