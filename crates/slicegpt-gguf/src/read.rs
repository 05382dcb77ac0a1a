//! The values of a tensor, read from a checkpoint a few rows at a time.

use slicegpt_core::TensorSource;

use crate::export::ExportError;
use crate::tensors::{Content, Piece, Rows, Tensor};

/// Values handed on at a time.
const CHUNK: usize = 1 << 23;

/// Values of a tensor that is read whole. A pickle gives whole tensors only, and would keep what rows
/// were taken from.
const WHOLE: usize = 1 << 26;

/// Where values go.
type Sink<'a, E> = dyn FnMut(&[f32]) -> Result<(), ExportError<E>> + 'a;

/// Hands the values of `tensor` to `sink`, whole rows, in order.
pub(crate) fn read<S: TensorSource>(
    tensor: &Tensor,
    source: &S,
    rename: impl Fn(&str) -> String,
    sink: &mut Sink<'_, S::Error>,
) -> Result<(), ExportError<S::Error>>
where
    S::Error: std::error::Error + 'static,
{
    match &tensor.content {
        Content::Values(values) => sink(values),
        Content::Pieces(pieces) => pieces
            .iter()
            .try_for_each(|piece| read_piece(piece, source, &rename(&piece.name), sink)),
    }
}

fn read_piece<S: TensorSource>(
    piece: &Piece,
    source: &S,
    name: &str,
    sink: &mut Sink<'_, S::Error>,
) -> Result<(), ExportError<S::Error>>
where
    S::Error: std::error::Error + 'static,
{
    let columns: usize = piece.shape[1..].iter().product();
    let rows_at_a_time = (CHUNK / columns).max(1);
    let whole = match piece.shape.iter().product::<usize>() <= WHOLE {
        true => Some(source.tensor(name, &piece.shape).map_err(ExportError::Source)?),
        false => None,
    };
    let shape = [piece.shape[0], columns];
    match (&piece.rows, whole) {
        (Rows::Range(range), Some(values)) => {
            let values = &values[range.start * columns..range.end * columns];
            values.chunks(rows_at_a_time * columns).try_for_each(sink)
        }
        (Rows::Range(range), None) => {
            for start in range.clone().step_by(rows_at_a_time) {
                let end = range.end.min(start + rows_at_a_time);
                sink(&source.rows(name, shape, start..end).map_err(ExportError::Source)?)?;
            }
            Ok(())
        }
        (Rows::Order(order), whole) => {
            for order in order.chunks(rows_at_a_time) {
                let mut values = match &whole {
                    Some(values) => {
                        let row = |row: u32| &values[row as usize * columns..][..columns];
                        order.iter().flat_map(|(index, _)| row(*index)).copied().collect()
                    }
                    None => {
                        let indices: Vec<u32> = order.iter().map(|(index, _)| *index).collect();
                        source.gather(name, shape, &indices).map_err(ExportError::Source)?
                    }
                };
                for ((_, scale), row) in order.iter().zip(values.chunks_exact_mut(columns)) {
                    if *scale != 1.0 {
                        row.iter_mut().for_each(|x| *x *= scale);
                    }
                }
                sink(&values)?;
            }
            Ok(())
        }
    }
}
