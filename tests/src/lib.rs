//! The harness that the suites share: real processes, real clients, temporary folders, port 0.
