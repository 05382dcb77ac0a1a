//! [`Observer`]: who watches a download.

use std::ops::ControlFlow;

/// Is told what is being downloaded, and may end it.
pub trait Observer {
    /// `file` is downloaded from byte `from` on, of `size` bytes if the Hub said so. A file that has to
    /// start over begins again.
    fn begin(&mut self, file: &str, size: Option<u64>, from: u64);

    /// So many bytes more, or none for a while; whether to go on.
    fn advance(&mut self, bytes: u64) -> ControlFlow<()>;

    /// The file is there.
    fn end(&mut self);

    /// Something is not as it was asked for: a copy of the cache is used unseen.
    fn warn(&mut self, message: &str);
}

/// Nobody watches.
impl Observer for () {
    fn begin(&mut self, _file: &str, _size: Option<u64>, _from: u64) {}

    fn advance(&mut self, _bytes: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn end(&mut self) {}

    fn warn(&mut self, _message: &str) {}
}
