//! What a connector makes of its checked configuration.

use super::{Config, ConfigProblem, problems_text};
use crate::error::ConnectError;

/// A connector's configuration, typed.
pub trait TypedConfig: Sized {
    /// Makes the checks that need more than one key, and reports all problems at once. Does no I/O.
    fn new(config: &Config) -> Result<Self, Vec<ConfigProblem>>;

    /// What is wrong, if anything is.
    fn problems(config: &Config) -> Vec<ConfigProblem> {
        Self::new(config).err().unwrap_or_default()
    }

    /// As the start of a task needs it: with all problems in one error.
    fn checked(config: &Config) -> Result<Self, ConnectError> {
        Self::new(config).map_err(|problems| ConnectError::fatal(problems_text(&problems)))
    }
}
