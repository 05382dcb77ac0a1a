//! [`Samples`]: token sequences of equal length, with a padding mask.

use sha2::{Digest, Sha256};

use crate::error::{CorpusError, Result};

/// Token sequences of equal length, with an optional padding mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// `[count, seqlen]`, row-major.
    ids: Vec<u32>,
    /// Padding mask of the same shape, false at padding. None if nothing is padded.
    mask: Option<Vec<bool>>,
    seqlen: usize,
    /// Whether they were cut from conversations.
    from_chat: bool,
}

impl Samples {
    /// Samples of ids `[count, seqlen]`, row-major, and a mask of the same shape that is false at
    /// padding.
    ///
    /// # Panics
    ///
    /// If `seqlen` is 0, the ids are not whole rows, or the mask is not as long as the ids.
    pub fn new(ids: Vec<u32>, mask: Option<Vec<bool>>, seqlen: usize) -> Self {
        assert!(seqlen > 0, "a sample has at least one token");
        assert_eq!(ids.len() % seqlen, 0, "{} ids are not whole rows of {seqlen}", ids.len());
        if let Some(mask) = &mask {
            assert_eq!(mask.len(), ids.len(), "ids and mask have the same shape");
        }
        Self { ids, mask, seqlen, from_chat: false }
    }

    /// The same, cut from conversations that a chat template wrote.
    pub(crate) fn of_chat(self) -> Self {
        Self { from_chat: true, ..self }
    }

    /// Whether they were cut from conversations: nothing joins these, and their chat template wrote
    /// all special tokens.
    pub fn are_from_chat(&self) -> bool {
        self.from_chat
    }

    /// The number of sequences.
    pub fn count(&self) -> usize {
        self.ids.len() / self.seqlen
    }

    /// The number of tokens per sequence, including padding.
    pub fn seqlen(&self) -> usize {
        self.seqlen
    }

    /// The number of tokens in all sequences, without padding.
    pub fn kept(&self) -> u64 {
        match &self.mask {
            Some(mask) => mask.iter().filter(|kept| **kept).count() as u64,
            None => self.ids.len() as u64,
        }
    }

    /// SHA-256, in hexadecimal, of the sequence length (u64), the ids (u32), and the mask if there
    /// is one (a byte per token, 1 or 0), all little-endian.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update((self.seqlen as u64).to_le_bytes());
        for id in &self.ids {
            hash.update(id.to_le_bytes());
        }
        for kept in self.mask.iter().flatten() {
            hash.update([u8::from(*kept)]);
        }
        format!("{:x}", hash.finalize())
    }

    /// Keeps the first `n` sequences, or all if there are fewer.
    pub fn take(mut self, n: usize) -> Self {
        let length = n.saturating_mul(self.seqlen);
        self.ids.truncate(length);
        if let Some(mask) = &mut self.mask {
            mask.truncate(length);
        }
        self
    }

    /// Drops the first `n` sequences.
    pub fn skip(mut self, n: usize) -> Self {
        let length = n.saturating_mul(self.seqlen).min(self.ids.len());
        self.ids.drain(..length);
        if let Some(mask) = &mut self.mask {
            mask.drain(..length);
        }
        self
    }

    /// Keeps the first `seqlen` tokens of each sequence, or all if there are fewer. In a sequence
    /// that is padded on the left, that may be padding only.
    ///
    /// # Panics
    ///
    /// If `seqlen` is 0.
    pub fn clip(self, seqlen: usize) -> Self {
        if seqlen >= self.seqlen {
            return self;
        }
        let ids = columns(&self.ids, self.seqlen, seqlen);
        let mask = self.mask.map(|mask| columns(&mask, self.seqlen, seqlen));
        Self::new(ids, mask, seqlen)
    }

    /// Ids and mask of `batch_size` sequences at a time, `[batch, seqlen]`, row-major. The last
    /// batch may be smaller.
    ///
    /// # Panics
    ///
    /// If `batch_size` is 0.
    pub fn batches(
        &self,
        batch_size: usize,
    ) -> impl Iterator<Item = (&[u32], Option<&[bool]>)> + '_ {
        let length = batch_size.saturating_mul(self.seqlen);
        self.ids.chunks(length).enumerate().map(move |(batch, ids)| {
            let start = batch * length;
            (ids, self.mask.as_ref().map(|mask| &mask[start..start + ids.len()]))
        })
    }

    /// Checks that every id, including padding, is below `vocab_size`, and that no sample consists
    /// of padding only, as it may after [`Samples::clip`]. `what` names the samples in the message.
    ///
    /// # Errors
    ///
    /// If an id or a sample fails the check; the error names the first one.
    pub fn check_vocabulary(&self, vocab_size: usize, what: &str) -> Result<()> {
        let rows = self.mask.iter().flat_map(|mask| mask.chunks(self.seqlen));
        if let Some((row, _)) = rows.enumerate().find(|(_, row)| !row.contains(&true)) {
            return Err(CorpusError::OnlyPadding { what: what.into(), row, seqlen: self.seqlen });
        }
        match self.ids.iter().position(|id| *id as usize >= vocab_size) {
            None => Ok(()),
            Some(index) => Err(CorpusError::OutsideVocabulary {
                what: what.into(),
                id: self.ids[index],
                row: index / self.seqlen,
                column: index % self.seqlen,
                vocab_size,
            }),
        }
    }
}

/// The first `to` of every `from` values.
fn columns<T: Copy>(values: &[T], from: usize, to: usize) -> Vec<T> {
    values.chunks(from).flat_map(|row| &row[..to]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked() -> Samples {
        let mask = vec![true, true, true, true, true, false, true, false, false];
        Samples::new((0..9).collect(), Some(mask), 3)
    }

    #[test]
    fn the_mask_is_cut_with_the_ids() {
        let samples = masked();
        assert_eq!((samples.count(), samples.seqlen(), samples.kept()), (3, 3, 6));
        let clipped = samples.clone().clip(2);
        let mask = vec![true, true, true, true, true, false];
        assert_eq!(clipped, Samples::new(vec![0, 1, 3, 4, 6, 7], Some(mask), 2));
        let taken = samples.clone().take(1);
        assert_eq!(taken, Samples::new(vec![0, 1, 2], Some(vec![true; 3]), 3));
        assert_eq!(samples.clone().take(4).clip(4), samples);
    }

    #[test]
    fn the_last_batch_may_be_smaller() {
        let samples = masked();
        let batches: Vec<_> = samples.batches(2).collect();
        let mask: (&[bool], &[bool]) =
            (&[true, true, true, true, true, false], &[true, false, false]);
        assert_eq!(
            batches,
            [(&[0, 1, 2, 3, 4, 5][..], Some(mask.0)), (&[6, 7, 8][..], Some(mask.1))]
        );
        assert_eq!(Samples::new(vec![1, 2], None, 1).batches(9).next(), Some((&[1, 2][..], None)));
    }

    #[test]
    fn the_digest_depends_on_ids_shape_and_mask() {
        let plain = Samples::new(vec![1, 2], None, 1);
        // printf '\1\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0' | sha256sum
        assert_eq!(
            plain.digest(),
            "e91828e21b5a9eef567554fee953d49df55df0c1f16b3038127e7c6af3d77860"
        );
        let others = [
            Samples::new(vec![1, 2], None, 2),
            Samples::new(vec![2, 1], None, 1),
            Samples::new(vec![1, 2], Some(vec![true, true]), 1),
            Samples::new(vec![1, 2], Some(vec![true, false]), 1),
        ];
        let mut digests: Vec<_> = others.iter().chain([&plain]).map(Samples::digest).collect();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 5);
    }

    #[test]
    fn an_id_outside_the_vocabulary_is_an_error() {
        assert!(masked().check_vocabulary(9, "x").is_ok());
        let error = masked().check_vocabulary(5, "calibration").unwrap_err().to_string();
        assert!(error.starts_with("calibration: token id 5 (sample 1, position 2"), "{error}");
    }

    #[test]
    #[should_panic(expected = "not whole rows of 3")]
    fn half_a_row_is_refused() {
        let _ = Samples::new(vec![0; 4], None, 3);
    }
}
