//! `slicegpt merge`: weights, files and refusals.

mod files;
mod made;
mod refusals;
mod weights;
