//! Which weights are trained, from their names.

use anyhow::{Result, bail};
use burn::tensor::Device;
use slicegpt_core::{Axis, Block, Role};
use slicegpt_models::{DecoderBlock, DecoderSpec};
use slicegpt_train::{Network, Place, Trainable};

use super::Args;

/// The weights that `args` name, to be trained.
pub fn trainable(
    args: &Args,
    spec: &DecoderSpec,
    network: &Network<DecoderBlock>,
    device: &Device,
) -> Result<Trainable> {
    device.seed(args.steps.seed);
    let full = args.weights.full;
    let given: Vec<&str> = args.weights.targets.iter().map(String::as_str).collect();
    let defaults: &[&str] =
        if full { &["attention", "mlp", "norms", "shortcuts"] } else { &["attention", "mlp"] };
    let names = if given.is_empty() { defaults } else { &given };
    let mut trainable = Trainable::new(args.scale());
    for name in names {
        let before = trainable.tensors().count();
        for (number, block) in network.blocks.iter().enumerate() {
            for (sublayer, role) in roles(name, spec, number, block) {
                let place = Place::Block { block: number, sublayer, role };
                let weights = block.sublayer(sublayer).weights();
                let weight = weights.into_iter().find(|(other, _)| *other == role);
                let Some(weight) = weight.map(|(_, weight)| weight.matrix()) else { continue };
                add(&mut trainable, place, weight, args, device);
            }
        }
        if *name == "head" {
            head(&mut trainable, spec, network, args, device)?;
        }
        if *name == "norms" {
            let norm = &network.head.norm;
            for (place, vector) in
                [(Place::LastNorm, &norm.weight), (Place::LastNormBias, &norm.bias)]
            {
                if let Some(vector) = vector {
                    trainable.whole(place, vector.val().unsqueeze());
                }
            }
        }
        // Defaults are what there is of them.
        if trainable.tensors().count() == before && !given.is_empty() {
            bail!(
                "--targets {name}: this model has no such weight; attention, mlp, norms, \
                 shortcuts, head, and {} are names",
                leaves(spec).join(", ")
            );
        }
    }
    Ok(trainable)
}

/// Trains a matrix as a whole or by a correction; a vector always as a whole.
fn add(
    trainable: &mut Trainable,
    place: Place,
    weight: burn::tensor::Tensor<2>,
    args: &Args,
    device: &Device,
) {
    let shape @ [rows, columns] = weight.dims();
    let rank = args.weights.rank.min(rows).min(columns);
    let is_vector = !matches!(
        place,
        Place::Head
            | Place::Block { role: Role::Reader(_) | Role::Writer(_) | Role::Shortcut, .. }
    );
    if args.weights.full || is_vector {
        trainable.whole(place, weight);
    } else {
        trainable.low_rank(place, shape, rank, device);
    }
}

fn head(
    trainable: &mut Trainable,
    spec: &DecoderSpec,
    network: &Network<DecoderBlock>,
    args: &Args,
    device: &Device,
) -> Result<()> {
    if spec.tied {
        bail!(
            "--targets head: the head of this model is its embedding, which is not trained; leave \
             it out"
        );
    }
    add(trainable, Place::Head, network.head.linear.weight.val(), args, device);
    Ok(())
}

/// The weights of a block that a name means.
fn roles(
    name: &str,
    spec: &DecoderSpec,
    number: usize,
    block: &DecoderBlock,
) -> Vec<(usize, Role)> {
    let axis = match name {
        "attention" => Some(Axis::Heads),
        "mlp" => Some(Axis::Mlp),
        _ => None,
    };
    let mut found = Vec::new();
    for sublayer in 0..block.sublayers() {
        let weights = block.sublayer(sublayer).weights();
        let has = |role: &Role| weights.iter().any(|(other, _)| other == role);
        let groups = block.prunable(sublayer);
        let of_axis = groups.iter().filter(|group| Some(group.axis) == axis);
        let linears = of_axis.flat_map(|group| {
            let readers = group.readers.iter().map(|(reader, _)| Role::Reader(*reader));
            readers.chain([Role::Writer(group.writer)])
        });
        let vectors: &[Role] = match name {
            "norms" => &[Role::NormWeight, Role::NormBias],
            "shortcuts" => &[Role::Shortcut],
            _ => &[],
        };
        let all = linears.chain(vectors.iter().copied());
        found.extend(all.filter(has).map(|role| (sublayer, role)));
    }
    if found.is_empty() {
        let entries = spec.block_entries(number);
        let named = entries.iter().filter(|entry| leaf(&entry.name) == Some(name));
        let matrices = named.flat_map(|entry| spec.roles(entry)).filter(|(_, role)| {
            matches!(role, Role::Reader(_) | Role::Writer(_) | Role::NormWeight | Role::NormBias)
        });
        found.extend(matrices);
    }
    found
}

/// The last part of the name of the module that a tensor belongs to.
fn leaf(name: &str) -> Option<&str> {
    name.strip_suffix(".weight")?.rsplit('.').next()
}

/// The names of the modules of a block.
fn leaves(spec: &DecoderSpec) -> Vec<String> {
    let entries = spec.block_entries(0);
    entries.iter().filter_map(|entry| leaf(&entry.name)).map(str::to_string).collect()
}
