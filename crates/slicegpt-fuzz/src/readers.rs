//! The readers: what each of them reads, from which files mutations start, and how it is called.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};
use slicegpt_adapters::{Adapter, BaseModel};
use slicegpt_chat::{ChatFiles, Message, Template};
use slicegpt_checkpoint::{Checkpoint, Dtype};
use slicegpt_core::TensorSource;
use slicegpt_corpus::{Text, Vocabulary, token_file};
use slicegpt_gguf::Import;
use slicegpt_provenance::{Manifest, ReferenceSizes};

/// A reader of one kind of file.
pub struct Reader {
    pub name: &'static str,
    /// The file in a directory of its own that the reader is called with.
    pub file: &'static str,
    /// Files from which mutations start, below `fixtures`. A name without a slash is made by
    /// [`crate::seeds`].
    pub seeds: &'static [&'static str],
    /// Files of which parts are put into inputs, below `fixtures`.
    pub parts: &'static [&'static str],
    /// Files that lie beside it, below `fixtures`.
    pub beside: &'static [&'static str],
    pub read: fn(&Path) -> Result<()>,
}

pub const READERS: &[Reader] = &[
    Reader {
        name: "safetensors",
        file: "model.safetensors",
        seeds: &["families/llama-sharded/model-00003-of-00003.safetensors", "small.safetensors"],
        parts: &[],
        beside: &["families/llama2/config.json"],
        read: checkpoint,
    },
    Reader {
        name: "pickle",
        file: "pytorch_model.bin",
        seeds: &["families/opt-bin/pytorch_model.bin"],
        parts: &[],
        beside: &["families/opt-bin/config.json"],
        read: checkpoint,
    },
    Reader {
        name: "imported pickle",
        file: "model.pt",
        seeds: &["imports/phi/phi_0.031.pt", "imports/opt/opt_0.031.pt"],
        parts: &[],
        beside: &[],
        read: |directory| {
            let path = directory.join("model.pt");
            tensors(&Checkpoint::from_file(json!({}), &path)?)
        },
    },
    Reader {
        name: "index",
        file: "model.safetensors.index.json",
        seeds: &["families/llama-sharded/model.safetensors.index.json"],
        parts: &[],
        beside: &[
            "families/llama-sharded/config.json",
            "families/llama-sharded/model-00001-of-00003.safetensors",
            "families/llama-sharded/model-00002-of-00003.safetensors",
            "families/llama-sharded/model-00003-of-00003.safetensors",
        ],
        read: checkpoint,
    },
    Reader {
        name: "config",
        file: "config.json",
        seeds: &[
            "families/llama31/config.json",
            "families/llama-yarn/config.json",
            "families/phi3-longrope/config.json",
            "families/opt/config.json",
            "families/qwen3/config.json",
            "families/phi/config.json",
        ],
        parts: &[],
        beside: &[],
        read: |directory| {
            let (config, _) = Checkpoint::describe(directory)?;
            slicegpt_models::parse(&config)?;
            Ok(())
        },
    },
    Reader {
        name: "adapter",
        file: "adapter_model.safetensors",
        seeds: &["adapters/ts-llama3-gqa/adapter_model.safetensors"],
        parts: &[],
        beside: &["adapters/ts-llama3-gqa/adapter_config.json"],
        read: adapter,
    },
    Reader {
        name: "adapter config",
        file: "adapter_config.json",
        seeds: &["adapters/ts-llama3-gqa/adapter_config.json"],
        parts: &[],
        beside: &["adapters/ts-llama3-gqa/adapter_model.safetensors"],
        read: adapter,
    },
    Reader {
        name: "tokenizer",
        file: "tokenizer.json",
        seeds: &["bpe.json", "words.json"],
        parts: &[],
        beside: &[],
        read: |directory| {
            let vocabulary = Vocabulary::open(directory)?;
            let ids = vocabulary.encode("Once upon a time, there was <s> a cat. \u{e9}\n")?;
            vocabulary.decode(&ids)?;
            Ok(())
        },
    },
    Reader {
        name: "JSON lines",
        file: "text.jsonl",
        seeds: &["lines.jsonl"],
        parts: &[],
        beside: &[],
        read: |directory| text(&directory.join("text.jsonl")),
    },
    Reader {
        name: "CSV",
        file: "text.csv",
        seeds: &["rows.csv"],
        parts: &[],
        beside: &[],
        read: |directory| text(&directory.join("text.csv")),
    },
    Reader {
        name: "packed text",
        file: "text.txt.zst",
        seeds: &["text.zst", "text.gz"],
        parts: &[],
        beside: &[],
        read: |directory| text(&directory.join("text.txt.zst")),
    },
    Reader {
        name: "parquet",
        file: "text.parquet",
        seeds: &["plain.parquet", "dictionary.parquet", "nulls.parquet"],
        parts: &[],
        beside: &[],
        read: |directory| text(&directory.join("text.parquet")),
    },
    Reader {
        name: "token file",
        file: "ids.safetensors",
        seeds: &["ids.safetensors"],
        parts: &[],
        beside: &[],
        read: |directory| {
            let path = directory.join("ids.safetensors");
            token_file(&path.to_string_lossy())?;
            token_file(&format!("{}:input_ids", path.display()))?;
            Ok(())
        },
    },
    Reader {
        name: "task documents",
        file: "arc_easy.jsonl",
        seeds: &["tasks/arc_easy_test.jsonl"],
        parts: &[],
        beside: &[],
        read: |directory| {
            let task = slicegpt_tasks::find("arc_easy")?;
            let found = slicegpt_tasks::documents(directory, task, 0)?;
            for document in &found.scored {
                (task.item)(document)?;
            }
            Ok(())
        },
    },
    Reader {
        name: "GGUF",
        file: "model.gguf",
        seeds: &["gguf/phi2.gguf", "gguf/phi2-packed.gguf"],
        parts: &[],
        beside: &[],
        read: gguf,
    },
    Reader {
        name: "chat template",
        file: "chat_template.jinja",
        seeds: &["chatml.jinja"],
        parts: &["templates/templates.txt", "templates/expressions.txt"],
        beside: &[],
        read: template,
    },
    Reader {
        name: "manifest",
        file: "slicegpt.json",
        seeds: &["manifest.json"],
        parts: &[],
        beside: &[],
        read: |directory| {
            let text = std::fs::read(directory.join("slicegpt.json"))?;
            Manifest::parse(&serde_json::from_slice(&text)?)?;
            Ok(())
        },
    },
    Reader {
        name: "record",
        file: "slicegpt-report.json",
        seeds: &["record.json"],
        parts: &[],
        beside: &[],
        read: |directory| {
            Checkpoint::record(directory)?;
            Ok(())
        },
    },
    Reader {
        name: "widths",
        file: "opt.json",
        seeds: &["imports/opt/opt_0.031.json"],
        parts: &[],
        beside: &[],
        read: |directory| {
            ReferenceSizes::parse(&std::fs::read_to_string(directory.join("opt.json"))?)?;
            Ok(())
        },
    },
];

/// A reader with every fault: it shows that faults are found.
pub const FAULTY: Reader = Reader {
    name: "faulty",
    file: "file",
    seeds: &["lines.jsonl"],
    parts: &[],
    beside: &[],
    read: |directory| {
        let bytes = std::fs::read(directory.join("file"))?;
        match bytes.len() % 8 {
            1 => panic!("a panic on purpose"),
            2 => std::process::abort(),
            3 => loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
            },
            4 => drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 40))),
            _ => {}
        }
        Ok(())
    },
};

/// Opens a checkpoint and reads every tensor.
fn checkpoint(directory: &Path) -> Result<()> {
    tensors(&Checkpoint::open(directory)?)
}

/// Reads every tensor.
fn tensors(checkpoint: &Checkpoint) -> Result<()> {
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    for name in &names {
        let Some(shape) = checkpoint.shape(name).map(<[usize]>::to_vec) else { continue };
        let _: Dtype = checkpoint.check(name, &shape)?;
        checkpoint.tensor(name, &shape)?;
    }
    Ok(())
}

/// Opens an adapter, compares it with a model, and reads all of it.
fn adapter(directory: &Path) -> Result<()> {
    let adapter = Adapter::open(directory)?;
    // The tensors of the fixture that its adapter changes.
    let of_block = [
        ("self_attn.q_proj", vec![128, 128]),
        ("mlp.down_proj", vec![128, 341]),
        ("input_layernorm", vec![128]),
        ("post_attention_layernorm", vec![128]),
    ];
    let blocks = (0..4).flat_map(|block| {
        of_block.clone().map(|(name, shape)| (format!("model.layers.{block}.{name}.weight"), shape))
    });
    let norm = ("model.norm.weight".to_owned(), vec![128]);
    let model = BaseModel {
        name: "model".into(),
        tensors: blocks.chain([norm]).collect(),
        embedding: "model.embed_tokens".into(),
        positions: None,
        head: "lm_head".into(),
        tied: false,
    };
    let checked = adapter.check(&model);
    let modules: Vec<String> = adapter.pairs().map(|(module, _)| module.to_owned()).collect();
    for module in &modules {
        adapter.factors(module)?;
    }
    let whole: Vec<String> = adapter.whole().map(|(name, _)| name.to_owned()).collect();
    for name in &whole {
        adapter.replacement(name)?;
    }
    Ok(checked.map(drop)?)
}

fn text(path: &Path) -> Result<()> {
    let text = Text::read(path, None)?;
    let _: usize = text.rows().iter().map(String::len).sum();
    Ok(())
}

/// Opens a GGUF file, makes its tokenizer, and reads every tensor.
fn gguf(directory: &Path) -> Result<()> {
    let import = Import::open(&directory.join("model.gguf"))?;
    let tokenizer = import.tokenizer(None).map(drop);
    for tensor in import.tensors() {
        import.tensor(tensor.name, tensor.shape)?;
    }
    Ok(tokenizer?)
}

/// Reads a template and writes a prompt.
fn template(directory: &Path) -> Result<()> {
    let files = ChatFiles::read(directory)?;
    let Some(source) = files.default_template()? else { return Ok(()) };
    let mut variables = Map::new();
    variables.insert("bos_token".into(), json!("<s>"));
    variables.insert("tools".into(), json!([{"name": "f", "n": [1, 2.5, null, {"a": "b"}]}]));
    variables.insert("eos_token".into(), Value::String("</s>".into()));
    let template = Template::new(source, variables)?;
    let turn = |role, content: &str| Message::new(role, content);
    template.prompt(&[turn("system", "s"), turn("user", "hello"), turn("assistant", "a\nb")])?;
    Ok(())
}
