//! A study as a chart: the loss of each method at each real reduction.
//!
//! There is a row for each pair of a calibration text and another text, with two panels:
//! perplexity, and KL divergence from the dense model.

mod axis;
mod panel;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::aggregate::{Point, Spread, points};
use super::plan::{Method, Plan};
use super::results::Study;
use crate::canvas::{COLOURS, Canvas, Drawn, FAINT, INK, write};
use axis::are_far_apart;
use panel::{Curve, Panel, dashed_line, solid_line};

// Pixels.
const WIDTH: i32 = 1080;
/// The height of title, explanation and legend.
const HEADER: i32 = 112;
/// The heights of the line that names the texts, of the panels, and of the space below them.
const ROW_TITLE: i32 = 52;
const PANEL: (i32, i32) = (430, 300);
const BELOW: i32 = 62;
const ROW: i32 = ROW_TITLE + PANEL.1 + BELOW;
/// The approximate width of a letter in the line that names the texts.
const LETTER: i32 = 8;
/// The left ends of the two panels.
const COLUMNS: [i32; 2] = [76, 616];

/// A calibration text and another text, and the points on both.
struct Row<'a> {
    calibration: &'a str,
    text: &'a str,
    points: Vec<&'a Point<'a>>,
}

pub fn file_name(model: &str) -> String {
    format!("{model}.svg")
}

pub fn svg(plan: &Plan, study: &Study, model: &str) -> Result<String> {
    let points = points(plan, &study.runs, model);
    let mut rows = Vec::new();
    for calibration in &plan.calibrations {
        for text in &plan.texts {
            let (calibration, text) = (calibration.name.as_str(), text.name.as_str());
            let of_row = |point: &&Point<'_>| {
                point.calibration == calibration && (point.text == text || point.is_calibration)
            };
            rows.push(Row { calibration, text, points: points.iter().filter(of_row).collect() });
        }
    }
    let height = HEADER + rows.len() as i32 * ROW;
    let mut svg = String::new();
    {
        let canvas =
            SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        let drawn = draw(&canvas, plan, study, model, &rows);
        drawn.map_err(|error| anyhow!("cannot draw {}: {error}", file_name(model)))?;
    }
    Ok(svg)
}

fn draw(canvas: &Canvas<'_>, plan: &Plan, study: &Study, model: &str, rows: &[Row<'_>]) -> Drawn {
    canvas.fill(&WHITE)?;
    let title = format!("{model}: the loss of each method at its real size");
    write(canvas, &title, (24, 28), 22, INK)?;
    let seeds = match plan.seeds.len() {
        1 => "one seed".to_owned(),
        count => format!("means of {count} seeds, bars: one standard deviation either way"),
    };
    let explanation = format!("real reduction counts every parameter; lower is better; {seeds}");
    write(canvas, &explanation, (24, 56), 13, FAINT)?;
    let mut x = 24;
    for method in methods(plan) {
        solid_line(canvas, &[(x, 86), (x + 34, 86)], colour(method), 3)?;
        write(canvas, method.name(), (x + 42, 86), 14, INK)?;
        x += 150;
    }
    solid_line(canvas, &[(x, 86), (x + 34, 86)], FAINT, 1)?;
    write(canvas, "the dense model", (x + 42, 86), 14, INK)?;

    for (index, row) in rows.iter().enumerate() {
        let top = HEADER + index as i32 * ROW;
        texts(canvas, row, top + 14)?;
        let panels = [perplexity(plan, study, model, row), divergence(plan, row)];
        for (panel, left) in panels.iter().zip(COLUMNS) {
            panel.draw(canvas, (left, top + ROW_TITLE), PANEL)?;
        }
    }
    canvas.present()?;
    Ok(())
}

/// The legend of line styles: one style for each text.
fn texts(canvas: &Canvas<'_>, row: &Row<'_>, y: i32) -> Drawn {
    let left = COLUMNS[0];
    solid_line(canvas, &[(left, y), (left + 34, y)], INK, 2)?;
    let text = format!("on {}", row.text);
    write(canvas, &text, (left + 42, y), 14, INK)?;
    let left = left + 42 + LETTER * text.chars().count() as i32 + 36;
    dashed_line(canvas, &[(left, y), (left + 34, y)], INK, 2)?;
    let calibration = format!("on {}, the calibration text itself", row.calibration);
    write(canvas, &calibration, (left + 42, y), 14, INK)
}

/// If the perplexities of the two texts are too far apart for one axis, both are shown as multiples
/// of the dense model's.
fn perplexity(plan: &Plan, study: &Study, model: &str, row: &Row<'_>) -> Panel {
    let dense = |text: &str| study.dense(model, text).map(|found| found.perplexity);
    if let (Some(other), Some(own)) = (dense(row.text), dense(row.calibration))
        && are_far_apart(other, own)
    {
        return Panel {
            title: "perplexity as a multiple of the dense model's".to_owned(),
            levels: vec![(1.0, false)],
            curves: curves(plan, row, |point| {
                let dense = if point.is_calibration { own } else { other };
                point.perplexity.over(dense)
            }),
        };
    }
    let levels = [(row.text, false), (row.calibration, true)];
    let levels = levels.into_iter().filter_map(|(text, is_dashed)| Some((dense(text)?, is_dashed)));
    Panel {
        title: "perplexity".to_owned(),
        levels: levels.collect(),
        curves: curves(plan, row, |point| point.perplexity),
    }
}

fn divergence(plan: &Plan, row: &Row<'_>) -> Panel {
    Panel {
        title: "KL from the dense model, nats per token".to_owned(),
        levels: Vec::new(),
        curves: curves(plan, row, |point| point.kl),
    }
}

/// A curve for each method on the other text, and on the calibration text.
fn curves(plan: &Plan, row: &Row<'_>, value: impl Fn(&Point<'_>) -> Spread) -> Vec<Curve> {
    let mut curves = Vec::new();
    for method in methods(plan) {
        for is_calibration in [false, true] {
            let points = row.points.iter().filter(|point| {
                point.cut.method == method && point.is_calibration == is_calibration
            });
            curves.push(Curve {
                colour: colour(method),
                is_dashed: is_calibration,
                points: points.map(|point| (100.0 * point.reduction.mean, value(point))).collect(),
            });
        }
    }
    curves
}

fn methods(plan: &Plan) -> impl Iterator<Item = Method> + '_ {
    Method::ALL.into_iter().filter(|method| plan.cuts.iter().any(|cut| cut.method == *method))
}

/// The colour of a method, the same in every chart.
fn colour(method: Method) -> RGBColor {
    match method {
        Method::Shared => COLOURS[0],
        Method::PerLayer => COLOURS[1],
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::super::results::tests::example;
    use super::*;

    #[test]
    fn there_are_two_panels_for_each_pair_of_texts() {
        let text = svg(&plan(), &example(), "model").unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"), "{text}");
        let count = |words: &str| text.matches(words).count();
        for words in ["model: the loss of each method", "\nshared\n", "\nper-layer\n", "2 seeds"] {
            assert_eq!(count(words), 1, "{words}\nin\n{text}");
        }
        assert_eq!(count("\nperplexity\n"), 2, "{text}");
        // 0.02 and 0.2 are far apart.
        assert_eq!(count("\nKL from the dense model, nats per token (logarithmic)\n"), 2, "{text}");
        assert_eq!(count("\nreal reduction, %\n"), 4, "{text}");
        assert_eq!(count("\non valid.txt\n"), 2, "{text}");
        for words in ["\non train.txt, the calib", "\non web.txt, the calib"] {
            assert_eq!(count(words), 1, "{words}\nin\n{text}");
        }
        assert_eq!(count("no run succeeded"), 0, "{text}");
    }

    #[test]
    fn texts_that_share_no_axis_are_shown_beside_the_dense_model() {
        let mut study = example();
        let other = study.dense.iter_mut().find(|dense| dense.text == "valid.txt").unwrap();
        other.found.as_mut().unwrap().perplexity = 1000.0;
        let text = svg(&plan(), &study, "model").unwrap();
        let count = |words: &str| text.matches(words).count();
        assert_eq!(count("as a multiple of the dense model"), 2, "{text}");
        assert_eq!(count("\nperplexity\n"), 0, "{text}");
    }

    #[test]
    fn a_method_that_is_not_compared_is_not_in_the_legend() {
        let mut plan = plan();
        plan.cuts.retain(|cut| cut.method == Method::Shared);
        let text = svg(&plan, &example(), "model").unwrap();
        assert!(!text.contains("per-layer"), "{text}");
    }

    #[test]
    fn a_panel_without_points_says_so() {
        let text = svg(&plan(), &example(), "other model").unwrap();
        assert_eq!(text.matches("no run succeeded").count(), 4, "{text}");
        assert_eq!(file_name("other model"), "other model.svg");
    }
}
