//! `/metrics/compat`: the names that other people's dashboards and alerts already use, so that they work unmodified.
//!
//! [`look`] is one look at partitions and groups. One file per dialect: [`kafka_exporter`],
//! [`jmx`] with [`requests`], [`lag_exporter`]. Docs: `docs/compat-metrics.md`.
//!
//! Invariants: partitions have series of their own whatever `metrics.level` says; `metrics.max.series.per.family` bounds each
//! family. A label is never added that belongs in a scrape's configuration.

mod jmx;
mod kafka_exporter;
mod lag_exporter;
mod look;
mod requests;

use std::sync::{Arc, OnceLock};

use prometheus::{Error, Registry};

use super::SERIES_MAX;
use super::page::{Page, Room};
use super::runtime::Threads;
use crate::api::Context;
use look::Look;
use requests::RequestTimes;

/// What the page shows: the broker, once it runs, and what other parts of the process register.
#[derive(Clone, Default)]
pub struct Compat {
    pub registry: Registry,
    broker: Arc<OnceLock<BrokerNames>>,
    room: Arc<Room>,
}

impl Compat {
    /// In Prometheus's text format, version 0.0.4.
    pub(crate) fn render(&self) -> Result<String, Error> {
        let begin = |broker: &BrokerNames| broker.page(&self.room);
        let mut page = self.broker.get().map_or_else(|| Page::new(SERIES_MAX, &self.room), begin);
        page.registered(&self.registry)?;
        page.own_dropped();
        let text = page.finish().text;
        self.room.was(text.len());
        Ok(text)
    }

    /// Must be called in the runtime that serves requests.
    pub(crate) fn show(&self, cx: &Arc<Context>) {
        let threads = Threads::current();
        // A broker starts once.
        let _ = self.broker.set(BrokerNames { cx: Arc::clone(cx), threads, times: RequestTimes::default() });
    }
}

struct BrokerNames {
    cx: Arc<Context>,
    threads: Threads,
    times: RequestTimes,
}

impl BrokerNames {
    fn page(&self, room: &Room) -> Page {
        let (cx, look) = (&*self.cx, Look::at(&self.cx));
        let mut page = Page::new(cx.metrics.bounds.series_max, room);
        kafka_exporter::write(&mut page, cx, &look);
        jmx::write(&mut page, cx, &look, self.threads.idle_ratio(std::time::Instant::now()));
        self.times.write(&mut page, cx);
        lag_exporter::write(&mut page, &look);
        page
    }
}
