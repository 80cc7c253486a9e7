//! The shape of THE config table: one row per key that Kafka knows, and the few that are Weir's own.
//!
//! DescribeConfigs, validation, the reference in the docs and the typed settings all read these rows. A row says what a
//! key means; what it is set to lives elsewhere.

use std::sync::LazyLock;

use super::{broker_keys, not_yet, topic_keys};

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKey {
    pub name: &'static str,
    pub kind: Kind,
    /// `None` where the default is null, or where it follows from other keys.
    pub default: Option<&'static str>,
    pub check: Check,
    pub update: Update,
    pub honoured: Honoured,
    /// Keys that give this one its value when it is not set itself, nearest first, with the factor that converts them:
    /// for a topic key its broker-wide twins, for a broker key its coarser units.
    pub synonyms: &'static [Synonym],
    pub doc: &'static str,
}

/// `name` times `factor` is the value of the key that lists it.
#[derive(Debug, Clone, Copy)]
pub struct Synonym {
    pub name: &'static str,
    pub factor: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Short,
    Int,
    Long,
    Double,
    String,
    List,
    Password,
    Class,
}

/// What a value must satisfy beyond its kind. Bounds are inclusive.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    Ratio,
    OneOf(&'static [&'static str]),
    /// Every element of a list.
    EachOf(&'static [&'static str]),
}

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// On the next start.
    ReadOnly,
    /// At once, for one broker at a time.
    PerBroker,
    /// At once, for one broker or for all.
    ClusterWide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Honoured {
    Yes,
    /// Known and shown, but without effect; setting it to something else than its default is worth a warning.
    NotYet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Broker,
    Topic,
}

impl ConfigKey {
    pub(super) const fn new(name: &'static str, kind: Kind, default: Option<&'static str>, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            default,
            check: Check::Any,
            update: Update::ReadOnly,
            honoured: Honoured::Yes,
            synonyms: &[],
            doc,
        }
    }

    pub(super) const fn at_least(mut self, min: i64) -> Self {
        self.check = Check::AtLeast(min);
        self
    }

    pub(super) const fn between(mut self, min: i64, max: i64) -> Self {
        self.check = Check::Between(min, max);
        self
    }

    pub(super) const fn ratio(mut self) -> Self {
        self.check = Check::Ratio;
        self
    }

    pub(super) const fn one_of(mut self, values: &'static [&'static str]) -> Self {
        self.check = Check::OneOf(values);
        self
    }

    pub(super) const fn each_of(mut self, values: &'static [&'static str]) -> Self {
        self.check = Check::EachOf(values);
        self
    }

    pub(super) const fn cluster_wide(mut self) -> Self {
        self.update = Update::ClusterWide;
        self
    }

    pub(super) const fn per_broker(mut self) -> Self {
        self.update = Update::PerBroker;
        self
    }

    pub(super) const fn not_yet(mut self) -> Self {
        self.honoured = Honoured::NotYet;
        self
    }

    pub(super) const fn synonyms(mut self, synonyms: &'static [Synonym]) -> Self {
        self.synonyms = synonyms;
        self
    }

    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }
}

pub(super) const fn same(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

pub(super) const fn times(name: &'static str, factor: i64) -> Synonym {
    Synonym { name, factor }
}

static BROKER: LazyLock<Vec<ConfigKey>> =
    LazyLock::new(|| sorted(std::iter::once(broker_keys::KEYS).chain(not_yet::BROKER.iter().copied())));
static TOPIC: LazyLock<Vec<ConfigKey>> = LazyLock::new(|| sorted([topic_keys::KEYS, not_yet::TOPIC].into_iter()));

fn sorted(tables: impl Iterator<Item = &'static [ConfigKey]>) -> Vec<ConfigKey> {
    let mut keys: Vec<ConfigKey> = tables.flatten().copied().collect();
    keys.sort_by_key(|key| key.name);
    keys
}

/// Every key of a scope, in alphabetical order.
pub fn keys(scope: Scope) -> &'static [ConfigKey] {
    match scope {
        Scope::Broker => &BROKER,
        Scope::Topic => &TOPIC,
    }
}

pub fn find(scope: Scope, name: &str) -> Option<&'static ConfigKey> {
    keys(scope).iter().find(|key| key.name == name)
}

/// The known key that a misspelt one most likely means.
pub fn nearest(scope: Scope, name: &str) -> Option<&'static str> {
    const SIMILARITY_MIN: f64 = 0.8;
    keys(scope)
        .iter()
        .map(|key| (strsim::jaro_winkler(name, key.name), key.name))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
