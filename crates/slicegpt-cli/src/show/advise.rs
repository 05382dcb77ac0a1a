//! Advice: the options that help with an error of a library. Libraries name the field or the value
//! that is wrong, and only this program knows its options.

use anyhow::Error;
use slicegpt_checkpoint::{CheckpointError, Dtype, OutputError};
use slicegpt_compress::CompressError;
use slicegpt_corpus::CorpusError;
use slicegpt_device::DeviceError;
use slicegpt_gguf::{Cause, ExportError, GgufError};
use slicegpt_report::ReportError;
use slicegpt_tasks::TaskError;

/// What to do about `error`, if an option or a command helps.
pub fn advice(error: &Error) -> Option<String> {
    error.chain().find_map(advice_on)
}

/// What to do about an error, without those that caused it.
fn advice_on(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(CompressError::Model(inner) | CompressError::Sink(inner)) = cause.downcast_ref() {
        // The wrapper is transparent: it shows the inner error and hides it from the chain.
        let inner: &(dyn std::error::Error + 'static) = &**inner;
        return std::iter::successors(Some(inner), |error| error.source()).find_map(advice_on);
    }
    if let Some(CheckpointError::Overflow { .. }) = cause.downcast_ref() {
        Some("import the file with --dtype bf16 or --dtype f32".into())
    } else if let Some(CheckpointError::Adapter { .. }) = cause.downcast_ref() {
        Some("`slicegpt merge MODEL ADAPTER --out DIR` does that".into())
    } else if let Some(error) = cause.downcast_ref() {
        output(error)
    } else if let Some(error) = cause.downcast_ref() {
        gguf(error)
    } else if let Some(ExportError::Gguf(error)) =
        cause.downcast_ref::<ExportError<CheckpointError>>()
    {
        gguf(error)
    } else if let Some(error) = cause.downcast_ref() {
        device(error)
    } else if let Some(error) = cause.downcast_ref() {
        report(error)
    } else if let Some(error) = cause.downcast_ref() {
        tasks(error)
    } else if let Some(error) = cause.downcast_ref() {
        corpus(error)
    } else {
        None
    }
}

fn output(error: &OutputError) -> Option<String> {
    let advice = match error {
        OutputError::Exists(_) => "choose another --out, or pass --force to replace it",
        OutputError::IsFile(_) | OutputError::IsInput(_) => "choose another --out",
        OutputError::IsForeign(..) => {
            "--force replaces only checkpoints that slicegpt wrote; choose another --out"
        }
        OutputError::Overflow { dtype: Dtype::F16, .. } => "use --dtype bf16 or --dtype f32",
        // bfloat16 has the range of float32: what does not fit one does not fit the other.
        OutputError::Overflow { dtype: Dtype::Bf16 | Dtype::F32, .. }
        | OutputError::Io { .. }
        | OutputError::Parent { .. }
        | OutputError::InsideModel(_)
        | OutputError::IsDirectory(_)
        | OutputError::NotRenamed { .. }
        | OutputError::IsNoFile(_) => return None,
    };
    Some(advice.into())
}

fn gguf(error: &GgufError) -> Option<String> {
    let advice = match error {
        GgufError::Inexpressible { cause: Cause::Slicing, .. } => {
            "compress the dense model again with --method shared --align 256 (and no --mlp-widths \
             free)"
        }
        GgufError::Inexpressible { cause: Cause::Model, .. } => {
            "nothing that --method shared does changes that; run it in transformers"
        }
        GgufError::PreTokenizer { .. } => {
            "if llama.cpp has it, name it with --pre-tokenizer, such as qwen2 or llama-bpe"
        }
        GgufError::Overflow { .. } => "use --type bf16 or --type f32",
        GgufError::PreTokenizerName { .. } => {
            "name one that splits text alike with --pre-tokenizer of `import gguf`"
        }
        GgufError::Unsupported { .. }
        | GgufError::Io { .. }
        | GgufError::Tokenizer { .. }
        | GgufError::File { .. } => {
            return None;
        }
    };
    Some(advice.into())
}

fn device(error: &DeviceError) -> Option<String> {
    match error {
        DeviceError::NotCompiled { kind } => Some(format!(
            "build it with `cargo install --path crates/slicegpt-cli --features {kind}`, or use \
             --device cpu"
        )),
        DeviceError::Absent { .. } => Some("`slicegpt devices` lists what there is".into()),
        DeviceError::Unknown { .. }
        | DeviceError::Library { .. }
        | DeviceError::Start { .. }
        | DeviceError::OutOfMemory { .. }
        | DeviceError::Failed { .. } => None,
    }
}

fn report(error: &ReportError) -> Option<String> {
    match error {
        ReportError::Unknown => Some(
            "give what `slicegpt eval ppl`, `eval kl`, `eval tasks` or `bench` printed with --json"
                .into(),
        ),
        ReportError::Field(_) | ReportError::Drawing(_) | ReportError::Template(_) => None,
    }
}

fn tasks(error: &TaskError) -> Option<String> {
    let advice = match error {
        TaskError::NotDirectory(_) => "--data names a directory that holds a file for each task",
        TaskError::NoExamples { .. } => "--num-fewshot 0 asks without examples",
        TaskError::FewExamples { .. } => "lower --num-fewshot",
        TaskError::TooLong { .. } => "--skip-too-long leaves such documents out",
        TaskError::Corpus(error) => return corpus(error),
        TaskError::Unknown { .. }
        | TaskError::Io { .. }
        | TaskError::Missing { .. }
        | TaskError::Ambiguous { .. }
        | TaskError::Empty(_)
        | TaskError::Json { .. }
        | TaskError::Field { .. }
        | TaskError::Form { .. }
        | TaskError::Tokens { .. } => return None,
    };
    Some(advice.into())
}

fn corpus(error: &CorpusError) -> Option<String> {
    match error {
        CorpusError::OnlyPadding { .. } => Some("raise --seqlen or leave the sample out".into()),
        CorpusError::TooShort { .. } => Some("give a longer text, or lower --seqlen".into()),
        CorpusError::FewerSamplesThanTexts { .. } => Some("raise --samples".into()),
        CorpusError::SampleLengths { .. } => {
            Some("lower --seqlen to the length of the shorter ones".into())
        }
        CorpusError::NoTextColumn { .. } => {
            Some("name the column that holds the text with --text-column".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn advice_is_found_behind_a_context() {
        let error = TaskError::FewExamples {
            path: "piqa_train.jsonl".into(),
            task: "piqa".into(),
            have: 3,
            need: 4,
        };
        let error = Err::<(), _>(error).context("piqa").unwrap_err();
        assert_eq!(advice(&error).as_deref(), Some("lower --num-fewshot"));
        assert_eq!(advice(&anyhow::anyhow!("other")), None);
    }
}
