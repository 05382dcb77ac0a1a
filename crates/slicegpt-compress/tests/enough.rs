//! What a compression says about its calibration text.

use std::sync::Arc;

use burn::tensor::Device;
use slicegpt_compress::{Compressed, Compression, FixedSizes, InMemory, Method, Plan, Refit, Size};
use slicegpt_core::{Observer, TokenBatch};
use slicegpt_models::Model;
use slicegpt_testkit::{Said, ToySource, spec};

const SEQLEN: u32 = 16;

/// Sequences of which the first `same` hold one token only.
fn tokens(count: u32, same: u32) -> TokenBatch {
    let id = |i: u32| if i / SEQLEN < same { 7 } else { (i * 7 + i / 5) % 40 };
    TokenBatch::new((0..count * SEQLEN).map(id).collect(), None, SEQLEN as usize)
}

/// The result, and what was said.
fn compress(plan: Plan, tokens: &TokenBatch) -> (Compressed, String) {
    let model = Model::new(spec("llama"), ToySource { seed: 3 }, Device::flex());
    let said = Arc::new(Said::default());
    let observer: Arc<dyn Observer> = Arc::clone(&said) as _;
    let compression = Compression { plan, observer, ..Compression::new(&model) };
    let done = compression.run(tokens, &mut InMemory::default()).unwrap();
    (done, said.messages().join("\n"))
}

/// A shape that is given: a search would say what it measures.
fn plan() -> Plan {
    let fixed = FixedSizes { intermediate_size: Some(14), ..FixedSizes::default() };
    Plan { fixed, ..Plan::default() }
}

#[test]
fn a_text_whose_parts_differ_is_overfitted() {
    let (even, said) = compress(plan(), &tokens(32, 0));
    let ratio = even.held_out_ratio.unwrap();
    assert!((0.5..2.0).contains(&ratio), "{ratio}");
    assert_eq!(said, "");
    // The quarter that is held out is of another kind.
    let (uneven, said) = compress(plan(), &tokens(32, 24));
    let ratio = uneven.held_out_ratio.unwrap();
    assert!(ratio > 2.0, "{ratio}");
    assert!(said.starts_with("note: the calibration text is overfitted"), "{said}");
    assert!(said.contains(&format!("{ratio:.1} times")), "{ratio}: {said}");
}

#[test]
fn nothing_held_out_gives_no_ratio() {
    let (one, _) = compress(plan(), &tokens(1, 0));
    assert_eq!(one.held_out_ratio, None);
    let (plain, _) = compress(Plan { refit: Some(Refit::None), ..plan() }, &tokens(32, 24));
    assert_eq!(plain.held_out_ratio, None);
    let size = Some(Size::Sparsity { start: 0.3, end: None });
    let per_layer = Plan { method: Method::PerLayer, size, ..Plan::default() };
    assert_eq!(compress(per_layer, &tokens(32, 24)).0.held_out_ratio, None);
}

#[test]
fn fewer_tokens_than_directions_give_a_warning() {
    let inner = spec("llama").mlp.intermediate_size;
    let (_, said) = compress(plan(), &tokens(1, 0));
    assert!(said.contains(&format!("warning: 16 calibration tokens are fewer than the {inner} ")));
}
