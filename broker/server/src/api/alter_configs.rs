//! AlterConfigs, v0..=2: the settings given replace all that the resource had of its own.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use weir_control::metadata::{ConfigResource, MetadataImage, MetadataRecord};

use super::configs::{check_value, find_key, own_settings, resource};
use super::convert::text;
use super::error::{ErrorCodes, Failure, change_failure};
use super::{Call, Context};

pub(super) async fn handle(cx: &Context, _call: &Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for wanted in &request.resources {
        let mut response = AlterConfigsResourceResponse::default()
            .with_resource_type(wanted.resource_type)
            .with_resource_name(wanted.resource_name.clone());
        if let Err(failure) = replace(cx, wanted, request.validate_only).await {
            response.error_code = failure.code();
            response.error_message = Some(text(&failure.message));
        }
        responses.push(response);
    }
    AlterConfigsResponse::default().with_responses(responses)
}

async fn replace(cx: &Context, wanted: &AlterConfigsResource, validate_only: bool) -> Result<(), Failure> {
    let resource = resource(cx, wanted.resource_type, &wanted.resource_name)?;
    let mut settings = BTreeMap::new();
    for config in &wanted.configs {
        let key = find_key(&resource, &config.name)?;
        let value = config.value.as_deref().ok_or_else(|| {
            Failure::new(ResponseError::InvalidRequest, format!("null value for config {}", key.name))
        })?;
        check_value(key, value)?;
        settings.insert(key.name.to_owned(), value.to_owned());
    }
    if validate_only {
        return Ok(());
    }
    change(cx, resource, move |_own| Ok(settings)).await
}

/// Changes a resource's own settings to what `alter` makes of them.
pub(super) async fn change(
    cx: &Context,
    resource: ConfigResource,
    alter: impl FnOnce(BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Failure> + Send + 'static,
) -> Result<(), Failure> {
    let decide = move |image: &MetadataImage| {
        if let ConfigResource::Topic(name) = &resource {
            // It may have been deleted since it was found.
            image.topic(name).ok_or_else(Failure::unknown_topic)?;
        }
        let before = own_settings(image, &resource);
        let after = alter(before.clone())?;
        let removed = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key, None));
        let set = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
        let records = removed.chain(set.map(|(key, value)| (key, Some(value)))).map(|(key, value)| {
            MetadataRecord::Config { resource: resource.clone(), key: key.clone(), value: value.cloned() }
        });
        Ok::<_, Failure>((records.collect(), ()))
    };
    cx.metadata.change(decide).await.map_err(|error| change_failure(&error, Clone::clone))
}

impl ErrorCodes for AlterConfigsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.responses.iter().map(|resource| resource.error_code)
    }
}
