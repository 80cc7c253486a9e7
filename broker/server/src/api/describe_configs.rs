//! DescribeConfigs, v1..=4: every known key with its value, source, synonyms and doc.
//!
//! v1: sources and synonyms (KIP-226). v3: types and documentation (KIP-569).

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::configs::{BROKER, Described, describe, resource, source_code};
use super::convert::text;
use super::error::ErrorCodes;
use super::{Call, Context};
use crate::config::table::{Kind, Update};

const TYPE_VERSION_MIN: i16 = 3;

pub(super) async fn handle(cx: &Context, call: &Call, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let shown = Shown {
        synonyms: request.include_synonyms,
        types: call.version >= TYPE_VERSION_MIN,
        documentation: call.version >= TYPE_VERSION_MIN && request.include_documentation,
    };
    let results = request.resources.iter().map(|wanted| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(wanted.resource_type)
            .with_resource_name(wanted.resource_name.clone());
        match resource(cx, wanted.resource_type, &wanted.resource_name) {
            Ok(resource) => {
                let configs = describe(cx, &resource).into_iter().filter(|config| is_wanted(wanted, config));
                result.with_configs(configs.map(|config| shown.show(wanted.resource_type, &config)).collect())
            }
            Err(failure) => result.with_error_code(failure.code()).with_error_message(Some(text(&failure.message))),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn is_wanted(wanted: &DescribeConfigsResource, config: &Described) -> bool {
    let keys = wanted.configuration_keys.as_ref();
    keys.is_none_or(|keys| keys.iter().any(|key| **key == *config.key.name))
}

/// Which parts of an answer were asked for.
struct Shown {
    synonyms: bool,
    types: bool,
    documentation: bool,
}

impl Shown {
    fn show(&self, resource_type: i8, config: &Described) -> DescribeConfigsResourceResult {
        let key = config.key;
        let mut shown = DescribeConfigsResourceResult::default()
            .with_name(text(key.name))
            .with_value(config.value.as_deref().map(text))
            .with_read_only(resource_type == BROKER && key.update == Update::ReadOnly)
            .with_config_source(config.source_code())
            .with_is_sensitive(key.is_sensitive());
        if self.synonyms {
            let synonyms = config.found.iter().map(|found| {
                DescribeConfigsSynonym::default()
                    .with_name(text(found.name))
                    .with_value((!key.is_sensitive()).then(|| text(&found.value)))
                    .with_source(source_code(found.source))
            });
            shown.synonyms = synonyms.collect();
        }
        if self.types {
            shown.config_type = type_code(key.kind);
        }
        if self.documentation {
            shown.documentation = Some(text(key.doc));
        }
        shown
    }
}

/// Kafka's numbers for kinds of values.
fn type_code(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::String => 2,
        Kind::Int => 3,
        Kind::Short => 4,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
        Kind::Class => 8,
        Kind::Password => 9,
    }
}

impl ErrorCodes for DescribeConfigsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.results.iter().map(|result| result.error_code)
    }
}
