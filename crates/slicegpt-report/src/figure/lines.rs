//! Line charts.

use std::ops::Range;

use plotters::coord::combinators::IntoLogRange;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use super::style::{FAINT, SIZE, failed, framed, show_tick, styled};
use crate::ReportError;

/// A line chart.
pub struct Lines<'a> {
    /// Name of the horizontal axis.
    pub across: &'a str,
    /// Name of the vertical axis.
    pub up: &'a str,
    /// Whether the vertical axis is logarithmic.
    pub is_logarithmic: bool,
    /// Whether points are drawn as circles.
    pub is_marked: bool,
    /// Horizontal positions of vertical lines.
    pub marks: Vec<f64>,
    pub lines: Vec<Line>,
}

/// A line through points, in order.
pub struct Line {
    pub colour: RGBColor,
    pub points: Vec<(f64, f64)>,
}

/// The smallest value on a logarithmic axis, as a fraction of the largest. Smaller values are
/// rounding errors.
const NEGLIGIBLE: f64 = 1e-9;

/// Draws a line chart as SVG. On a logarithmic axis, values that are not above 0 are left out.
pub fn lines(chart: &Lines<'_>) -> Result<String, ReportError> {
    let points = || chart.lines.iter().flat_map(|line| &line.points).copied();
    let (left, right) = ends(points().map(|(x, _)| x).chain(chart.marks.iter().copied()));
    let values = || points().map(|(_, y)| y);
    let mut svg = String::new();
    let canvas = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    let drawn = if chart.is_logarithmic {
        let most = values().fold(f64::MIN_POSITIVE, f64::max);
        let (low, high) = ends(values().filter(|y| *y > most * NEGLIGIBLE));
        // Whole decades.
        let low = 10_f64.powf(low.log10().floor());
        let high = 10_f64.powf(high.log10().ceil()).max(low * 10.0);
        draw(&canvas, chart, left..right, (low..high).log_scale(), low)
    } else {
        let (low, high) = widened(ends(values()));
        draw(&canvas, chart, left..right, low..high, f64::NEG_INFINITY)
    };
    drawn.and_then(|()| canvas.present().map_err(failed))?;
    drop(canvas);
    Ok(svg)
}

fn draw<Y>(
    canvas: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    chart: &Lines<'_>,
    across: Range<f64>,
    up: Y,
    least: f64,
) -> Result<(), ReportError>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let room = if chart.is_marked { (across.end - across.start) * 0.04 } else { 0.0 };
    let across = across.start - room..across.end + room;
    let mut area = framed(canvas).build_cartesian_2d(across, up).map_err(failed)?;
    styled(&mut area.configure_mesh(), chart.across, chart.up)
        .x_labels(6)
        .x_label_formatter(&|x| show_tick(*x))
        .y_label_formatter(&|y| show_tick(*y))
        .draw()
        .map_err(failed)?;
    let vertical = area.plotting_area().get_y_range();
    let marks = chart.marks.iter().map(|at| {
        PathElement::new([(*at, vertical.start), (*at, vertical.end)], FAINT.stroke_width(1))
    });
    area.draw_series(marks).map_err(failed)?;
    for line in &chart.lines {
        let points: Vec<_> = line.points.iter().copied().filter(|(_, y)| *y >= least).collect();
        let style = line.colour.stroke_width(2);
        let path = PathElement::new(points.clone(), style);
        area.draw_series([path]).map_err(failed)?;
        if chart.is_marked {
            let circles =
                points.into_iter().map(|point| Circle::new(point, 4, line.colour.filled()));
            area.draw_series(circles).map_err(failed)?;
        }
    }
    Ok(())
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// Adds a margin, so that a single value is in the middle. A range without negative values does not
/// go below 0.
fn widened((low, high): (f64, f64)) -> (f64, f64) {
    let span = if high > low { high - low } else { high.abs().max(1e-9) };
    let down = low - 0.1 * span;
    (if low >= 0.0 { down.max(0.0) } else { down }, high + 0.1 * span)
}
