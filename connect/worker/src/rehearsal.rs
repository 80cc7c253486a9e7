//! The `tests:` of a file: lines through a connector's transforms, without a cluster, compared with what is expected.

use std::fmt;

use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::Value as Json;
use weir_connect_api::config::problems_text;
use weir_connect_api::{Payload, Record};

use crate::chain::Chain;
use crate::definition::Plugins;
use crate::document::{Document, TestCase};
use crate::yaml::Location;

/// What became of one test.
#[derive(Debug)]
pub struct Outcome {
    pub connector: String,
    pub at: Location,
    /// Empty when the test passed.
    pub differences: Vec<Difference>,
}

/// One thing that is not as expected.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// Another number of records came out.
    Count { expected: usize, came: usize },
    /// `path` of the `record`th record, from 1, is something else.
    Value { record: usize, path: String, expected: String, came: String },
    /// A line could not be worked with.
    Failed { line: usize, error: String },
    /// The test cannot be run.
    Broken(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { expected, came } => write!(f, "{expected} record(s) expected, {came} came out"),
            Self::Value { record, path, expected, came } => {
                write!(f, "record {record}: {path}: expected `{expected}`, is `{came}`")
            }
            Self::Failed { line, error } => write!(f, "line {line}: {error}"),
            Self::Broken(error) => f.write_str(error),
        }
    }
}

/// Runs all tests of a document, in its order.
pub fn rehearse(document: &Document, plugins: &Plugins) -> Vec<Outcome> {
    let outcome = |case: &TestCase| Outcome {
        connector: case.connector.clone(),
        at: case.at.clone(),
        differences: run(case, document, plugins).unwrap_or_else(|error| vec![Difference::Broken(error)]),
    };
    document.tests.iter().map(outcome).collect()
}

fn run(case: &TestCase, document: &Document, plugins: &Plugins) -> Result<Vec<Difference>, String> {
    let named = document.connectors.iter().find(|connector| connector.name == case.connector);
    let named = named.ok_or_else(|| format!("there is no connector `{}`", case.connector))?;
    let told = |problems: Vec<weir_connect_api::ConfigProblem>| problems_text(&problems);
    let (_, config) = plugins.check(&named.config).map_err(told)?;
    let mut chain = Chain::build(&config, &plugins.transforms).map_err(told)?;
    let mut differences = Vec::new();
    let mut records = Vec::new();
    for (number, line) in case.input.iter().enumerate() {
        let mut record = Record { value: Payload::Bytes(Bytes::from(line.clone())), ..Record::default() };
        match chain.apply(&mut record) {
            Ok(true) => records.push(record),
            Ok(false) => {}
            Err(error) => differences.push(Difference::Failed { line: number + 1, error: error.in_full() }),
        }
    }
    if records.len() != case.expect.len() {
        differences.push(Difference::Count { expected: case.expect.len(), came: records.len() });
    }
    for (number, (record, expected)) in records.into_iter().zip(&case.expect).enumerate() {
        differences.extend(compare(number + 1, record, expected));
    }
    Ok(differences)
}

fn compare(number: usize, record: Record, expected: &IndexMap<String, String>) -> Vec<Difference> {
    let as_json = |payload: Payload| payload.into_json().unwrap_or(Json::Null);
    let root = serde_json::json!({
        "topic": record.topic.as_deref(),
        "timestamp": record.timestamp_ms,
        "key": as_json(record.key),
        "value": as_json(record.value),
    });
    let difference = |(path, expected): (&String, &String)| {
        let came = text(path.split('.').try_fold(&root, |at, key| at.get(key)));
        let differs = came != *expected;
        differs.then(|| Difference::Value { record: number, path: path.clone(), expected: expected.clone(), came })
    };
    expected.iter().filter_map(difference).collect()
}

/// A value as YAML would write it: a missing one and null are empty.
fn text(value: Option<&Json>) -> String {
    match value {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_compared_by_paths() {
        let value = Payload::Json(serde_json::json!({"status": 200, "user": {"name": "ann"}}));
        let record = || Record { value: value.clone(), ..Record::default() };
        let expected = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let same = expected(&[("value.status", "200"), ("value.user.name", "ann"), ("value.none", "")]);
        assert_eq!(compare(1, record(), &same), []);
        let differences = compare(2, record(), &expected(&[("value.status", "404")]));
        assert_eq!(differences[0].to_string(), "record 2: value.status: expected `404`, is `200`");
    }
}
