//! [`TokenBatch`]: token ids with their mask.

/// A batch of token sequences of equal length, padding marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBatch {
    ids: Vec<u32>,
    mask: Option<Vec<bool>>,
    tokens: usize,
}

impl TokenBatch {
    /// From row-major ids, `[batch, tokens]`, and a mask of the same shape (`true` = a token that
    /// counts, `false` = padding). A mask without padding is dropped.
    ///
    /// # Panics
    ///
    /// If the ids, or the mask, are not a whole number of rows of `tokens`.
    pub fn new(ids: Vec<u32>, mask: Option<Vec<bool>>, tokens: usize) -> Self {
        assert!(tokens > 0 && ids.len().is_multiple_of(tokens), "ids are [batch, tokens]");
        let mask = mask.filter(|mask| {
            assert_eq!(mask.len(), ids.len(), "a mask is shaped as its ids");
            mask.iter().any(|keep| !keep)
        });
        Self { ids, mask, tokens }
    }

    /// Row-major ids, `[batch, tokens]`.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Row-major, `true` where a token counts; `None` if all do.
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
