//! The head of a model cut to one basis: how its rows, its bias and the last norm are rewritten.

use slicegpt_calibrate::Moments;
use slicegpt_core::Norm;
use slicegpt_invariance::TableEdit;
use slicegpt_slice::{ReaderFit, Refit, TiedHead};

use crate::error::{CompressError, Result};
use crate::shared::{Frame, Shared, scaled};
use crate::{Sink, Table, Tables};

/// How the head is rewritten.
pub(crate) struct HeadEdit {
    /// How a row of the dense table is rewritten; `None` if the head is tied.
    pub table: Option<TableEdit>,
    /// The weight of the last norm, if it has one.
    pub weight: Option<Vec<f64>>,
    /// Computes from a row of the dense table what is added to the bias of its logit, if the head
    /// is tied and gets a bias from the last norm.
    pub shift: Option<TableEdit>,
}

impl<D: Tables> Shared<'_, D> {
    /// The head for the basis of `frame`, refitted if linears are and `here` holds moments of
    /// the normalised sliced stream on the normalised dense one before the head.
    pub fn head(&self, frame: &Frame, here: Option<&Moments>) -> Result<HeadEdit> {
        let dense = self.dense;
        dense.observer.at("the head");
        let device = dense.decoder.device();
        let ridge = self.refit.map(Refit::ridge);
        let refit = ridge.as_ref().zip(here);
        if self.cut.tied {
            let (gain, bias) = dense.norm_vectors();
            let mut head = TiedHead::plain(frame.gain.clone(), bias);
            if let Some((ridge, here)) = refit {
                let table = self.table_moments(frame, &gain)?;
                let centers = self.centers_rows(frame);
                head = head.refit(ridge, here, &table, &frame.basis, &gain, centers)?;
            }
            let TiedHead { weight, shift } = head;
            let shift = shift.map(|shift| TableEdit::product(shift, &device));
            return Ok(HeadEdit { table: None, weight: Some(weight), shift });
        }
        let table = match refit {
            None => TableEdit::reader(&dense.norm, &frame.basis, &device),
            Some((ridge, here)) => {
                let has_bias = self.dense_head_bias()?.is_some() || dense.norm.bias.is_some();
                let fit = ReaderFit::new(ridge, here, &frame.basis, has_bias)?;
                TableEdit::refitted(&dense.norm, &fit.matrix, fit.shift.as_deref(), &device)
            }
        };
        Ok(HeadEdit { table: Some(table), weight: None, shift: None })
    }

    /// The last norm of the cut model, not yet written as an RMSNorm.
    pub fn last_norm(&self, head: &HeadEdit) -> Norm {
        let norm = self.dense.bare_norm();
        match &head.weight {
            Some(weight) => norm.with_weight(weight, &self.dense.decoder.device()),
            None => norm,
        }
    }

    /// Rewrites the head and passes it to `sink`, a few rows at a time; a tied head has no rows of
    /// its own. Returns its bias, `[vocab_size]`, if it has one.
    pub fn head_rows(
        &self,
        head: &HeadEdit,
        mut sink: impl FnMut(Vec<f32>) -> Result<()>,
    ) -> Result<Option<Vec<f32>>> {
        let vocab_size = self.dense.decoder.vocab_size();
        let mut bias = Vec::with_capacity(vocab_size);
        if let Some(edit) = head.table.as_ref().or(head.shift.as_ref()) {
            self.dense.rewrite(self.dense.head_table(), edit, |rows, shift| {
                bias.extend(shift.into_iter().flatten());
                if head.table.is_some() { sink(rows) } else { Ok(()) }
            })?;
        }
        bias.resize(vocab_size, 0.0);
        let dense = self.dense_head_bias()?;
        let has_bias = dense.is_some() || self.dense.norm.bias.is_some();
        bias.iter_mut().zip(dense.iter().flatten()).for_each(|(sum, dense)| *sum += dense);
        Ok(has_bias.then_some(bias))
    }

    /// Hands over the last norm and the head.
    pub fn write_head<S: Sink<D::Block>>(
        &self,
        frame: &Frame,
        head: &HeadEdit,
        sink: &mut S,
    ) -> Result<()> {
        let mut norm = self.last_norm(head);
        norm.centers = frame.centers;
        if frame.shape.rms_norms {
            let (bare, width) = (self.dense.bare_norm(), frame.split.width);
            let stock = bare.rms_weight(width);
            let weight = head.weight.clone().unwrap_or_else(|| vec![1.0; width]);
            let weight: Vec<f64> = weight.into_iter().map(|x| x * stock).collect();
            let device = self.dense.decoder.device();
            norm = Norm::bare(width, bare.rms_eps(width)).with_weight(&weight, &device);
        }
        sink.norm(&norm).map_err(CompressError::sink)?;
        let bias = self
            .head_rows(head, |rows| sink.rows(Table::Head, &rows).map_err(CompressError::sink))?;
        match bias {
            Some(bias) => sink.head_bias(&bias).map_err(CompressError::sink),
            None => Ok(()),
        }
    }

    /// Moments of the rows of the cut embedding on those of the dense head.
    fn table_moments(&self, frame: &Frame, gain: &[f64]) -> Result<Moments> {
        let dense = self.dense;
        let width = dense.width();
        let mut moments = Moments::new(frame.split.width, width);
        let embedding = self.embedding_edit(frame);
        let device = dense.decoder.device();
        dense.each_rows(dense.head_table(), |rows| {
            let read = scaled(rows.clone(), gain);
            let (cut, _) = embedding.apply(rows, width);
            moments.add_rows(cut, read, &device);
            Ok(())
        })?;
        Ok(moments)
    }

    fn dense_head_bias(&self) -> Result<Option<Vec<f32>>> {
        self.dense.decoder.head_bias().map_err(CompressError::model)
    }
}
