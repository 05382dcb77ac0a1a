//! [`Batch`] and [`Settings`]: the data that a pass calibrates on, and how it computes.

use std::iter::Peekable;
use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};
use slicegpt_calibrate::Arithmetic;
use slicegpt_core::{Lanes, Observer, Unobserved};

use crate::dense_streams::DenseStreams;
use crate::shelf::Shelf;

/// Some sequences of the calibration signal.
#[derive(Clone, Debug)]
pub struct Batch<C> {
    /// `[batch, tokens, width]`.
    pub signal: Tensor<3>,
    /// What the blocks need in addition to the signal.
    pub context: C,
    /// Row-major, `[batch, tokens]`, `false` for padding; `None` if all tokens count.
    pub keep: Option<Vec<bool>>,
}

/// How a calibration is computed, where its signals are stored, and who observes it.
///
/// By default everything is computed and stored in the type and on the device of the signals, one
/// batch at a time, unobserved.
pub struct Settings {
    /// How covariances are summed; `None`: what [`Arithmetic::of`] gives for the device.
    pub arithmetic: Option<Arithmetic>,
    /// The type that sublayers are run in; `None`: that of the signals. Weights are edited, and
    /// covariances summed, to double-precision accuracy in any case.
    pub compute: Option<DType>,
    /// Where signals are stored between sublayers, and in which type; `None`: on the device, as
    /// they are.
    pub shelf: Option<(Box<dyn Shelf>, DType)>,
    /// How many batches run at the same time.
    pub lanes: Lanes,
    /// Streams of the dense decoder that several paired passes share, if they do. The passes have
    /// the same batches in the same order.
    pub dense: Option<Arc<DenseStreams>>,
    /// Is called after every batch of every sublayer, and may cancel the computation.
    pub observer: Arc<dyn Observer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            arithmetic: None,
            compute: None,
            shelf: None,
            lanes: Lanes::default(),
            dense: None,
            observer: Arc::new(Unobserved),
        }
    }
}

/// Values that [`Settings`] leave open, taken from the first batch.
#[derive(Clone)]
pub(crate) struct Defaults {
    pub device: Device,
    pub arithmetic: Arithmetic,
    pub compute: DType,
    /// The width of the stream before slicing.
    pub width: usize,
}

impl Defaults {
    /// Takes the values from the first of `batches`.
    ///
    /// # Errors
    ///
    /// If the first batch is an error.
    ///
    /// # Panics
    ///
    /// If there is no batch.
    pub fn of<C, E>(
        batches: &mut Peekable<impl Iterator<Item = Result<Batch<C>, E>>>,
        settings: &Settings,
    ) -> Result<Self, E> {
        let batch = batches.next_if(Result::is_err);
        if let Some(Err(error)) = batch {
            return Err(error);
        }
        let first = batches.peek().and_then(|batch| batch.as_ref().ok());
        let signal = &first.expect("at least one batch").signal;
        let device = signal.device();
        let [_, _, width] = signal.dims();
        let arithmetic = settings.arithmetic.unwrap_or_else(|| Arithmetic::of(&device));
        let compute = settings.compute.unwrap_or_else(|| signal.dtype());
        Ok(Self { device, arithmetic, compute, width })
    }
}
