//! A file with connectors as people write it: `defaults`, `connectors`, `tests`; or in another product's form
//! ([`forms`]).
//!
//! Each connector becomes Kafka Connect's flat map of strings: nested keys are dotted, `class` is `connector.class`, a
//! list of one-key maps under `transforms` becomes `transforms=a,b` and `transforms.a.type=…`, and `defaults` are filled
//! in, with `${name}` in them replaced by the connector's name.

mod forms;

#[cfg(test)]
mod tests;

use indexmap::IndexMap;

use crate::definition::Plugins;
use crate::runtime::RawConfig;
use crate::state::TargetState;
use crate::yaml::{Entry, Flat, Location, Node, Value, YamlError, flatten, flatten_entry};

pub use forms::Form;

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
    /// `None`: it runs when it is new, and otherwise stays as it is.
    pub state: Option<WantedState>,
    places: IndexMap<String, Location>,
}

/// What a file wants a connector to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedState {
    /// When it is created; later it stays as it is.
    Initially(TargetState),
    /// Each time the file is applied.
    Always(TargetState),
}

impl WantedState {
    pub fn when_created(self) -> TargetState {
        match self {
            Self::Initially(target) | Self::Always(target) => target,
        }
    }
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
    /// Reads the documents of a parsed file, or of several.
    pub fn read_all(roots: &[Node]) -> Result<Self, YamlError> {
        let mut all = Self::default();
        for root in roots {
            let document = Self::read(root)?;
            for connector in document.connectors {
                if let Some(earlier) = all.connectors.iter().find(|earlier| earlier.name == connector.name) {
                    let message = format!("connector {} was given before, at {}", connector.name, earlier.at);
                    return Err(YamlError::new(&connector.at, message));
                }
                all.connectors.push(connector);
            }
            all.tests.extend(document.tests);
        }
        Ok(all)
    }

    /// Reads one parsed document, whatever its form.
    pub fn read(root: &Node) -> Result<Self, YamlError> {
        let one = |connector| Self { connectors: vec![connector], tests: Vec::new() };
        match Form::of(root)? {
            Form::Weir => Self::read_sections(root),
            Form::Rest => forms::rest(root).map(one),
            Form::Flat => forms::flat(root).map(one),
            Form::Manifest => forms::manifest(root).map(one),
        }
    }

    /// Keys outside of [`SECTIONS`] are not looked at.
    fn read_sections(root: &Node) -> Result<Self, YamlError> {
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
    fn new(name: String, at: Location, mut flat: Flat, state: Option<WantedState>) -> Self {
        flat.insert("name".to_owned(), (name.clone(), at.clone()));
        let places = flat.iter().map(|(key, (_, at))| (key.clone(), at.clone())).collect();
        let config = flat.into_iter().map(|(key, (value, _))| (key, value)).collect();
        Self { name, at, config, state, places }
    }

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
    Ok(NamedConfig::new(name, entry.at.clone(), flat, None))
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
