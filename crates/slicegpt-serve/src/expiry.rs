//! [`Expiry`]: when a connection ends, even if its client has not taken all of an answer.

use std::future::pending;

use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};

/// When the request of a connection must be over. All clones are one.
#[derive(Clone, Debug)]
pub struct Expiry(Sender<Option<Instant>>);

impl Expiry {
    /// Of a connection; whoever runs it waits with [`expired`].
    pub fn new() -> (Self, Receiver<Option<Instant>>) {
        let (sender, receiver) = channel(None);
        (Self(sender), receiver)
    }

    /// Sets it; none while there is no request.
    pub fn set(&self, deadline: Option<Instant>) {
        self.0.send_replace(deadline);
    }
}

/// Returns when a request is not over in its time.
pub async fn expired(mut deadline: Receiver<Option<Instant>>) {
    loop {
        let at = *deadline.borrow_and_update();
        tokio::select! {
            changed = deadline.changed() => if changed.is_err() {
                // Nobody asks any more.
                return pending().await;
            },
            () = async { match at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            } } => return,
        }
    }
}
