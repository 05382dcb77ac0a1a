//! Services for commands: models, devices, the Hub, memory, files.

pub mod allocator;
pub mod calibrated;
pub mod card;
pub mod device;
pub mod estimate;
pub mod files;
pub mod generation;
pub mod gguf;
pub mod hub;
pub mod memory;
pub mod model;
pub mod own_head;
pub mod own_text;
pub mod reweighted;
pub mod spill;
pub mod watch;
