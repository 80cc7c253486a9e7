//! How many requests may be under way: one more after each round that goes well, half as many after trouble.

use std::time::Duration;

/// Answers that take this many times the usual say that the server has enough to do.
const SLOW_FACTOR: f64 = 2.0;
/// The weight of the newest answer in what is usual.
const SMOOTHING: f64 = 0.2;

#[derive(Debug)]
pub(super) struct Concurrency {
    limit: f64,
    most: f64,
    usual_seconds: Option<f64>,
}

impl Concurrency {
    pub(super) fn new(most: usize) -> Self {
        Self { limit: 1.0, most: most as f64, usual_seconds: None }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the configured most")]
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// After an answer that took all documents.
    pub(super) fn grow(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let usual = *self.usual_seconds.get_or_insert(seconds);
        if seconds > usual * SLOW_FACTOR {
            self.limit = (self.limit * 0.9).max(1.0);
        } else {
            self.limit = (self.limit + 1.0 / self.limit).min(self.most);
        }
        self.usual_seconds = Some(usual + (seconds - usual) * SMOOTHING);
    }

    /// After a refusal or no answer.
    pub(super) fn shrink(&mut self) {
        self.limit = (self.limit / 2.0).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_while_all_goes_well_and_halves_on_trouble() {
        let mut concurrency = Concurrency::new(4);
        assert_eq!(concurrency.limit(), 1);
        (0..20).for_each(|_| concurrency.grow(Duration::from_millis(50)));
        assert_eq!(concurrency.limit(), 4);
        concurrency.shrink();
        assert_eq!(concurrency.limit(), 2);
        (0..9).for_each(|_| concurrency.shrink());
        assert_eq!(concurrency.limit(), 1);
    }

    #[test]
    fn answers_that_get_slow_take_places_away() {
        let mut concurrency = Concurrency::new(8);
        (0..50).for_each(|_| concurrency.grow(Duration::from_millis(10)));
        concurrency.grow(Duration::from_millis(500));
        assert_eq!(concurrency.limit(), 7);
    }
}
