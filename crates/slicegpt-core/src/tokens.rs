//! [`TokenBatch`]: token ids with their mask.

/// A batch of token sequences of equal length, with a mask that marks padding.
///
/// # Example
///
/// ```
/// use slicegpt_core::TokenBatch;
///
/// let ids = vec![5, 6, 7, 8, 9, 0];
/// let mask = vec![true, true, true, true, true, false];
/// let batch = TokenBatch::new(ids, Some(mask), 3);
/// assert_eq!(batch.shape(), [2, 3]);
/// assert_eq!(batch.kept(), 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBatch {
    ids: Vec<u32>,
    mask: Option<Vec<bool>>,
    tokens: usize,
}

impl TokenBatch {
    /// A batch from row-major ids, `[batch, tokens]`, and a mask of the same shape (`true`: a token
    /// that counts, `false`: padding). A mask without padding is dropped.
    ///
    /// # Panics
    ///
    /// If the ids are not a whole number of rows of `tokens`, or the mask has another length.
    pub fn new(ids: Vec<u32>, mask: Option<Vec<bool>>, tokens: usize) -> Self {
        assert!(tokens > 0 && ids.len().is_multiple_of(tokens), "ids are [batch, tokens]");
        let mask = mask.filter(|mask| {
            assert_eq!(mask.len(), ids.len(), "the mask has the shape of the ids");
            mask.iter().any(|keep| !keep)
        });
        Self { ids, mask, tokens }
    }

    /// Row-major ids, `[batch, tokens]`.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The mask, row-major, `true` where a token counts; `None` if all tokens count.
    pub fn mask(&self) -> Option<&[bool]> {
        self.mask.as_deref()
    }

    /// `[batch, tokens]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.ids.len() / self.tokens, self.tokens]
    }

    /// The number of tokens that count.
    pub fn kept(&self) -> usize {
        match &self.mask {
            Some(mask) => mask.iter().filter(|keep| **keep).count(),
            None => self.ids.len(),
        }
    }
}
