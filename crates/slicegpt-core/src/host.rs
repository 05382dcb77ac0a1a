//! [`host_vec`]: the values of a tensor on the host.

use burn::tensor::kind::Basic;
use burn::tensor::{Element, Tensor};

/// The values of `tensor` on the host, row-major, converted to `T`.
///
/// This waits until the device has computed them.
///
/// # Panics
///
/// If the device fails to compute them: Burn reports a failed computation where its result is read.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use slicegpt_core::host_vec;
///
/// let tensor = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &Device::flex());
/// assert_eq!(host_vec::<f64, _, _>(tensor), [1.0, 2.0, 3.0, 4.0]);
/// ```
pub fn host_vec<T: Element, const D: usize, K: Basic>(tensor: Tensor<D, K>) -> Vec<T> {
    tensor.into_data_dtype(T::dtype()).try_into_vec().expect("the data were just converted to `T`")
}
