//! Statistics of a dense model, as a file: what `calibrate` writes and `compress --stats` reads.
//!
//! It is a safetensors file of float64 tensors: `covariance` and `readers`, `[hidden_size, hidden_size]`,
//! and `importance.B.S.I`, `[channels]`, for inner layer `I` of sublayer `S` of block `B`. Its metadata
//! says what it is of.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use slicegpt_checkpoint::Calibration;
use slicegpt_models::DecoderSpec;
use slicegpt_slice::{Arithmetic, Covariance, Profile, Stages};

use crate::commands::compress::Computing;
use crate::device::Target;
use crate::model::Opened;
use crate::output::says;

/// What statistics are of: the same model, text and options give the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of the file. Readers refuse another.
    pub format: u32,
    /// Digest of the dense model.
    pub model: String,
    /// The text.
    pub calibration: Calibration,
    /// The type the model was run in.
    pub compute_dtype: String,
    /// What covariances were summed in.
    pub covariance: String,
}

impl Origin {
    /// Of the dense model `opened` on text, computed as `computing` says on `target`.
    pub fn new(
        opened: &Opened,
        calibration: Calibration,
        computing: &Computing,
        target: &Target,
    ) -> Result<Self> {
        Ok(Self {
            format: FORMAT,
            model: opened.digest()?,
            calibration,
            compute_dtype: computing.compute_dtype().into(),
            covariance: computing.covariance(target).into(),
        })
    }
}

/// The version this code writes.
const FORMAT: u32 = 1;

/// The key of the metadata that holds the [`Origin`], as JSON.
const KEY: &str = "slicegpt";

/// Whether a file that begins with these bytes is one of statistics.
pub fn is_ours(start: &[u8]) -> bool {
    says(start, "\"__metadata__\"") && says(start, "\"slicegpt\"")
}

/// Writes `profile` to `path`.
pub fn write(path: &Path, profile: &Profile, origin: &Origin) -> Result<()> {
    let width = profile.covariance.width();
    let square = |covariance: &Covariance| -> Result<_> {
        Ok((vec![width, width], bytes(&covariance.values()?)))
    };
    let mut tensors = vec![
        ("covariance".to_string(), square(&profile.covariance)?),
        ("readers".to_string(), square(&profile.readers)?),
    ];
    for (block, sublayers) in profile.importance.iter().enumerate() {
        for (sublayer, inners) in sublayers.iter().enumerate() {
            for (inner, importance) in inners.iter().enumerate() {
                let name = format!("importance.{block}.{sublayer}.{inner}");
                tensors.push((name, (vec![importance.len()], bytes(importance))));
            }
        }
    }
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| Ok((name, TensorView::new(Dtype::F64, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let counts = [&profile.covariance, &profile.readers].map(Covariance::tokens);
    let metadata = HashMap::from([
        (KEY.to_string(), serde_json::to_string(origin)?),
        ("tokens".to_string(), counts[0].to_string()),
        ("outputs".to_string(), counts[1].to_string()),
    ]);
    safetensors::serialize_to_file(views, Some(metadata), path)
        .with_context(|| path.display().to_string())
}

/// Reads the statistics in `path`, which must be those of `origin`, of the model that `spec` describes.
pub fn read(path: &Path, origin: &Origin, spec: &DecoderSpec) -> Result<Profile> {
    let at = || path.display().to_string();
    let file = std::fs::read(path).with_context(at)?;
    let foreign = || format!("{}: these are no statistics of `slicegpt calibrate`", at());
    let (_, metadata) = SafeTensors::read_metadata(&file).with_context(foreign)?;
    let tensors = SafeTensors::deserialize(&file).with_context(foreign)?;
    let notes = metadata.metadata().as_ref().with_context(foreign)?;
    let found: Origin = serde_json::from_str(notes.get(KEY).with_context(foreign)?)
        .with_context(|| format!("{}: the statistics are of another version", at()))?;
    check(&found, origin).with_context(at)?;
    let count = |key: &str| -> Result<u64> {
        notes.get(key).and_then(|count| count.parse().ok()).with_context(foreign)
    };
    let square = |name: &str, tokens: u64| -> Result<Covariance> {
        let tensor = tensors.tensor(name).with_context(foreign)?;
        let [rows, columns] = tensor.shape() else { bail!(foreign()) };
        let values = values(&tensor).with_context(foreign)?;
        match rows == columns && values.iter().all(|x| x.is_finite()) {
            true => Ok(Covariance::from_values(&values, *rows, tokens, Arithmetic::Float64)),
            false => bail!("{}: tensor `{name}` is damaged", at()),
        }
    };
    let mut importance: Vec<Vec<Vec<Vec<f64>>>> = Vec::new();
    let mut names: Vec<[usize; 3]> = tensors
        .names()
        .into_iter()
        .filter_map(|name| {
            let mut numbers = name.strip_prefix("importance.")?.split('.').map(str::parse);
            Some([numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?])
        })
        .collect();
    names.sort_unstable();
    for [block, sublayer, inner] in names {
        let name = format!("importance.{block}.{sublayer}.{inner}");
        let found = values(&tensors.tensor(&name).with_context(foreign)?).with_context(foreign)?;
        // In order, so that nothing grows beyond what the file holds.
        if block > importance.len() || found.iter().any(|x| !x.is_finite()) {
            bail!("{}: tensor `{name}` is damaged", at());
        }
        if block == importance.len() {
            importance.push(Vec::new());
        }
        let sublayers = &mut importance[block];
        sublayers.resize_with(sublayers.len().max((sublayer + 1).min(8)), Vec::new);
        sublayers.get_mut(sublayer).with_context(foreign)?.push(found);
    }
    let profile = Profile {
        covariance: square("covariance", count("tokens")?)?,
        readers: square("readers", count("outputs")?)?,
        importance,
        stages: Stages::default(),
    };
    if !fits(&profile, spec) {
        bail!(
            "{}: is damaged: its tensors do not fit the model; run `slicegpt calibrate` again",
            at()
        );
    }
    Ok(profile)
}

/// Whether statistics have the shapes of a model: one inner layer, of as many channels, in the last sublayer of
/// each block and in no other.
fn fits(profile: &Profile, spec: &DecoderSpec) -> bool {
    let widths = [&profile.covariance, &profile.readers].map(Covariance::width);
    let of_block = |(block, sublayers): (usize, &Vec<Vec<Vec<f64>>>)| {
        let mut inner = sublayers.iter().enumerate().flat_map(|(sublayer, inner)| {
            inner.iter().map(move |channels| (sublayer, channels.len()))
        });
        inner.next() == Some((spec.depth() - 1, spec.intermediate_size(block)))
            && inner.next().is_none()
    };
    widths == [spec.hidden_size; 2]
        && profile.importance.len() == spec.layers
        && profile.importance.iter().enumerate().all(of_block)
}

/// Says what differs.
fn check(found: &Origin, asked: &Origin) -> Result<()> {
    if found.format != asked.format {
        bail!(
            "format {} is not known to this version; run `slicegpt calibrate` again",
            found.format
        );
    }
    if found.model != asked.model {
        bail!("the statistics are of another model; run `slicegpt calibrate` on this one");
    }
    if found.calibration.digest != asked.calibration.digest {
        let of = |calibration: &Calibration| {
            let Calibration { source, samples, seqlen, .. } = calibration;
            format!("{source}, {samples} x {seqlen} tokens")
        };
        bail!(
            "the statistics are of other calibration text ({}) than is given ({}); give the same \
             --calibration, --samples, --seqlen and --seed, or run `slicegpt calibrate` again",
            of(&found.calibration),
            of(&asked.calibration)
        );
    }
    for (option, found, asked) in [
        ("--compute-dtype", &found.compute_dtype, &asked.compute_dtype),
        ("--covariance", &found.covariance, &asked.covariance),
    ] {
        if found != asked {
            bail!("the statistics were computed with {option} {found}, not {asked}; give {found}");
        }
    }
    Ok(())
}

fn bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn values(tensor: &TensorView<'_>) -> Option<Vec<f64>> {
    let chunks = tensor.data().chunks_exact(8);
    let value = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    (tensor.dtype() == Dtype::F64).then(|| chunks.map(value).collect())
}
