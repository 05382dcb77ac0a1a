//! Sequences that a model writes follow their script.

use slicegpt_checkpoint::Checkpoint;
use slicegpt_core::Unobserved;
use slicegpt_corpus::Vocabulary;
use slicegpt_generate::{Script, Template, sample_sequences};
use slicegpt_models::Model;
use slicegpt_testkit::{TRAINED, device, fixtures};

/// A template as chat models have it, with the special tokens of the fixture.
const TEMPLATE: &str = "{% for m in messages %}{{ bos_token }}{{ m.role }}\n{{ m.content }}\
    {{ eos_token }}{% endfor %}{% if add_generation_prompt %}{{ bos_token }}assistant\n{% endif %}";

const TOKENS: usize = 96;

#[test]
fn a_model_writes_both_sides_of_a_conversation() {
    let directory = fixtures().join(TRAINED);
    let checkpoint = Checkpoint::open(&directory).unwrap();
    let vocabulary = Vocabulary::open(&directory).unwrap();
    let special = |name: &str| vocabulary.id_of(name).unwrap();
    let (begin, end) = (special("<|begin_of_text|>"), special("<|end_of_text|>"));
    let template = Template::open(&directory, Some(TEMPLATE.into())).unwrap();
    let script = Script::conversation(&template, &vocabulary, &[end]).unwrap();
    let spec = slicegpt_models::parse(checkpoint.config()).unwrap();
    let model = Model::new(spec, &checkpoint, device());
    let sample = |seed: u64| {
        let rows = sample_sequences(&model, 4, TOKENS, 3, &script, seed, &Unobserved);
        rows.unwrap().expect("not cancelled")
    };
    let ids = sample(1);
    assert_eq!(ids, sample(1));
    assert_ne!(ids, sample(2));
    assert_eq!(ids.len(), 4 * TOKENS);
    let parts = ["user\n", "assistant\n"].map(|role| {
        let role = vocabulary.encode_inner(&format!("<|begin_of_text|>{role}")).unwrap();
        assert_eq!(role[0], begin);
        role
    });
    for row in ids.chunks(TOKENS) {
        assert!(row.starts_with(&parts[0]), "{row:?}");
        // The turns: each begins as the template writes it, and their sides alternate.
        let starts: Vec<usize> =
            row.iter().enumerate().filter(|(_, id)| **id == begin).map(|(at, _)| at).collect();
        assert!(starts.len() >= 2, "the assistant answers: {row:?}");
        for (turn, start) in starts.iter().enumerate() {
            let part = &parts[turn % 2];
            let written = &row[*start..TOKENS.min(start + part.len())];
            assert!(part.starts_with(written), "turn {turn}: {row:?}");
            if turn > 0 {
                assert_eq!(row[start - 1], end, "the turn before has ended: {row:?}");
                let length = start - 1 - starts[turn - 1] - parts[(turn - 1) % 2].len();
                assert!(length > 0, "turn {turn} follows an empty one: {row:?}");
                assert!(turn % 2 == 0 || length <= TOKENS / 4, "{length} tokens of a user");
            }
        }
    }
}
