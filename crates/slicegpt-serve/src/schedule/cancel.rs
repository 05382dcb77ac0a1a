//! [`CancelOnDrop`]: a blocking task that is cancelled when its future is dropped.
//!
//! [`Cancelled`] tells the task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// A task on tokio's blocking pool. Dropping this future cancels the task: one that has not started
/// never starts, a running one can poll for the cancellation.
pub struct CancelOnDrop<T> {
    task: JoinHandle<T>,
    cancelled: Cancelled,
}

/// Whether a task has been cancelled.
#[derive(Clone, Debug, Default)]
pub struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    /// Whether it has.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<T: Send + 'static> CancelOnDrop<T> {
    /// Runs `work` when a thread is free. Its argument tells whether the task has been cancelled.
    pub fn new(work: impl FnOnce(Cancelled) -> T + Send + 'static) -> Self {
        let cancelled = Cancelled::default();
        let flag = cancelled.clone();
        let task = spawn_blocking(move || work(flag));
        Self { task, cancelled }
    }
}

impl<T> Future for CancelOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(context)
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        self.cancelled.0.store(true, Ordering::Relaxed);
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_dropped_task_is_not_started_or_sees_its_cancellation() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build();
        runtime.unwrap().block_on(async {
            let (start, started) = channel();
            let (end, ended) = channel();
            let first = CancelOnDrop::new(move |cancelled| {
                start.send(()).unwrap();
                while !cancelled.get() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                end.send("first").unwrap();
            });
            // The first task occupies the only thread.
            let (run, has_run) = channel();
            let second = CancelOnDrop::new(move |_| run.send(()).unwrap());
            let third = CancelOnDrop::new(|_| "third");
            started.recv().unwrap();
            drop(second);
            drop(first);
            assert_eq!(ended.recv().unwrap(), "first");
            assert_eq!(third.await.unwrap(), "third");
            // The second task never ran, and what it captured was dropped.
            assert!(has_run.recv().is_err());
        });
    }
}
