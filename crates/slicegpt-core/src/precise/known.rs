//! What is found out about a device once, and remembered.

use std::sync::Mutex;

use burn::tensor::Device;

/// An answer for each device that was asked about.
pub struct Known<T>(Mutex<Vec<(Device, T)>>);

impl<T: Copy> Known<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The answer for `device`, found by `ask` the first time.
    pub fn of(&self, device: &Device, ask: impl FnOnce() -> T) -> T {
        let known = || self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, answer)) = known().iter().find(|(other, _)| other == device) {
            return *answer;
        }
        // Not under the lock: asking may compute, and computing may ask.
        let answer = ask();
        known().push((device.clone(), answer));
        answer
    }
}
