//! `OTEL_*`, as the OpenTelemetry specification names them. What the SDK and its exporter read by themselves (endpoints, headers, the
//! time limit, the sampler, the resource) is not read here.

use std::time::Duration;

const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const SAMPLERS: &str =
    "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio";
/// Where the specification has the receiver.
const ADDRESS: &str = "http://localhost:4318";
const PATH: &str = "v1/traces";
const PROTOCOL: &str = "http/protobuf";

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{name}={value} is not one of {choices}")]
    Choice { name: &'static str, value: String, choices: &'static str },
    #[error("{name}={value} is not a number above 0")]
    Number { name: &'static str, value: String },
    #[error("{name}={value} is not a ratio from 0 to 1")]
    Ratio { name: &'static str, value: String },
    #[error("traces cannot be sent: {0} (see OTEL_EXPORTER_OTLP_ENDPOINT)")]
    Exporter(String),
}

/// The specification's defaults, and its names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where spans go, for whoever reads the log: without user and password.
    pub(crate) address: String,
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
        // The SDK reads these itself, and takes its default for what it does not know.
        if let Some(value) = get(SAMPLER).filter(|value| !SAMPLERS.split(", ").any(|known| known == value)) {
            return Err(SettingsError::Choice { name: SAMPLER, value, choices: SAMPLERS });
        }
        if let Some(value) = get(SAMPLER_ARGUMENT)
            && get(SAMPLER).is_some_and(|sampler| sampler.ends_with("traceidratio"))
            && !value.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio))
        {
            return Err(SettingsError::Ratio { name: SAMPLER_ARGUMENT, value });
        }
        let number = |name: &'static str, default: usize| match get(name) {
            None => Ok(default),
            Some(value) => match value.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(SettingsError::Number { name, value }),
            },
        };
        Ok(Some(Self {
            address: address(get(ENDPOINTS[1]), get(ENDPOINTS[0]).as_deref()),
            queue_spans_max: number("OTEL_BSP_MAX_QUEUE_SIZE", 2048)?,
            batch_spans_max: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?,
            export_every: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", 5000)? as u64),
        }))
    }
}

/// As the exporter finds it.
fn address(of_traces: Option<String>, of_all: Option<&str>) -> String {
    let of_all = || format!("{}/{PATH}", of_all.unwrap_or(ADDRESS).trim_end_matches('/'));
    let address = of_traces.unwrap_or_else(of_all);
    let Some((scheme, rest)) = address.split_once("://") else { return address };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
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
        let error = read(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_TRACES_SAMPLER", "bogus")]).unwrap_err();
        assert!(error.starts_with("OTEL_TRACES_SAMPLER=bogus is not one of always_on, "), "{error}");
        let ratio = |argument| {
            let sampler = ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
            read(&[("OTEL_TRACES_EXPORTER", "otlp"), sampler, ("OTEL_TRACES_SAMPLER_ARG", argument)])
        };
        assert_eq!(ratio("10%").unwrap_err(), "OTEL_TRACES_SAMPLER_ARG=10% is not a ratio from 0 to 1");
        assert!(ratio("1.5").is_err() && ratio("0.01").is_ok());
    }

    #[test]
    fn the_address_is_known_and_no_password_with_it() {
        let address =
            |variable: (&str, &str)| read(&[("OTEL_TRACES_EXPORTER", "otlp"), variable]).unwrap().unwrap().address;
        assert_eq!(address(("", "")), "http://localhost:4318/v1/traces");
        let (all, traces) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        assert_eq!(address((all, "https://u:secret@c:4318/")), "https://c:4318/v1/traces");
        assert_eq!(address((traces, "http://c:4318/otlp/x")), "http://c:4318/otlp/x");
    }
}
