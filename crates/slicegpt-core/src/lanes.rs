//! [`Lanes`]: batches side by side on the cores of the processor.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Cores in equal groups, each for a batch of its own.
///
/// On the processor only large matrix products are shared out among cores; everything between them
/// runs on one. Batches that do not know of each other are the remedy: as many as there are groups
/// are worked on at a time, and every operation of a batch stays within its group. What this costs is
/// memory, for as many batches at a time.
///
/// The default is one lane that takes every core, which is also right for any other device.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    /// None for one lane: work is then done where it is asked for.
    pools: Vec<Arc<ThreadPool>>,
}

impl Lanes {
    /// `count` lanes, or one per core if there are not as many cores.
    pub fn new(count: usize) -> Self {
        let cores = rayon::current_num_threads();
        let count = count.clamp(1, cores);
        if count == 1 {
            return Self::default();
        }
        let pool = |lane: usize| {
            // The first groups take the cores that are left over.
            let size = cores / count + usize::from(lane < cores % count);
            let name = move |core| format!("lane {lane}.{core}");
            ThreadPoolBuilder::new().num_threads(size).thread_name(name).build().map(Arc::new)
        };
        // A system that gives no more threads is served with those there are.
        let pools: Result<_, _> = (0..count).map(pool).collect();
        Self { pools: pools.unwrap_or_default() }
    }

    /// How many batches are worked on at a time.
    pub fn count(&self) -> usize {
        self.pools.len().max(1)
    }

    /// `work` of each item, at most [`Lanes::count`] of them, at the same time. A single item is
    /// worked on by every core.
    ///
    /// # Panics
    ///
    /// If there are more items than lanes, and if `work` does.
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        assert!(items.len() <= self.count(), "a lane for each item");
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
    fn items_are_worked_on_at_the_same_time_and_come_back_in_order() {
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
    fn a_lane_has_its_share_of_the_cores() {
        let cores = rayon::current_num_threads();
        for count in [1, 2, 1000] {
            let lanes = Lanes::new(count);
            assert_eq!(lanes.count(), count.min(cores));
            let each = lanes.map(vec![(); lanes.count()], |()| rayon::current_num_threads());
            assert_eq!(each.iter().sum::<usize>(), cores);
        }
    }

    #[test]
    fn one_item_has_every_core() {
        let found = Lanes::new(2).map(vec![()], |()| rayon::current_num_threads());
        assert_eq!(found, [rayon::current_num_threads()]);
        assert!(Lanes::default().map(Vec::<()>::new(), |()| ()).is_empty());
    }

    #[test]
    #[should_panic(expected = "of its own")]
    fn a_panic_comes_through() {
        let lanes = Lanes::new(2);
        lanes.map(vec![(); lanes.count()], |()| panic!("of its own"));
    }
}
