//! [`Need`]: which files of a repository are asked for.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{HubError, Result};

/// What a directory is needed for.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// To describe the model: `config.json`, and `slicegpt.json` if there is one.
    Config,
    /// To describe it and copy what lies beside its weights: the files whose names the function knows.
    Beside(fn(&str) -> bool),
    /// To run it: also its weights, and the files beside them whose names the function knows.
    Model(fn(&str) -> bool),
}

/// Single files and indices of weights, in the order of preference of transformers.
const WEIGHTS: [[&str; 2]; 2] = [
    ["model.safetensors", "model.safetensors.index.json"],
    ["pytorch_model.bin", "pytorch_model.bin.index.json"],
];

/// What is said of a model before its weights.
const DESCRIPTION: [&str; 2] = ["config.json", "slicegpt.json"];

/// The files of a repository that are needed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// By name, small ones first.
    pub files: Vec<String>,
    /// One of `files`, which names more.
    pub index: Option<String>,
}

impl Needed {
    /// What is needed of `listed`, or which of them would have done.
    pub fn of(listed: &[String], need: Need) -> std::result::Result<Self, Vec<String>> {
        let has = |name: &str| listed.iter().any(|file| file == name);
        let [config, own] = DESCRIPTION;
        if !has(config) {
            return Err(vec![config.into()]);
        }
        let mut files = vec![config.to_string()];
        files.extend(has(own).then(|| own.to_string()));
        let plain = |beside: fn(&str) -> bool, files: &[String]| -> Vec<String> {
            let plain = |name: &&String| {
                !name.contains(['/', '\\']) && beside(name) && !files.contains(name)
            };
            listed.iter().filter(plain).cloned().collect()
        };
        let beside = match need {
            Need::Config => return Ok(Self { files, index: None }),
            Need::Beside(beside) => {
                files.extend(plain(beside, &files));
                return Ok(Self { files, index: None });
            }
            Need::Model(beside) => beside,
        };
        let weights = WEIGHTS.iter().flatten().find(|name| has(name));
        let weights = weights
            .ok_or_else(|| WEIGHTS.concat().iter().map(|w| w.to_string()).collect::<Vec<_>>())?;
        files.extend(plain(beside, &files));
        files.push(weights.to_string());
        let index = weights.ends_with(".index.json").then(|| weights.to_string());
        Ok(Self { files, index })
    }
}

/// The files that the index at `path` names.
pub(crate) fn shards(path: &Path) -> Result<Vec<String>> {
    let wrong = |reason: &str| HubError::Index { path: path.into(), reason: reason.into() };
    let text = std::fs::read(path).map_err(HubError::io(path))?;
    let json: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|error| wrong(&format!("not valid JSON: {error}")))?;
    let map = json.get("weight_map").and_then(serde_json::Value::as_object);
    let map = map.ok_or_else(|| wrong("`weight_map` is missing or no object"))?;
    let mut files = BTreeSet::new();
    for file in map.values() {
        let file = file.as_str().ok_or_else(|| wrong("`weight_map` holds no file name"))?;
        // A name, not a path: an index must not reach outside its directory.
        if Path::new(file).file_name() != Some(file.as_ref()) || file.contains('\\') {
            return Err(wrong(&format!("shard `{file}` is not a file name")));
        }
        files.insert(file.to_string());
    }
    Ok(files.into_iter().collect())
}

/// What to do with a repository that holds no model to be read, from what it holds.
pub(crate) fn instead(listed: &[String]) -> &'static str {
    let any = |end: &str| listed.iter().any(|name| name.ends_with(end));
    if any("adapter_config.json") {
        "it is an adapter: give the model it was merged into"
    } else if any(".gguf") {
        "it holds GGUF files: give the model they were made from"
    } else {
        "give a model in the format of transformers"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn only_what_is_needed_is_asked_for() {
        let beside = |name: &str| name.starts_with("tokenizer") || name == "LICENSE";
        let check = |listed: &str, config: &str, model: &str, index: Option<&str>| {
            let listed = names(listed);
            assert_eq!(Needed::of(&listed, Need::Config).unwrap().files, names(config));
            let described = Needed::of(&listed, Need::Beside(beside)).unwrap().files;
            assert!(
                described.iter().all(|name| !name.starts_with("model") && !name.ends_with(".bin"))
            );
            let found = Needed::of(&listed, Need::Model(beside)).unwrap();
            assert_eq!((found.files, found.index.as_deref()), (names(model), index));
        };
        check(
            "LICENSE README.md config.json flax_model.msgpack model.safetensors onnx/config.json \
             onnx/tokenizer.json pytorch_model.bin tokenizer.json",
            "config.json",
            "config.json LICENSE tokenizer.json model.safetensors",
            None,
        );
        check(
            "config.json model-1.safetensors model-2.safetensors model.safetensors.index.json \
             pytorch_model.bin slicegpt.json",
            "config.json slicegpt.json",
            "config.json slicegpt.json model.safetensors.index.json",
            Some("model.safetensors.index.json"),
        );
        check(
            "config.json pytorch_model-1.bin pytorch_model.bin.index.json",
            "config.json",
            "config.json pytorch_model.bin.index.json",
            Some("pytorch_model.bin.index.json"),
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |listed: &str| Needed::of(&names(listed), Need::Model(|_| true)).unwrap_err();
        assert_eq!(missing("README.md model.safetensors"), ["config.json"]);
        assert_eq!(missing("config.json model.gguf").len(), 4);
        assert!(instead(&names("a.gguf")).contains("GGUF"));
        assert!(instead(&names("adapter_config.json a.gguf")).contains("adapter"));
    }

    #[test]
    fn an_index_names_files_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            shards(&path).map_err(|error| error.to_string())
        };
        let two = r#"{"weight_map": {"a": "2.st", "b": "1.st", "c": "2.st"}}"#;
        assert_eq!(read(two).unwrap(), ["1.st", "2.st"]);
        for (text, says) in [
            ("", "not valid JSON"),
            ("{}", "`weight_map` is missing"),
            (r#"{"weight_map": {"a": 1}}"#, "no file name"),
            (r#"{"weight_map": {"a": "../b"}}"#, "is not a file name"),
            (r#"{"weight_map": {"a": "/b"}}"#, "is not a file name"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says) && error.contains("index.json"), "{error}");
        }
    }
}
