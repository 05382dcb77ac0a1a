//! What the tests of SliceGPT share.
