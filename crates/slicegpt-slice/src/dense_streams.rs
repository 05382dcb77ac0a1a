//! [`DenseStreams`]: the stream of the dense decoder after every sublayer, computed by one pass for
//! other passes over the same batches. It does not know what these passes do with it.

use std::collections::HashMap;
use std::sync::Mutex;

use burn::tensor::Tensor;

use crate::error::Place;

/// The stream of the dense decoder on some batches, after every sublayer.
///
/// Several passes over the same batches, each of which slices the decoder in another way, run the
/// dense decoder once: give the same streams to all of them, in
/// [`Settings::dense`](crate::Settings::dense). They stay on the device of the signals, so their
/// size is that of the signals times the number of sublayers.
#[derive(Default)]
pub struct DenseStreams {
    known: Mutex<HashMap<(Place, usize), Tensor<3>>>,
}

impl DenseStreams {
    /// The stream of batch `number` after the sublayer at `place`, by `compute` if it is not known.
    pub(crate) fn after(
        &self,
        place: Place,
        number: usize,
        compute: impl FnOnce() -> Tensor<3>,
    ) -> Tensor<3> {
        const POISONED: &str = "nothing panics while it holds the lock";
        let known = self.known.lock().expect(POISONED).get(&(place, number)).cloned();
        known.unwrap_or_else(|| {
            let stream = compute();
            self.known.lock().expect(POISONED).insert((place, number), stream.clone());
            stream
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn every_stream_is_computed_once() {
        let streams = DenseStreams::default();
        let value = |x: f32| Tensor::<3>::full([1, 1, 1], x, &Device::flex());
        let ask = |sublayer, number, x| {
            let place = Place { block: 2, sublayer };
            streams.after(place, number, || value(x)).into_scalar::<f32>()
        };
        assert_eq!([ask(0, 0, 1.0), ask(1, 0, 2.0), ask(0, 1, 3.0)], [1.0, 2.0, 3.0]);
        assert_eq!([ask(0, 0, 9.0), ask(1, 0, 9.0), ask(0, 1, 9.0)], [1.0, 2.0, 3.0]);
    }
}
