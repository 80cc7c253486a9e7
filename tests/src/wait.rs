//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const POLL_EVERY: Duration = Duration::from_millis(20);

/// Calls `probe` until it gives `Some`; an error names `what` after `limit`.
pub async fn wait_for<T>(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain for {what}");
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Like [`wait_for`], for a question.
pub async fn wait_until(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> bool) -> Result<()> {
    wait_for(what, limit, async || probe().await.then_some(())).await
}
