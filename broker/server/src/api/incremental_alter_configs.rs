//! IncrementalAlterConfigs, v0..=1 (KIP-339): set, delete, append to or subtract from single settings.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::alter_configs::change;
use super::configs::{check_value, find_key, own_settings, resource};
use super::convert::text;
use super::error::{ErrorCodes, Failure};
use super::{Call, Context};
use crate::config::table::{ConfigKey, Kind};
use crate::config::value::elements;

/// Kafka's numbers for operations.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) async fn handle(
    cx: &Context,
    _call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for wanted in request.resources {
        let mut response = AlterConfigsResourceResponse::default()
            .with_resource_type(wanted.resource_type)
            .with_resource_name(wanted.resource_name.clone());
        if let Err(failure) = alter(cx, wanted, request.validate_only).await {
            response.error_code = failure.code();
            response.error_message = Some(text(&failure.message));
        }
        responses.push(response);
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

async fn alter(cx: &Context, wanted: AlterConfigsResource, validate_only: bool) -> Result<(), Failure> {
    let resource = resource(cx, wanted.resource_type, &wanted.resource_name)?;
    let mut operations = Vec::with_capacity(wanted.configs.len());
    for config in wanted.configs {
        operations.push((find_key(&resource, &config.name)?, config));
    }
    let apply = move |mut settings: BTreeMap<String, String>| {
        for (key, config) in &operations {
            apply(&mut settings, key, config)?;
        }
        Ok(settings)
    };
    if validate_only {
        return apply(own_settings(&cx.image(), &resource)).map(|_| ());
    }
    change(cx, resource, apply).await
}

fn apply(settings: &mut BTreeMap<String, String>, key: &ConfigKey, config: &AlterableConfig) -> Result<(), Failure> {
    let given = || {
        config
            .value
            .as_deref()
            .ok_or_else(|| Failure::new(ResponseError::InvalidRequest, format!("null value for config {}", key.name)))
    };
    // Lists are changed from what the key has now, or would have by default.
    let current = || settings.get(key.name).map(String::as_str).or(key.default).unwrap_or_default();
    let value = match config.config_operation {
        DELETE => {
            settings.remove(key.name);
            return Ok(());
        }
        SET => given()?.to_owned(),
        APPEND | SUBTRACT if key.kind != Kind::List => {
            let message = format!("config {} is not a list: append and subtract do not apply to it", key.name);
            return Err(Failure::new(ResponseError::InvalidConfig, message));
        }
        APPEND => {
            let mut list: Vec<&str> = elements(current()).collect();
            let added: Vec<&str> = elements(given()?).filter(|element| !list.contains(element)).collect();
            list.extend(added);
            list.join(",")
        }
        SUBTRACT => {
            let removed: Vec<&str> = elements(given()?).collect();
            elements(current()).filter(|element| !removed.contains(element)).collect::<Vec<_>>().join(",")
        }
        other => {
            return Err(Failure::new(ResponseError::InvalidRequest, format!("config operation {other} is unknown")));
        }
    };
    check_value(key, &value)?;
    settings.insert(key.name.to_owned(), value);
    Ok(())
}

impl ErrorCodes for IncrementalAlterConfigsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.responses.iter().map(|resource| resource.error_code)
    }
}
