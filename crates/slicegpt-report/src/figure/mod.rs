//! Charts as SVG.

mod bars;
mod lines;
mod style;

pub use bars::{Bars, bars};
pub use lines::{Line, Lines, lines};
pub use style::{along, colour, hex};
