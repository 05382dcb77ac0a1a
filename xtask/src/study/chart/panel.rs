//! One panel of a chart: curves against the real reduction.

use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::super::aggregate::Spread;
use super::axis::Axis;
use crate::canvas::{Canvas, Drawn, FAINT, GRID, INK, place, write};

pub struct Panel {
    pub title: String,
    /// Values that are the same at every reduction, and whether their lines are dashed.
    pub levels: Vec<(f64, bool)>,
    pub curves: Vec<Curve>,
}

pub struct Curve {
    pub colour: RGBColor,
    pub is_dashed: bool,
    /// The real reduction in percent, and the value.
    pub points: Vec<(f64, Spread)>,
}

// Pixels.
const DASH: i32 = 6;
const GAP: i32 = 4;
const CAP: i32 = 4;
const MARK: i32 = 4;

impl Panel {
    /// `at` is the upper left corner of the plot area, `size` its size.
    pub fn draw(&self, canvas: &Canvas<'_>, at: (i32, i32), size: (i32, i32)) -> Drawn {
        let (left, top) = at;
        let (right, bottom) = (left + size.0, top + size.1);
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let reductions: Vec<f64> = points().map(|(reduction, _)| *reduction).collect();
        let mut values: Vec<f64> = points().map(|(_, value)| value.mean).collect();
        values.extend(self.levels.iter().map(|(value, _)| *value));
        // Only the means decide whether the axis is logarithmic; the error bars must fit as they
        // can.
        let is_far_apart = Axis::fitting(&values).is_logarithmic();
        let ends = points().flat_map(|(_, value)| value.ends());
        values.extend(ends.filter(|end| !is_far_apart || *end > 0.0));
        let across = Axis::linear(&reductions);
        let up = if is_far_apart { Axis::fitting(&values) } else { Axis::linear(&values) };
        let x = |value: f64| left + (across.part(value) * f64::from(size.0)).round() as i32;
        let y = |value: f64| bottom - (up.part(value) * f64::from(size.1)).round() as i32;

        let kind = if up.is_logarithmic() { " (logarithmic)" } else { "" };
        write(canvas, &format!("{}{kind}", self.title), (left, top - 14), 13, INK)?;
        if reductions.is_empty() {
            write(canvas, "no run succeeded", (left + 20, top + 20), 13, FAINT)?;
            return frame(canvas, (left, top), (right, bottom));
        }
        for (value, label) in across.ticks() {
            solid_line(canvas, &[(x(value), top), (x(value), bottom)], GRID, 1)?;
            place(canvas, &label, (x(value), bottom + 14), 12, FAINT, HPos::Center)?;
        }
        for (value, label) in up.ticks() {
            solid_line(canvas, &[(left, y(value)), (right, y(value))], GRID, 1)?;
            place(canvas, &label, (left - 8, y(value)), 12, FAINT, HPos::Right)?;
        }
        let middle = left + size.0 / 2;
        place(canvas, "real reduction, %", (middle, bottom + 34), 13, INK, HPos::Center)?;
        frame(canvas, (left, top), (right, bottom))?;
        for (value, is_dashed) in &self.levels {
            line(canvas, &[(left, y(*value)), (right, y(*value))], FAINT, 1, *is_dashed)?;
        }
        for curve in &self.curves {
            curve.draw(canvas, x, y)?;
        }
        Ok(())
    }
}

impl Curve {
    fn draw(&self, canvas: &Canvas<'_>, x: impl Fn(f64) -> i32, y: impl Fn(f64) -> i32) -> Drawn {
        let place = |(reduction, value): &(f64, Spread)| (x(*reduction), y(value.mean));
        let path: Vec<_> = self.points.iter().map(place).collect();
        line(canvas, &path, self.colour, 2, self.is_dashed)?;
        for ((_, value), at) in self.points.iter().zip(path) {
            let [below, above] = value.ends().map(&y);
            // A shorter bar is hidden by the mark.
            if below - above > 2 * MARK {
                solid_line(canvas, &[(at.0, below), (at.0, above)], self.colour, 1)?;
                for end in [below, above] {
                    let cap = [(at.0 - CAP, end), (at.0 + CAP, end)];
                    solid_line(canvas, &cap, self.colour, 1)?;
                }
            }
            let inside = if self.is_dashed { WHITE } else { self.colour };
            canvas.draw(&Circle::new(at, MARK, inside.filled()))?;
            canvas.draw(&Circle::new(at, MARK, self.colour.stroke_width(2)))?;
        }
        Ok(())
    }
}

pub fn solid_line(
    canvas: &Canvas<'_>,
    points: &[(i32, i32)],
    colour: RGBColor,
    width: u32,
) -> Drawn {
    canvas.draw(&PathElement::new(points.to_vec(), colour.stroke_width(width)))?;
    Ok(())
}

pub fn dashed_line(
    canvas: &Canvas<'_>,
    points: &[(i32, i32)],
    colour: RGBColor,
    width: u32,
) -> Drawn {
    let style = colour.stroke_width(width);
    canvas.draw(&DashedPathElement::new(points.to_vec(), DASH, GAP, style))?;
    Ok(())
}

fn line(
    canvas: &Canvas<'_>,
    points: &[(i32, i32)],
    colour: RGBColor,
    width: u32,
    is_dashed: bool,
) -> Drawn {
    if is_dashed {
        dashed_line(canvas, points, colour, width)
    } else {
        solid_line(canvas, points, colour, width)
    }
}

fn frame(canvas: &Canvas<'_>, from: (i32, i32), to: (i32, i32)) -> Drawn {
    canvas.draw(&Rectangle::new([from, to], FAINT.stroke_width(1)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::COLOURS;

    fn drawn(panel: &Panel) -> String {
        let mut text = String::new();
        let canvas = SVGBackend::with_string(&mut text, (500, 400)).into_drawing_area();
        panel.draw(&canvas, (50, 50), (400, 300)).unwrap();
        canvas.present().unwrap();
        drop(canvas);
        text
    }

    fn panel(deviation: Option<f64>, is_dashed: bool) -> Panel {
        let value = |mean| Spread { mean, deviation, count: 2 };
        let points = vec![(10.0, value(12.0)), (20.0, value(15.0))];
        let curve = Curve { colour: COLOURS[0], is_dashed, points };
        Panel { title: "perplexity".to_owned(), levels: vec![(10.0, false)], curves: vec![curve] }
    }

    #[test]
    fn a_spread_has_a_bar_with_caps() {
        let count = |text: &str| text.matches("#0072B2").count();
        let without = count(&drawn(&panel(None, false)));
        let with = count(&drawn(&panel(Some(1.0), false)));
        // An error bar and two caps at both points.
        assert_eq!(with, without + 6);
    }

    #[test]
    fn a_dashed_curve_is_in_pieces_and_its_marks_are_hollow() {
        let pieces = |text: &str| text.matches("<polyline").count();
        let [solid, dashed] = [false, true].map(|it| drawn(&panel(None, it)));
        assert!(pieces(&dashed) > pieces(&solid) + 5, "{dashed}");
        let hollow = |text: &str| {
            text.lines().filter(|it| it.contains("<circle") && it.contains("#FFFFFF")).count()
        };
        assert_eq!((hollow(&solid), hollow(&dashed)), (0, 2));
    }

    #[test]
    fn the_level_is_within_the_panel() {
        let text = drawn(&panel(None, false));
        // The axis begins below the dense model, so there is a tick at 10.
        assert!(text.contains("\n10\n"), "{text}");
    }
}
