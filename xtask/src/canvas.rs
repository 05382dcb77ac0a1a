//! What all charts share: where they are drawn, their colours, and text.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub type Drawn = std::result::Result<(), Box<dyn Error>>;

/// One colour for each of what is compared, told apart by the colour-blind too (Okabe and Ito).
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

/// Text that begins at a point, the point being half up its height.
pub fn write(
    canvas: &Canvas<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
) -> Drawn {
    place(canvas, text, at, size, colour, HPos::Left)
}

/// [`write()`], with the point at the chosen side of the text.
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
