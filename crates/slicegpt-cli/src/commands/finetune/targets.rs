//! Which weights are trained, from their names.

use anyhow::{Result, bail};
use burn::tensor::Device;
use slicegpt_core::Role;
use slicegpt_models::{DecoderBlock, DecoderSpec};
use slicegpt_train::{Group, How, Network, Trainable};

use super::Args;

/// The groups, by their names in `--targets`.
const GROUPS: &[(&str, Group)] = &[
    ("attention", Group::Attention),
    ("mlp", Group::Mlp),
    ("norms", Group::Norms),
    ("shortcuts", Group::Shortcuts),
    ("head", Group::Head),
];

/// The weights that `args` name, to be trained.
pub fn trainable(
    args: &Args,
    spec: &DecoderSpec,
    network: &Network<DecoderBlock>,
    device: &Device,
) -> Result<Trainable> {
    device.seed(args.steps.seed);
    let weights = &args.weights;
    let how = if weights.full { How::Whole } else { How::LowRank(weights.rank) };
    let mut trainable = Trainable::new(args.scale());
    if weights.targets.is_empty() {
        let usual: &[Group] = match how {
            How::Whole => &[Group::Attention, Group::Mlp, Group::Norms, Group::Shortcuts],
            How::LowRank(_) => &[Group::Attention, Group::Mlp],
        };
        for group in usual {
            trainable.add_group(network, *group, how, device);
        }
        return Ok(trainable);
    }
    for name in &weights.targets {
        let group = GROUPS.iter().find(|(known, _)| known == name).map(|(_, group)| *group);
        if group == Some(Group::Head) && spec.tied {
            bail!(
                "--targets head: the head of this model is its embedding, which is not trained; \
                 leave it out"
            );
        }
        let found = match group {
            Some(group) => trainable.add_group(network, group, how, device),
            None => named(spec, name)
                .filter(|place| trainable.add(network, *place, how, device))
                .count(),
        };
        if found == 0 {
            bail!(
                "--targets {name}: this model has no such weight to train; its names are \
                 attention, mlp, norms, shortcuts, head, and {}",
                modules(spec).join(", ")
            );
        }
    }
    Ok(trainable)
}

/// The weights of all blocks whose module is called `name`: block, sublayer, role.
fn named<'a>(
    spec: &'a DecoderSpec,
    name: &'a str,
) -> impl Iterator<Item = (usize, usize, Role)> + 'a {
    (0..spec.layers).flat_map(move |block| {
        let entries = spec.block_entries(block).into_iter();
        let named = entries.filter(move |entry| module(&entry.name) == Some(name));
        let roles: Vec<_> = named.flat_map(|entry| spec.roles(&entry)).collect();
        roles.into_iter().map(move |(sublayer, role)| (block, sublayer, role))
    })
}

/// The last part of the name of the module that a tensor is the weight of.
fn module(tensor: &str) -> Option<&str> {
    tensor.strip_suffix(".weight")?.rsplit('.').next()
}

/// The names of the modules of a block.
fn modules(spec: &DecoderSpec) -> Vec<String> {
    let entries = spec.block_entries(0);
    entries.iter().filter_map(|entry| module(&entry.name)).map(str::to_string).collect()
}
