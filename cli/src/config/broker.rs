//! The broker's properties: its own table says what they mean, only the place of its data is ours to fill in.

use std::path::Path;

use weir_broker::{Properties, Property};

use super::Config;

const FOLDER: &str = "broker";
const LOG_DIRS: &str = "log.dirs";
const LOG_DIR: &str = "log.dir";

impl Config {
    pub(crate) fn broker_properties(&self, data_dir: &Path) -> Properties {
        let mut properties = self.broker.clone();
        if !properties.contains_key(LOG_DIRS) && !properties.contains_key(LOG_DIR) {
            let folder = data_dir.join(FOLDER).display().to_string();
            let origin = self.process.get("data").map_or("default", |property| &property.origin);
            properties.insert(LOG_DIRS.to_owned(), Property::new(folder, origin));
        }
        properties
    }
}
