//! A block of your own, sliced: a gated MLP with an RMSNorm from `burn::nn` becomes a [`Block`], is
//! fused, calibrated on a random signal, and cut from a stream of 64 to one of 48.
//!
//! Run it with `cargo run --release -p slicegpt-core --example custom_block`.

use burn::nn::{Linear, LinearConfig, RmsNormConfig};
use burn::tensor::{Device, Distribution, Tensor, activation::silu};
use slicegpt_core::{Basis, Block, Norm, Shortcut, Sublayer, SublayerMut, Widths};
use slicegpt_invariance::fuse;
use slicegpt_slice::{Batch, Orientation, SliceError, Spectra, Stream, run};

/// The width of the stream before slicing.
const WIDTH: usize = 64;

/// The width of the MLP.
const HIDDEN: usize = 128;

/// `x + (silu(norm(x) G) * norm(x) U) D`.
#[derive(Clone, Debug)]
struct GatedMlp {
    norm: Norm,
    gate: Linear,
    up: Linear,
    down: Linear,
    shortcut: Shortcut,
}

impl GatedMlp {
    fn new(device: &Device) -> Self {
        let linear = |input, output| LinearConfig::new(input, output).with_bias(false).init(device);
        Self {
            norm: RmsNormConfig::new(WIDTH).init(device).into(),
            gate: linear(WIDTH, HIDDEN),
            up: linear(WIDTH, HIDDEN),
            down: linear(HIDDEN, WIDTH),
            shortcut: Shortcut::identity(),
        }
    }
}

impl Block for GatedMlp {
    /// An MLP needs nothing but the stream. Attention would get its positions and masks here.
    type Context = ();

    fn sublayers(&self) -> usize {
        1
    }

    fn writer_inputs(&self, _: usize, x: Tensor<3>, _: &()) -> Vec<Tensor<3>> {
        vec![silu(self.gate.forward(x.clone())) * self.up.forward(x)]
    }

    fn sublayer(&self, _: usize) -> Sublayer<'_> {
        Sublayer {
            norm: &self.norm,
            readers: vec![&self.gate, &self.up],
            writers: vec![&self.down],
            shortcut: &self.shortcut,
        }
    }

    fn sublayer_mut(&mut self, _: usize) -> SublayerMut<'_> {
        SublayerMut {
            norm: &mut self.norm,
            readers: vec![&mut self.gate, &mut self.up],
            writers: vec![&mut self.down],
            shortcut: &mut self.shortcut,
        }
    }
}

/// Some sequences, `[8, 64, WIDTH]`, with most of their energy in 16 directions.
fn signal(mix: &Tensor<2>) -> Tensor<3> {
    let (device, normal) = (mix.device(), Distribution::Normal(0.0, 1.0));
    let latent = Tensor::<3>::random([8, 64, 16], normal, &device);
    let noise = Tensor::<3>::random([8, 64, WIDTH], normal, &device) * 0.05;
    latent.matmul(mix.clone().unsqueeze()) + noise
}

/// Slices `blocks` to `widths`, calibrating on `calibration`. Gives the sliced blocks, and the
/// bases of the stream before the first and after the last.
fn slice(
    blocks: &[GatedMlp],
    calibration: Tensor<3>,
    widths: &Widths,
) -> Result<(Vec<GatedMlp>, [Basis; 2]), SliceError> {
    let mut orientation = Orientation::Pca;
    let batch = Batch { signal: calibration, context: (), keep: None };
    let (stream, _) = Stream::project(vec![batch], widths.embedding(), &mut orientation)?;
    let first = stream.basis().clone();
    let fused = blocks.iter().map(|block| Ok::<_, SliceError>(fuse(block.clone())));
    let mut sliced = Vec::new();
    let (last, _) = run(stream, fused, widths, &mut orientation, Spectra::WhereCut, |done| {
        sliced.push(done.block);
        Ok(())
    })?;
    Ok((sliced, [first, last]))
}

/// The error of the sliced blocks on `x`, relative to the output of the dense ones.
fn relative_error(
    dense: &[GatedMlp],
    sliced: &[GatedMlp],
    bases: &[Basis; 2],
    x: Tensor<3>,
) -> f32 {
    let run = |blocks: &[GatedMlp], x| blocks.iter().fold(x, |x, block| block.forward(x, &()));
    let [first, last] =
        bases.each_ref().map(|basis| basis.to(&x.device(), x.dtype()).unsqueeze::<3>());
    let expected = run(dense, x.clone());
    let found = run(sliced, x.matmul(first)).matmul(last.transpose());
    let energy = |x: Tensor<3>| x.square().sum().into_scalar::<f32>();
    (energy(found - expected.clone()) / energy(expected)).sqrt()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    device.seed(1);
    let dense: Vec<GatedMlp> = (0..4).map(|_| GatedMlp::new(&device)).collect();
    let mix = Tensor::<2>::random([16, WIDTH], Distribution::Normal(0.0, 0.25), &device);
    let (calibration, x) = (signal(&mix), signal(&mix));

    for width in [WIDTH, 48, 32] {
        // One width after the embedding, and one after each of the four blocks.
        let widths = Widths::new(vec![width; 1 + dense.len()], 1 + dense.len(), WIDTH)?;
        let (sliced, bases) = slice(&dense, calibration.clone(), &widths)?;
        let error = relative_error(&dense, &sliced, &bases, x.clone());
        let [reads, _] = sliced[0].gate.weight.dims();
        let [_, writes] = sliced[0].down.weight.dims();
        println!(
            "a block reads {reads} and writes {writes} of {WIDTH}: relative error {error:.1e}"
        );

        assert_eq!([reads, writes], [width; 2]);
        assert!(if width == WIDTH { error < 1e-5 } else { error < 0.3 });
    }
    Ok(())
}
