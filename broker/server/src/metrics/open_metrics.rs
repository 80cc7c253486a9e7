//! A page in OpenMetrics 1.0, the only format in which a sample may name the trace of one request. Written from the same page in
//! Prometheus's text format, line by line: the series are the same ones.
//!
//! What differs: a counter's family goes without the `_total` of its samples, quotes in a help are escaped, the page says where it
//! ends, and buckets of [`DURATION`] have their exemplars.

use super::buckets::bucket_of;
use super::exemplars::{Exemplar, Last};
use super::requests::DURATION;

const TOTAL: &str = "_total";
const BUCKET: &str = "_bucket";
const END: &str = "# EOF\n";

pub(super) fn open_metrics(page: &str, exemplars: &Last) -> String {
    let mut text = String::with_capacity(page.len() + END.len());
    let mut help = "";
    for line in page.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described;
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            describe(&mut text, typed, help);
        } else {
            text.push_str(line);
            if let Some(exemplar) = exemplar_of(line, exemplars) {
                text.push_str(&format!(" {exemplar}"));
            }
            text.push('\n');
        }
    }
    text.push_str(END);
    text
}

/// `typed` is a family's name and kind, `help` its name and what it is.
fn describe(text: &mut String, typed: &str, help: &str) {
    let (name, kind) = typed.split_once(' ').unwrap_or((typed, "unknown"));
    let (name, kind) = match name.strip_suffix(TOTAL) {
        Some(name) if kind == "counter" => (name, kind),
        None if kind == "counter" => (name, "unknown"),
        _ => (name, kind),
    };
    let help = help.split_once(' ').map_or("", |(_, help)| help).replace('"', "\\\"");
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn exemplar_of<'a>(line: &'a str, exemplars: &'a Last) -> Option<&'a Exemplar> {
    if exemplars.is_empty() {
        return None;
    }
    let labels = line.strip_prefix(DURATION)?.strip_prefix(BUCKET)?;
    let bound_seconds = match label(labels, "le=\"")? {
        "+Inf" => f64::INFINITY,
        bound => bound.parse().ok()?,
    };
    exemplars.get(&(label(labels, "api=\"")?, bucket_of(bound_seconds)))
}

/// Of APIs and bounds, which have nothing that is escaped.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = labels.split_once(name)?;
    value.split('"').next()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weir_trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

    use super::super::exemplars::Exemplars;
    use super::*;

    #[test]
    fn the_same_series_under_the_names_of_openmetrics() {
        let page = "# HELP a_total \"A\" of c:\\d.\n# TYPE a_total counter\na_total{x=\"# TYPE\"} 1\n\
                    # HELP b B.\n# TYPE b gauge\nb NaN\n# HELP c C.\n# TYPE c counter\nc 2\n\
                    # HELP d_total D.\n# TYPE d_total gauge\nd_total 3\n";
        let expected = "# HELP a \\\"A\\\" of c:\\d.\n# TYPE a counter\na_total{x=\"# TYPE\"} 1\n\
                        # HELP b B.\n# TYPE b gauge\nb NaN\n# HELP c C.\n# TYPE c unknown\nc 2\n\
                        # HELP d_total D.\n# TYPE d_total gauge\nd_total 3\n# EOF\n";
        assert_eq!(open_metrics(page, &Last::new()), expected);
    }

    #[test]
    fn a_bucket_names_the_trace_of_the_last_request_that_it_counts() {
        let exemplars = Exemplars::default();
        let context = |trace: u128| {
            let flags = TraceFlags::SAMPLED;
            SpanContext::new(TraceId::from(trace), SpanId::from(7), flags, false, TraceState::default())
        };
        for (trace, seconds) in [(1, 0.0002), (2, 0.0003), (3, 99.0)] {
            exemplars.kept("Produce", Duration::from_secs_f64(seconds), &context(trace));
        }
        let bucket = |api: &str, bound: &str| format!("{DURATION}_bucket{{api=\"{api}\",le=\"{bound}\"}} 1");
        let with = |line: String| open_metrics(&line, &exemplars.all()).lines().next().unwrap().to_owned();
        let named = with(bucket("Produce", "0.0003125"));
        let trace = "{trace_id=\"00000000000000000000000000000002\",span_id=\"0000000000000007\"} 0.0003 ";
        assert!(named.starts_with(&format!("{} # {trace}", bucket("Produce", "0.0003125"))), "{named}");
        assert!(with(bucket("Produce", "+Inf")).contains("0003\",span_id"));
        for none in [bucket("Produce", "0.000125"), bucket("Fetch", "0.0003125"), format!("{DURATION}_sum 1")] {
            assert_eq!(with(none.clone()), none);
        }
    }
}
