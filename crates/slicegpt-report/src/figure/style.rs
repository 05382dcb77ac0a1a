//! The look of charts: size, colours, axes. The colours are few and fixed, so that the style sheet
//! of the page can replace them in dark mode.

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::FontDesc;

use crate::ReportError;
use crate::numbers::show_number;

/// Size of a chart in pixels. It is small, so that text stays readable on a phone.
pub(super) const SIZE: (u32, u32) = (480, 320);

/// Size of text in pixels.
const TEXT: f64 = 14.0;

const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const FAINT: RGBColor = RGBColor(0x70, 0x70, 0x70);
const GRID: RGBColor = RGBColor(0xe2, 0xe2, 0xe2);

/// Colours of the models, which the colour-blind can distinguish too (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// The colour of item `index`.
pub fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// The colour at position `part` of a sequence, from 0 to 1.
pub fn along(part: f64) -> RGBColor {
    let [from, to] = [(0x3b, 0x8f, 0xd0), (0xe6, 0x6a, 0x1f)];
    let mix = |a: i32, b: i32| (f64::from(a) + part * f64::from(b - a)).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// A colour in the notation of SVG.
pub fn hex(RGBColor(r, g, b): RGBColor) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

/// The label of a tick, without trailing zeros.
pub(super) fn show_tick(value: f64) -> String {
    let text = show_number(if value.abs() < 1e-12 { 0.0 } else { value });
    match text.split_once('e') {
        Some((number, power)) => format!("{}e{power}", number.trim_end_matches(".0")),
        None if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.').into(),
        None => text,
    }
}

fn font() -> FontDesc<'static> {
    ("sans-serif", TEXT).into_font()
}

/// A chart with margins for the labels of its axes.
pub(super) fn framed<'a, 'b>(
    canvas: &'a DrawingArea<SVGBackend<'b>, Shift>,
) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(canvas);
    chart.margin(8).margin_right(16).x_label_area_size(46).y_label_area_size(66);
    chart
}

/// Axes with names, and horizontal grid lines only.
pub(super) fn styled<'m, 'a, 'b, X, Y, DB>(
    mesh: &'m mut MeshStyle<'a, 'b, X, Y, DB>,
    across: &str,
    up: &str,
) -> &'m mut MeshStyle<'a, 'b, X, Y, DB>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    DB: DrawingBackend,
{
    mesh.disable_x_mesh()
        .max_light_lines(0)
        .bold_line_style(GRID)
        .axis_style(FAINT)
        .label_style(font().color(&INK))
        .axis_desc_style(font().color(&INK))
        .y_labels(6)
        .x_desc(across)
        .y_desc(up)
}

pub(super) fn failed(error: impl std::fmt::Display) -> ReportError {
    ReportError::Drawing(error.to_string())
}
