//! The broker's settings as types: what the file, the dynamic layers and the defaults come to.

use std::path::PathBuf;
use std::time::Duration;

use super::groups::GroupSettings;
use super::layers::{BrokerLayers, broker_values};
use super::listeners::{
    Endpoint, check_security_protocols, parse_endpoints, parse_host_port, parse_security_protocols,
};
use super::table::{self, Scope};
use super::value::elements;
use super::{ConfigError, Property, bad_value};
use crate::metrics::{Bounds, Level};

/// When an acks=all write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushPolicy {
    /// After its bytes are on disk.
    Sync,
    /// After its bytes are with the operating system.
    Os,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub node_id: i32,
    pub rack: Option<String>,
    pub listeners: Vec<Endpoint>,
    pub advertised_listeners: Vec<Endpoint>,
    pub http_listeners: Vec<(String, u16)>,
    pub log_dir: PathBuf,
    pub flush_policy: FlushPolicy,
    pub recovery_threads: usize,

    pub auto_create_topics: bool,
    pub delete_topics: bool,
    pub partition_count_default: i32,
    pub replication_factor_default: i16,

    pub request_bytes_max: usize,
    /// `None`: a quarter of memory.
    pub request_bytes_in_flight_max: Option<usize>,
    pub fetch_bytes_max: usize,
    pub described_partitions_max: usize,
    pub connections_max: usize,
    pub connections_per_ip_max: usize,
    pub connections_idle_max: Duration,
    /// `None`: the operating system's own choice.
    pub socket_send_buffer_bytes: Option<usize>,
    pub socket_receive_buffer_bytes: Option<usize>,

    pub min_insync_replicas: usize,
    pub metrics: Bounds,
    /// `metrics.compat`
    pub shows_compat: bool,

    pub retention_check_interval: Duration,
    pub checkpoint_interval: Duration,
    pub cleaner_enabled: bool,
    pub cleaner_backoff: Duration,
    pub cleaner_memory_bytes_max: usize,

    pub groups: GroupSettings,
}

impl Settings {
    /// Reads every setting; the values have passed [`super::check_properties`] or the dynamic config's own check.
    pub fn resolve(layers: BrokerLayers<'_>) -> Result<Self, ConfigError> {
        let read = Reader { layers };
        let listeners = read.parsed("listeners", |text| match parse_endpoints(text)? {
            endpoints if endpoints.is_empty() => Err("at least one listener is needed".to_owned()),
            endpoints => Ok(endpoints),
        })?;
        let protocols = read.parsed("listener.security.protocol.map", parse_security_protocols)?;
        check_security_protocols(&listeners, &protocols).map_err(|reason| read.refused("listeners", reason))?;
        Ok(Self {
            node_id: read.number("node.id")? as i32,
            rack: read.text("broker.rack"),
            advertised_listeners: read.parsed("advertised.listeners", |text| advertised(text, &listeners))?,
            listeners,
            http_listeners: read.parsed("http.listeners", |text| elements(text).map(parse_host_port).collect())?,
            log_dir: read.parsed("log.dirs", one_folder)?,
            flush_policy: if read.text("log.flush").as_deref() == Some("os") {
                FlushPolicy::Os
            } else {
                FlushPolicy::Sync
            },
            recovery_threads: read.count("num.recovery.threads.per.data.dir")?,
            auto_create_topics: read.boolean("auto.create.topics.enable"),
            delete_topics: read.boolean("delete.topic.enable"),
            partition_count_default: read.number("num.partitions")? as i32,
            replication_factor_default: read.number("default.replication.factor")? as i16,
            request_bytes_max: read.count("socket.request.max.bytes")?,
            request_bytes_in_flight_max: usize::try_from(read.number("queued.max.request.bytes")?).ok(),
            fetch_bytes_max: read.count("fetch.max.bytes")?,
            described_partitions_max: read.count("max.request.partition.size.limit")?,
            connections_max: read.count("max.connections")?,
            connections_per_ip_max: read.count("max.connections.per.ip")?,
            connections_idle_max: read.duration("connections.max.idle.ms")?,
            socket_send_buffer_bytes: usize::try_from(read.number("socket.send.buffer.bytes")?).ok(),
            socket_receive_buffer_bytes: usize::try_from(read.number("socket.receive.buffer.bytes")?).ok(),
            min_insync_replicas: read.count("min.insync.replicas")?,
            metrics: Bounds {
                level: match read.text("metrics.level").as_deref() {
                    Some("cluster") => Level::Cluster,
                    Some("partition") => Level::Partition,
                    _ => Level::Topic,
                },
                series_max: read.count("metrics.max.series.per.family")?,
            },
            shows_compat: read.boolean("metrics.compat"),
            retention_check_interval: read.duration("log.retention.check.interval.ms")?,
            checkpoint_interval: read.duration("log.flush.offset.checkpoint.interval.ms")?,
            cleaner_enabled: read.boolean("log.cleaner.enable"),
            cleaner_backoff: read.duration("log.cleaner.backoff.ms")?,
            cleaner_memory_bytes_max: read.count("log.cleaner.dedupe.buffer.size")?,
            groups: GroupSettings::resolve(&read)?,
        })
    }
}

/// What clients are told, where `advertised.listeners` is not set: the listeners, with a host name for "every interface".
fn advertised(text: &str, listeners: &[Endpoint]) -> Result<Vec<Endpoint>, String> {
    let mut endpoints = parse_endpoints(text)?;
    for endpoint in &mut endpoints {
        if !listeners.iter().any(|listener| listener.name == endpoint.name) {
            return Err(format!("`listeners` has no {}", endpoint.name));
        }
        if matches!(endpoint.host.as_str(), "" | "0.0.0.0" | "::") {
            endpoint.host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        }
    }
    match listeners.iter().find(|listener| endpoints.iter().all(|endpoint| endpoint.name != listener.name)) {
        Some(missing) => Err(format!("nothing is advertised for listener {}", missing.name)),
        None => Ok(endpoints),
    }
}

fn one_folder(text: &str) -> Result<PathBuf, String> {
    let mut folders = elements(text);
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(PathBuf::from(folder)),
        (None, _) => Err("no folder is given".to_owned()),
        (Some(_), Some(_)) => Err("more than one folder is given; Weir keeps one data folder per broker".to_owned()),
    }
}

pub(super) struct Reader<'a> {
    layers: BrokerLayers<'a>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let key = table::find(Scope::Broker, name)?;
        broker_values(key, self.layers).into_iter().next().map(|found| found.value)
    }

    fn boolean(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    pub(super) fn number(&self, name: &str) -> Result<i64, ConfigError> {
        self.parsed(name, |text| text.parse().map_err(|_| format!("`{text}` is not a whole number")))
    }

    pub(super) fn count(&self, name: &str) -> Result<usize, ConfigError> {
        self.parsed(name, |text| text.parse().map_err(|_| format!("`{text}` is not a whole number from 0 up")))
    }

    pub(super) fn duration(&self, name: &str) -> Result<Duration, ConfigError> {
        Ok(Duration::from_millis(self.count(name)? as u64))
    }

    fn parsed<T>(&self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        parse(self.text(name).unwrap_or_default().trim()).map_err(|reason| self.refused(name, reason))
    }

    pub(super) fn refused(&self, name: &str, reason: String) -> ConfigError {
        match self.layers.file.get(name) {
            Some(property) => bad_value(name, property, reason),
            None => bad_value(name, &Property::new("", "default or dynamic setting"), reason),
        }
    }
}
