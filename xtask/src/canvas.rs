//! Shared by all charts: the canvas, the colours, and text.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub type Drawn = std::result::Result<(), Box<dyn Error>>;

/// The colours of what is compared, safe for colour-blind readers (Okabe and Ito).
pub const COLOURS: [RGBColor; 5] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
];
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub const FAINT: RGBColor = RGBColor(0x70, 0x70, 0x70);
pub const GRID: RGBColor = RGBColor(0xe2, 0xe2, 0xe2);

/// Writes text that begins at a point and is vertically centred on it.
pub fn write(
    canvas: &Canvas<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
) -> Drawn {
    place(canvas, text, at, size, colour, HPos::Left)
}

/// As [`write()`], with the point at the given side of the text.
pub fn place(
    canvas: &Canvas<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
    side: HPos,
) -> Drawn {
    let style = ("sans-serif", size).into_font().color(&colour).pos(Pos::new(side, VPos::Center));
    canvas.draw(&Text::new(text, at, style))?;
    Ok(())
}
