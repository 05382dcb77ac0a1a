//! [`Expiry`]: the deadline of a connection, even if its client has not read all of a response;
//! [`IdleConnections`]: the connections without a request, which are closed first if there are too
//! many.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};

/// How long a new connection may take for the head of its first request.
const FIRST_HEAD: Duration = Duration::from_secs(10);

/// The deadline of a connection's current request. Clones share it.
#[derive(Clone)]
pub struct Expiry {
    deadline: Sender<Option<Instant>>,
    idle: IdleConnections,
    /// The number of the connection.
    number: u64,
}

impl Expiry {
    /// The deadline of a new connection, which is idle at first; the receiver is for [`expired`].
    pub fn new(idle: IdleConnections) -> (Self, Receiver<Option<Instant>>) {
        let (deadline, receiver) = channel(Some(Instant::now() + FIRST_HEAD));
        let number = idle.add(&deadline);
        (Self { deadline, idle, number }, receiver)
    }

    /// Sets the deadline; none while there is no request.
    pub fn set(&self, deadline: Option<Instant>) {
        match deadline {
            Some(_) => self.idle.remove(self.number),
            None => self.idle.put_back(self.number, &self.deadline),
        }
        self.deadline.send_replace(deadline);
    }

    /// Closes the connection.
    pub fn close(&self) {
        self.deadline.send_replace(Some(Instant::now()));
    }

    /// Forgets a connection that has ended.
    pub fn end(&self) {
        self.idle.remove(self.number);
    }
}

/// Returns once the deadline of a request has passed.
pub async fn expired(mut deadline: Receiver<Option<Instant>>) {
    loop {
        let current = *deadline.borrow_and_update();
        tokio::select! {
            changed = deadline.changed() => if changed.is_err() {
                // All senders are gone: no request will come.
                return pending().await;
            },
            () = async { match current {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            } } => return,
        }
    }
}

/// The connections that have no request. Clones share them.
#[derive(Clone, Default)]
pub struct IdleConnections(Arc<Mutex<Connections>>);

#[derive(Default)]
struct Connections {
    /// Deadlines by whether there was a request before, and by the time since when there is none:
    /// the first is closed first.
    idle: BTreeMap<(bool, u64), Sender<Option<Instant>>>,
    /// The keys of connections in `idle`, by number.
    keys: BTreeMap<u64, (bool, u64)>,
    next: u64,
}

impl IdleConnections {
    /// Closes the connection that has been idle longest; those without any request so far first.
    pub fn close_one(&self) {
        let mut connections = self.lock();
        if let Some((key, deadline)) = connections.idle.pop_first() {
            connections.keys.retain(|_, other| *other != key);
            deadline.send_replace(Some(Instant::now()));
        }
    }

    /// Adds a new connection, and returns its number.
    fn add(&self, deadline: &Sender<Option<Instant>>) -> u64 {
        let mut connections = self.lock();
        let number = connections.next();
        connections.insert(number, (false, number), deadline);
        number
    }

    /// Adds connection `number`, whose request is answered.
    fn put_back(&self, number: u64, deadline: &Sender<Option<Instant>>) {
        let mut connections = self.lock();
        connections.remove(number);
        let now = connections.next();
        connections.insert(number, (true, now), deadline);
    }

    fn remove(&self, number: u64) {
        self.lock().remove(number);
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        // A panic leaves at worst a connection that is not closed for others.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn insert(&mut self, number: u64, key: (bool, u64), deadline: &Sender<Option<Instant>>) {
        self.keys.insert(number, key);
        self.idle.insert(key, deadline.clone());
    }

    fn remove(&mut self, number: u64) {
        if let Some(key) = self.keys.remove(&number) {
            self.idle.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_that_is_idle_longest_is_closed_first() {
        let idle = IdleConnections::default();
        let connections: Vec<_> = (0..4).map(|_| Expiry::new(idle.clone())).collect();
        let soon = Instant::now() + Duration::from_secs(1);
        let closed = || {
            let is_closed = |receiver: &Receiver<Option<Instant>>| {
                receiver.borrow().is_some_and(|deadline| deadline <= Instant::now())
            };
            connections.iter().map(|(_, receiver)| is_closed(receiver)).collect::<Vec<_>>()
        };
        // 0 and 3 have asked; 0 still waits for its answer. 1 has ended.
        connections[0].0.set(Some(soon));
        connections[3].0.set(Some(soon));
        connections[3].0.set(None);
        connections[1].0.end();
        idle.close_one();
        assert_eq!(closed(), [false, false, true, false]);
        idle.close_one();
        assert_eq!(closed(), [false, false, true, true]);
        idle.close_one();
        assert_eq!(closed(), [false, false, true, true]);
        connections[0].0.close();
        assert!(closed()[0]);
    }
}
