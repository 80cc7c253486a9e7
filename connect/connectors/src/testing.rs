//! What tests of several connectors need.

use weir_connect_api::{ConfigDef, ConfigProblem, TypedConfig};

/// What a connector makes of these keys.
pub(crate) fn settings<S: TypedConfig>(
    definition: &ConfigDef,
    pairs: &[(&str, &str)],
) -> Result<S, Vec<ConfigProblem>> {
    let raw = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    S::new(&definition.parse(&raw)?)
}
