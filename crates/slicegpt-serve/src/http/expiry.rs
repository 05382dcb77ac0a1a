//! [`Expiry`]: the deadline of a connection, even if its client has not read all of a response.

use std::future::pending;

use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};

/// The deadline of a connection's current request. Clones share it.
#[derive(Clone, Debug)]
pub struct Expiry(Sender<Option<Instant>>);

impl Expiry {
    /// The deadline of a new connection; the receiver is for [`expired`].
    pub fn new() -> (Self, Receiver<Option<Instant>>) {
        let (sender, receiver) = channel(None);
        (Self(sender), receiver)
    }

    /// Sets the deadline; none while there is no request.
    pub fn set(&self, deadline: Option<Instant>) {
        self.0.send_replace(deadline);
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
