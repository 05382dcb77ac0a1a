//! Advice: the options that help with an error of a library. Libraries name the field or the value
//! that is wrong, and only this program knows its options.

use anyhow::Error;
use slicegpt_corpus::CorpusError;
use slicegpt_tasks::TaskError;

/// What to do about `error`, if an option or a command helps.
pub fn advice(error: &Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref() {
            tasks(error)
        } else if let Some(error) = cause.downcast_ref() {
            corpus(error)
        } else {
            None
        }
    })
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
