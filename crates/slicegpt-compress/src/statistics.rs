//! The statistics of a dense model as a file: written once, read for every size.
//!
//! It is a safetensors file of float64 tensors: `covariance` and `readers`,
//! `[hidden_size, hidden_size]`, `importance.B.S.I`, `[units]`, for group `I` of prunable units of
//! sublayer `S` of block `B`, and `distances`, `[blocks, blocks]`, between the stream after one
//! block and after another. Its metadata holds the [`Origin`].

use std::collections::BTreeMap;
use std::io::Write;

use safetensors::tensor::{Dtype, SafeTensors, TensorInfo, TensorView};
use serde::{Deserialize, Serialize};
use slicegpt_calibrate::{Arithmetic, Covariance, NotFinite};
use slicegpt_core::Axis;
use slicegpt_provenance::{CalibrationRecord, Summation};
use slicegpt_slice::{Distances, Importance, Profile, Stages};

use crate::Dimensions;

/// The inputs of statistics. The same model, text and types give the same statistics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of the file. Readers refuse another.
    pub format: u32,
    /// A digest of the dense model.
    pub model: String,
    /// The text.
    pub calibration: CalibrationRecord,
    /// The type the model was run in.
    pub compute_dtype: String,
    /// The arithmetic that covariances were summed in.
    pub covariance: Summation,
}

impl Origin {
    /// The version this code writes.
    pub const FORMAT: u32 = 2;
}

/// The key of the metadata that holds the [`Origin`], as JSON.
const KEY: &str = "slicegpt";

/// Why statistics in a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.message(&|field| field.into()))]
pub enum StatisticsError {
    /// The file does not hold statistics, or its header is damaged.
    Foreign(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The origin of the statistics cannot be read.
    Version(#[source] serde_json::Error),
    /// The file has another format.
    Format(u32),
    /// The statistics are those of another model.
    Model,
    /// The statistics are those of other text.
    Calibration {
        /// The text of the statistics.
        found: Box<CalibrationRecord>,
        /// The text given.
        asked: Box<CalibrationRecord>,
    },
    /// The statistics were computed in another type.
    Type {
        /// The field.
        field: &'static str,
        /// The type of the statistics.
        found: String,
        /// The type asked for.
        asked: String,
    },
    /// A tensor holds a NaN or an infinity, or has a wrong shape.
    Tensor(String),
    /// The tensors do not fit the model.
    Misfit,
}

impl StatisticsError {
    /// The message, with fields called as `name` says.
    pub fn message(&self, name: &dyn Fn(&'static str) -> String) -> String {
        match self {
            Self::Foreign(_) => "this is no file of statistics".into(),
            Self::Version(_) => "the statistics are of another version".into(),
            Self::Format(format) => format!("format {format} is not known to this version"),
            Self::Model => "the statistics are of another model".into(),
            Self::Calibration { found, asked } => {
                let [found, asked] = [found, asked].map(|calibration| {
                    let CalibrationRecord { source, samples, seqlen, .. } = calibration.as_ref();
                    format!("{source}, {samples} x {seqlen} tokens")
                });
                let [calibration, samples, seqlen, seed] =
                    ["calibration", "samples", "seqlen", "seed"].map(name);
                format!(
                    "the statistics are of other calibration text ({found}) than is given \
                     ({asked}); give the same {calibration}, {samples}, {seqlen} and {seed}, or \
                     compute them again"
                )
            }
            Self::Type { field, found, asked } => format!(
                "the statistics were computed with {} {found}, not {asked}; give {found}",
                name(field)
            ),
            Self::Tensor(tensor) => format!("tensor `{tensor}` is damaged"),
            Self::Misfit => "the file is damaged: its tensors do not fit the model".into(),
        }
    }
}

/// The header of the file, in one order, so that equal statistics are equal bytes.
#[derive(Serialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    notes: BTreeMap<&'static str, String>,
    #[serde(flatten)]
    infos: BTreeMap<String, TensorInfo>,
}

/// Writes the statistics of the model, text and types that `origin` names.
///
/// # Errors
///
/// If `out` cannot be written to, or with [`std::io::ErrorKind::InvalidData`] if the statistics are
/// not finite.
pub fn write_statistics(
    statistics: &Profile,
    origin: &Origin,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let width = statistics.covariance.width();
    let invalid = |error: NotFinite| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    let square = |covariance: &Covariance| covariance.values().map_err(invalid);
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)> = BTreeMap::from([
        ("covariance".into(), (vec![width; 2], square(&statistics.covariance)?)),
        ("readers".into(), (vec![width; 2], square(&statistics.readers)?)),
    ]);
    for (block, sublayers) in statistics.importance.iter().enumerate() {
        for (sublayer, layers) in sublayers.iter().enumerate() {
            for (layer, (_, importance)) in layers.iter().enumerate() {
                let name = format!("importance.{block}.{sublayer}.{layer}");
                tensors.insert(name, (vec![importance.len()], importance.clone()));
            }
        }
    }
    let distances = &statistics.distances;
    let blocks = vec![distances.blocks(); 2];
    tensors.insert("distances".into(), (blocks, distances.values().to_vec()));
    let mut end = 0;
    let info = |(name, (shape, values)): (&String, &(Vec<usize>, Vec<f64>))| {
        let start = end;
        end += values.len() * size_of::<f64>();
        let (dtype, shape) = (Dtype::F64, shape.clone());
        (name.clone(), TensorInfo { dtype, shape, data_offsets: (start, end) })
    };
    let infos = tensors.iter().map(info).collect();
    let counts = [&statistics.covariance, &statistics.readers].map(Covariance::tokens);
    let notes = BTreeMap::from([
        (KEY, serde_json::to_string(origin)?),
        ("tokens", counts[0].to_string()),
        ("outputs", counts[1].to_string()),
    ]);
    let mut header = serde_json::to_vec(&Header { notes, infos })?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (_, values) in tensors.into_values() {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// Reads the statistics in the contents of a file, which must be those of `origin`, of a model of
/// these dimensions.
///
/// # Errors
///
/// See [`StatisticsError`].
pub fn read_statistics(
    file: &[u8],
    origin: &Origin,
    dense: &dyn Dimensions,
) -> Result<Profile, StatisticsError> {
    let foreign =
        |error: safetensors::SafeTensorError| StatisticsError::Foreign(Some(Box::new(error)));
    let (_, metadata) = SafeTensors::read_metadata(file).map_err(foreign)?;
    let tensors = SafeTensors::deserialize(file).map_err(foreign)?;
    let notes = metadata.metadata().as_ref().ok_or(StatisticsError::Foreign(None))?;
    let note = |key: &str| notes.get(key).ok_or(StatisticsError::Foreign(None));
    let found = serde_json::from_str(note(KEY)?).map_err(StatisticsError::Version)?;
    check(&found, origin)?;
    let square = |name: &str, count: &str| {
        let tokens = note(count)?.parse().map_err(|_| StatisticsError::Foreign(None))?;
        let tensor = tensors.tensor(name).map_err(foreign)?;
        let [rows, columns] = *tensor.shape() else {
            return Err(StatisticsError::Foreign(None));
        };
        let values = values(&tensor)?;
        if rows == columns && values.iter().all(|x| x.is_finite()) {
            Ok(Covariance::from_values(&values, rows, tokens, Arithmetic::Float64))
        } else {
            Err(StatisticsError::Tensor(name.into()))
        }
    };
    let importance = importance(&tensors, dense)?;
    let distances = values(&tensors.tensor("distances").map_err(foreign)?)?;
    if distances.iter().any(|x| !x.is_finite()) {
        return Err(StatisticsError::Tensor("distances".into()));
    }
    let distances = Distances::from_values(distances)
        .filter(|distances| distances.blocks() == dense.blocks())
        .ok_or(StatisticsError::Misfit)?;
    let statistics = Profile {
        covariance: square("covariance", "tokens")?,
        readers: square("readers", "outputs")?,
        importance,
        distances,
        stages: Stages::default(),
    };
    let widths = [&statistics.covariance, &statistics.readers].map(Covariance::width);
    if widths == [dense.hidden_size(); 2] { Ok(statistics) } else { Err(StatisticsError::Misfit) }
}

/// The axis and the importance of units, by block, sublayer and group.
type GroupsByBlock = Vec<Vec<Vec<(Axis, Importance)>>>;

fn importance(
    tensors: &SafeTensors<'_>,
    dense: &dyn Dimensions,
) -> Result<GroupsByBlock, StatisticsError> {
    let mut importance: GroupsByBlock =
        vec![vec![Vec::new(); dense.sublayers_per_block()]; dense.blocks()];
    let mut expected = dense.prunable_layers().into_iter();
    let mut names: Vec<[usize; 3]> = tensors
        .names()
        .into_iter()
        .filter_map(|name| {
            let mut numbers = name.strip_prefix("importance.")?.split('.').map(str::parse);
            Some([numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?])
        })
        .collect();
    names.sort_unstable();
    for [block, sublayer, layer] in names {
        let name = format!("importance.{block}.{sublayer}.{layer}");
        let tensor = tensors.tensor(&name).map_err(|_| StatisticsError::Tensor(name.clone()))?;
        let found = values(&tensor)?;
        if found.iter().any(|x| !x.is_finite()) {
            return Err(StatisticsError::Tensor(name));
        }
        let groups = importance.get_mut(block).and_then(|block| block.get_mut(sublayer));
        let (groups, expected) = groups.zip(expected.next()).ok_or(StatisticsError::Misfit)?;
        let number = block * dense.sublayers_per_block() + sublayer;
        if groups.len() != layer || [expected.sublayer, expected.units] != [number, found.len()] {
            return Err(StatisticsError::Misfit);
        }
        groups.push((expected.axis, found));
    }
    if expected.next().is_none() { Ok(importance) } else { Err(StatisticsError::Misfit) }
}

/// Refuses statistics of another origin, with an error that names the difference.
fn check(found: &Origin, asked: &Origin) -> Result<(), StatisticsError> {
    if found.format != asked.format {
        return Err(StatisticsError::Format(found.format));
    }
    if found.model != asked.model {
        return Err(StatisticsError::Model);
    }
    if found.calibration.digest != asked.calibration.digest {
        let [found, asked] = [found, asked].map(|origin| Box::new(origin.calibration.clone()));
        return Err(StatisticsError::Calibration { found, asked });
    }
    for (field, found, asked) in [
        ("compute_dtype", found.compute_dtype.as_str(), asked.compute_dtype.as_str()),
        ("covariance", found.covariance.as_str(), asked.covariance.as_str()),
    ] {
        if found != asked {
            let [found, asked] = [found, asked].map(String::from);
            return Err(StatisticsError::Type { field, found, asked });
        }
    }
    Ok(())
}

fn values(tensor: &TensorView<'_>) -> Result<Vec<f64>, StatisticsError> {
    if tensor.dtype() != Dtype::F64 {
        return Err(StatisticsError::Foreign(None));
    }
    let value = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    Ok(tensor.data().chunks_exact(8).map(value).collect())
}
