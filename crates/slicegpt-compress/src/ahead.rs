//! [`with_items`]: items that are made one after the other, the next one while the last is used. It
//! knows no model and no device.

use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;

/// Calls `work` with an iterator over the items that `make` makes for `0..count`. If `ahead`,
/// another thread makes each item while `work` uses the one before it: two are in memory at a time.
/// Otherwise each is made when it is asked for.
///
/// # Panics
///
/// If `make` or `work` panics.
pub(crate) fn with_items<T: Send, R>(
    count: usize,
    ahead: bool,
    make: impl Fn(usize) -> T + Send,
    work: impl FnOnce(&mut dyn Iterator<Item = T>) -> R,
) -> R {
    if !ahead {
        return work(&mut (0..count).map(make));
    }
    thread::scope(|scope| {
        // Nothing is stored in the channel: a complete item waits in `send`.
        let (sender, receiver) = sync_channel(0);
        let maker = scope.spawn(move || {
            for index in 0..count {
                if sender.send(make(index)).is_err() {
                    // The work has ended.
                    break;
                }
            }
        });
        let result = {
            let receiver = receiver;
            work(&mut receiver.iter())
        };
        match maker.join() {
            Ok(()) => result,
            Err(panic) => resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn items_come_in_order_whether_they_are_made_ahead_or_not() {
        for ahead in [false, true] {
            let found = with_items(5, ahead, |i| i * i, |items| items.collect::<Vec<_>>());
            assert_eq!(found, [0, 1, 4, 9, 16]);
        }
    }

    /// A deadlock if item 1 were made only after item 0 has been used.
    #[test]
    fn the_next_item_is_made_while_one_is_used() {
        let both = Barrier::new(2);
        let make = |index| {
            if index == 1 {
                both.wait();
            }
        };
        with_items(2, true, make, |items| {
            items.next();
            both.wait();
            assert!(items.next().is_some());
        });
    }

    #[test]
    fn nothing_is_made_that_the_work_does_not_get_to() {
        for (ahead, most) in [(false, 1), (true, 3)] {
            let made = AtomicUsize::new(0);
            let make = |_| made.fetch_add(1, Ordering::Relaxed);
            with_items(1000, ahead, make, |items| items.next());
            assert!(made.load(Ordering::Relaxed) <= most);
        }
    }

    #[test]
    #[should_panic(expected = "cannot be made")]
    fn a_panic_of_the_maker_keeps_its_message() {
        with_items(3, true, |_| panic!("cannot be made"), |items| items.count());
    }
}
