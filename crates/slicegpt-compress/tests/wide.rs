//! Configs that ask for the widest and deepest model that is read: a plan takes no longer for them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use slicegpt_compress::{FreeAxes, Method, Plan, Size};

/// A config as wide and deep as is read, with this head.
fn config(mut fields: Value) -> Value {
    let most = 1 << 20;
    let whole = json!({
        "num_hidden_layers": 8192, "vocab_size": 1 << 24, "max_position_embeddings": 1 << 24,
        "hidden_size": most,
    });
    let fields = fields.as_object_mut().unwrap();
    fields.extend(whole.as_object().unwrap().clone());
    Value::Object(fields.clone())
}

#[test]
fn plans_of_the_widest_models_take_no_long_time() {
    let opt = json!({
        "model_type": "opt", "ffn_dim": 1 << 20, "num_attention_heads": 2,
        "word_embed_proj_dim": 1 << 20, "do_layer_norm_before": true,
        "activation_function": "relu",
    });
    let llama = |heads: usize| {
        json!({
            "model_type": "llama", "intermediate_size": (1 << 20) - 1, "hidden_act": "silu",
            "num_attention_heads": heads, "head_dim": 8, "rms_norm_eps": 1e-5,
        })
    };
    let size = Some(Size::KeepParams(0.75));
    let per_layer = Plan { method: Method::PerLayer, size: size.clone(), ..Plan::default() };
    let heads = FreeAxes { layers: true, heads: true, ..FreeAxes::default() };
    let plans = [
        Plan { size: size.clone(), ..Plan::default() },
        Plan { size: size.clone(), round_to: Some(1), ..Plan::default() },
        Plan { size, axes: Some(heads), ..Plan::default() },
        per_layer,
    ];
    for config in [config(opt), config(llama(1)), config(llama(1 << 20))] {
        let spec = slicegpt_models::parse(&config).unwrap();
        for plan in &plans {
            let start = Instant::now();
            // Some sizes cannot be reached, which is an answer too.
            let _ = plan.resolve(&spec);
            let took = start.elapsed();
            assert!(took < Duration::from_secs(20), "{took:?} for {plan:?}");
        }
    }
}
