//! [`Widths`]: the width of the stream at every cut.

/// The width of the stream at every cut, in the order of the stream: first after the embedding,
/// then after every sublayer.
///
/// A model of `L` blocks with `k` sublayers each has `1 + L k` cuts. The head reads the stream at
/// the last one.
///
/// # Example
///
/// ```
/// use slicegpt_core::Widths;
///
/// // Two blocks with one sublayer each, and a stream of 64.
/// let widths = Widths::new(vec![48, 40, 64], 3, 64)?;
/// assert_eq!(widths.block(1, 1), [40, 64]);
/// # Ok::<(), slicegpt_core::WidthsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widths(Vec<usize>);

/// Why a list of numbers does not give [`Widths`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WidthsError {
    /// The list has `found` entries where the model has `cuts` cuts.
    Count {
        /// The number of entries in the list.
        found: usize,
        /// The number of cuts in the model.
        cuts: usize,
    },
    /// The width at `cut` is `width`, outside `1..=hidden_size`.
    Range {
        /// Index of the cut, from 0, in the order of the stream.
        cut: usize,
        /// The width in the list.
        width: usize,
        /// The width of the stream before slicing.
        hidden_size: usize,
    },
}

impl std::fmt::Display for WidthsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count { found, cuts } => {
                write!(f, "{found} widths given, but the model has {cuts} cuts")
            }
            Self::Range { cut, width, hidden_size } => {
                write!(f, "width {width} at cut {cut} is not between 1 and {hidden_size}")
            }
        }
    }
}

impl std::error::Error for WidthsError {}

impl Widths {
    /// Checks `widths` against a model of `cuts` cuts and width `hidden_size`.
    ///
    /// # Errors
    ///
    /// See [`WidthsError`].
    pub fn new(widths: Vec<usize>, cuts: usize, hidden_size: usize) -> Result<Self, WidthsError> {
        if widths.len() != cuts {
            return Err(WidthsError::Count { found: widths.len(), cuts });
        }
        match widths.iter().position(|width| !(1..=hidden_size).contains(width)) {
            Some(cut) => Err(WidthsError::Range { cut, width: widths[cut], hidden_size }),
            None => Ok(Self(widths)),
        }
    }

    /// All widths, embedding first.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// The width that the embedding writes.
    pub fn embedding(&self) -> usize {
        self.0[0]
    }

    /// The width that the head reads.
    pub fn head(&self) -> usize {
        *self.0.last().expect("at least the cut after the embedding")
    }

    /// The widths around block `index`, if every block has `sublayers` sublayers: the width it
    /// reads, then the width each of its sublayers writes (`sublayers + 1` numbers).
    pub fn block(&self, index: usize, sublayers: usize) -> &[usize] {
        &self.0[index * sublayers..=(index + 1) * sublayers]
    }
}
