//! `listeners` and `advertised.listeners`: `NAME://host:port`, comma-separated; and what each name speaks.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::value::elements;

const PLAINTEXT: &str = "PLAINTEXT";

/// One address under a listener's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub name: Arc<str>,
    /// Empty means every interface.
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint { name, host, port } = self;
        if host.contains(':') { write!(f, "{name}://[{host}]:{port}") } else { write!(f, "{name}://{host}:{port}") }
    }
}

/// Parses a list; names must be unique.
pub fn parse_endpoints(text: &str) -> Result<Vec<Endpoint>, String> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for element in elements(text) {
        let endpoint = parse_endpoint(element)?;
        if endpoints.iter().any(|other| other.name == endpoint.name) {
            return Err(format!("listener name {} is used twice", endpoint.name));
        }
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

/// Which protocol each listener name speaks: `NAME:PROTOCOL`, comma-separated.
pub fn parse_security_protocols(text: &str) -> Result<HashMap<String, String>, String> {
    let mut protocols = HashMap::new();
    for element in elements(text) {
        let (name, protocol) = element
            .split_once(':')
            .ok_or_else(|| format!("`{element}` is not NAME:PROTOCOL, for example EXTERNAL:PLAINTEXT"))?;
        if protocols.insert(name.trim().to_ascii_uppercase(), protocol.trim().to_ascii_uppercase()).is_some() {
            return Err(format!("listener name {name} is used twice"));
        }
    }
    Ok(protocols)
}

/// Refuses listeners that would speak what is not there.
pub fn check_security_protocols(listeners: &[Endpoint], protocols: &HashMap<String, String>) -> Result<(), String> {
    for Endpoint { name, .. } in listeners {
        match protocols.get(&**name).map(String::as_str) {
            Some(PLAINTEXT) => {}
            Some(protocol) => {
                return Err(format!(
                    "listener {name} speaks {protocol}; {PLAINTEXT} is the only security protocol so far"
                ));
            }
            None => {
                return Err(format!("`listener.security.protocol.map` has no {name}: add {name}:{PLAINTEXT} to it"));
            }
        }
    }
    Ok(())
}

fn parse_endpoint(text: &str) -> Result<Endpoint, String> {
    let (name, address) = text
        .split_once("://")
        .ok_or_else(|| format!("`{text}` is not NAME://host:port, for example PLAINTEXT://:9092"))?;
    let (host, port) = parse_host_port(address)?;
    Ok(Endpoint { name: name.to_ascii_uppercase().into(), host, port })
}

/// `host:port`, `[v6]:port` or `:port`.
pub fn parse_host_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("`{text}` has no port"))?;
    let port = port.parse().map_err(|_| format!("`{port}` is not a port"))?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok((host.to_owned(), port))
}
