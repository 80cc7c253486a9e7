//! What the operating system says of this process: `process_*`, under the names that every Prometheus client library uses,
//! and what it reads from disks and writes to them.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Error, Gauge, IntCounter, IntGaugeVec, Opts, Registry};

/// Adds `weir_build_info`, `process_*` and `weir_disk_*`: once per process.
pub fn register(registry: &Registry) -> Result<(), Error> {
    registry.register(Box::new(Process::new()?))
}

struct Process {
    families: Vec<Box<dyn Collector>>,
}

type Shown = (&'static str, &'static str, fn(&ProcessUsage) -> f64);

const COUNTERS: [Shown; 3] = [
    ("process_cpu_seconds_total", "CPU time, user and system.", |p| p.cpu_seconds),
    ("weir_disk_read_bytes_total", "Bytes that this process made disks read.", |p| p.read_bytes),
    ("weir_disk_written_bytes_total", "Bytes that this process made disks write.", |p| p.written_bytes),
];
const GAUGES: [Shown; 6] = [
    ("process_resident_memory_bytes", "Resident memory.", |p| p.resident_bytes),
    ("process_virtual_memory_bytes", "Virtual memory.", |p| p.virtual_bytes),
    ("process_start_time_seconds", "Start, in seconds since 1970.", |p| p.start_time_seconds),
    ("process_open_fds", "Open file descriptors.", |p| p.open_fds),
    ("process_max_fds", "Limit of open file descriptors.", |p| p.max_fds),
    ("process_threads", "Threads.", |p| p.threads),
];

impl Process {
    fn new() -> Result<Self, Error> {
        Ok(Self { families: families(&ProcessUsage::default())? })
    }
}

pub(super) fn families(usage: &ProcessUsage) -> Result<Vec<Box<dyn Collector>>, Error> {
    let mut families: Vec<Box<dyn Collector>> = Vec::with_capacity(COUNTERS.len() + GAUGES.len());
    for (name, help, read) in COUNTERS {
        let counter = Counter::new(name, help)?;
        counter.inc_by(read(usage).max(0.0));
        families.push(Box::new(counter));
    }
    for (name, help, read) in GAUGES {
        let gauge = Gauge::new(name, help)?;
        gauge.set(read(usage));
        families.push(Box::new(gauge));
    }
    let build = Opts::new("weir_build_info", "1, with what was built from what.");
    let build = IntGaugeVec::new(build, &["version", "revision"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION"), option_env!("WEIR_REVISION").unwrap_or("unknown")]).set(1);
    families.push(Box::new(build));
    let spans = weir_trace::counts();
    for (name, help, count) in [
        ("weir_trace_spans_exported_total", "Spans that the receiver of traces has taken.", spans.exported),
        (
            "weir_trace_spans_dropped_total",
            "Spans that were lost: too many at once, or nobody took them.",
            spans.dropped,
        ),
    ] {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(count);
        families.push(Box::new(counter));
    }
    Ok(families)
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.families.iter().flat_map(|family| family.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        match families(&ProcessUsage::read()) {
            Ok(families) => families.iter().flat_map(|family| family.collect()).collect(),
            Err(error) => {
                tracing::error!(%error, "the process was not measured");
                Vec::new()
            }
        }
    }
}

/// One look at `/proc/self`.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct ProcessUsage {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: f64,
    pub(super) virtual_bytes: f64,
    pub(super) start_time_seconds: f64,
    pub(super) open_fds: f64,
    pub(super) max_fds: f64,
    pub(super) threads: f64,
    pub(super) read_bytes: f64,
    pub(super) written_bytes: f64,
}

impl ProcessUsage {
    /// What cannot be read counts as 0.
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let mut usage = parse_stat(&stat).unwrap_or_default();
        usage.start_time_seconds += boot_time_seconds();
        usage.open_fds = fs::read_dir("/proc/self/fd").map_or(0.0, |entries| entries.count() as f64);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        usage.max_fds = limit.current.map_or(f64::INFINITY, |limit| limit as f64);
        let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
        usage.read_bytes = parse_io(&io, "read_bytes");
        usage.written_bytes = parse_io(&io, "write_bytes");
        usage
    }
}

/// A line of `/proc/self/io`, proc(5); 0 if it is not there.
fn parse_io(io: &str, name: &str) -> f64 {
    let line = io.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0.0)
}

/// Fields after the command's closing parenthesis, numbered as in proc(5): 14 utime, 15 stime, 20 threads, 22 start time,
/// 23 virtual bytes, 24 resident pages.
fn parse_stat(stat: &str) -> Option<ProcessUsage> {
    const FIRST_FIELD: usize = 3;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - FIRST_FIELD)?.parse::<f64>().ok();
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    Some(ProcessUsage {
        cpu_seconds: (field(14)? + field(15)?) / ticks_per_second,
        threads: field(20)?,
        start_time_seconds: field(22)? / ticks_per_second,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * rustix::param::page_size() as f64,
        ..ProcessUsage::default()
    })
}

fn boot_time_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_a_beginning() {
        let usage = ProcessUsage::read();
        assert!(usage.resident_bytes > 100_000.0 && usage.open_fds >= 3.0 && usage.threads >= 1.0, "{usage:?}");
        assert!(usage.start_time_seconds > 1.6e9, "{usage:?}");
        assert_eq!(parse_io("rchar: 7\nread_bytes: 4096\nwrite_bytes: 12\n", "write_bytes"), 12.0);
    }
}
