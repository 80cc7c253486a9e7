//! Prometheus's text format, written straight down: with a series per partition in two dozen families, what a collector
//! builds on the way would cost more than the page.

use std::fmt::Write;

use crate::metrics::OTHER;
use crate::metrics::rows::{Beyond, Kind};

/// A family of the page, with its labels in order.
pub(super) struct Family<const N: usize> {
    name: &'static str,
    kind: Kind,
    labels: [&'static str; N],
    help: &'static str,
    beyond: Beyond,
}

impl<const N: usize> Family<N> {
    pub(super) const fn gauge(name: &'static str, labels: [&'static str; N], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, help, beyond: Beyond::Sum }
    }

    pub(super) const fn counter(name: &'static str, labels: [&'static str; N], help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, help, beyond: Beyond::Sum }
    }

    /// Values that mean nothing when they are added up.
    pub(super) const fn of_each(mut self) -> Self {
        self.beyond = Beyond::LeaveOut;
        self
    }
}

pub(super) struct Page {
    text: String,
    series_max: usize,
    dropped: usize,
}

impl Page {
    pub(super) fn new(series_max: usize) -> Self {
        Self { text: String::new(), series_max, dropped: 0 }
    }

    /// The page, and how many rows have no series of their own.
    pub(super) fn finish(self) -> (String, usize) {
        (self.text, self.dropped)
    }

    /// One family. Its rows come in an order that stays the same, so that the series that are shown do.
    pub(super) fn family<'a, const N: usize>(
        &mut self,
        family: &Family<N>,
        rows: impl IntoIterator<Item = ([&'a str; N], f64)>,
    ) {
        let kind = match family.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        self.header(family.name, kind, family.help);
        let (mut shown, mut beyond, mut sum) = (0, 0, 0.0);
        for (values, value) in rows {
            if shown == self.series_max {
                beyond += 1;
                sum += value;
                continue;
            }
            shown += 1;
            self.sample(family.name, family.labels.into_iter().zip(values), value);
        }
        if beyond > 0 && family.beyond == Beyond::Sum {
            self.sample(family.name, family.labels.into_iter().zip([OTHER; N]), sum);
        }
        self.dropped += beyond;
    }

    /// A family without labels.
    pub(super) fn single(&mut self, family: &Family<0>, value: f64) {
        self.family(family, [([], value)]);
    }

    pub(super) fn header(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn sample<'a>(&mut self, name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>, value: f64) {
        self.text.push_str(name);
        let mut before = '{';
        for (label, text) in labels {
            self.text.push(before);
            before = ',';
            self.text.push_str(label);
            self.text.push_str("=\"");
            self.escaped(text);
            self.text.push('"');
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                c => self.text.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Family<2> = Family::gauge("lag", ["group", "topic"], "Lag.");
    const LEADER: Family<2> = Family::gauge("leader", ["group", "topic"], "Leader.").of_each();

    #[test]
    fn what_is_beyond_the_limit_is_added_up_or_left_out_and_counted() {
        let rows = || [(["a", "x"], 1.0), (["a", "y"], 2.5), (["b", "x"], 4.0), (["b", "y"], 8.0)];
        let mut page = Page::new(2);
        page.family(&LAG, rows());
        page.family(&LEADER, rows());
        let expected = "# HELP lag Lag.\n# TYPE lag gauge\nlag{group=\"a\",topic=\"x\"} 1\nlag{group=\"a\",topic=\"y\"} 2.5\n\
                        lag{group=\"__other__\",topic=\"__other__\"} 12\n# HELP leader Leader.\n# TYPE leader gauge\n\
                        leader{group=\"a\",topic=\"x\"} 1\nleader{group=\"a\",topic=\"y\"} 2.5\n";
        assert_eq!(page.finish(), (expected.to_owned(), 4));
    }

    #[test]
    fn label_values_are_escaped_and_a_single_value_has_none() {
        let mut page = Page::new(10);
        page.family(&LAG, [(["a \"b\"\\\n", "ü"], 1e15)]);
        page.single(&Family::counter("elections_total", [], "Elections."), 0.0);
        let (text, _) = page.finish();
        assert!(text.contains("lag{group=\"a \\\"b\\\"\\\\\\n\",topic=\"ü\"} 1000000000000000\n"), "{text}");
        assert!(text.ends_with("# TYPE elections_total counter\nelections_total 0\n"), "{text}");
    }
}
