//! Keys that Kafka 4 knows and Weir does not honour: shown with their default, and a warning when set.
//!
//! A key moves to `broker_keys` or `topic_keys` with the work that honours it.

use super::table::{ConfigKey, Kind};

mod cluster;
mod groups;
mod remote;
mod security;
mod single;
mod topic;
mod transactions;

const fn row(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> ConfigKey {
    ConfigKey::new(name, kind, Some(default), doc).not_yet()
}

const fn unset(name: &'static str, kind: Kind, doc: &'static str) -> ConfigKey {
    ConfigKey::new(name, kind, None, doc).not_yet()
}

pub(super) const BROKER: &[&[ConfigKey]] =
    &[cluster::KEYS, groups::KEYS, remote::KEYS, security::KEYS, single::KEYS, transactions::KEYS];

pub(super) const TOPIC: &[ConfigKey] = topic::KEYS;
