//! Dials what a connector would talk to, without running it.

use weir_connect_api::{Config, ConnectError, Connector};

use crate::secrets;

/// Resolves the secrets of a checked configuration and connects; gives what answered, in words.
pub async fn dial(connector: &dyn Connector, config: &Config) -> Result<String, ConnectError> {
    let config = secrets::resolve(config).map_err(|error| ConnectError::fatal(error.to_string()))?;
    connector.dial(&config).await
}
