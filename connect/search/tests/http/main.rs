//! The search node over HTTP.

mod bulk;
mod grafana;
mod harness;
mod panels;
mod robust;
