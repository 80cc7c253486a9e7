//! Suites against real processes and stock clients. One binary, so that the harness is linked once.

mod apache_kafka;
mod clicks;
mod command_line;
mod compat;
mod crash;
mod dashboards;
mod dead_letters;
mod disk_full;
mod hostile;
mod java_tools;
mod kafka_python;
mod kcat;
mod lag;
mod logs;
mod metrics;
mod metrics_limits;
mod pipeline;
mod recovery;
mod sink_lag;
mod traces;
mod worker;
