//! A real broker on ports of its own, spoken to in raw frames: the quirks that clients depend on, one test each.

mod configs;
mod disk;
mod errors;
mod fetching;
mod handshake;
mod harness;
mod hostile;
mod offsets;
mod producing;
mod restarts;
mod tidying;
mod topics;
mod versions;

// As in the binary: a hostile length then only reserves address space.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
