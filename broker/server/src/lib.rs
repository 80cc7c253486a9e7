//! The broker process: listeners, `api/` with one file per API key, partitions, coordinators, metrics.
//!
//! Invariants: `net` sees only `api/`; `partition` alone opens a log; Kafka's error codes appear only in `api/`.
