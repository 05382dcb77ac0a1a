//! The comparison as a chart: the fraction of its limit that each kernel reaches, on each device.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::results::{DeviceResults, keys};
use crate::canvas::{COLOURS, Canvas, Drawn, FAINT, GRID, INK, place, write};

// Pixels.
const WIDTH: i32 = 960;
/// The left end of all bars, and the right end of the longest.
const LEFT: i32 = 310;
const RIGHT: i32 = 890;
/// Space above the first group: title, explanation, a line for each device, the axis.
const TITLE: i32 = 78;
const LEGEND: i32 = 20;
const AXIS: i32 = 34;
const GROUP: i32 = 30;
const BAR: i32 = 11;
const GAP: i32 = 8;
const BOTTOM: i32 = 26;

/// Kernels that are drawn as one group.
struct Group<'a> {
    name: &'a str,
    keys: Vec<[&'a str; 3]>,
}

pub fn svg(devices: &[DeviceResults]) -> Result<String> {
    let groups = groups(devices);
    let rows: usize = groups.iter().map(|group| group.keys.len()).sum();
    let row = devices.len() as i32 * BAR + GAP;
    let top = TITLE + devices.len() as i32 * LEGEND + AXIS;
    let height = top + groups.len() as i32 * GROUP + rows as i32 * row + BOTTOM;
    let mut text = String::new();
    {
        let canvas =
            SVGBackend::with_string(&mut text, (WIDTH as u32, height as u32)).into_drawing_area();
        let drawn = draw(&canvas, devices, &groups, top, height - BOTTOM);
        drawn.map_err(|error| anyhow!("cannot draw the chart: {error}"))?;
    }
    Ok(text)
}

fn groups(devices: &[DeviceResults]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for key in keys(devices) {
        match groups.iter_mut().find(|group| group.name == key[0]) {
            Some(group) => group.keys.push(key),
            None => groups.push(Group { name: key[0], keys: vec![key] }),
        }
    }
    groups
}

fn draw(
    canvas: &Canvas<'_>,
    devices: &[DeviceResults],
    groups: &[Group<'_>],
    top: i32,
    bottom: i32,
) -> Drawn {
    canvas.fill(&WHITE)?;
    write(
        canvas,
        "The fraction of the device's limit that each kernel reaches",
        (24, 30),
        22,
        INK,
    )?;
    let explanation = "100 % is the fastest matrix product, or the fastest copy, measured on the \
                       same device; longer is better";
    write(canvas, explanation, (24, 56), 13, FAINT)?;
    for (index, (device, colour)) in devices.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let y = TITLE + index as i32 * LEGEND;
        let software = if device.software { " (software, in place of a GPU)" } else { "" };
        bar(canvas, (24, y), (38, y + BAR), *colour)?;
        let label = format!("{}: {}{software}", device.name, device.model);
        write(canvas, &label, (46, y + BAR / 2 + 1), 13, INK)?;
    }

    let greatest = devices.iter().flat_map(DeviceResults::measured);
    let greatest = greatest.map(|(_, numbers)| numbers.fraction).fold(1.0, f64::max);
    // A tick at every quarter, the last at or behind the longest bar. Bars of twice the limit or
    // more are cut off.
    let quarters = ((greatest * 4.0).ceil() as i32).clamp(4, 8);
    let end = f64::from(quarters) / 4.0;
    let x = |fraction: f64| LEFT + (f64::from(RIGHT - LEFT) * (fraction / end).min(1.0)) as i32;
    for quarter in 0..=quarters {
        let at = x(f64::from(quarter) / 4.0);
        let colour = if quarter == 4 { FAINT } else { GRID };
        canvas.draw(&PathElement::new([(at, top - 4), (at, bottom)], colour.stroke_width(1)))?;
        let label = format!("{} %", 25 * quarter);
        place(canvas, &label, (at, top - 14), 12, FAINT, HPos::Center)?;
    }

    let mut y = top;
    for group in groups {
        write(canvas, group.name, (24, y + GROUP - 10), 15, INK)?;
        y += GROUP;
        for key @ [_, name, shape] in &group.keys {
            let label = match *name {
                "" => (*shape).to_owned(),
                name => format!("{name}, {shape}"),
            };
            let middle = y + devices.len() as i32 * BAR / 2;
            place(canvas, &label, (LEFT - 10, middle), 12, INK, HPos::Right)?;
            for (device, colour) in devices.iter().zip(COLOURS.iter().cycle()) {
                let numbers = device.kernel(*key).map(|kernel| &kernel.numbers);
                let (end, label) = match numbers {
                    Some(Ok(numbers)) => {
                        (x(numbers.fraction), format!("{:.0} %", 100.0 * numbers.fraction))
                    }
                    Some(Err(reason)) => (LEFT, reason.chars().take(60).collect()),
                    None => (LEFT, String::new()),
                };
                bar(canvas, (LEFT, y), (end, y + BAR - 1), *colour)?;
                // So that no grid line crosses the text.
                let width = 6 * label.chars().count() as i32;
                bar(canvas, (end + 3, y), (end + 3 + width, y + BAR - 1), WHITE)?;
                write(canvas, &label, (end + 5, y + BAR / 2), 10, FAINT)?;
                y += BAR;
            }
            y += GAP;
        }
    }
    canvas.present()?;
    Ok(())
}

fn bar(canvas: &Canvas<'_>, from: (i32, i32), to: (i32, i32), colour: RGBColor) -> Drawn {
    canvas.draw(&Rectangle::new([from, to], colour.filled()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::device;
    use super::*;

    #[test]
    fn every_kernel_has_a_bar_and_a_label_on_every_device() {
        let text = svg(&[device("cpu", 1.0), device("wgpu:0", 1.0)]).unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"), "{text}");
        for words in ["cpu: Model", "wgpu:0: Model (software", "plain float32, 2048 x 256"] {
            assert!(text.contains(words), "{words}\nin\n{text}");
        }
        let count = |words: &str| text.matches(words).count();
        // One for the axis, and one bar for each device.
        assert_eq!(count("\n50 %\n"), 3, "{text}");
        assert_eq!(count("the device has no float64"), 2, "{text}");
    }
}
