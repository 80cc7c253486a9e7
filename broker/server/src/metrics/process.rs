//! What the operating system says of this process, under the names that every Prometheus client library uses.

use std::fs;

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
        usage
    }
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
    }
}
