//! Covariances, computed with a plain product in Burn and by this project. It does not know
//! what they are for.

use std::cell::OnceCell;
use std::rc::Rc;

use burn::tensor::{DType, Device, Tensor};
use slicegpt_calibrate::{Arithmetic, Covariance};
use slicegpt_device::OpenDevice;

use crate::kernel::{settle, values};
use crate::subject::signal;
use crate::work::product;
use crate::{Checksum, Grade, Kernel, Outcome, Output, Work};

/// How a covariance is computed.
#[derive(Clone, Copy)]
enum Way {
    /// The full product in Burn, in this type.
    Plain(DType),
    /// `Covariance` of this project.
    Ours(Arithmetic),
}

/// The four ways, on one signal. Each reports its difference from the full product in float64 on
/// the host.
pub fn kernels(opened: &OpenDevice, tokens: usize, width: usize) -> Vec<Kernel> {
    let device = &opened.device;
    let input = Rc::new(OnceCell::new());
    let truth = Rc::new(OnceCell::new());
    let full = product(width, tokens, width);
    let grade = Grade::of(device);
    let rows: [(_, _, Work, f64); 4] = [
        ("plain float64", Way::Plain(DType::F64), Work::float64(full), 1e-12),
        ("plain float32", Way::Plain(DType::F32), Work::float32(full), 3e-3),
        ("float64", Way::Ours(Arithmetic::Float64), Work::host(full / 2.0), 1e-12),
        ("split-f32", Way::Ours(Arithmetic::SplitFloat32), grade.split_gram(tokens, width), 1e-9),
    ];
    let kernel = |(name, way, work, tolerance): (&'static str, Way, Work, f64)| {
        let lacks = matches!(way, Way::Plain(DType::F64)) && !opened.info.float64;
        let moved = Work::bytes(4.0 * (tokens * width) as f64 + 4.0 * (width * width) as f64);
        let (device, input, truth) = (device.clone(), input.clone(), truth.clone());
        Kernel {
            group: "gram",
            name,
            shape: format!("{tokens} x {width}"),
            work: work + moved,
            tolerance,
            unavailable: lacks.then(|| "the device has no float64".to_string()),
            prepare: Box::new(move || {
                let input: &Tensor<3> = input.get_or_init(|| signal(1, tokens, width, &device));
                settle(input);
                let (input, truth) = (input.clone(), truth.clone());
                Box::new(move || run(way, input, truth))
            }),
        }
    };
    rows.into_iter().map(kernel).collect()
}

fn run(way: Way, input: Tensor<3>, truth: Rc<OnceCell<Vec<f64>>>) -> Output {
    let [_, tokens, width] = input.dims();
    let host = input.clone();
    let truth = move || {
        let compute = || {
            let data = host.into_data();
            let rows = Tensor::<3>::from_data(data, &Device::flex());
            values(plain(rows, DType::F64))
        };
        truth.get_or_init(compute).clone()
    };
    match way {
        Way::Plain(dtype) => {
            let sum = plain(input, dtype);
            settle(&sum);
            Box::new(move || outcome(values(sum), &truth()))
        }
        Way::Ours(arithmetic) => {
            let mut covariance = Covariance::new(width, arithmetic);
            covariance.add(input, None);
            Box::new(move || {
                assert_eq!(covariance.tokens(), tokens as u64);
                let lower = covariance.lower().expect("a finite signal");
                let places = (0..width).flat_map(|i| (0..width).map(move |j| (i, j)));
                let all = places.map(|(i, j)| lower[(i.max(j), i.min(j))]).collect();
                outcome(all, &truth())
            })
        }
    }
}

/// The plain product in Burn.
fn plain(rows: Tensor<3>, dtype: DType) -> Tensor<2> {
    let [_, tokens, width] = rows.dims();
    let rows = rows.reshape([tokens, width]).cast(dtype);
    rows.clone().transpose().matmul(rows)
}

fn outcome(sum: Vec<f64>, truth: &[f64]) -> Outcome {
    let square = |x: f64| x * x;
    let wrong: f64 = sum.iter().zip(truth).map(|(x, y)| square(x - y)).sum();
    let whole: f64 = truth.iter().map(|y| square(*y)).sum();
    Outcome { checksum: Checksum::of(sum), error: Some((wrong / whole).sqrt()) }
}
