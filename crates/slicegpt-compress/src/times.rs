//! [`Times`]: where the time of a compression went.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use slicegpt_slice::Stages;

/// The time spent in each stage of a compression. The stages do not overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Calibrating and cutting, by kind of work.
    pub passes: Stages,
    /// Comparing splits, with everything that was run for it.
    pub search: Duration,
    /// Waiting for dense blocks to be read, widened and moved to the device.
    pub read: Duration,
    /// Looking up embeddings; rewriting and writing embedding and head.
    pub tables: Duration,
    /// Handing over the blocks of the cut model.
    pub write: Duration,
}

/// The times that are measured outside passes.
#[derive(Default)]
pub(crate) struct Clock(Mutex<Times>);

impl Clock {
    /// Runs `work` and adds its time to a stage.
    pub fn time<T>(&self, stage: fn(&mut Times) -> &mut Duration, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.change(|times| *stage(times) += start.elapsed());
        result
    }

    /// Runs a search. All of its time is that of the search, whatever was measured within.
    pub fn search<T>(&self, work: impl FnOnce() -> T) -> T {
        let (before, start) = (self.times(), Instant::now());
        let result = work();
        self.change(|times| *times = Times { search: before.search + start.elapsed(), ..before });
        result
    }

    pub fn times(&self) -> Times {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Times)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_takes_the_time_of_all_it_runs() {
        let clock = Clock::default();
        let short = || std::thread::sleep(Duration::from_millis(2));
        clock.time(|times| &mut times.read, short);
        let before = clock.times();
        assert!(before.read >= Duration::from_millis(2));
        clock.search(|| clock.time(|times| &mut times.read, short));
        let after = clock.times();
        assert_eq!(after.read, before.read);
        assert!(after.search >= Duration::from_millis(2));
        assert_eq!(after.write, Duration::ZERO);
    }
}
