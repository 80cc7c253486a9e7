//! Lines with the trace that they were written for: `trace_id` and `span_id`, as OpenTelemetry names them outside of its own protocol.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// A format, and how its lines end.
pub(super) struct Traced<F> {
    format: F,
    end: &'static str,
    is_json: bool,
}

impl Traced<Format<Full>> {
    pub(super) fn text(format: Format<Full>, has_colours: bool) -> Self {
        Self { format: format.with_ansi(has_colours), end: "\n", is_json: false }
    }
}

impl Traced<Format<Json>> {
    pub(super) fn json(format: Format<Json>) -> Self {
        Self { format, end: "}\n", is_json: true }
    }
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(trace) = weir_trace::current() else { return self.format.format_event(context, out, event) };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        let (said, end) = line.strip_suffix(self.end).map_or((line.as_str(), ""), |said| (said, self.end));
        let (trace, span) = (trace.trace_id(), trace.span_id());
        if self.is_json {
            write!(out, r#"{said},"trace_id":"{trace}","span_id":"{span}"{end}"#)
        } else {
            write!(out, "{said} trace_id={trace} span_id={span}{end}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;
    use weir_trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState, within_context};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// One line within a trace, one without.
    fn say() {
        let context = SpanContext::new(
            TraceId::from(0x4bf9_2f35),
            SpanId::from(0xf067),
            TraceFlags::default(),
            true,
            TraceState::default(),
        );
        let within = within_context(Some(context));
        tracing::warn!(topic = "orders", "first");
        drop(within);
        tracing::warn!("second");
    }

    fn said(lines: &Lines) -> Vec<String> {
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_of_text_ends_with_the_trace_that_it_was_written_for() {
        for has_colours in [false, true] {
            let out = Lines::default();
            let lines = tracing_subscriber::fmt().with_writer(out.clone()).with_ansi(has_colours);
            let lines = lines.map_event_format(|format| Traced::text(format, has_colours)).finish();
            tracing::subscriber::with_default(lines, say);
            let said = said(&out);
            let trace = format!(" trace_id={:0>32} span_id={:0>16}", "4bf92f35", "f067");
            assert!(said[0].contains("first") && said[0].ends_with(&trace), "{said:?}");
            assert!(said[1].ends_with("second"), "{said:?}");
            assert!(said.iter().all(|line| line.contains('\u{1b}') == has_colours), "{said:?}");
        }
    }

    #[test]
    fn a_line_of_json_has_the_trace_beside_its_other_fields() {
        let out = Lines::default();
        let lines = tracing_subscriber::fmt().with_writer(out.clone()).json().flatten_event(true);
        tracing::subscriber::with_default(lines.map_event_format(Traced::json).finish(), say);
        let said: Vec<serde_json::Value> =
            said(&out).iter().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert_eq!(said[0]["trace_id"], format!("{:0>32}", "4bf92f35"));
        assert_eq!((&said[0]["span_id"], &said[0]["topic"]), (&"000000000000f067".into(), &"orders".into()));
        assert_eq!(said[1].get("trace_id"), None, "{said:?}");
    }
}
