//! `filter`: drops records for which a condition holds, or keeps only those.

use weir_connect_api::{Config, ConfigDef, ConfigKey, ConfigProblem, ConfigType, ConnectError, Record, Transform};

use super::expression::Expression;
use super::{Plugin, json, problem};

pub(super) const NAME: &str = "filter";

pub(super) fn plugin() -> Plugin {
    let keys = vec![
        ConfigKey::new("if", ConfigType::String, "The condition, as in `status == 200 && path == \"/healthz\"`.")
            .required()
            .aliases(&["condition"]),
        ConfigKey::new("keep", ConfigType::Boolean, "Keep the records for which it holds and drop the others.")
            .default("false"),
    ];
    let aliases = &["drop", "org.apache.kafka.connect.transforms.Filter"];
    Plugin { name: NAME, aliases, definition: ConfigDef::new(keys), build }
}

struct Filter {
    condition: Expression,
    keeps_matching: bool,
}

fn build(config: &Config) -> Result<Box<dyn Transform>, Vec<ConfigProblem>> {
    let condition = Expression::parse(config.str("if")).map_err(|e| problem("if", e))?;
    Ok(Box::new(Filter { condition, keeps_matching: config.bool("keep") }))
}

impl Transform for Filter {
    fn apply(&mut self, record: &mut Record) -> Result<bool, ConnectError> {
        Ok(self.condition.is_true(json(record)?) == self.keeps_matching)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{object_of, problem_of, run};

    #[test]
    fn matching_records_are_dropped_or_kept_alone() {
        let (hit, miss) = (json!({"status": 500}), json!({"status": 200}));
        let drop = [("if", "status >= 500")];
        assert_eq!(run("filter", &drop, object_of(hit.clone())), None);
        assert_eq!(run("filter", &drop, object_of(miss.clone())), Some(miss.clone()));
        let keep = [("if", "status >= 500"), ("keep", "true")];
        assert_eq!(run("filter", &keep, object_of(hit.clone())), Some(hit));
        assert_eq!(run("filter", &keep, object_of(miss)), None);
    }

    #[test]
    fn a_bad_condition_is_named_with_its_place() {
        let problem = problem_of("filter", &[("if", "status = 200")]);
        assert_eq!(problem, "if: at character 8: a single = compares nothing: write ==");
    }
}
