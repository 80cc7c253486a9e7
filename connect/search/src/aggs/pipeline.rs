//! Aggregations over finished buckets: moving functions, derivatives, sums, arithmetic.
//!
//! Where a bucket has no value it is left out (`gap_policy: skip`).

use serde_json::{Map, Value, json};

use super::plan::as_number;
use super::script::Script;
use super::{AggError, malformed};

const WINDOW_DEFAULT: usize = 5;
/// Buckets that a window or a lag may span.
const WINDOW_MAX: usize = 10_000;

#[derive(Debug, Clone)]
pub(crate) enum Pipeline {
    Moving { path: String, window: usize, function: Moving },
    Derivative { path: String },
    CumulativeSum { path: String },
    SerialDiff { path: String, lag: usize },
    BucketScript { paths: Vec<(String, String)>, script: Script },
}

/// What is computed of the values before a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Moving {
    Average,
    Linear,
    Ewma { alpha: f64 },
    Holt { alpha: f64, beta: f64 },
    Max,
    Min,
    Sum,
    StandardDeviation,
}

/// `None` when the type is no pipeline.
pub(crate) fn parse(name: &str, kind: &str, request: &Value) -> Result<Option<Pipeline>, AggError> {
    let path = || {
        let path = request.get("buckets_path").and_then(Value::as_str);
        path.map(str::to_owned).ok_or_else(|| malformed(name, "needs a [buckets_path]"))
    };
    let count = |key: &str, default: usize| {
        let count = request.get(key).and_then(as_number).map_or(default as f64, f64::trunc);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let count = count.clamp(1.0, WINDOW_MAX as f64) as usize;
        count
    };
    Ok(Some(match kind {
        "moving_avg" => {
            let function = moving_model(name, request)?;
            Pipeline::Moving { path: path()?, window: count("window", WINDOW_DEFAULT), function }
        }
        "moving_fn" => {
            let function = moving_function(name, request)?;
            Pipeline::Moving { path: path()?, window: count("window", WINDOW_DEFAULT), function }
        }
        "derivative" => Pipeline::Derivative { path: path()? },
        "cumulative_sum" => Pipeline::CumulativeSum { path: path()? },
        "serial_diff" => Pipeline::SerialDiff { path: path()?, lag: count("lag", 1) },
        "bucket_script" => bucket_script(name, request)?,
        _ => return Ok(None),
    }))
}

fn moving_model(name: &str, request: &Value) -> Result<Moving, AggError> {
    let setting = |key: &str, default: f64| {
        request.get("settings").and_then(|settings| settings.get(key)).and_then(as_number).unwrap_or(default)
    };
    match request.get("model").and_then(Value::as_str).unwrap_or("simple") {
        "simple" => Ok(Moving::Average),
        "linear" => Ok(Moving::Linear),
        "ewma" => Ok(Moving::Ewma { alpha: setting("alpha", 0.3) }),
        "holt" => Ok(Moving::Holt { alpha: setting("alpha", 0.3), beta: setting("beta", 0.1) }),
        other => Err(malformed(name, format!("the model [{other}] is not known: simple, linear, ewma, holt are"))),
    }
}

fn moving_function(name: &str, request: &Value) -> Result<Moving, AggError> {
    let script = request.get("script").map(|script| script.get("source").unwrap_or(script)).and_then(Value::as_str);
    let script = script.unwrap_or("MovingFunctions.unweightedAvg(values)").replace(' ', "");
    let call = script.strip_prefix("MovingFunctions.").and_then(|call| call.strip_suffix(')')?.split_once('('));
    let (function, arguments) = call.unwrap_or((&script, ""));
    let numbers: Vec<f64> = arguments.split(',').skip(1).filter_map(|number| number.parse().ok()).collect();
    let number = |index: usize, default: f64| numbers.get(index).copied().unwrap_or(default);
    match function {
        "unweightedAvg" => Ok(Moving::Average),
        "linearWeightedAvg" => Ok(Moving::Linear),
        "ewma" => Ok(Moving::Ewma { alpha: number(0, 0.3) }),
        "holt" => Ok(Moving::Holt { alpha: number(0, 0.3), beta: number(1, 0.1) }),
        "max" => Ok(Moving::Max),
        "min" => Ok(Moving::Min),
        "sum" => Ok(Moving::Sum),
        "stdDev" => Ok(Moving::StandardDeviation),
        _ => Err(malformed(
            name,
            format!(
                "the script [{script}] is not known: MovingFunctions.unweightedAvg, linearWeightedAvg, ewma, holt, max, min, sum, stdDev are"
            ),
        )),
    }
}

fn bucket_script(name: &str, request: &Value) -> Result<Pipeline, AggError> {
    let paths = request.get("buckets_path").and_then(Value::as_object);
    let paths = paths.ok_or_else(|| malformed(name, "needs a [buckets_path] with a path for each variable"))?;
    let paths =
        paths.iter().filter_map(|(variable, path)| Some((variable.clone(), path.as_str()?.to_owned()))).collect();
    let script = request.get("script").map(|script| script.get("source").unwrap_or(script)).and_then(Value::as_str);
    let script = Script::parse(script.unwrap_or_default()).map_err(|error| malformed(name, error.to_string()))?;
    Ok(Pipeline::BucketScript { paths, script })
}

/// Adds the pipeline's value to each bucket that has one.
pub(crate) fn apply(name: &str, pipeline: &Pipeline, buckets: &mut [Map<String, Value>]) {
    let values: Vec<Option<f64>> = match pipeline {
        Pipeline::Moving { path, window, function } => moving(&series(buckets, path), *window, *function),
        Pipeline::Derivative { path } => differences(&series(buckets, path), 1),
        Pipeline::SerialDiff { path, lag } => differences(&series(buckets, path), *lag),
        Pipeline::CumulativeSum { path } => {
            let mut sum = 0.0;
            let mut add = |value: &Option<f64>| {
                sum += value.unwrap_or(0.0);
                Some(sum)
            };
            series(buckets, path).iter().map(&mut add).collect()
        }
        Pipeline::BucketScript { paths, script } => {
            buckets.iter().map(|bucket| evaluate(bucket, paths, script)).collect()
        }
    };
    for (bucket, value) in buckets.iter_mut().zip(values) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            bucket.insert(name.to_owned(), json!({ "value": value }));
        }
    }
}

fn series(buckets: &[Map<String, Value>], path: &str) -> Vec<Option<f64>> {
    buckets.iter().map(|bucket| metric(bucket, path)).collect()
}

fn evaluate(bucket: &Map<String, Value>, paths: &[(String, String)], script: &Script) -> Option<f64> {
    let mut variables = Vec::with_capacity(paths.len());
    for (variable, path) in paths {
        variables.push((variable.as_str(), metric(bucket, path)?));
    }
    script.evaluate(&variables)
}

fn differences(values: &[Option<f64>], lag: usize) -> Vec<Option<f64>> {
    (0..values.len()).map(|index| Some(values[index]? - values[index.checked_sub(lag)?]?)).collect()
}

/// Of the last `window` values before each bucket; none before the first.
fn moving(values: &[Option<f64>], window: usize, function: Moving) -> Vec<Option<f64>> {
    let mut known: Vec<f64> = Vec::with_capacity(values.len());
    let mut results = Vec::with_capacity(values.len());
    for value in values {
        let before = &known[known.len().saturating_sub(window)..];
        results.push(value.filter(|_| !before.is_empty()).map(|_| function.of(before)));
        known.extend(value);
    }
    results
}

impl Moving {
    #[expect(clippy::cast_precision_loss, reason = "windows are short")]
    fn of(self, values: &[f64]) -> f64 {
        let count = values.len() as f64;
        let sum = || values.iter().sum::<f64>();
        match self {
            Self::Average => sum() / count,
            Self::Sum => sum(),
            Self::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::StandardDeviation => {
                let average = sum() / count;
                (values.iter().map(|value| (value - average).powi(2)).sum::<f64>() / count).sqrt()
            }
            Self::Linear => {
                let weighted: f64 = values.iter().enumerate().map(|(index, value)| (index + 1) as f64 * value).sum();
                weighted / (count * (count + 1.0) / 2.0)
            }
            Self::Ewma { alpha } => values
                .iter()
                .copied()
                .reduce(|average, value| alpha * value + (1.0 - alpha) * average)
                .unwrap_or(f64::NAN),
            Self::Holt { alpha, beta } => holt(values, alpha, beta),
        }
    }
}

/// Level and trend, smoothed; the forecast of the next value.
fn holt(values: &[f64], alpha: f64, beta: f64) -> f64 {
    let [first, rest @ ..] = values else { return f64::NAN };
    let (mut level, mut trend) = (*first, rest.first().map_or(0.0, |second| second - first));
    for value in rest {
        let last = level;
        level = alpha * value + (1.0 - alpha) * (level + trend);
        trend = beta * (level - last) + (1.0 - beta) * trend;
    }
    level + trend
}

/// Whether a path such as `1`, `1[95.0]` or `1.avg` begins at the aggregation `name`.
pub(crate) fn names(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
}

/// The number that a path means in a finished bucket.
pub(crate) fn metric(bucket: &Map<String, Value>, path: &str) -> Option<f64> {
    match path {
        "_count" => return bucket.get("doc_count")?.as_f64(),
        "_key" => return bucket.get("key")?.as_f64(),
        _ => {}
    }
    let (name, rest) = bucket.iter().find_map(|(name, _)| names(path, name).then(|| (name, &path[name.len()..])))?;
    let metric = &bucket[name];
    let property = rest.trim_start_matches(['[', '.']).trim_end_matches(']');
    if property.is_empty() || property == "value" {
        return metric.get("value")?.as_f64();
    }
    if let Some(value) = metric.get(property) {
        return value.as_f64();
    }
    let wanted: f64 = property.parse().ok()?;
    let percentiles = metric.get("values")?.as_object()?;
    percentiles.iter().find(|(percent, _)| percent.parse() == Ok(wanted))?.1.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(values: &[Option<f64>]) -> Vec<Map<String, Value>> {
        let bucket = |value: &Option<f64>| json!({"doc_count":2,"1":{"value":value}}).as_object().unwrap().clone();
        values.iter().map(bucket).collect()
    }

    fn run(kind: &str, request: &Value, values: &[Option<f64>]) -> Vec<Option<f64>> {
        let pipeline = parse("p", kind, request).unwrap().unwrap();
        let mut buckets = buckets(values);
        apply("p", &pipeline, &mut buckets);
        buckets.iter().map(|bucket| bucket.get("p").map(|p| p["value"].as_f64().unwrap())).collect()
    }

    const VALUES: [Option<f64>; 4] = [Some(1.0), Some(3.0), None, Some(6.0)];

    #[test]
    fn derivatives_and_differences_skip_gaps() {
        assert_eq!(run("derivative", &json!({"buckets_path":"1"}), &VALUES), [None, Some(2.0), None, None]);
        assert_eq!(run("serial_diff", &json!({"buckets_path":"1","lag":"2"}), &VALUES), [None, None, None, Some(3.0)]);
        assert_eq!(
            run("cumulative_sum", &json!({"buckets_path":"1"}), &VALUES),
            [Some(1.0), Some(4.0), Some(4.0), Some(10.0)]
        );
    }

    #[test]
    fn moving_averages_look_at_what_came_before() {
        let request = json!({"buckets_path":"1","window":2,"model":"simple"});
        assert_eq!(run("moving_avg", &request, &VALUES), [None, Some(1.0), None, Some(2.0)]);
        let request = json!({"buckets_path":"1","window":"5","script":"MovingFunctions.max(values)"});
        assert_eq!(run("moving_fn", &request, &VALUES), [None, Some(1.0), None, Some(3.0)]);
        assert_eq!(Moving::Linear.of(&[1.0, 4.0]), 3.0);
        assert_eq!(Moving::Ewma { alpha: 0.5 }.of(&[1.0, 3.0]), 2.0);
        assert_eq!(Moving::Holt { alpha: 1.0, beta: 1.0 }.of(&[1.0, 2.0, 3.0]), 4.0);
    }

    #[test]
    fn a_bucket_script_computes_with_its_variables() {
        let request = json!({"buckets_path":{"a":"1","n":"_count"},"script":"params.a * 10 / params.n"});
        assert_eq!(run("bucket_script", &request, &VALUES), [Some(5.0), Some(15.0), None, Some(30.0)]);
    }

    #[test]
    fn paths_reach_into_metrics_with_several_numbers() {
        let bucket = json!({"1":{"values":{"95.0":7.0}},"2":{"std_deviation":2.0},"11":{"value":3.0},"doc_count":4});
        let bucket = bucket.as_object().unwrap();
        assert_eq!(metric(bucket, "1[95]"), Some(7.0));
        assert_eq!(metric(bucket, "1.95.0"), Some(7.0));
        assert_eq!(metric(bucket, "2[std_deviation]"), Some(2.0));
        assert_eq!(metric(bucket, "11"), Some(3.0));
        assert_eq!(metric(bucket, "3"), None);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(parse("p", "moving_avg", &json!({"buckets_path":"1","model":"magic"})).is_err());
        assert!(parse("p", "moving_fn", &json!({"buckets_path":"1","script":"while(true)"})).is_err());
        assert!(parse("p", "derivative", &json!({})).is_err());
        assert!(parse("p", "terms", &json!({})).unwrap().is_none());
    }
}
