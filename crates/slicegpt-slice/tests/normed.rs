//! Passes normalise through [`Block::normed`], so that a block may override it.

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Distribution, Tensor};
use slicegpt_core::{Basis, Block, Norm, Shortcut, Sublayer, SublayerMut};
use slicegpt_invariance::fuse;
use slicegpt_slice::{
    Batch, BlockUnits, PairedPass, Profile, Refit, Ridge, Settings, SliceError, profile,
};
use slicegpt_testkit::device;

const WIDTH: usize = 8;

/// An MLP whose writer is zero, and whose norm is `scale` times too large.
#[derive(Clone)]
struct Scaled {
    norm: Norm,
    up: Linear,
    down: Linear,
    shortcut: Shortcut,
    scale: f64,
}

impl Scaled {
    fn new(scale: f64) -> Self {
        let mut down = LinearConfig::new(16, WIDTH).with_bias(false).init(&device());
        down.weight = down.weight.map(|weight| weight.zeros_like());
        Self {
            norm: Norm::bare(WIDTH, 1e-5),
            up: LinearConfig::new(WIDTH, 16).with_bias(false).init(&device()),
            down,
            shortcut: Shortcut::identity(),
            scale,
        }
    }
}

impl Block for Scaled {
    type Context = ();

    fn sublayers(&self) -> usize {
        1
    }

    fn writer_inputs(&self, _: usize, x: Tensor<3>, _: &()) -> Vec<Tensor<3>> {
        vec![self.up.forward(x)]
    }

    fn normed(&self, _: usize, stream: Tensor<3>) -> Tensor<3> {
        self.norm.forward(stream).mul_scalar(self.scale)
    }

    fn sublayer(&self, _: usize) -> Sublayer<'_> {
        Sublayer {
            norm: &self.norm,
            readers: vec![&self.up],
            writers: vec![&self.down],
            shortcut: &self.shortcut,
        }
    }

    fn sublayer_mut(&mut self, _: usize) -> SublayerMut<'_> {
        SublayerMut {
            norm: &mut self.norm,
            readers: vec![&mut self.up],
            writers: vec![&mut self.down],
            shortcut: &mut self.shortcut,
        }
    }
}

fn batch(signal: &Tensor<3>) -> Result<Batch<()>, SliceError> {
    Ok(Batch { signal: signal.clone(), context: (), keep: None })
}

fn signal() -> Tensor<3> {
    Tensor::random([2, 6, WIDTH], Distribution::Normal(0.0, 1.0), (&device(), DType::F32))
}

/// The stream does not change, so that the covariance is that of the norm's output, twice. A factor
/// of 2 is exact.
#[test]
fn a_profile_sees_the_norm_of_the_block() {
    let signal = signal();
    let sums = |scale: f64| {
        let blocks = [Ok(fuse(Scaled::new(scale)))];
        let found: Profile = profile([batch(&signal)], Settings::default(), blocks).unwrap();
        found.covariance.values().unwrap()
    };
    let expected: Vec<f64> = sums(1.0).into_iter().map(|sum| 4.0 * sum).collect();
    assert_eq!(sums(2.0), expected);
}

#[test]
fn a_paired_pass_sees_the_norm_of_the_block() {
    let signal = signal();
    let sums = |scale: f64| {
        let block = fuse(Scaled::new(scale));
        let (basis, ridge) = (Basis::axes(WIDTH, WIDTH), Some(Refit::Ridge(Ridge::default())));
        let norm = Norm::bare(WIDTH, 1e-5);
        let mut pass =
            PairedPass::begin([batch(&signal)], Settings::default(), basis, &norm, ridge).unwrap();
        pass.block(block, 0, &BlockUnits::default()).unwrap();
        let [gram, _] = pass.moments(&norm).unwrap().sums().unwrap();
        (0..WIDTH).map(|i| gram[(i, i)]).collect::<Vec<f64>>()
    };
    let expected: Vec<f64> = sums(1.0).into_iter().map(|sum| 4.0 * sum).collect();
    assert_eq!(sums(2.0), expected);
}
