//! `mask_field`: hides what fields hold, as Kafka's `MaskField$Value` does.

use serde_json::{Map, Value as Json};
use weir_connect_api::{Config, ConfigKey, ConfigProblem, ConfigType, ConnectError, Record, Transform};

use super::field::Field;
use super::{Plugin, object};

pub(super) fn plugin() -> Plugin {
    let keys = vec![
        ConfigKey::new("fields", ConfigType::List, "The fields to mask; those that a record lacks are passed over.")
            .required()
            .aliases(&["field"]),
        ConfigKey::new(
            "replacement",
            ConfigType::String,
            "What stands in their place; without it an empty value of the same type.",
        ),
        ConfigKey::new(
            "keep.last",
            ConfigType::Int,
            "How many characters at a text's end stay readable, behind one `*` for each of the others.",
        )
        .default("0")
        .range(0, 1000),
    ];
    Plugin::new(
        "mask_field",
        &["org.apache.kafka.connect.transforms.MaskField$Value", "MaskField$Value", "mask"],
        keys,
        build,
    )
}

struct MaskField {
    fields: Vec<Field>,
    replacement: Option<String>,
    keep_last: usize,
}

fn build(config: &Config) -> Result<Box<dyn Transform>, Vec<ConfigProblem>> {
    Ok(Box::new(MaskField {
        fields: config.list("fields").into_iter().map(Field::new).collect(),
        replacement: config.opt_str("replacement").map(str::to_owned),
        keep_last: config.usize("keep.last"),
    }))
}

impl Transform for MaskField {
    fn apply(&mut self, record: &mut Record) -> Result<bool, ConnectError> {
        let object = object(record)?;
        for field in &self.fields {
            if let Some(value) = field.get_mut(object) {
                *value = self.masked(value);
            }
        }
        Ok(true)
    }
}

impl MaskField {
    fn masked(&self, value: &Json) -> Json {
        match value {
            Json::String(text) if self.keep_last > 0 => {
                let hidden = text.chars().count().saturating_sub(self.keep_last);
                let kept = text.chars().skip(hidden);
                // A text no longer than what would stay readable is hidden whole.
                if hidden == 0 {
                    "*".repeat(text.chars().count()).into()
                } else {
                    "*".repeat(hidden).chars().chain(kept).collect::<String>().into()
                }
            }
            Json::String(_) => self.replacement.clone().unwrap_or_default().into(),
            Json::Number(_) => match &self.replacement {
                Some(text) => text.parse::<serde_json::Number>().map_or_else(|_| text.clone().into(), Json::Number),
                None => 0.into(),
            },
            Json::Bool(_) => false.into(),
            Json::Null => Json::Null,
            Json::Array(_) => Json::Array(Vec::new()),
            Json::Object(_) => Json::Object(Map::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{object_of, run};

    #[test]
    fn fields_are_emptied_replaced_or_kept_in_part() {
        let value = json!({"card": "4111111111111111", "amount": 7, "user": {"mail": "a@b.c"}, "name": "Ann"});
        let emptied = run("MaskField$Value", &[("fields", "card, amount,user.mail,missing")], object_of(value.clone()));
        assert_eq!(emptied, Some(json!({"card": "", "amount": 0, "user": {"mail": ""}, "name": "Ann"})));
        let replaced = run("mask_field", &[("fields", "card,amount"), ("replacement", "1")], object_of(value.clone()));
        assert_eq!(replaced.map(|v| (v["card"].clone(), v["amount"].clone())), Some((json!("1"), json!(1))));
        let kept = run("mask_field", &[("fields", "card,name"), ("keep.last", "4")], object_of(value)).unwrap();
        assert_eq!((kept["card"].as_str(), kept["name"].as_str()), (Some("************1111"), Some("***")));
    }
}
