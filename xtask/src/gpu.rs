//! `cargo xtask gpu-kit` and `gpu-page`: an archive for a bare machine with a GPU, and the pages
//! made from its results.

mod archive;
mod kit;
mod links;
mod page;

pub use kit::Args as KitArgs;
pub use kit::run as kit;
pub use page::Args as PageArgs;
pub use page::run as page;
