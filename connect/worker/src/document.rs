//! A file with connectors as people write it: `defaults`, `connectors`, `tests`.
//!
//! Each connector becomes Kafka Connect's flat map of strings: nested keys are dotted, `class` is `connector.class`, a
//! list of one-key maps under `transforms` becomes `transforms=a,b` and `transforms.a.type=…`, and `defaults` are filled
//! in, with `${name}` in them replaced by the connector's name.

use indexmap::IndexMap;

use crate::definition::Plugins;
use crate::runtime::RawConfig;
use crate::yaml::{Entry, Flat, Location, Node, Value, YamlError, flatten, flatten_entry};

/// Top-level keys that this module reads; others belong to other parts of a weir.yaml.
pub const SECTIONS: [&str; 3] = ["defaults", "connectors", "tests"];

/// The connectors of a file, in its order, and its tests.
#[derive(Debug, Default)]
pub struct Document {
    pub connectors: Vec<NamedConfig>,
    pub tests: Vec<TestCase>,
}

#[derive(Debug)]
pub struct NamedConfig {
    pub name: String,
    pub at: Location,
    pub config: RawConfig,
    places: IndexMap<String, Location>,
}

/// One entry of `tests`: what goes in, and what is expected of what comes out.
#[derive(Debug)]
pub struct TestCase {
    pub connector: String,
    pub at: Location,
    pub input: Vec<String>,
    /// Per record that comes out: path (`value.status`) → what stands there.
    pub expect: Vec<IndexMap<String, String>>,
}

impl Document {
    /// Reads the sections of a parsed file; keys outside of [`SECTIONS`] are not looked at.
    pub fn read(root: &Node) -> Result<Self, YamlError> {
        let mut document = Self::default();
        let entries = root.mapping("the file")?;
        let section = |name: &str| entries.iter().find(|entry| entry.key == name);
        let mut defaults = Flat::new();
        if let Some(entry) = section("defaults") {
            flatten("", &entry.node, &mut defaults)?;
        }
        if let Some(entry) = section("connectors") {
            for connector in entry.node.mapping("`connectors`")? {
                document.connectors.push(named_config(connector, &defaults)?);
            }
        }
        if let Some(entry) = section("tests") {
            for test in entry.node.sequence("`tests`")? {
                document.tests.push(test_case(test)?);
            }
        }
        Ok(document)
    }

    /// Everything that is wrong with the connectors, each with its place.
    pub fn problems(&self, plugins: &Plugins) -> Vec<YamlError> {
        self.connectors.iter().flat_map(|connector| connector.problems(plugins)).collect()
    }
}

impl NamedConfig {
    pub fn problems(&self, plugins: &Plugins) -> Vec<YamlError> {
        let Err(problems) = plugins.check(&self.config) else { return Vec::new() };
        let place = |key: &str| self.places.get(key).unwrap_or(&self.at);
        let error = |problem: &weir_connect_api::ConfigProblem| {
            YamlError::new(place(&problem.key), format!("connector {}: {problem}", self.name))
        };
        problems.iter().map(error).collect()
    }
}

fn named_config(entry: &Entry, defaults: &Flat) -> Result<NamedConfig, YamlError> {
    let name = entry.key.clone();
    let mut flat = Flat::new();
    for key in entry.node.mapping(&format!("connector {name}"))? {
        match (key.key.as_str(), &key.node.value) {
            ("transforms", Value::Sequence(links))
                if links.iter().any(|link| matches!(link.value, Value::Mapping(_))) =>
            {
                transforms(key, links, &mut flat)?;
            }
            ("class", _) => {
                let class = key.node.scalar("`class`")?.to_owned();
                flat.insert("connector.class".to_owned(), (class, key.at.clone()));
            }
            _ => flatten_entry("", key, &mut flat)?,
        }
    }
    for (key, (value, at)) in defaults {
        flat.entry(key.clone()).or_insert_with(|| (value.replace("${name}", &name), at.clone()));
    }
    flat.insert("name".to_owned(), (name.clone(), entry.at.clone()));
    let mut config = NamedConfig { name, at: entry.at.clone(), config: RawConfig::new(), places: IndexMap::new() };
    for (key, (value, at)) in flat {
        config.config.insert(key.clone(), value);
        config.places.insert(key, at);
    }
    Ok(config)
}

/// `- parse: {type: grok}` is `transforms=parse`, `transforms.parse.…`; an alias that is a transform's own name needs no
/// `type`, and then `type` is what that transform makes of it.
fn transforms(entry: &Entry, links: &[Node], flat: &mut Flat) -> Result<(), YamlError> {
    let mut aliases = Vec::new();
    for link in links {
        let [one] = link.mapping("a transform")? else {
            return Err(YamlError::new(&link.at, "a transform is one key, its alias, with its settings below"));
        };
        aliases.push(one.key.clone());
        let prefix = format!("transforms.{}", one.key);
        let before = flat.len();
        flatten(&prefix, &one.node, flat)?;
        let type_key = format!("{prefix}.type");
        if flat.len() == before || !flat.contains_key(&type_key) {
            flat.insert(type_key, (one.key.clone(), one.at.clone()));
        }
    }
    flat.insert("transforms".to_owned(), (aliases.join(","), entry.at.clone()));
    Ok(())
}

fn test_case(node: &Node) -> Result<TestCase, YamlError> {
    let mut case = TestCase { connector: String::new(), at: node.at.clone(), input: Vec::new(), expect: Vec::new() };
    for entry in node.mapping("a test")? {
        match entry.key.as_str() {
            "connector" => case.connector = entry.node.scalar("`connector`")?.to_owned(),
            "input" => {
                let lines = entry.node.sequence("`input`")?.iter().map(|line| line.scalar("a line").map(str::to_owned));
                case.input = lines.collect::<Result<_, _>>()?;
            }
            "expect" => {
                for expected in entry.node.sequence("`expect`")? {
                    let mut flat = Flat::new();
                    flatten("", expected, &mut flat)?;
                    case.expect.push(flat.into_iter().map(|(path, (value, _))| (path, value)).collect());
                }
            }
            other => {
                let message = format!("unknown key `{other}`: a test has connector, input and expect");
                return Err(YamlError::new(&entry.at, message));
            }
        }
    }
    if case.connector.is_empty() {
        return Err(YamlError::new(&node.at, "a test needs a `connector`"));
    }
    Ok(case)
}

#[cfg(test)]
mod tests {
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
}
