//! What waits to be sent: bounded, and sent by a thread that is woken once a batch is there, not for each span. With busy
//! processors waking it costs more than the spans do.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    /// There is a batch, or somebody waits until all is sent.
    is_due: Condvar,
    /// What somebody waited for is sent.
    is_flushed: Condvar,
    count_max: usize,
    batch_max: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    all: Vec<T>,
    /// How often it was asked to send what is there, and how many of these are answered.
    flushes: u64,
    flushed: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new(count_max: usize, batch_max: usize) -> Self {
        let waiting = Mutex::new(Waiting { all: Vec::new(), flushes: 0, flushed: 0 });
        let batch_max = batch_max.min(count_max);
        Self { waiting, is_due: Condvar::new(), is_flushed: Condvar::new(), count_max, batch_max }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False if it is full.
    pub(crate) fn put(&self, one: T) -> bool {
        let mut waiting = self.waiting();
        if waiting.all.len() >= self.count_max {
            return false;
        }
        waiting.all.push(one);
        if waiting.all.len() == self.batch_max {
            self.is_due.notify_one();
        }
        true
    }

    /// Waits for a batch, or until then for as much as there is; with the flushes that this answers.
    pub(crate) fn take(&self, due: Instant) -> (Vec<T>, u64) {
        let wait = due.saturating_duration_since(Instant::now());
        let is_early =
            |waiting: &mut Waiting<T>| waiting.all.len() < self.batch_max && waiting.flushes == waiting.flushed;
        let waited = self.is_due.wait_timeout_while(self.waiting(), wait, is_early);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let count = waiting.all.len().min(self.batch_max);
        let batch = waiting.all.drain(..count).collect();
        // As long as some are left, whoever waits for them goes on waiting.
        let flushed = if waiting.all.is_empty() { waiting.flushes } else { waiting.flushed };
        (batch, flushed)
    }

    /// What [`Self::take`] gave is sent, and answers these.
    pub(crate) fn flushed(&self, flushed: u64) {
        self.waiting().flushed = flushed;
        self.is_flushed.notify_all();
    }

    /// Waits until what was put before is sent.
    pub(crate) fn flush(&self, limit: Duration) {
        let mut waiting = self.waiting();
        waiting.flushes += 1;
        let flush = waiting.flushes;
        self.is_due.notify_one();
        drop(self.is_flushed.wait_timeout_while(waiting, limit, |waiting| waiting.flushed < flush));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_does_not_fit_is_refused() {
        let queue = Queue::new(3, 2);
        assert_eq!([1, 2, 3, 4].map(|number| queue.put(number)), [true, true, true, false]);
        assert_eq!(queue.take(Instant::now() + LONG).0, [1, 2]);
        assert!(queue.put(5));
        assert_eq!(queue.take(Instant::now() + LONG).0, [3, 5]);
    }

    #[test]
    fn what_is_no_batch_waits_until_it_is_due() {
        let queue = Queue::new(10, 2);
        queue.put(1);
        let began = Instant::now();
        assert_eq!(queue.take(began + SOON).0, [1]);
        assert!(began.elapsed() >= SOON);
        assert!(queue.take(Instant::now() + SOON).0.is_empty());
        // A batch that comes meanwhile is taken at once.
        let queue = Arc::new(queue);
        let taken = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.take(Instant::now() + LONG).0
        });
        thread::sleep(SOON);
        let put = Instant::now();
        assert!(queue.put(2) && queue.put(3));
        assert_eq!(taken.join().unwrap(), [2, 3]);
        assert!(put.elapsed() < LONG / 2, "is not woken");
    }

    #[test]
    fn a_flush_ends_when_everything_is_sent_or_its_time_is_over() {
        let queue = Arc::new(Queue::new(10, 2));
        (1..=5).for_each(|number| assert!(queue.put(number)));
        queue.flush(SOON);
        let sent = Arc::new(Mutex::new(Vec::new()));
        thread::spawn({
            let (queue, sent) = (Arc::clone(&queue), Arc::clone(&sent));
            move || loop {
                let (batch, flushed) = queue.take(Instant::now() + LONG);
                thread::sleep(SOON);
                sent.lock().unwrap().extend(batch);
                queue.flushed(flushed);
            }
        });
        queue.flush(LONG);
        assert_eq!(*sent.lock().unwrap(), [1, 2, 3, 4, 5]);
        queue.put(6);
        queue.flush(LONG);
        assert_eq!(sent.lock().unwrap().last(), Some(&6));
    }
}
