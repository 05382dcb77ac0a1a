//! Reads the values of a tensor from a checkpoint, a few rows at a time.

use slicegpt_core::TensorSource;

use crate::error::ExportError;
use crate::tensors::{Content, Rows, Selection, Tensor};

/// Values passed to the sink at a time.
const CHUNK: usize = 1 << 23;

/// Largest tensor that is read whole, in values. A pickle gives whole tensors only, and keeps in
/// memory those that rows were taken from.
const WHOLE: usize = 1 << 26;

/// Receives values.
type Sink<'a, E> = dyn FnMut(&[f32]) -> Result<(), ExportError<E>> + 'a;

/// Passes the values of `tensor` to `sink`, whole rows, in order.
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
        Content::Selections(selections) => selections
            .iter()
            .try_for_each(|selection| read_rows(selection, source, &rename(&selection.name), sink)),
    }
}

fn read_rows<S: TensorSource>(
    selection: &Selection,
    source: &S,
    name: &str,
    sink: &mut Sink<'_, S::Error>,
) -> Result<(), ExportError<S::Error>>
where
    S::Error: std::error::Error + 'static,
{
    let columns: usize = selection.shape[1..].iter().product();
    let rows_at_a_time = (CHUNK / columns).max(1);
    let whole = if selection.shape.iter().product::<usize>() <= WHOLE {
        Some(source.tensor(name, &selection.shape).map_err(ExportError::Source)?)
    } else {
        None
    };
    let shape = [selection.shape[0], columns];
    match (&selection.rows, whole) {
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
