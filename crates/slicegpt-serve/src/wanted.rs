//! [`Wanted`]: long work beside the connections, as long as somebody waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// Long work on a thread of its own. Dropped before it has begun it never begins; later it is told.
pub struct Wanted<T> {
    work: JoinHandle<T>,
    gone: Arc<AtomicBool>,
}

impl<T: Send + 'static> Wanted<T> {
    /// Begins `work` when a thread is free. It may ask whether nobody waits any longer.
    pub fn new(work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static) -> Self {
        let gone = Arc::new(AtomicBool::new(false));
        let flag = gone.clone();
        Self { work: spawn_blocking(move || work(&|| flag.load(Ordering::Relaxed))), gone }
    }
}

impl<T> Future for Wanted<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.work).poll(context)
    }
}

impl<T> Drop for Wanted<T> {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        self.work.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_nobody_waits_for_is_not_begun_and_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build();
        runtime.unwrap().block_on(async {
            let (begun, has_begun) = channel();
            let (ended, has_ended) = channel();
            let first = Wanted::new(move |gone| {
                begun.send(()).unwrap();
                while !gone() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                ended.send("first").unwrap();
            });
            // The only thread is taken.
            let (other, has_run) = channel();
            let second = Wanted::new(move |_| other.send(()).unwrap());
            let third = Wanted::new(|_| "third");
            has_begun.recv().unwrap();
            drop(second);
            drop(first);
            assert_eq!(has_ended.recv().unwrap(), "first");
            assert_eq!(third.await.unwrap(), "third");
            // What it held was given back, and it never ran.
            assert!(has_run.recv().is_err());
        });
    }
}
