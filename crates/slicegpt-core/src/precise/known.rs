//! Facts about devices that are determined once and remembered.

use std::sync::Mutex;

use burn::tensor::Device;

/// A fact about each device that was asked about.
pub struct Known<T>(Mutex<Vec<(Device, T)>>);

impl<T: Copy> Known<T> {
    /// No facts yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The fact about `device`, which `ask` determines the first time.
    pub fn of(&self, device: &Device, ask: impl FnOnce() -> T) -> T {
        let known = || self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, answer)) = known().iter().find(|(other, _)| other == device) {
            return *answer;
        }
        // Called without holding the lock: `ask` may run computations that call this function.
        let answer = ask();
        known().push((device.clone(), answer));
        answer
    }
}
