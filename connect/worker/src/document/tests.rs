use super::*;
use crate::yaml::parse;

fn read(text: &str) -> Result<Document, String> {
    let root = parse("weir.yaml", text).map_err(|error| error.to_string())?;
    Document::read(&root).map_err(|error| error.to_string())
}

#[test]
fn a_connector_becomes_kafkas_flat_map() {
    let text = "defaults:\n  errors: {tolerance: all, deadletterqueue.topic.name: '${name}-dlq'}\n\
                connectors:\n  tail:\n    class: file-tail\n    paths: [/a, /b]\n    url: '${env:URL}'\n    transforms:\n      \
                - parse: {type: grok, pattern: '%{WORD}'}\n      - filter: {if: 'a == 1'}\n";
    let document = read(text).unwrap();
    let expected = [
        ("connector.class", "file-tail"),
        ("paths", "/a,/b"),
        ("url", "${env:URL}"),
        ("transforms.parse.type", "grok"),
        ("transforms.parse.pattern", "%{WORD}"),
        ("transforms.filter.if", "a == 1"),
        ("transforms.filter.type", "filter"),
        ("transforms", "parse,filter"),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", "tail-dlq"),
        ("name", "tail"),
    ];
    let config = &document.connectors[0].config;
    assert_eq!(config.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn tests_are_read_with_their_expectations() {
    let text = "tests:\n- connector: tail\n  input: ['a b']\n  expect: [{value.status: 200, value: {a: x}}]\n";
    let case = &read(text).unwrap().tests[0];
    assert_eq!((case.connector.as_str(), case.input.as_slice()), ("tail", &["a b".to_owned()][..]));
    assert_eq!(case.expect[0]["value.status"], "200");
    assert_eq!(case.expect[0]["value.a"], "x");
}

#[test]
fn what_is_not_understood_is_told_with_its_place() {
    assert_eq!(
        read("tests:\n- conector: x\n").unwrap_err(),
        "weir.yaml:2:3: unknown key `conector`: a test has connector, input and expect"
    );
    assert_eq!(
        read("connectors:\n  a:\n    transforms: [{b: {}, c: {}}]\n").unwrap_err(),
        "weir.yaml:3:18: a transform is one key, its alias, with its settings below"
    );
}

fn one(text: &str) -> Result<NamedConfig, String> {
    read(text).map(|mut document| document.connectors.remove(0))
}

fn pairs(connector: &NamedConfig) -> Vec<(&str, &str)> {
    connector.config.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[test]
fn what_rest_takes_and_gives_is_a_connector() {
    let text = r#"{"name": "tail", "config": {"connector.class": "file-tail", "tasks.max": 2, "name": "tail"},
                   "initial_state": "PAUSED", "tasks": [], "type": "source"}"#;
    let connector = one(text).unwrap();
    assert_eq!(pairs(&connector), [("connector.class", "file-tail"), ("tasks.max", "2"), ("name", "tail")]);
    assert_eq!(connector.state, Some(WantedState::Initially(TargetState::Paused)));
    let flat = one(r#"{"name": "tail", "connector.class": "file-tail"}"#).unwrap();
    assert_eq!((flat.name.as_str(), flat.state), ("tail", None));
}

#[test]
fn a_strimzi_manifest_is_a_connector() {
    let text = "apiVersion: kafka.strimzi.io/v1beta2\nkind: KafkaConnector\nmetadata:\n  name: tail\n  \
                labels: {strimzi.io/cluster: c}\nspec:\n  class: file-tail\n  tasksMax: 2\n  pause: true\n  \
                autoRestart: {enabled: true, maxRestarts: 10}\n  config:\n    paths: /a\n    topic: app\n";
    let connector = one(text).unwrap();
    let expected = [
        ("connector.class", "file-tail"),
        ("tasks.max", "2"),
        ("restart.attempts.max", "10"),
        ("paths", "/a"),
        ("topic", "app"),
        ("name", "tail"),
    ];
    assert_eq!(pairs(&connector), expected);
    assert_eq!(connector.state, Some(WantedState::Always(TargetState::Paused)));
    let stopped =
        one(&text.replace("pause: true", "state: stopped").replace("enabled: true", "enabled: false")).unwrap();
    assert_eq!(stopped.state, Some(WantedState::Always(TargetState::Stopped)));
    assert_eq!(stopped.config["restart.attempts.max"], "0");
}

#[test]
fn what_is_wrong_with_another_form_is_told_with_its_place() {
    let manifest = "kind: KafkaConnector\nmetadata: {name: a}\nspec:\n";
    for (text, expected) in [
        (
            "{name: a, conifg: {}}".to_owned(),
            "weir.yaml:1:11: unknown key `conifg` of a connector; did you mean `config`?",
        ),
        ("{name: a}".to_owned(), "weir.yaml:1:1: a connector needs a `config`"),
        ("{config: {connector.class: x}}".to_owned(), "weir.yaml:1:1: a connector needs a `name`"),
        ("name: a\nconfig:\n  name: b\n".to_owned(), "weir.yaml:3:3: the connector is called `a` and, here, `b`"),
        ("kind: KafkaTopic\n".to_owned(), "weir.yaml:1:1: `KafkaTopic` is not a connector: KafkaConnector is"),
        (
            format!("{manifest}  taskMax: 1\n"),
            "weir.yaml:4:3: unknown key `taskMax` of `spec`; did you mean `tasksMax`?",
        ),
        (format!("{manifest}  state: asleep\n"), "weir.yaml:4:10: `asleep` is no state: running, paused or stopped"),
        (
            format!("{manifest}  class: x\n  config: {{connector.class: y}}\n"),
            "weir.yaml:5:12: `connector.class` was given before, at weir.yaml:4:3",
        ),
    ] {
        assert_eq!(one(&text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn a_name_can_be_given_once_in_all_documents() {
    let roots: Vec<Node> = ["connectors: {a: {class: x}}\n", "{name: a, connector.class: x}\n"]
        .into_iter()
        .map(|text| parse("f", text).unwrap())
        .collect();
    let error = Document::read_all(&roots).unwrap_err();
    assert_eq!(error.to_string(), "f:1:2: connector a was given before, at f:1:14");
    assert_eq!(Document::read_all(&roots[..1]).unwrap().connectors.len(), 1);
}
