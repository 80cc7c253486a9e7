//! Transforms as a user writes them: a type, keys, a value in, a value out.

use serde_json::{Value as Json, json};
use weir_connect_api::Payload;

use super::*;

/// Builds the transform `kind` from its keys.
pub(super) fn build(kind: &str, keys: &[(&str, &str)]) -> Result<Box<dyn Transform>, Vec<ConfigProblem>> {
    let plugins = all();
    let plugin = plugins.iter().find(|p| p.name() == kind || p.aliases().contains(&kind)).expect("a known transform");
    let raw = keys.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    plugin.build(&plugin.config_def().parse(&raw)?)
}

pub(super) fn line(text: &str) -> Record {
    Record { value: Payload::Bytes(text.to_owned().into()), ..Record::default() }
}

pub(super) fn object_of(value: Json) -> Record {
    Record { value: Payload::Json(value), ..Record::default() }
}

/// The record's value after the transform; `None` when it was dropped.
pub(super) fn run(kind: &str, keys: &[(&str, &str)], mut record: Record) -> Option<Json> {
    let kept = build(kind, keys).unwrap().apply(&mut record).unwrap();
    kept.then(|| record.value.into_json().unwrap())
}

/// What is wrong with the keys, in words.
pub(super) fn problem_of(kind: &str, keys: &[(&str, &str)]) -> String {
    weir_connect_api::config::problems_text(&build(kind, keys).err().expect("a problem"))
}

#[test]
fn every_transform_has_its_own_names() {
    let plugins = all();
    let names: Vec<&str> =
        plugins.iter().flat_map(|p| [p.name()].into_iter().chain(p.aliases().iter().copied())).collect();
    let distinct: std::collections::HashSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len(), "{names:?}");
    assert!(plugins.iter().all(|plugin| plugin.config_def().keys().iter().all(|key| !key.doc.is_empty())));
}

#[test]
fn a_condition_lets_other_records_pass_unchanged() {
    let keys = [("static.field", "seen"), ("static.value", "yes"), ("if", "level == \"error\"")];
    assert_eq!(run("insert_field", &keys, object_of(json!({"level": "info"}))), Some(json!({"level": "info"})));
    let changed = run("insert_field", &keys, object_of(json!({"level": "error"})));
    assert_eq!(changed, Some(json!({"level": "error", "seen": "yes"})));
}

#[test]
fn a_line_that_was_not_parsed_gets_a_plain_error() {
    let mut record = line("hello");
    let error = build("mask_field", &[("fields", "a")]).unwrap().apply(&mut record).unwrap_err();
    assert_eq!(error.message, "the value is a string, not an object with fields: put a `parse` transform before");
}

#[test]
fn the_example_pipeline_drops_what_it_says_and_keeps_the_rest() {
    let record =
        |path: &str| line(&format!(r#"1.2.3.4 - - [10/Oct/2026:13:55:36 +0000] "GET {path} HTTP/1.1" 200 5 "-" "-""#));
    let mut parse = build("grok", &[("pattern", "%{COMBINEDAPACHELOG}")]).unwrap();
    let mut drop = build("filter", &[("if", r#"status == 200 && path == "/healthz""#)]).unwrap();
    for (path, is_kept) in [("/healthz", false), ("/healthz?deep=1", false), ("/", true)] {
        let mut record = record(path);
        assert!(parse.apply(&mut record).unwrap());
        assert_eq!(drop.apply(&mut record).unwrap(), is_kept, "{path}");
    }
}
