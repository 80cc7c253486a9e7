//! The allocator, and what gives back to the system what nobody uses any more.
//!
//! Never decides what is allocated.

use std::io;
use std::thread;
use std::time::Duration;

/// The codec reserves memory from lengths that a peer sends: here reserved memory that is never touched costs nothing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As long as mimalloc itself waits with what is free (its `purge_delay`).
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// Looks until the process ends. mimalloc itself looks only while somebody allocates: what a page of metrics or a start took would stay.
/// A thread of its own, because mimalloc looks through the memory of the thread that asks, as well.
pub(crate) fn give_back() -> io::Result<()> {
    let looking = || loop {
        thread::sleep(LOOKS_EVERY);
        // SAFETY: may be called by any thread at any time.
        #[allow(unsafe_code)]
        unsafe {
            libmimalloc_sys::mi_collect(false);
        }
    };
    thread::Builder::new().name("weir-allocator".into()).spawn(looking).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const MIB: usize = 1 << 20;
    const BLOCKS: usize = 256;
    const LIMIT: Duration = Duration::from_secs(30);

    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }

    #[test]
    fn what_is_free_is_given_back_while_nobody_allocates() {
        give_back().unwrap();
        let blocks: Vec<Vec<u8>> = (0..BLOCKS).map(|_| vec![1; MIB]).collect();
        let taken = resident();
        drop(blocks);
        let began = Instant::now();
        while resident() + BLOCKS * MIB * 3 / 4 > taken {
            assert!(began.elapsed() < LIMIT, "{} of {taken} bytes are resident", resident());
            thread::sleep(LOOKS_EVERY);
        }
    }
}
