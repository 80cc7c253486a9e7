//! The keys of the search sink, and what they mean once checked.

use std::time::Duration;

use url::Url;
use weir_connect_api::{Config, ConfigDef, ConfigKey, ConfigProblem, ConfigType, Importance, TypedConfig};

use super::index::IndexPattern;
use crate::sink_keys;

const EMBEDDED: &str = "embedded";

pub(super) fn definition() -> ConfigDef {
    use ConfigType::{Boolean, Duration as Time, Int, List, Password, Size, String as Text};
    let key = ConfigKey::new;
    let mut keys = vec![
        sink_keys::url(List, "embedded, for the search node of this process; else addresses of one cluster, as in http://es1:9200,http://es2:9200."),
        sink_keys::user("The user for basic authentication."),
        sink_keys::password("The password for basic authentication."),
        key("api.key", Password, "An Elasticsearch API key, encoded; instead of user and password."),
        key("index", Text, "The index, with ${topic} and strftime patterns that the record's time fills in: nginx-%Y.%m.%d.")
            .default("${topic}")
            .importance(Importance::High),
        key("key.ignore", Boolean, "true: every record is a document, its id topic-partition-offset. false: the id is the record's key, the latest record of a key counts and one without a value deletes.")
            .default("true"),
        key("batch.bytes", Size, "About how large the body of one request is.")
            .default("8MiB")
            .range(1 << 10, 64 << 20)
            .aliases(&["bulk.size.bytes"]),
        sink_keys::batch_count("batch.records", "The most documents of one request."),
        sink_keys::linger("1s", "How long documents wait for more before they are sent; embedded: how long until they are durable and visible."),
        key("max.in.flight.requests", Int, "The most requests under way at once; how many there are follows how the servers keep up.")
            .default("4")
            .range(1, 64),
        key("connection.compression", Boolean, "Compresses requests with gzip.").default("false"),
        key("request.timeout", Time, "A request that takes longer is sent again.")
            .default("30s")
            .range(100, 600_000)
            .aliases(&["read.timeout.ms"]),
    ];
    keys.extend(sink_keys::retries());
    keys.extend(elasticsearch_keys());
    ConfigDef::new(keys)
}

/// Keys of the Elasticsearch sinks that say what is so here, or what is not needed.
fn elasticsearch_keys() -> [ConfigKey; 7] {
    use ConfigType::{Boolean, Duration as Time, Int, String as Text};
    let bounded = "Taken for the Elasticsearch sinks' sake: what waits is bounded by batches and requests.";
    [
        sink_keys::taken(
            "type.name",
            Text,
            "Taken for the Elasticsearch sinks' sake: documents have no types any more.",
        ),
        sink_keys::taken("schema.ignore", Boolean, "Taken for the Elasticsearch sinks' sake: the server finds types.")
            .choices(&["true"]),
        sink_keys::taken("write.method", Text, "Taken for the Elasticsearch sinks' sake: whole documents are written.")
            .choices(&["insert"]),
        sink_keys::taken(
            "drop.invalid.message",
            Boolean,
            "Taken for the Elasticsearch sinks' sake: `errors.tolerance` says what becomes of bad records.",
        )
        .choices(&["false"]),
        sink_keys::taken("max.buffered.records", Int, bounded),
        sink_keys::taken("flush.timeout.ms", Time, bounded),
        sink_keys::taken(
            "connection.timeout.ms",
            Time,
            "Taken for the Elasticsearch sinks' sake: `request.timeout` holds for the whole request.",
        ),
    ]
}

/// The configuration, typed.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) destination: Destination,
    pub(super) index: IndexPattern,
    pub(super) is_keyed: bool,
    pub(super) linger: Duration,
}

#[derive(Debug)]
pub(super) enum Destination {
    Embedded,
    Servers(Servers),
}

#[derive(Debug, Clone)]
pub(super) struct Servers {
    pub(super) urls: Vec<Url>,
    pub(super) authorization: Authorization,
    pub(super) batch_bytes: usize,
    pub(super) batch_records: usize,
    pub(super) requests_max: usize,
    pub(super) compresses: bool,
    pub(super) timeout: Duration,
}

#[derive(Clone)]
pub(super) enum Authorization {
    None,
    Basic { user: String, password: Option<String> },
    ApiKey(String),
}

impl std::fmt::Debug for Authorization {
    /// Says what kind it is, never the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic",
            Self::ApiKey(_) => "ApiKey",
        })
    }
}

impl TypedConfig for Settings {
    fn new(config: &Config) -> Result<Self, Vec<ConfigProblem>> {
        let index = IndexPattern::new(config.str("index")).map_err(|e| ConfigProblem::new("index", e));
        let destination = destination(config);
        match (index, destination) {
            (Ok(index), Ok(destination)) => {
                Ok(Self { destination, index, is_keyed: !config.bool("key.ignore"), linger: config.duration("linger") })
            }
            (index, destination) => Err(index.err().into_iter().chain(destination.err()).collect()),
        }
    }
}

fn destination(config: &Config) -> Result<Destination, ConfigProblem> {
    let urls = config.list("url");
    if urls == [EMBEDDED] {
        return Ok(Destination::Embedded);
    }
    let problem = |url: &str, e: String| {
        ConfigProblem::new("url", format!("`{url}` is not the address of a server, as in http://localhost:9200: {e}"))
    };
    let parsed = urls.iter().filter(|url| !url.contains("${")).map(|text| {
        let url = Url::parse(text).map_err(|e| problem(text, e.to_string()))?;
        match url.scheme() {
            "http" | "https" => Ok(url),
            scheme => Err(problem(text, format!("`{scheme}:` is neither http: nor https:"))),
        }
    });
    let parsed: Vec<Url> = parsed.collect::<Result<_, _>>()?;
    if urls.is_empty() {
        return Err(ConfigProblem::new("url", "is empty: use `embedded` or an address"));
    }
    let authorization = match (config.opt_str("api.key"), config.opt_str("user")) {
        (Some(_), Some(_)) => {
            return Err(ConfigProblem::new("api.key", "is given together with user: keep one of them"));
        }
        (Some(key), None) => Authorization::ApiKey(key.to_owned()),
        (None, Some(user)) => {
            Authorization::Basic { user: user.to_owned(), password: config.opt_str("password").map(str::to_owned) }
        }
        (None, None) => Authorization::None,
    };
    Ok(Destination::Servers(Servers {
        urls: parsed,
        authorization,
        batch_bytes: usize::try_from(config.size_bytes("batch.bytes")).unwrap_or(usize::MAX),
        batch_records: config.usize("batch.records"),
        requests_max: config.usize("max.in.flight.requests"),
        compresses: config.bool("connection.compression"),
        timeout: config.duration("request.timeout"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, Vec<ConfigProblem>> {
        testing::settings(&definition(), pairs)
    }

    #[test]
    fn an_elasticsearch_sinks_configuration_is_understood() {
        let settings = settings(&[
            ("connection.url", "http://es1:9200,https://es2:9200/prefix"),
            ("connection.username", "elastic"),
            ("connection.password", "secret"),
            ("key.ignore", "false"),
            ("batch.size", "2000"),
            ("linger.ms", "5"),
        ])
        .unwrap();
        let Destination::Servers(servers) = settings.destination else { panic!("not servers") };
        assert_eq!(servers.urls.len(), 2);
        assert_eq!(servers.batch_records, 2000);
        assert!(settings.is_keyed);
        assert!(!format!("{servers:?}").contains("secret"));
    }

    #[test]
    fn wrong_addresses_and_patterns_are_refused_with_the_key() {
        let key = |pairs: &[(&str, &str)]| settings(pairs).unwrap_err()[0].key.clone();
        assert_eq!(key(&[("url", "localhost:9200")]), "url");
        assert_eq!(key(&[("url", "")]), "url");
        assert_eq!(key(&[("url", "embedded"), ("index", "nginx-%Q")]), "index");
        assert_eq!(key(&[("url", "http://es"), ("user", "a"), ("api.key", "b")]), "api.key");
    }
}
