//! Log lines that others can cause as often as they like: said at once, then once a minute, with the number of those in between.
//!
//! A place in the code has one [`Repeats`], as a `static`, and says what its lines are about: a listener, a partition, a
//! connector. Each of these speaks for itself, so that one which is loud hides no other.
//!
//! ```
//! static REFUSED: weir_repeats::Repeats = weir_repeats::Repeats::new();
//! if let Some(suppressed) = REFUSED.say("EXTERNAL") {
//!     println!("connection refused listener=EXTERNAL suppressed={suppressed}");
//! }
//! ```
//!
//! Never: a log of its own, a thread, memory that grows; a line that nobody counted.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// About one thing a line is said once in that time.
const EVERY: Duration = Duration::from_secs(60);
/// So many things are told apart at one place; of further ones nothing is said until one of these has been quiet for long enough.
const THINGS_MAX: usize = 64;

/// The lines of one place.
#[derive(Debug)]
pub struct Repeats {
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    said: Vec<Said>,
    /// Suppressed lines about things that are not remembered (any more).
    others: u64,
}

#[derive(Debug)]
struct Said {
    about: u64,
    at: Instant,
    suppressed: u64,
}

impl Repeats {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self { lines: Mutex::new(Lines { said: Vec::new(), others: 0 }) }
    }

    /// Whether to say a line about that now, and how many before it were not said.
    pub fn say(&self, about: impl Hash) -> Option<u64> {
        self.say_at(Instant::now(), about)
    }

    fn say_at(&self, now: Instant, about: impl Hash) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        about.hash(&mut hasher);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).say(now, hasher.finish())
    }
}

impl Lines {
    fn say(&mut self, now: Instant, about: u64) -> Option<u64> {
        let is_recent = |said: &Said| now.saturating_duration_since(said.at) < EVERY;
        if let Some(said) = self.said.iter_mut().find(|said| said.about == about) {
            if is_recent(said) {
                said.suppressed += 1;
                return None;
            }
            said.at = now;
            return Some(std::mem::take(&mut said.suppressed));
        }
        if self.said.len() == THINGS_MAX {
            let oldest =
                self.said.iter().enumerate().filter(|(_, said)| !is_recent(said)).min_by_key(|(_, said)| said.at);
            let Some((oldest, _)) = oldest else {
                self.others += 1;
                return None;
            };
            self.others += self.said.swap_remove(oldest).suppressed;
        }
        self.said.push(Said { about, at: now, suppressed: 0 });
        Some(std::mem::take(&mut self.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_at_once_and_then_once_a_minute_with_the_number_of_the_others() {
        let (repeats, start) = (Repeats::new(), Instant::now());
        assert_eq!(repeats.say_at(start, "a"), Some(0));
        let said = (1..600).filter_map(|tenth| repeats.say_at(start + Duration::from_millis(tenth * 100), "a"));
        assert_eq!(said.count(), 0);
        assert_eq!(repeats.say_at(start + EVERY, "a"), Some(599));
        assert_eq!(repeats.say_at(start + 2 * EVERY, "a"), Some(0));
    }

    #[test]
    fn one_thing_does_not_hide_another() {
        let (repeats, now) = (Repeats::new(), Instant::now());
        assert_eq!(repeats.say_at(now, ("orders", 0)), Some(0));
        assert_eq!(repeats.say_at(now, ("orders", 0)), None);
        assert_eq!(repeats.say_at(now, ("orders", 1)), Some(0));
    }

    #[test]
    fn of_many_things_few_are_said_and_all_are_counted() {
        let (repeats, now) = (Repeats::new(), Instant::now());
        let said = (0..10_000).filter_map(|thing| repeats.say_at(now, thing)).count();
        assert_eq!(said, THINGS_MAX);
        assert!(repeats.lines.lock().unwrap().said.capacity() <= 2 * THINGS_MAX);
        assert_eq!(repeats.say_at(now + EVERY, "new"), Some(10_000 - THINGS_MAX as u64));
    }
}
