//! A connector's `transforms`, in order.

use std::sync::Arc;

use weir_connect_api::{Config, ConfigProblem, ConnectError, Record, Transform, TransformPlugin};

/// The transforms of one task.
#[derive(Default)]
pub(crate) struct Chain {
    links: Vec<(String, Box<dyn Transform>)>,
}

impl Chain {
    /// Builds what `transforms` and `transforms.<alias>.…` describe; all problems at once.
    pub(crate) fn build(config: &Config, plugins: &[Arc<dyn TransformPlugin>]) -> Result<Self, Vec<ConfigProblem>> {
        let mut chain = Self::default();
        let mut problems = Vec::new();
        for alias in config.list("transforms") {
            match link(config, alias, plugins) {
                Ok(transform) => chain.links.push((alias.to_owned(), transform)),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(chain) } else { Err(problems) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// `Ok(false)` when a transform drops the record. An error names the transform.
    pub(crate) fn apply(&mut self, record: &mut Record) -> Result<bool, ConnectError> {
        for (alias, transform) in &mut self.links {
            let kept = transform
                .apply(record)
                .map_err(|error| ConnectError { message: format!("transform {alias}: {}", error.message), ..error })?;
            if !kept {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn link(
    config: &Config,
    alias: &str,
    plugins: &[Arc<dyn TransformPlugin>],
) -> Result<Box<dyn Transform>, Vec<ConfigProblem>> {
    let prefix = format!("transforms.{alias}.");
    let mut own = config.below(&prefix);
    let type_key = format!("{prefix}type");
    let Some(kind) = own.shift_remove("type") else {
        return Err(vec![ConfigProblem::new(type_key, "is required: which transform is it?")]);
    };
    let named = |plugin: &&Arc<dyn TransformPlugin>| plugin.name() == kind || plugin.aliases().contains(&kind.as_str());
    let Some(plugin) = plugins.iter().find(named) else {
        let near = weir_connect_api::config::nearest(&kind, plugins.iter().map(|plugin| plugin.name()));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(vec![ConfigProblem::new(type_key, format!("there is no transform `{kind}`{hint}"))]);
    };
    let prefixed = |problems: Vec<ConfigProblem>| -> Vec<ConfigProblem> {
        problems.into_iter().map(|p| ConfigProblem::new(format!("{prefix}{}", p.key), p.message)).collect()
    };
    let parsed = plugin.config_def().parse(&own).map_err(prefixed)?;
    plugin.build(&parsed).map_err(prefixed)
}
