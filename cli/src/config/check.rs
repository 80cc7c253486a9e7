//! Everything that can be said of a configuration without acting on it.

use weir_broker::Properties;
use weir_broker::config::check_properties;
use weir_broker::config::table::{Honoured, Scope, find};
use weir_connect::Plugins;

use super::broker::check_together;
use super::{Config, ConfigError};

/// What a check found in one file, each with its place.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<String>,
    /// What is taken but has no effect.
    pub(crate) warnings: Vec<String>,
    /// How many keys, connectors and tests were looked at.
    pub(crate) counts: Counts,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) settings: usize,
    pub(crate) connectors: usize,
    pub(crate) tests: usize,
}

impl Config {
    /// Checks all parts and says all that is wrong at once.
    pub(crate) fn findings(&self, plugins: &Plugins) -> Findings {
        let mut findings = Findings::default();
        let process = findings.sort_out(self.process_settings());
        let data_dir = process.map(|process| process.data_dir).unwrap_or_default();
        findings.sort_out(self.search_settings(&data_dir));
        findings.sort_out(self.worker(None));
        self.broker_findings(&data_dir, &mut findings);
        let parts = [&self.process, &self.broker, &self.search, &self.connect];
        findings.counts.settings = parts.iter().map(|part| part.len()).sum();
        self.connector_findings(plugins, &mut findings);
        findings
    }

    fn broker_findings(&self, data_dir: &std::path::Path, findings: &mut Findings) {
        let before = findings.problems.len();
        for (key, property) in &self.broker {
            let one = Properties::from_iter([(key.clone(), property.clone())]);
            if let Err(error) = check_properties(&one) {
                findings.problems.push(error.to_string());
            }
            if find(Scope::Broker, key).is_some_and(|key| key.honoured == Honoured::NotYet) {
                findings.warnings.push(format!("{}: `{key}` has no effect in this version", property.origin));
            }
        }
        if findings.problems.len() == before {
            findings.sort_out(check_together(&self.broker_properties(data_dir)));
        }
    }

    fn connector_findings(&self, plugins: &Plugins, findings: &mut Findings) {
        if let Some(document) = findings.sort_out(self.connectors()) {
            findings.problems.extend(document.problems(plugins).iter().map(ToString::to_string));
            findings.counts.connectors = document.connectors.len();
            findings.counts.tests = document.tests.len();
        }
    }
}

impl Findings {
    /// Keeps what is wrong, hands on what is right.
    fn sort_out<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        match result {
            Ok(right) => Some(right),
            Err(error) => {
                self.problems.extend(error.to_string().lines().map(str::to_owned));
                None
            }
        }
    }
}
