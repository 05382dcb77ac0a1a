//! [`DownloadObserver`]: follows downloads and may interrupt them.

use std::ops::ControlFlow;

/// Follows downloads and may interrupt them.
pub trait DownloadObserver {
    /// The download of `file` begins at byte `from`. `size` is its size in bytes, if the Hub
    /// announced it. It is called again if the download has to start over.
    fn begin(&mut self, file: &str, size: Option<u64>, from: u64);

    /// `bytes` more were downloaded, possibly 0 while waiting. Returns whether to go on.
    fn advance(&mut self, bytes: u64) -> ControlFlow<()>;

    /// The file is complete.
    fn end(&mut self);

    /// Something unexpected that is not an error, such as using the cache because the Hub is
    /// unreachable.
    fn warn(&mut self, message: &str);
}

/// Ignores all events.
impl DownloadObserver for () {
    fn begin(&mut self, _file: &str, _size: Option<u64>, _from: u64) {}

    fn advance(&mut self, _bytes: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn end(&mut self) {}

    fn warn(&mut self, _message: &str) {}
}
