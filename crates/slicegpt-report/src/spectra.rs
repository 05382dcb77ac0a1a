//! Charts of the spectra of one model: eigenvalues, and the energy outside the directions that are
//! kept.

use plotters::style::RGBColor;
use slicegpt_provenance::{Method, Record, SpectrumRecord};

use crate::figure::{Bars, Line, Lines, along, bars, colour, hex, lines};
use crate::numbers::show_number;
use crate::shown::{Chart, Key};
use crate::{ReportError, SlicedModel};

/// The spectra of a model, and how they are drawn.
struct Spectra<'a> {
    all: &'a [SpectrumRecord],
    first: &'a SpectrumRecord,
    /// Whether the model has one basis, else one per cut.
    is_one: bool,
    /// The number of directions kept, where it is the same at all cuts.
    marks: Vec<f64>,
}

/// Charts of the spectra in `record`.
pub fn spectra(model: &SlicedModel, record: &Record) -> Result<Vec<Chart>, ReportError> {
    let all = record.spectra.as_slice();
    let [first, ..] = all else { return Ok(Vec::new()) };
    let is_one = match model.manifest.method {
        Method::Shared => true,
        Method::PerLayer | Method::Other(_) => false,
    };
    let alike = all.iter().all(|spectrum| spectrum.kept == first.kept);
    let marks = if alike && first.kept < first.width { vec![first.kept as f64] } else { vec![] };
    let spectra = Spectra { all, first, is_one, marks };
    let mut charts = vec![spectra.eigenvalues()?, spectra.energy()?];
    charts.extend(spectra.lost()?);
    Ok(charts)
}

impl Spectra<'_> {
    fn shade(&self, index: usize) -> RGBColor {
        let position = match self.all.len() {
            1 => 0.0,
            count => index as f64 / (count - 1) as f64,
        };
        if self.is_one { colour(0) } else { along(position) }
    }

    /// A line for each spectrum, of `value` of its points.
    fn lines(&self, value: impl Fn(&(usize, f32, f32)) -> f64) -> Vec<Line> {
        let line = |(index, spectrum): (usize, &SpectrumRecord)| Line {
            colour: self.shade(index),
            points: spectrum.points.iter().map(|point| (point.0 as f64, value(point))).collect(),
        };
        self.all.iter().enumerate().map(line).collect()
    }

    /// The colours of the first and the last cut, where there are several.
    fn legend(&self) -> Vec<Key> {
        if self.is_one || self.all.len() < 2 {
            return Vec::new();
        }
        [(0, "embedding"), (self.all.len() - 1, "last cut")]
            .map(|(index, name)| Key { colour: hex(self.shade(index)), name: name.into() })
            .into()
    }

    fn eigenvalues(&self) -> Result<Chart, ReportError> {
        let svg = lines(&Lines {
            across: "direction",
            up: "eigenvalue / largest",
            is_logarithmic: true,
            is_marked: false,
            marks: self.marks.clone(),
            lines: self.lines(|point| f64::from(point.1)),
        })?;
        let (caption, signal) = if self.is_one {
            ("Spectrum of the stream", "the normalised stream, as all sublayers read it,")
        } else {
            ("Spectrum of the stream at every cut", "the stream at the cut")
        };
        let kept = if self.marks.is_empty() {
            String::new()
        } else {
            format!(" The vertical line: {} directions are kept.", self.first.kept)
        };
        let note =
            format!("Eigenvalues of the covariance of {signal} on the calibration text.{kept}");
        Ok(Chart { legend: self.legend(), ..Chart::new(caption, svg, &note) })
    }

    fn energy(&self) -> Result<Chart, ReportError> {
        let svg = lines(&Lines {
            across: "directions kept",
            up: "energy left out, %",
            is_logarithmic: true,
            is_marked: false,
            marks: self.marks.clone(),
            lines: self.lines(|point| 100.0 * f64::from(point.2)),
        })?;
        let lost = if self.is_one {
            format!(
                " The {} leading ones leave out {} %; the directions that are kept are those that \
                 the readers need most.",
                self.first.kept,
                show_number(100.0 * self.first.lost)
            )
        } else {
            String::new()
        };
        let note = format!(
            "The part of the sum of all eigenvalues that is left out, by the number of the largest \
             that are kept.{lost}"
        );
        let chart = Chart::new("Energy that leading directions leave out", svg, &note);
        Ok(Chart { legend: self.legend(), ..chart })
    }

    /// The energy lost at every cut, where there are several.
    fn lost(&self) -> Result<Option<Chart>, ReportError> {
        if self.is_one || self.all.len() < 2 {
            return Ok(None);
        }
        let svg = bars(&Bars {
            across: "cut",
            up: "energy lost, %",
            first: 0,
            values: self.all.iter().map(|spectrum| 100.0 * spectrum.lost).collect(),
            most: None,
        })?;
        let note = "0 is the embedding, then one after every sublayer.";
        Ok(Some(Chart::new("Energy lost at every cut", svg, note)))
    }
}
