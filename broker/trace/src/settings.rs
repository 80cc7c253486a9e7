//! `OTEL_*`, as the OpenTelemetry specification names them. What the SDK and its exporter read by themselves (endpoints, headers, the
//! time limit, the sampler, the resource) is not read here.

use std::time::Duration;

const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const PROTOCOL: &str = "http/protobuf";

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{name}={value} is not one of {choices}")]
    Choice { name: &'static str, value: String, choices: &'static str },
    #[error("{name}={value} is not a number above 0")]
    Number { name: &'static str, value: String },
    #[error("traces cannot be sent: {0} (see OTEL_EXPORTER_OTLP_ENDPOINT)")]
    Exporter(String),
}

/// The specification's defaults, and its names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `OTEL_BSP_MAX_QUEUE_SIZE`
    pub(crate) queue_spans_max: usize,
    /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`
    pub(crate) batch_spans_max: usize,
    /// `OTEL_BSP_SCHEDULE_DELAY`, in milliseconds
    pub(crate) export_every: Duration,
}

impl Settings {
    /// `None` where nothing says that traces are wanted.
    pub(crate) fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingsError> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        if get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let has_endpoint = ENDPOINTS.iter().any(|name| get(name).is_some());
        match get(EXPORTER).as_deref() {
            Some("otlp") => {}
            None if has_endpoint => {}
            None | Some("none") => return Ok(None),
            Some(other) => {
                return Err(SettingsError::Choice { name: EXPORTER, value: other.to_owned(), choices: "otlp, none" });
            }
        }
        for name in PROTOCOLS {
            if let Some(value) = get(name).filter(|value| value != PROTOCOL) {
                return Err(SettingsError::Choice { name, value, choices: PROTOCOL });
            }
        }
        let number = |name: &'static str, default: usize| match get(name) {
            None => Ok(default),
            Some(value) => match value.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(SettingsError::Number { name, value }),
            },
        };
        Ok(Some(Self {
            queue_spans_max: number("OTEL_BSP_MAX_QUEUE_SIZE", 2048)?,
            batch_spans_max: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?,
            export_every: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", 5000)? as u64),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let get = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        Settings::from_env(get).map_err(|error| error.to_string())
    }

    #[test]
    fn traces_are_off_until_an_exporter_or_an_endpoint_is_named() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
        let off = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_TRACES_EXPORTER", "none")];
        assert_eq!(read(&off), Ok(None));
        let off = [("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_SDK_DISABLED", "true")];
        assert_eq!(read(&off), Ok(None));
        let on = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/v1/traces")]).unwrap().unwrap();
        assert_eq!((on.queue_spans_max, on.batch_spans_max, on.export_every.as_secs()), (2048, 512, 5));
        assert!(read(&[("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().is_some());
    }

    #[test]
    fn what_cannot_be_is_said() {
        let error = read(&[("OTEL_TRACES_EXPORTER", "jaeger")]).unwrap_err();
        assert_eq!(error, "OTEL_TRACES_EXPORTER=jaeger is not one of otlp, none");
        let error = read(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert_eq!(error, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not one of http/protobuf");
        let error = read(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_BSP_MAX_QUEUE_SIZE", "0")]).unwrap_err();
        assert_eq!(error, "OTEL_BSP_MAX_QUEUE_SIZE=0 is not a number above 0");
    }
}
