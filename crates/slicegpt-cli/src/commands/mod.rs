//! One file per command: its arguments, and how it composes the libraries.

pub mod bench;
pub mod calibrate;
pub mod chat;
pub mod completions;
pub mod compress;
pub mod devices;
pub mod finetune;
pub mod generate;
pub mod gguf;
pub mod import;
pub mod inspect;
pub mod kl;
pub mod logits;
pub mod man;
pub mod merge;
pub mod plan;
pub mod ppl;
pub mod report;
pub mod serve;
pub mod tasks;
pub mod verify;
