//! What `/metrics` answers: everything that the process has registered and computes, and how much that is.

use std::time::Instant;

use axum::http::{HeaderMap, header};
use prometheus::core::Collector;
use prometheus::{Error, Gauge, GaugeVec, Opts, Registry, TextEncoder};

use super::Computed;
use super::exemplars::Exemplars;
use super::open_metrics::open_metrics;
use super::page::Written;

const OPEN_METRICS: &str = "application/openmetrics-text";
const OPEN_METRICS_VERSION: &str = "version=1.0.0";

/// In which format a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// Prometheus's text format, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// While traces are on, whoever takes OpenMetrics gets it, for the exemplars; otherwise there is nothing in it for them.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        if weir_trace::is_on() { Self::accepted(headers) } else { Self::Text }
    }

    fn accepted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let is_open_metrics = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(OPEN_METRICS));
            is_it && parts.all(|part| !part.starts_with("version=") || part == OPEN_METRICS_VERSION)
        };
        if accepted.flat_map(|value| value.split(',')).any(is_open_metrics) { Self::OpenMetrics } else { Self::Text }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Text => prometheus::TEXT_FORMAT,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

pub(crate) fn render(
    registry: &Registry,
    computed: &Computed,
    exemplars: &Exemplars,
    format: Format,
) -> Result<String, Error> {
    let started = Instant::now();
    let mut page = computed.page();
    page.registered(registry)?;
    page.own_dropped();
    let Written { mut text, series: shown } = page.finish();
    let (series, seconds) = own_collectors()?;
    for (family, count) in shown {
        series.with_label_values(&[&family]).set(count as f64);
    }
    seconds.set(started.elapsed().as_secs_f64());
    let own = [series.collect(), seconds.collect()].concat();
    TextEncoder::new().encode_utf8(&own, &mut text)?;
    computed.room.was(text.len());
    Ok(match format {
        Format::Text => text,
        Format::OpenMetrics => open_metrics(&text, &exemplars.all()),
    })
}

pub(super) fn own_collectors() -> Result<(GaugeVec, Gauge), Error> {
    let series = Opts::new("weir_metrics_series", "Series that are exported, by metric.");
    let seconds = Opts::new("weir_metrics_scrape_seconds", "Time to put these metrics together.");
    Ok((GaugeVec::new(series, &["family"])?, Gauge::with_opts(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_take_its_first_version() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            ("text/plain, application/openmetrics-text; version=1.0.0; charset=utf-8", Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("text/plain;version=0.0.4", Format::Text),
            ("*/*", Format::Text),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Format::accepted(&headers), format, "{accept}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Text);
    }
}
