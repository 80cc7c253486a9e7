//! Families that are computed when `/metrics` is asked, and what bounds them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, Error, GaugeVec, Opts};

use super::{Bounds, OTHER};

/// What becomes of the rows beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// They are added up under [`OTHER`].
    Sum,
    /// They are left out: their sum means nothing.
    LeaveOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

/// One family: its values by label values, in order, so that the series that are shown stay the same ones.
pub(crate) struct Rows {
    kind: Kind,
    name: &'static str,
    help: &'static str,
    labels: Vec<&'static str>,
    beyond: Beyond,
    rows: BTreeMap<Vec<Arc<str>>, f64>,
}

impl Rows {
    fn new(kind: Kind, name: &'static str, labels: &[&'static str], help: &'static str) -> Self {
        Self { kind, name, help, labels: labels.to_vec(), beyond: Beyond::Sum, rows: BTreeMap::new() }
    }

    pub(crate) fn gauge(name: &'static str, labels: &[&'static str], help: &'static str) -> Self {
        Self::new(Kind::Gauge, name, labels, help)
    }

    pub(crate) fn counter(name: &'static str, labels: &[&'static str], help: &'static str) -> Self {
        Self::new(Kind::Counter, name, labels, help)
    }

    /// Values that mean nothing when they are added up.
    pub(crate) fn of_each(self) -> Self {
        Self { beyond: Beyond::LeaveOut, ..self }
    }

    pub(crate) fn set(&mut self, labels: Vec<Arc<str>>, value: f64) {
        self.rows.insert(labels, value);
    }

    pub(crate) fn add(&mut self, labels: Vec<Arc<str>>, value: f64) {
        *self.rows.entry(labels).or_default() += value;
    }

    /// Of several values the largest counts.
    pub(crate) fn at_least(&mut self, labels: Vec<Arc<str>>, value: f64) {
        let shown = self.rows.entry(labels).or_insert(value);
        *shown = shown.max(value);
    }

    fn descs(&self) -> Result<Vec<Desc>, Error> {
        let family = GaugeVec::new(Opts::new(self.name, self.help), &self.labels)?;
        Ok(family.desc().into_iter().cloned().collect())
    }

    /// The family, and how many rows have no series of their own.
    fn collect(&self, series_max: usize) -> Result<(Vec<MetricFamily>, usize), Error> {
        let opts = Opts::new(self.name, self.help);
        let families = match self.kind {
            Kind::Gauge => {
                let family = GaugeVec::new(opts, &self.labels)?;
                self.for_each_shown(series_max, |labels, value| family.with_label_values(labels).add(value));
                family.collect()
            }
            Kind::Counter => {
                let family = CounterVec::new(opts, &self.labels)?;
                self.for_each_shown(series_max, |labels, value| {
                    family.with_label_values(labels).inc_by(value.max(0.0));
                });
                family.collect()
            }
        };
        Ok((families, self.rows.len().saturating_sub(series_max)))
    }

    fn for_each_shown(&self, series_max: usize, mut show: impl FnMut(&[&str], f64)) {
        for (labels, value) in self.rows.iter().take(series_max) {
            show(&labels.iter().map(|label| &**label).collect::<Vec<_>>(), *value);
        }
        if self.beyond == Beyond::Sum {
            let other = vec![OTHER; self.labels.len()];
            self.rows.values().skip(series_max).for_each(|value| show(&other, *value));
        }
    }
}

/// A collector of such families.
pub(crate) struct Computed<F> {
    read: F,
    bounds: Bounds,
    dropped: Arc<AtomicUsize>,
    descs: Vec<Desc>,
}

impl<F: Fn() -> Vec<Rows> + Send + Sync> Computed<F> {
    /// `empty` are the families without rows; `read` gives them with. `dropped` is told what is beyond the limit.
    pub(crate) fn new(empty: &[Rows], bounds: Bounds, dropped: &Arc<AtomicUsize>, read: F) -> Result<Self, Error> {
        let mut descs = Vec::with_capacity(empty.len());
        for family in empty {
            descs.extend(family.descs()?);
        }
        Ok(Self { read, bounds, dropped: Arc::clone(dropped), descs })
    }
}

impl<F: Fn() -> Vec<Rows> + Send + Sync> Collector for Computed<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (mut families, mut dropped) = (Vec::new(), 0);
        for rows in (self.read)() {
            match rows.collect(self.bounds.series_max) {
                Ok((collected, beyond)) => {
                    families.extend(collected);
                    dropped += beyond;
                }
                Err(error) => tracing::error!(family = rows.name, %error, "a metric was not collected"),
            }
        }
        self.dropped.store(dropped, Ordering::Relaxed);
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Level;

    fn collected(rows: Rows, series_max: usize) -> Vec<(String, f64)> {
        let bounds = Bounds { level: Level::Topic, series_max };
        let dropped = Arc::default();
        let read = std::sync::Mutex::new(Some(vec![rows]));
        let computed = Computed::new(&[], bounds, &dropped, move || read.lock().unwrap().take().unwrap()).unwrap();
        let families = computed.collect();
        assert_eq!(dropped.load(Ordering::Relaxed), 5);
        let value = |metric: &prometheus::proto::Metric| metric.get_gauge().get_value();
        let mut shown: Vec<(String, f64)> =
            families[0].get_metric().iter().map(|m| (m.get_label()[0].value().to_owned(), value(m))).collect();
        shown.sort_by(|a, b| a.0.cmp(&b.0));
        shown
    }

    fn eight(rows: Rows) -> Rows {
        let mut rows = rows;
        (0..8).for_each(|n| rows.add(vec![format!("g{n}").into()], 1.0));
        rows
    }

    #[test]
    fn rows_beyond_the_limit_are_added_up_or_left_out() {
        let summed = collected(eight(Rows::gauge("weir_group_members", &["group"], "Members.")), 3);
        assert_eq!((summed.len(), summed.iter().find(|(label, _)| label == OTHER).unwrap().1), (4, 5.0));
        let of_each = collected(eight(Rows::gauge("weir_group_lag_max_records", &["group"], "Lag.").of_each()), 3);
        assert_eq!(of_each.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(), ["g0", "g1", "g2"]);
    }
}
