//! Work that is done again and again, on a thread of its own, until dropped.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;

pub struct Beat {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Beat {
    /// Works, waits, works again. What fails is printed and ends it.
    pub fn start(pause: Duration, mut work: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            loop {
                if let Err(error) = work() {
                    eprintln!("what was to go on does not: {error:#}");
                    return;
                }
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }

    /// Whether it goes on.
    pub fn lives(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
