//! `meta.properties`: whose data folder this is. A Java properties file, as KRaft writes it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use weir_types::TopicId;

use super::LogDirError;
use crate::fs::{Durability, Fs};

const FILE: &str = "meta.properties";
const VERSION: i32 = 1;

pub(super) struct MetaProperties {
    pub(super) cluster_id: String,
    pub(super) directory_id: TopicId,
}

impl MetaProperties {
    pub(super) fn load_or_create(
        fs: &Fs,
        dir: &Path,
        node_id: i32,
        cluster_id: Option<&str>,
    ) -> Result<MetaProperties, LogDirError> {
        let path = dir.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => parse(&path, &text, node_id, cluster_id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let cluster_id = cluster_id.map_or_else(|| TopicId::random().to_string(), str::to_owned);
                let properties = MetaProperties { cluster_id, directory_id: TopicId::random() };
                let text = properties.render(node_id);
                fs.replace(&path, text.as_bytes(), Durability::Synced)
                    .map_err(|source| LogDirError::Io { path: path.clone(), source })?;
                Ok(properties)
            }
            Err(source) => Err(LogDirError::Io { path, source }),
        }
    }

    fn render(&self, node_id: i32) -> String {
        let (cluster_id, directory_id) = (&self.cluster_id, self.directory_id);
        format!("#\ncluster.id={cluster_id}\ndirectory.id={directory_id}\nnode.id={node_id}\nversion={VERSION}\n")
    }
}

fn parse(path: &Path, text: &str, node_id: i32, cluster_id: Option<&str>) -> Result<MetaProperties, LogDirError> {
    let entries: BTreeMap<&str, &str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('=').map(|(key, value)| (key.trim(), value.trim())))
        .collect();
    let malformed = |reason: String| LogDirError::Malformed { path: path.to_owned(), reason };
    let get = |key: &str| entries.get(key).copied().ok_or_else(|| malformed(format!("no line `{key}=…`")));
    let number = |key: &str| {
        let value = get(key)?;
        value.parse::<i32>().map_err(|_| malformed(format!("`{key}={value}` is not a number")))
    };
    let found = number("version")?;
    if found > VERSION {
        return Err(LogDirError::NewerVersion { path: path.to_owned(), found, known: VERSION });
    }
    let found = number("node.id")?;
    if found != node_id {
        return Err(LogDirError::OtherNode { path: path.to_owned(), found, expected: node_id });
    }
    let found = get("cluster.id")?;
    if let Some(expected) = cluster_id.filter(|expected| *expected != found) {
        let (found, expected) = (found.to_owned(), expected.to_owned());
        return Err(LogDirError::OtherCluster { path: path.to_owned(), found, expected });
    }
    let directory_id = match entries.get("directory.id") {
        Some(id) => id.parse().map_err(|error| malformed(format!("directory.id: {error}")))?,
        None => TopicId::ZERO,
    };
    Ok(MetaProperties { cluster_id: found.to_owned(), directory_id })
}
