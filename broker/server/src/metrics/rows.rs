//! Families that are computed when `/metrics` is asked, and what bounds them.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{CounterVec, Error, GaugeVec, Opts};

use super::page::{Beyond, Described, Kind, Page, Rest, Room};
use super::{Bounds, DROPPED_SERIES, DROPPED_SERIES_HELP};

/// One family and its rows. Rows of the same label values are one: they are added up or, where a sum means nothing, the
/// largest counts.
///
/// Holds twice as many rows as it may show, at most: those whose label values come first, so that the series that are shown
/// stay the same ones. Rows come in any order; those that come in order cost least.
pub(crate) struct Rows {
    family: Described<Vec<&'static str>>,
    rows: Vec<Row>,
    series_max: usize,
    /// Begins with `series_max` rows in order, beyond which nothing is shown.
    is_full: bool,
    rest: Rest,
    /// The label values of the last row that went there.
    last_of_rest: Vec<Arc<str>>,
}

struct Row {
    values: Box<[Arc<str>]>,
    value: f64,
}

impl Rows {
    fn new(kind: Kind, name: &'static str, labels: &[&'static str], help: &'static str) -> Self {
        Self {
            family: Described { kind, name, help, labels: labels.to_vec(), beyond: Beyond::Sum },
            rows: Vec::new(),
            series_max: usize::MAX,
            is_full: false,
            rest: Rest::default(),
            last_of_rest: Vec::new(),
        }
    }

    pub(crate) fn gauge(name: &'static str, labels: &[&'static str], help: &'static str) -> Self {
        Self::new(Kind::Gauge, name, labels, help)
    }

    pub(crate) fn counter(name: &'static str, labels: &[&'static str], help: &'static str) -> Self {
        Self::new(Kind::Counter, name, labels, help)
    }

    /// Values that mean nothing when they are added up.
    pub(crate) fn of_each(mut self) -> Self {
        self.family.beyond = Beyond::LeaveOut;
        self
    }

    /// Somebody has chosen who has a row: all of them are shown.
    pub(super) fn chosen(mut self) -> Self {
        self.family.beyond = Beyond::Chosen;
        self
    }

    /// For families with a row per topic, partition or group.
    pub(crate) fn within(mut self, bounds: Bounds) -> Self {
        self.series_max = bounds.series_max;
        self
    }

    /// The value of a family without labels.
    pub(crate) fn set(&mut self, value: f64) {
        self.add([], value);
    }

    pub(crate) fn add<'a, V>(&mut self, values: V, value: f64)
    where
        V: IntoIterator<Item = &'a Arc<str>>,
        V::IntoIter: Clone,
    {
        let values = values.into_iter();
        if let Some(last) = self.rows.last_mut()
            && last.values.iter().eq(values.clone())
        {
            merge(self.family.beyond, &mut last.value, value);
            return;
        }
        if self.is_full && values.clone().gt(self.rows[self.series_max - 1].values.iter()) {
            self.leave_out(values, value);
            return;
        }
        if self.rows.len() / 2 >= self.series_max {
            self.order();
        }
        self.rows.push(Row { values: values.cloned().collect(), value });
    }

    /// So many rows more have no series, and nobody knows their values.
    pub(crate) fn left_out(&mut self, count: usize) {
        self.rest.count += count;
    }

    /// Counts a row, and not each part of it, if its parts come one after another.
    fn leave_out<'a>(&mut self, values: impl Iterator<Item = &'a Arc<str>> + Clone, value: f64) {
        if self.last_of_rest.iter().eq(values.clone()) {
            self.rest.sum += value;
            return;
        }
        self.rest.add(value);
        self.last_of_rest.clear();
        self.last_of_rest.extend(values.cloned());
    }

    /// Puts the rows in order, makes like ones one, and leaves out what is beyond the limit.
    fn order(&mut self) {
        let is_in_order = |pair: &[Row]| pair[0].values < pair[1].values;
        if !self.rows.windows(2).all(is_in_order) {
            self.rows.sort_by(|a, b| a.values.cmp(&b.values));
            let beyond = self.family.beyond;
            self.rows.dedup_by(|row, before| {
                let is_alike = row.values == before.values;
                if is_alike {
                    merge(beyond, &mut before.value, row.value);
                }
                is_alike
            });
        }
        if self.rows.len() >= self.series_max {
            self.is_full = true;
            for row in self.rows.split_off(self.series_max) {
                self.leave_out(row.values.iter(), row.value);
            }
        }
    }

    pub(super) fn write(mut self, page: &mut Page) {
        self.order();
        if self.rows.is_empty() && self.rest.count == 0 {
            return;
        }
        page.family_and_rest(&self.family, self.rows.iter().map(|row| (&row.values, row.value)), self.rest);
    }

    /// A collector of the family without its values: for its reference.
    pub(super) fn described(self) -> Result<Box<dyn Collector>, Error> {
        let opts = Opts::new(self.family.name, self.family.help);
        Ok(match self.family.kind {
            Kind::Gauge => Box::new(GaugeVec::new(opts, &self.family.labels)?),
            Kind::Counter => Box::new(CounterVec::new(opts, &self.family.labels)?),
        })
    }
}

fn merge(beyond: Beyond, into: &mut f64, value: f64) {
    match beyond {
        Beyond::Sum | Beyond::Chosen => *into += value,
        Beyond::LeaveOut => *into = into.max(value),
    }
}

type Read = Box<dyn Fn() -> Vec<Rows> + Send + Sync>;

/// What computes families, in the order of the page. A process without a broker computes none.
#[derive(Clone, Default)]
pub(crate) struct Computed {
    reads: Arc<Mutex<Vec<Read>>>,
    series_max: usize,
    /// That of the whole page.
    pub(super) room: Arc<Room>,
}

impl Computed {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { series_max: bounds.series_max, ..Self::default() }
    }

    pub(crate) fn add(&self, read: impl Fn() -> Vec<Rows> + Send + Sync + 'static) {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(read));
    }

    /// One that begins with them.
    pub(super) fn page(&self) -> Page {
        let mut page = Page::new(self.series_max, &self.room);
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.iter().flat_map(|read| read()).for_each(|rows| rows.write(&mut page));
        page
    }
}

/// How many rows of a page have no series of their own.
pub(super) fn dropped() -> Rows {
    Rows::gauge(DROPPED_SERIES, &[], DROPPED_SERIES_HELP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Level;

    const SERIES_MAX: usize = 3;

    /// Label values and values of the page, without the family's name; how many rows are not there.
    fn shown(rows: Rows) -> (Vec<String>, usize) {
        let mut page = Page::new(SERIES_MAX, &Room::default());
        rows.write(&mut page);
        let (dropped, text) = (page.dropped, page.finish().text);
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        (samples.map(|line| line.trim_start_matches("weir_group").to_owned()).collect(), dropped)
    }

    fn of_groups(groups: &[&str]) -> [Rows; 2] {
        let bounds = Bounds { level: Level::Topic, series_max: SERIES_MAX };
        let summed = Rows::gauge("weir_group", &["group"], "Members.").within(bounds);
        let of_each = Rows::gauge("weir_group", &["group"], "Lag.").within(bounds).of_each();
        [summed, of_each].map(|mut rows| {
            for (value, group) in (1..).zip(groups) {
                rows.add([&Arc::from(*group)], f64::from(value));
            }
            rows
        })
    }

    #[test]
    fn rows_beyond_the_limit_are_added_up_or_left_out() {
        let [summed, of_each] = of_groups(&["a", "b", "c", "d", "e"]);
        let first = [r#"{group="a"} 1"#, r#"{group="b"} 2"#, r#"{group="c"} 3"#];
        let other = r#"{group="__other__"} 9"#;
        assert_eq!(shown(summed), ([&first[..], &[other]].concat().iter().map(ToString::to_string).collect(), 2));
        assert_eq!(shown(of_each), (first.map(str::to_owned).to_vec(), 2));
    }

    #[test]
    fn the_first_ones_are_shown_in_whatever_order_they_come() {
        let orders: [&[&str]; 3] = [
            &["h", "g", "f", "e", "d", "c", "b", "a"],
            &["a", "h", "b", "g", "c", "f", "d", "e"],
            &["d", "e", "f", "g", "h", "c", "b", "a"],
        ];
        for groups in orders {
            let (samples, dropped) = shown(of_groups(groups).into_iter().next().unwrap());
            let names: Vec<_> = samples.iter().map(|sample| sample.split('"').nth(1).unwrap()).collect();
            assert_eq!((names, dropped), (vec!["a", "b", "c", "__other__"], 5), "{groups:?}");
            let values = samples.iter().map(|sample| sample.rsplit(' ').next().unwrap().parse::<u32>().unwrap());
            assert_eq!(values.sum::<u32>(), 36, "{groups:?}");
        }
    }

    #[test]
    fn like_rows_are_one_wherever_they_stand() {
        let [summed, of_each] = of_groups(&["b", "a", "a", "b", "b", "a"]);
        assert_eq!(shown(summed).0, [r#"{group="a"} 11"#, r#"{group="b"} 10"#]);
        assert_eq!(shown(of_each).0, [r#"{group="a"} 6"#, r#"{group="b"} 5"#]);
        // Beyond the limit, too.
        let [summed, _] = of_groups(&["a", "b", "c", "d", "d", "e", "e", "e"]);
        assert_eq!(shown(summed).1, 2);
    }
}
