//! [`Lanes`]: batches that run at the same time on groups of CPU cores.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// CPU cores in groups of equal size, each of which runs one batch at a time.
///
/// On the CPU only large matrix products run on several cores; the operations between them run on
/// one. With lanes, as many independent batches run at the same time as there are groups, and every
/// operation of a batch stays within its group. The price is the memory of that many batches.
///
/// The default is one lane with every core, which is also right for any other device.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    /// Empty if there is one lane: work then runs on the calling thread.
    pools: Vec<Arc<ThreadPool>>,
}

impl Lanes {
    /// `count` lanes, or one per core if there are fewer cores than that.
    pub fn new(count: usize) -> Self {
        let cores = rayon::current_num_threads();
        let count = count.clamp(1, cores);
        if count == 1 {
            return Self::default();
        }
        let pool = |lane: usize| {
            // The first groups take the remainder of the division.
            let size = cores / count + usize::from(lane < cores % count);
            let name = move |core| format!("lane {lane}.{core}");
            ThreadPoolBuilder::new().num_threads(size).thread_name(name).build().map(Arc::new)
        };
        // If the system does not provide more threads, use the existing ones as one lane.
        let pools: Result<_, _> = (0..count).map(pool).collect();
        Self { pools: pools.unwrap_or_default() }
    }

    /// The number of batches that run at the same time.
    pub fn count(&self) -> usize {
        self.pools.len().max(1)
    }

    /// Runs `work` on every item at the same time, one item per lane, and returns the results in
    /// the order of the items. A single item runs on every core.
    ///
    /// # Panics
    ///
    /// If there are more items than lanes, or if `work` panics.
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        assert!(items.len() <= self.count(), "at most one item per lane");
        if items.len() <= 1 {
            return items.into_iter().map(work).collect();
        }
        let work = &work;
        thread::scope(|scope| {
            let started: Vec<_> = items
                .into_iter()
                .zip(&self.pools)
                .map(|(item, pool)| scope.spawn(move || pool.install(|| work(item))))
                .collect();
            let done =
                started.into_iter().map(|lane| lane.join().unwrap_or_else(|p| resume_unwind(p)));
            done.collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn items_run_at_the_same_time_and_results_keep_their_order() {
        let lanes = Lanes::new(2);
        let together = Barrier::new(lanes.count());
        let items: Vec<_> = (0..lanes.count()).collect();
        let found = lanes.map(items.clone(), |item| {
            together.wait();
            (item, thread::current().id())
        });
        assert!(found.iter().map(|(item, _)| item).eq(&items));
        let threads: BTreeSet<_> = found.iter().map(|(_, id)| format!("{id:?}")).collect();
        assert_eq!(threads.len(), lanes.count());
    }

    #[test]
    fn the_cores_are_divided_among_the_lanes() {
        let cores = rayon::current_num_threads();
        for count in [1, 2, 1000] {
            let lanes = Lanes::new(count);
            assert_eq!(lanes.count(), count.min(cores));
            let each = lanes.map(vec![(); lanes.count()], |()| rayon::current_num_threads());
            assert_eq!(each.iter().sum::<usize>(), cores);
        }
    }

    #[test]
    fn a_single_item_runs_on_every_core() {
        let found = Lanes::new(2).map(vec![()], |()| rayon::current_num_threads());
        assert_eq!(found, [rayon::current_num_threads()]);
        assert!(Lanes::default().map(Vec::<()>::new(), |()| ()).is_empty());
    }

    #[test]
    #[should_panic(expected = "work failed")]
    fn a_panic_of_the_work_propagates() {
        let lanes = Lanes::new(2);
        lanes.map(vec![(); lanes.count()], |()| panic!("work failed"));
    }
}
