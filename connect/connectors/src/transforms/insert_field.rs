//! `insert_field`: adds a constant, the topic, the time, or the host's name, as Kafka's `InsertField$Value` does.

use serde_json::Value as Json;
use weir_connect_api::{Config, ConfigKey, ConfigProblem, ConfigType, ConnectError, Record, Transform};

use super::field::Field;
use super::{Plugin, object, problem};

pub(super) fn plugin() -> Plugin {
    let field = |name, doc| ConfigKey::new(name, ConfigType::String, doc);
    let keys = vec![
        field("static.field", "The field that gets `static.value`.").aliases(&["field"]),
        field("static.value", "A constant text.").aliases(&["value"]),
        field("topic.field", "The field that gets the topic's name."),
        field("timestamp.field", "The field that gets the record's time in milliseconds; left out while it has none."),
        field("host.field", "The field that gets this machine's name."),
        field("header.field", "The field that gets the value of the header `header`."),
        field("header", "The header's name."),
    ];
    let aliases = &["org.apache.kafka.connect.transforms.InsertField$Value", "InsertField$Value", "add_field"];
    Plugin::new("insert_field", aliases, keys, build)
}

enum Source {
    Constant(Json),
    Topic,
    Timestamp,
    Header(String),
}

struct InsertField {
    inserts: Vec<(Field, Source)>,
}

fn build(config: &Config) -> Result<Box<dyn Transform>, Vec<ConfigProblem>> {
    let field = |key: &str| config.opt_str(key).map(Field::new);
    let mut inserts = Vec::new();
    match (field("static.field"), config.opt_str("static.value")) {
        (Some(field), Some(value)) => inserts.push((field, Source::Constant(value.into()))),
        (None, None) => {}
        (Some(_), None) => return Err(problem("static.value", "is needed with static.field")),
        (None, Some(_)) => return Err(problem("static.field", "is needed with static.value")),
    }
    inserts.extend(field("topic.field").map(|field| (field, Source::Topic)));
    inserts.extend(field("timestamp.field").map(|field| (field, Source::Timestamp)));
    if let Some(field) = field("host.field") {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        inserts.push((field, Source::Constant(host.into())));
    }
    if let Some(field) = field("header.field") {
        let name = config.opt_str("header").ok_or_else(|| problem("header", "is needed with header.field"))?;
        inserts.push((field, Source::Header(name.to_owned())));
    }
    if inserts.is_empty() {
        return Err(problem("static.field", "nothing to insert: set this, or one of the other …field keys"));
    }
    Ok(Box::new(InsertField { inserts }))
}

impl Transform for InsertField {
    fn apply(&mut self, record: &mut Record) -> Result<bool, ConnectError> {
        let values: Vec<Option<Json>> = self.inserts.iter().map(|(_, source)| source.value(record)).collect();
        let object = object(record)?;
        for ((field, _), value) in self.inserts.iter().zip(values) {
            if let Some(value) = value {
                field.set(object, value);
            }
        }
        Ok(true)
    }
}

impl Source {
    fn value(&self, record: &Record) -> Option<Json> {
        match self {
            Self::Constant(value) => Some(value.clone()),
            Self::Topic => record.topic.as_deref().map(Json::from),
            Self::Timestamp => record.timestamp_ms.map(Json::from),
            Self::Header(name) => {
                let header = record.headers.iter().find(|header| *header.key == **name)?;
                Some(String::from_utf8_lossy(header.value.as_ref()?).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_connect_api::Record;

    use super::super::tests::{object_of, problem_of, run};

    #[test]
    fn constants_topic_and_time_are_inserted() {
        let record = Record { topic: Some("logs".into()), timestamp_ms: Some(5), ..object_of(json!({"a": 1})) };
        let keys =
            [("static.field", "env.name"), ("static.value", "prod"), ("topic.field", "t"), ("timestamp.field", "ts")];
        let value = run("InsertField$Value", &keys, record);
        assert_eq!(value, Some(json!({"a": 1, "env": {"name": "prod"}, "t": "logs", "ts": 5})));
    }

    #[test]
    fn half_of_a_constant_is_a_problem() {
        assert_eq!(problem_of("insert_field", &[("static.field", "a")]), "static.value: is needed with static.field");
    }
}
