//! Which sequences the model runs next, and the memory that they and their responses take.

pub mod batch;
pub mod budget;
pub mod cancel;
pub mod forward;
pub mod job;
pub mod running;
pub mod scheduler;
