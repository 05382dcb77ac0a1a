//! The gradients of a network against central differences, for every family.

use burn::tensor::{Device, Tensor, TensorData};
use slicegpt_core::{Block, Decoder};
use slicegpt_models::{DecoderBlock, Model};
use slicegpt_testkit::{ToySource, spec};
use slicegpt_train::{
    Distillation, Example, Factor, Gradients, Key, Network, Place, Targets, Trainable,
};

const TOKENS: usize = 6;

fn model(family: &str) -> Model<ToySource> {
    Model::new(spec(family), ToySource { seed: 3 }, Device::flex())
}

fn network(model: &Model<ToySource>) -> Network<DecoderBlock> {
    let blocks = (0..model.blocks()).map(|index| model.block(index).unwrap()).collect();
    Network { blocks, head: model.head().unwrap() }
}

/// Every weight that has a role, the last norm and the head, as a whole.
fn everything(network: &Network<DecoderBlock>) -> Trainable {
    let mut trainable = Trainable::new(1.0);
    for (number, block) in network.blocks.iter().enumerate() {
        for sublayer in 0..block.sublayers() {
            for (role, weight) in block.sublayer(sublayer).weights() {
                trainable.whole(Place::Block { block: number, sublayer, role }, weight.matrix());
            }
        }
    }
    let norm = &network.head.norm;
    let vectors = [(Place::LastNorm, &norm.weight), (Place::LastNormBias, &norm.bias)];
    for (place, vector) in vectors {
        if let Some(vector) = vector {
            trainable.whole(place, vector.val().unsqueeze());
        }
    }
    trainable.whole(Place::Head, network.head.linear.weight.val());
    trainable
}

fn examples() -> Vec<Example> {
    let ids = |seed: u32, tokens: usize| {
        (0..tokens as u32).map(|i| (seed + 7 * i + i * i) % 40).collect()
    };
    vec![Example::of_text(ids(3, TOKENS)), Example::of_text(ids(11, 4))]
}

/// The mean loss, and its gradients if they are asked for.
fn loss(
    model: &Model<ToySource>,
    network: &Network<DecoderBlock>,
    trainable: &Trainable,
    teacher: Option<&Distillation<'_>>,
    gradients: Option<(usize, &mut Gradients)>,
) -> f64 {
    let examples = examples();
    let count = examples.iter().map(Example::predicted).sum::<usize>() as f64;
    let (batch, labels) = Example::batch(&examples.iter().collect::<Vec<_>>());
    let (stream, context) = (model.embed(&batch).unwrap(), model.context(&batch));
    let targets = Targets { labels: &labels, distillation: teacher.cloned(), count };
    let sums = match gradients {
        Some((segment, gradients)) => {
            network.gradients(trainable, stream, &context, &targets, segment, gradients)
        }
        None => network.losses(trainable, stream, &context, &targets),
    };
    sums.loss / count
}

fn host(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.clone().into_data().try_into_vec().unwrap()
}

/// The greatest difference between gradients and central differences, relative to the largest
/// gradient of the tensor. A few elements of each tensor are tried.
fn worst(
    model: &Model<ToySource>,
    network: &Network<DecoderBlock>,
    trainable: &Trainable,
    teacher: Option<&Distillation<'_>>,
    segment: usize,
) -> (f64, Option<Key>) {
    let mut gradients = Gradients::default();
    loss(model, network, trainable, teacher, Some((segment, &mut gradients)));
    let mut worst = (0.0, None);
    for (key, tensor) in trainable.tensors() {
        let gradient = host(gradients.get(key).expect("everything matters"));
        let values = host(tensor);
        let largest = gradient.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        for at in (0..values.len()).step_by(values.len().div_ceil(5)) {
            const STEP: f32 = 1e-2;
            let moved = |by: f32| {
                let mut values = values.clone();
                values[at] += by;
                let mut trainable = trainable.clone();
                let device = tensor.device();
                let data = TensorData::new(values, tensor.dims());
                trainable.replace(key, |_| Tensor::from_data(data, &device));
                loss(model, network, &trainable, teacher, None)
            };
            // Richardson's extrapolation of two central differences.
            let difference = |h: f32| (moved(h) - moved(-h)) / f64::from(2.0 * h);
            let expected = (4.0 * difference(STEP / 2.0) - difference(STEP)) / 3.0;
            let error = (f64::from(gradient[at]) - expected).abs() / f64::from(largest).max(1e-2);
            if error > worst.0 {
                worst = (error, Some(*key));
            }
        }
    }
    worst
}

#[test]
fn gradients_are_central_differences_for_every_family() {
    for family in ["llama", "mistral", "qwen2", "qwen3", "opt", "phi", "phi3"] {
        let model = model(family);
        let network = network(&model);
        let trainable = everything(&network);
        let (error, at) = worst(&model, &network, &trainable, None, 1);
        assert!(error < 2e-2, "{family}: {error} at {at:?}");
    }
}

#[test]
fn segments_change_nothing() {
    let model = model("llama");
    let network = network(&model);
    let trainable = everything(&network);
    let of = |segment| {
        let mut gradients = Gradients::default();
        loss(&model, &network, &trainable, None, Some((segment, &mut gradients)));
        gradients
    };
    let (one, all) = (of(1), of(network.blocks.len()));
    for (key, _) in trainable.tensors() {
        let [one, all] = [&one, &all].map(|gradients| host(gradients.get(key).unwrap()));
        let largest = all.iter().fold(1e-6f32, |most, x| most.max(x.abs()));
        for (one, all) in one.iter().zip(&all) {
            assert!((one - all).abs() <= 1e-4 * largest, "{key:?}: {one} and {all}");
        }
    }
}

#[test]
fn low_rank_factors_and_a_teacher_have_the_right_gradients() {
    let (student, teacher) = (model("llama"), model("llama"));
    let network = network(&student);
    let mut trainable = Trainable::new(0.5);
    for (number, block) in network.blocks.iter().enumerate() {
        for sublayer in 0..block.sublayers() {
            for (role, weight) in block.sublayer(sublayer).weights() {
                let shape @ [inputs, _] = weight.matrix().dims();
                if inputs > 1 {
                    let place = Place::Block { block: number, sublayer, role };
                    trainable.low_rank(place, shape, 3, &Device::flex());
                }
            }
        }
    }
    let shape = network.head.linear.weight.dims();
    trainable.low_rank(Place::Head, shape, 2, &Device::flex());
    // B begins with zero, where A has no gradient.
    let keys: Vec<Key> = trainable.tensors().map(|(key, _)| *key).collect();
    for key in keys.iter().filter(|key| key.factor == Factor::B) {
        trainable.replace(key, |b| b.add_scalar(0.05));
    }
    let examples = examples();
    let (batch, _) = Example::batch(&examples.iter().collect::<Vec<_>>());
    // The teacher reads other tokens: it disagrees.
    let other = batch.ids().iter().map(|id| (id + 1) % 40).collect();
    let other = slicegpt_core::TokenBatch::new(other, None, TOKENS);
    let of_teacher = Network { ..network.clone() };
    let normed = of_teacher.normed(
        &Trainable::default(),
        teacher.embed(&other).unwrap(),
        &teacher.context(&other),
    );
    let [rows, tokens, width] = normed.dims();
    let distillation = Distillation {
        normed: normed.reshape([rows * tokens, width]),
        head: &of_teacher.head,
        temperature: 1.7,
        mix: 0.6,
    };
    let (error, at) = worst(&student, &network, &trainable, Some(&distillation), 2);
    assert!(error < 2e-2, "{error} at {at:?}");
}
