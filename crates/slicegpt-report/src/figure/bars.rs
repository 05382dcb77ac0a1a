//! Bar charts.

use plotters::prelude::*;

use super::style::{FAINT, SIZE, colour, failed, framed, show_tick, styled};
use crate::ReportError;

/// A bar chart.
pub struct Bars<'a> {
    /// Name of the horizontal axis.
    pub across: &'a str,
    /// Name of the vertical axis, which begins at 0.
    pub up: &'a str,
    /// The number of the first bar.
    pub first: usize,
    pub values: Vec<f64>,
    /// The largest possible value, drawn as a line.
    pub most: Option<f64>,
}

/// Draws a bar chart as SVG.
pub fn bars(chart: &Bars<'_>) -> Result<String, ReportError> {
    let (first, last) = (chart.first as f64, (chart.first + chart.values.len()) as f64 - 1.0);
    let greatest = chart.values.iter().copied().fold(chart.most.unwrap_or(0.0), f64::max);
    let top = if greatest > 0.0 { greatest * 1.08 } else { 1.0 };
    let mut svg = String::new();
    let canvas = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    let mut area =
        framed(&canvas).build_cartesian_2d(first - 0.6..last + 0.6, 0.0..top).map_err(failed)?;
    styled(&mut area.configure_mesh(), chart.across, chart.up)
        .x_labels(chart.values.len().min(8))
        // Positions between two bars have no label.
        .x_label_formatter(&|x| if x.fract() == 0.0 { x.to_string() } else { String::new() })
        .y_label_formatter(&|y| show_tick(*y))
        .draw()
        .map_err(failed)?;
    let bars = chart.values.iter().enumerate().map(|(index, value)| {
        let at = first + index as f64;
        Rectangle::new([(at - 0.4, 0.0), (at + 0.4, *value)], colour(0).filled())
    });
    area.draw_series(bars).map_err(failed)?;
    if let Some(most) = chart.most {
        let line = [(first - 0.6, most), (last + 0.6, most)];
        area.draw_series([PathElement::new(line, FAINT.stroke_width(1))]).map_err(failed)?;
    }
    canvas.present().map_err(failed)?;
    drop(area);
    drop(canvas);
    Ok(svg)
}
