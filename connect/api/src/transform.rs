//! Transforms: one record in, one or none out.

use crate::config::{Config, ConfigDef, ConfigProblem};
use crate::error::ConnectError;
use crate::record::Record;

/// Synchronous and quick: runs inline for every record. Errors are of class
/// [`Record`](crate::error::ErrorClass::Record) and leave it to `errors.tolerance` what becomes of the record, which
/// is why `record` is changed in place and must be left usable.
pub trait Transform: Send {
    /// `Ok(false)` drops the record.
    fn apply(&mut self, record: &mut Record) -> Result<bool, ConnectError>;
}

/// A kind of transform, by the name that YAML and REST use for it.
pub trait TransformPlugin: Send + Sync {
    /// `mask_field`.
    fn name(&self) -> &'static str;
    /// Other names people use, Kafka's class names among them.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }
    fn config_def(&self) -> &ConfigDef;
    /// `config` holds the transform's own keys, without `transforms.<alias>.`.
    fn build(&self, config: &Config) -> Result<Box<dyn Transform>, Vec<ConfigProblem>>;
}
