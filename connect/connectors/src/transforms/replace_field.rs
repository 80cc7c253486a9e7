//! `rename`, `drop_field`, and Kafka's `ReplaceField$Value`, which is both.

use weir_connect_api::{Config, ConfigKey, ConfigProblem, ConfigType, ConnectError, Record, Transform};

use super::field::Field;
use super::{Plugin, object, pairs};

const KAFKA: &[&str] = &["org.apache.kafka.connect.transforms.ReplaceField$Value", "ReplaceField$Value"];

pub(super) fn plugins() -> Vec<Plugin> {
    let exclude = |name| ConfigKey::new(name, ConfigType::List, "The fields to take out.");
    let include = ConfigKey::new("include", ConfigType::List, "The only fields that stay; empty for all.").default("");
    let renames = |name| ConfigKey::new(name, ConfigType::List, "The fields to rename, as `old:new` pairs.");
    vec![
        Plugin::new("rename", &["rename_field"], vec![renames("fields").required().aliases(&["renames"])], |config| {
            Ok(Box::new(ReplaceField { renames: renamed(config, "fields")?, ..ReplaceField::default() }))
        }),
        Plugin::new(
            "drop_field",
            &["remove_field"],
            vec![exclude("fields").required().aliases(&["field", "exclude"])],
            |config| Ok(Box::new(ReplaceField { exclude: fields(config, "fields"), ..ReplaceField::default() })),
        ),
        Plugin::new(
            "replace_field",
            KAFKA,
            vec![
                exclude("exclude").default("").aliases(&["blacklist"]),
                include.aliases(&["whitelist"]),
                renames("renames").default(""),
            ],
            |config| {
                Ok(Box::new(ReplaceField {
                    exclude: fields(config, "exclude"),
                    include: config.list("include").into_iter().map(str::to_owned).collect(),
                    renames: renamed(config, "renames")?,
                }))
            },
        ),
    ]
}

#[derive(Default)]
struct ReplaceField {
    exclude: Vec<Field>,
    /// Names at the top; empty for all.
    include: Vec<String>,
    renames: Vec<(Field, Field)>,
}

fn fields(config: &Config, key: &str) -> Vec<Field> {
    config.list(key).into_iter().map(Field::new).collect()
}

fn renamed(config: &Config, key: &str) -> Result<Vec<(Field, Field)>, Vec<ConfigProblem>> {
    Ok(pairs(key, config)?.iter().map(|(from, to)| (Field::new(from), Field::new(to))).collect())
}

impl Transform for ReplaceField {
    fn apply(&mut self, record: &mut Record) -> Result<bool, ConnectError> {
        let object = object(record)?;
        if !self.include.is_empty() {
            object.retain(|name, _| self.include.contains(name));
        }
        for field in &self.exclude {
            field.remove(object);
        }
        // All are taken before any is put, so that two names can change places.
        let taken: Vec<_> = self.renames.iter().map(|(from, _)| from.remove(object)).collect();
        for ((_, to), value) in self.renames.iter().zip(taken) {
            if let Some(value) = value {
                to.set(object, value);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{object_of, problem_of, run};

    #[test]
    fn fields_are_renamed_also_in_exchange() {
        let value =
            run("rename", &[("fields", "a:b, b:a, x:y.z, missing:m")], object_of(json!({"a": 1, "b": 2, "x": 3})));
        assert_eq!(value, Some(json!({"a": 2, "b": 1, "y": {"z": 3}})));
        assert_eq!(problem_of("rename", &[("fields", "a")]), "fields: `a` is not of the form name:value");
    }

    #[test]
    fn fields_are_dropped_and_the_others_keep_their_order() {
        let value = run(
            "drop_field",
            &[("fields", "b,c.d")],
            object_of(json!({"a": 1, "b": 2, "c": {"d": 1, "e": 2}, "f": 3})),
        );
        assert_eq!(value.unwrap().to_string(), r#"{"a":1,"c":{"e":2},"f":3}"#);
    }

    #[test]
    fn kafkas_replace_field_includes_excludes_and_renames() {
        let keys = [("include", "a,b"), ("exclude", "b"), ("renames", "a:z")];
        let value = run("ReplaceField$Value", &keys, object_of(json!({"a": 1, "b": 2, "c": 3})));
        assert_eq!(value, Some(json!({"z": 1})));
    }
}
