//! Prometheus's text format, written straight down: with thousands of series in dozens of families, what a collector builds on
//! the way would cost more than the page.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::{Error, Registry, TextEncoder};

use super::registered::{bound, series_count};
use super::{DROPPED_SERIES, DROPPED_SERIES_HELP, OTHER};

/// Below this, every whole number is a value of its own.
const WHOLE_MAX: u64 = 1 << 53;

/// What becomes of the rows beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// They are added up under [`OTHER`].
    Sum,
    /// They are left out: their sum means nothing.
    LeaveOut,
    /// There are none: somebody has chosen which ones there are.
    Chosen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

/// A family of the page; `L` are the names of its labels, in order.
#[derive(Debug, Clone)]
pub(super) struct Described<L> {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: L,
    pub(super) help: &'static str,
    pub(super) beyond: Beyond,
}

/// One whose labels are known when it is written down.
pub(super) type Family<const N: usize> = Described<[&'static str; N]>;

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

/// Rows without series of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rest {
    pub(super) count: usize,
    pub(super) sum: f64,
}

impl Rest {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
    }
}

/// How long a page was last: it has as much room from its start, because one that grows leaves copies of itself behind.
#[derive(Debug, Default)]
pub(super) struct Room {
    bytes: AtomicUsize,
}

impl Room {
    /// By which part of itself a page may grow from one time to the next.
    const MORE: usize = 8;

    fn text(&self) -> String {
        let bytes = self.bytes.load(Ordering::Relaxed);
        String::with_capacity(bytes + bytes / Self::MORE)
    }

    pub(super) fn was(&self, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

pub(super) struct Page {
    text: String,
    series_max: usize,
    /// Rows without series of their own.
    pub(super) dropped: usize,
    series: Series,
}

/// A page that is whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) series: Series,
}

/// How many series each family has, in the order of the page.
type Series = Vec<(Cow<'static, str>, usize)>;

impl Page {
    pub(super) fn new(series_max: usize, room: &Room) -> Self {
        Self { text: room.text(), series_max, dropped: 0, series: Vec::new() }
    }

    pub(super) fn finish(self) -> Written {
        Written { text: self.text, series: self.series }
    }

    /// One family. Its rows come in an order that stays the same, so that the series that are shown do.
    pub(super) fn family<L, V>(&mut self, family: &Described<L>, rows: impl IntoIterator<Item = (V, f64)>)
    where
        L: AsRef<[&'static str]>,
        V: IntoIterator<Item: AsRef<str>> + Clone,
    {
        self.family_and_rest(family, rows, Rest::default());
    }

    /// The same where there are more rows than these.
    pub(super) fn family_and_rest<L, V>(
        &mut self,
        family: &Described<L>,
        rows: impl IntoIterator<Item = (V, f64)>,
        mut rest: Rest,
    ) where
        L: AsRef<[&'static str]>,
        V: IntoIterator<Item: AsRef<str>> + Clone,
    {
        let labels = family.labels.as_ref();
        let kind = match family.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        self.header(family.name, kind, family.help);
        let (mut shown, sums) = (0, family.beyond == Beyond::Sum && !labels.is_empty());
        let shown_max = if family.beyond == Beyond::Chosen { usize::MAX } else { self.series_max };
        for (values, value) in rows {
            // Somebody may name a topic so.
            let is_other = sums && values.clone().into_iter().all(|value| value.as_ref() == OTHER);
            if shown == shown_max || is_other {
                rest.add(value);
                continue;
            }
            shown += 1;
            self.sample(family.name, labels.iter().zip(values), value);
        }
        self.dropped += rest.count;
        if rest.count > 0 && family.beyond == Beyond::Sum {
            shown += 1;
            self.sample(family.name, labels.iter().map(|label| (label, OTHER)), rest.sum);
        }
        self.series.push((family.name.into(), shown));
    }

    /// What other parts of the process have registered, within the same limit.
    pub(super) fn registered(&mut self, registry: &Registry) -> Result<(), Error> {
        let mut families = registry.gather();
        self.dropped += bound(&mut families, self.series_max);
        TextEncoder::new().encode_utf8(&families, &mut self.text)?;
        let counted = families.iter().map(|family| (family.name().to_owned().into(), series_count(family)));
        self.series.extend(counted);
        Ok(())
    }

    /// How many rows of the page so far have no series of their own.
    pub(super) fn own_dropped(&mut self) {
        self.single(&Family::gauge(DROPPED_SERIES, [], DROPPED_SERIES_HELP), self.dropped as f64);
    }

    /// A family without labels.
    pub(super) fn single(&mut self, family: &Family<0>, value: f64) {
        self.family(family, [([""; 0], value)]);
    }

    pub(super) fn header(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn sample<N: AsRef<str>, V: AsRef<str>>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (N, V)>,
        value: f64,
    ) {
        self.text.push_str(name);
        let mut before = '{';
        for (label, text) in labels {
            self.text.push(before);
            before = ',';
            self.text.push_str(label.as_ref());
            self.text.push_str("=\"");
            self.escaped(text.as_ref());
            self.text.push('"');
        }
        if before == ',' {
            self.text.push('}');
        }
        // Most values are whole numbers, which are told much faster as such.
        let whole = value as i64;
        let _ = if whole as f64 == value && whole.unsigned_abs() < WHOLE_MAX {
            writeln!(self.text, " {whole}")
        } else {
            writeln!(self.text, " {value}")
        };
    }

    fn escaped(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            self.text.push_str(&rest[..at]);
            self.text.push_str(match rest.as_bytes()[at] {
                b'\\' => "\\\\",
                b'"' => "\\\"",
                _ => "\\n",
            });
            rest = &rest[at + 1..];
        }
        self.text.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounterVec, Opts};

    use super::*;

    const LAG: Family<2> = Family::gauge("lag", ["group", "topic"], "Lag.");
    const LEADER: Family<2> = Family::gauge("leader", ["group", "topic"], "Leader.").of_each();

    #[test]
    fn what_is_beyond_the_limit_is_added_up_or_left_out_and_counted() {
        let rows = || [(["a", "x"], 1.0), (["a", "y"], 2.5), (["b", "x"], 4.0), (["b", "y"], 8.0)];
        let mut page = Page::new(2, &Room::default());
        page.family(&LAG, rows());
        page.family(&LEADER, rows());
        let expected = "# HELP lag Lag.\n# TYPE lag gauge\nlag{group=\"a\",topic=\"x\"} 1\nlag{group=\"a\",topic=\"y\"} 2.5\n\
                        lag{group=\"__other__\",topic=\"__other__\"} 12\n# HELP leader Leader.\n# TYPE leader gauge\n\
                        leader{group=\"a\",topic=\"x\"} 1\nleader{group=\"a\",topic=\"y\"} 2.5\n";
        let series = vec![("lag".into(), 3), ("leader".into(), 2)];
        assert_eq!(page.dropped, 4);
        assert_eq!(page.finish(), Written { text: expected.to_owned(), series });
    }

    #[test]
    fn what_others_have_registered_is_within_the_same_limit() {
        let (registry, retries) = (Registry::new(), Opts::new("retries_total", "Retries."));
        let retries = IntCounterVec::new(retries, &["connector"]).unwrap();
        ["a", "b", "c", "d"].iter().for_each(|connector| retries.with_label_values(&[connector]).inc());
        registry.register(Box::new(retries)).unwrap();
        let mut page = Page::new(2, &Room::default());
        page.family(&LAG, [(["a", "x"], 1.0), (["a", "y"], 2.0), (["b", "x"], 4.0)]);
        page.registered(&registry).unwrap();
        page.own_dropped();
        let Written { text, series } = page.finish();
        assert!(text.contains("\nretries_total{connector=\"__other__\"} 2\n"), "{text}");
        assert!(text.ends_with("\nweir_metrics_dropped_series 3\n"), "{text}");
        assert_eq!(series, [("lag".into(), 3), ("retries_total".into(), 3), (DROPPED_SERIES.into(), 1)]);
    }

    #[test]
    fn what_has_the_name_of_the_rest_is_a_part_of_it() {
        let mut page = Page::new(2, &Room::default());
        page.family(&LAG, [([OTHER, OTHER], 1.0), ([OTHER, "x"], 2.0), (["b", "x"], 4.0), (["c", "x"], 8.0)]);
        let text = page.finish().text;
        assert_eq!(text.matches("lag{group=\"__other__\",topic=\"__other__\"} 9\n").count(), 1, "{text}");
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 3, "{text}");
    }

    #[test]
    fn label_values_are_escaped_and_a_single_value_has_none() {
        let mut page = Page::new(10, &Room::default());
        page.family(&LAG, [(["a \"b\"\\\n", "ü"], 1e15)]);
        page.single(&Family::counter("elections_total", [], "Elections."), 0.0);
        let text = page.finish().text;
        assert!(text.contains("lag{group=\"a \\\"b\\\"\\\\\\n\",topic=\"ü\"} 1000000000000000\n"), "{text}");
        assert!(text.ends_with("# TYPE elections_total counter\nelections_total 0\n"), "{text}");
    }
}
