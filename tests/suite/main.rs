//! Suites against real processes and stock clients.
