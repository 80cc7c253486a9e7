//! Keys that sinks share, under the names that other products' sinks have for them, too.

use weir_connect_api::{ConfigKey, ConfigType, Importance};

/// Where the system is that the sink writes to.
pub(crate) fn url(kind: ConfigType, doc: &'static str) -> ConfigKey {
    ConfigKey::new("url", kind, doc).required().aliases(&["connection.url"])
}

pub(crate) fn user(doc: &'static str) -> ConfigKey {
    ConfigKey::new("user", ConfigType::String, doc).aliases(&["connection.user", "connection.username"])
}

pub(crate) fn password(doc: &'static str) -> ConfigKey {
    ConfigKey::new("password", ConfigType::Password, doc).aliases(&["connection.password"])
}

/// The most records that are written at once; `name` says what they are there.
pub(crate) fn batch_count(name: &'static str, doc: &'static str) -> ConfigKey {
    ConfigKey::new(name, ConfigType::Int, doc).default("20000").range(1, 1_000_000).aliases(&["batch.size"])
}

/// How long records wait for more.
pub(crate) fn linger(default: &'static str, doc: &'static str) -> ConfigKey {
    ConfigKey::new("linger", ConfigType::Duration, doc).default(default).range(0, 60_000).aliases(&["linger.ms"])
}

/// A key that another product's sink has and that changes nothing here; `doc` says why.
pub(crate) const fn taken(name: &'static str, kind: ConfigType, doc: &'static str) -> ConfigKey {
    ConfigKey::new(name, kind, doc).importance(Importance::Low)
}

/// What other products' sinks are told of trying again.
pub(crate) fn retries() -> [ConfigKey; 2] {
    [
        taken("max.retries", ConfigType::Int, "Taken for other sinks' sake: what may pass is repeated until it has."),
        taken(
            "retry.backoff.ms",
            ConfigType::Duration,
            "Taken for other sinks' sake: waits double from a quarter of a second to half a minute.",
        ),
    ]
}
