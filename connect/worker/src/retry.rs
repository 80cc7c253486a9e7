//! Waiting longer each time something fails again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use weir_connect_api::{ConnectError, ErrorClass};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// True when there were failures.
    pub(crate) fn reset(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }

    /// The wait after the next failure: doubles from a quarter of a second to half a minute, unless the error names one.
    pub(crate) fn next(&mut self, error: &ConnectError) -> Duration {
        let doubled = FIRST.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        match error.class {
            ErrorClass::Retriable { retry_after: Some(wait) } => wait.min(LONGEST),
            _ => doubled,
        }
    }

    /// Waits, unless told to stop; gives the wait that was chosen.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken, error: &ConnectError) -> Duration {
        let wait = self.next(error);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_and_begin_anew_after_a_success() {
        let error = ConnectError::retriable("away");
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9).map(|_| backoff.next(&error).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(backoff.next(&error), FIRST);
    }
}
