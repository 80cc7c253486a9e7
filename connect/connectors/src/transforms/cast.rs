//! `cast`: gives fields another type, as Kafka's `Cast$Value` does.

use serde_json::Value as Json;
use weir_connect_api::{Config, ConfigKey, ConfigProblem, ConfigType, ConnectError, Record, Transform};

use super::field::{Field, Type, kind};
use super::{Plugin, object, pairs, problem};

pub(super) fn plugin() -> Plugin {
    let keys = vec![
        ConfigKey::new(
            "spec",
            ConfigType::List,
            "Fields and their types, as in `status:int, took:float, ok:boolean, id:string`.",
        )
        .required()
        .aliases(&["fields", "types"]),
    ];
    Plugin::new("cast", &["org.apache.kafka.connect.transforms.Cast$Value", "Cast$Value"], keys, build)
}

struct Cast {
    fields: Vec<(Field, Type)>,
}

/// Reads `name:type` pairs.
pub(super) fn typed_fields(key: &str, config: &Config) -> Result<Vec<(Field, Type)>, Vec<ConfigProblem>> {
    let typed = pairs(key, config)?.into_iter().map(|(name, text)| {
        let unknown = || problem(key, format!("`{text}` is not a type: use int, float, boolean or string"));
        Ok((Field::new(&name), Type::named(&text).ok_or_else(unknown)?))
    });
    typed.collect()
}

fn build(config: &Config) -> Result<Box<dyn Transform>, Vec<ConfigProblem>> {
    Ok(Box::new(Cast { fields: typed_fields("spec", config)? }))
}

impl Transform for Cast {
    fn apply(&mut self, record: &mut Record) -> Result<bool, ConnectError> {
        let object = object(record)?;
        for (field, to) in &self.fields {
            let Some(value) = field.get_mut(object).filter(|value| !value.is_null()) else { continue };
            let cast = cast(value, *to);
            *value = cast.ok_or_else(|| {
                let message = format!("field {}, {}, is not {to:?}", field.name(), kind(value));
                ConnectError::record(message).quoting(value.to_string())
            })?;
        }
        Ok(true)
    }
}

fn cast(value: &Json, to: Type) -> Option<Json> {
    match (value, to) {
        (Json::String(text), _) => to.read(text),
        (Json::Number(number), Type::Int) => match number.as_i64() {
            Some(whole) => Some(whole.into()),
            // Kafka's cast cuts the fraction off.
            None => number.as_f64().filter(|f| f.abs() < 9e15).map(|f| (f.trunc() as i64).into()),
        },
        (Json::Number(number), Type::Boolean) => number.as_f64().map(|f| (f != 0.0).into()),
        (Json::Number(number), Type::Float) => number.as_f64().and_then(serde_json::Number::from_f64).map(Json::Number),
        (Json::Bool(flag), Type::Int) => Some(i64::from(*flag).into()),
        (Json::Bool(_), Type::Boolean) => Some(value.clone()),
        (Json::Number(_) | Json::Bool(_), Type::String) => Some(value.to_string().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{build, object_of, problem_of, run};

    #[test]
    fn fields_get_the_types_asked_for() {
        let value = json!({"a": "7", "b": "1.5", "c": "true", "d": 9, "e": 2.9, "f": null});
        let cast = run("Cast$Value", &[("spec", "a:int32,b:float64,c:boolean,d:string,e:int,f:int")], object_of(value));
        assert_eq!(cast, Some(json!({"a": 7, "b": 1.5, "c": true, "d": "9", "e": 2, "f": null})));
    }

    #[test]
    fn a_value_that_is_not_of_the_type_is_an_error_of_the_record() {
        let mut record = object_of(json!({"a": "x"}));
        let error = build("cast", &[("spec", "a:int")]).unwrap().apply(&mut record).unwrap_err();
        assert_eq!(error.message, "field a, a string, is not Int");
        assert_eq!(error.quote.as_deref(), Some("\"x\""));
        assert!(problem_of("cast", &[("spec", "a:uuid")]).contains("`uuid` is not a type"));
    }
}
