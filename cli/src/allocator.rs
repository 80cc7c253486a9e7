//! The allocator, and how soon it gives back to the system what nobody uses any more.
//!
//! Never decides what is allocated.

use std::env;
use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set, mi_option_t};

/// The codec reserves memory from lengths that a peer sends: here reserved memory that is never touched costs nothing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, versions 2 and 3.
const PURGE_DELAY: mi_option_t = 15;
/// mimalloc's own is a second, and it looks only while somebody allocates: what a page of metrics took would stay.
const PURGE_DELAY_MS: c_long = 10;
/// Where mimalloc is told otherwise.
const VARIABLE: &str = "MIMALLOC_PURGE_DELAY";

/// To be called before there are threads.
pub(crate) fn give_back_soon() {
    if env::var_os(VARIABLE).is_none() {
        // SAFETY: sets one number; not for several threads at once, and there is one.
        #[allow(unsafe_code)]
        unsafe {
            mi_option_set(PURGE_DELAY, PURGE_DELAY_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_a_second_by_itself() {
        // SAFETY: reads one number.
        #[allow(unsafe_code)]
        let now = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(now(), 1000);
        give_back_soon();
        assert_eq!(now(), PURGE_DELAY_MS);
    }
}
