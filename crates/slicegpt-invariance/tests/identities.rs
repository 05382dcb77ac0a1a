//! Fusing and rotating do not change the function of a block, for every family.

use burn::tensor::{Device, Tensor};
use slicegpt_core::{Basis, Block, Decoder, TokenBatch, host_vec};
use slicegpt_invariance::{Rotated, TableEdit, center, fuse};
use slicegpt_models::{Model, SUPPORTED};
use slicegpt_testkit::{ToySource, largest_difference, spec};

fn values(tensor: Tensor<3>) -> Vec<f64> {
    host_vec(tensor)
}

/// A basis of full rank that is not a permutation: the product of some reflections.
fn basis(size: usize, seed: usize) -> Basis {
    let mut q: Vec<f64> = (0..size * size).map(|i| f64::from(i % (size + 1) == 0)).collect();
    for round in 0..3 {
        let v: Vec<f64> =
            (0..size).map(|i| ((i * 31 + seed * 17 + round * 7) % 13) as f64 - 6.0).collect();
        let norm: f64 = v.iter().map(|x| x * x).sum();
        for row in q.chunks_mut(size) {
            let along: f64 = row.iter().zip(&v).map(|(a, b)| a * b).sum::<f64>() * 2.0 / norm;
            row.iter_mut().zip(&v).for_each(|(x, v)| *x -= along * v);
        }
    }
    Basis::new(q, size, size)
}

fn run<D: Decoder>(decoder: &D, tokens: &TokenBatch) -> Vec<f64>
where
    D::Error: std::fmt::Debug,
{
    let context = decoder.context(tokens);
    let mut stream = decoder.embed(tokens).unwrap();
    for index in 0..decoder.blocks() {
        stream = decoder.block(index).unwrap().forward(stream, &context);
    }
    values(decoder.head().unwrap().forward(stream))
}

#[test]
fn a_rotated_decoder_is_the_same_decoder() {
    let tokens = TokenBatch::new((0..20).map(|i| i * 3 % 40).collect(), None, 10);
    for family in SUPPORTED {
        let model = Model::new(spec(family), ToySource { seed: 11 }, Device::flex());
        let dense = run(&model, &tokens);
        let rotated = run(&Rotated::new(&model, |cut| basis(16, cut)), &tokens);
        let scale = dense.iter().fold(0.0, |largest: f64, x| x.abs().max(largest));
        let difference = largest_difference(&dense, &rotated) / scale;
        assert!(difference < 1e-5, "{family}: {difference}");
    }
}

#[test]
fn a_fused_block_reads_and_writes_the_centred_stream() {
    let tokens = TokenBatch::new((0..12).collect(), None, 12);
    for family in SUPPORTED {
        let model = Model::new(spec(family), ToySource { seed: 5 }, Device::flex());
        let norm = model.norm().unwrap();
        let block = model.block(0).unwrap();
        let stream = center(&norm, model.embed(&tokens).unwrap());
        let context = model.context(&tokens);
        let dense = center(&norm, block.forward(stream.clone(), &context));
        let fused = fuse(block);
        assert!((0..model.sublayers_per_block()).all(|i| fused.get().sublayer(i).norm.is_bare()));
        let fused = fused.into_inner().forward(stream, &context);
        let difference = largest_difference(&values(dense), &values(fused));
        assert!(difference < 1e-5, "{family}: {difference}");
    }
}

/// Rewriting a table in pieces gives the same rows as rewriting it at once.
#[test]
fn tables_are_rewritten_row_by_row() {
    let model = Model::new(spec("opt"), ToySource { seed: 2 }, Device::flex());
    let norm = model.norm().unwrap();
    let basis = basis(16, 4);
    let edit = TableEdit::reader(&norm, &basis, &Device::flex());
    let rows: Vec<f32> = (0..5 * 16).map(|i| (i as f32 * 0.37).sin()).collect();
    let (whole, shift) = edit.apply(rows.clone(), 16);
    let mut pieces = Vec::new();
    let mut shifts = Vec::new();
    for piece in rows.chunks(2 * 16) {
        let (rows, shift) = edit.apply(piece.to_vec(), 16);
        pieces.extend(rows);
        shifts.extend(shift.expect("a LayerNorm has a bias"));
    }
    assert_eq!(whole, pieces);
    assert_eq!(shift, Some(shifts));
}
