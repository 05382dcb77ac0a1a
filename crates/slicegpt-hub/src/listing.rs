//! [`Need`]: which files of a repository are downloaded.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{HubError, Result};

/// The purpose of a download, which decides which files it needs.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// To describe the model: `config.json` and, if it exists, `slicegpt.json`.
    Config,
    /// To describe the model and copy its other files, whose names the function accepts.
    Companions(fn(&str) -> bool),
    /// To run the model: also its weights, and other files whose names the function accepts.
    Model(fn(&str) -> bool),
    /// An adapter in the layout of PEFT: its config and weights, and other files whose names the
    /// function accepts.
    Adapter(fn(&str) -> bool),
}

/// The config of an adapter, and its weights in the order of preference of PEFT.
const ADAPTER: [&str; 3] =
    ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"];

/// Single files and indices of weights, in the order of preference of transformers.
const WEIGHTS: [[&str; 2]; 2] = [
    ["model.safetensors", "model.safetensors.index.json"],
    ["pytorch_model.bin", "pytorch_model.bin.index.json"],
];

/// Files that describe a model.
const DESCRIPTION: [&str; 2] = ["config.json", "slicegpt.json"];

/// The files to download.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// Names of the files, the weights last.
    pub files: Vec<String>,
    /// The one of `files` that names the shards, if there is one.
    pub index: Option<String>,
}

impl Needed {
    /// The files of `listed` to download. `Err` holds the names one of which would be needed and
    /// none of which is listed.
    pub fn of(listed: &[String], need: Need) -> std::result::Result<Self, Vec<String>> {
        let has = |name: &str| listed.iter().any(|file| file == name);
        if let Need::Adapter(is_companion) = need {
            let [config, weights @ ..] = ADAPTER;
            if !has(config) {
                return Err(vec![config.into()]);
            }
            let found = weights.into_iter().find(|name| has(name));
            let found = found.ok_or_else(|| weights.map(String::from).to_vec())?;
            let plain = |name: &&String| !name.contains(['/', '\\']) && is_companion(name);
            let mut files = vec![config.to_string()];
            files.extend(listed.iter().filter(plain).cloned());
            files.push(found.to_string());
            return Ok(Self { files, index: None });
        }
        let [config, own] = DESCRIPTION;
        if !has(config) {
            return Err(vec![config.into()]);
        }
        let mut files = vec![config.to_string()];
        files.extend(has(own).then(|| own.to_string()));
        let plain = |is_companion: fn(&str) -> bool, files: &[String]| -> Vec<String> {
            let plain = |name: &&String| {
                !name.contains(['/', '\\']) && is_companion(name) && !files.contains(name)
            };
            listed.iter().filter(plain).cloned().collect()
        };
        let is_companion = match need {
            Need::Config => return Ok(Self { files, index: None }),
            Need::Companions(is_companion) => {
                files.extend(plain(is_companion, &files));
                return Ok(Self { files, index: None });
            }
            Need::Model(is_companion) | Need::Adapter(is_companion) => is_companion,
        };
        let weights = WEIGHTS.iter().flatten().find(|name| has(name));
        let weights = weights
            .ok_or_else(|| WEIGHTS.concat().iter().map(|w| w.to_string()).collect::<Vec<_>>())?;
        files.extend(plain(is_companion, &files));
        files.push(weights.to_string());
        let index = weights.ends_with(".index.json").then(|| weights.to_string());
        Ok(Self { files, index })
    }
}

/// The names of the shards in the index at `path`.
pub(crate) fn shards(path: &Path) -> Result<Vec<String>> {
    let wrong = |reason: &str| HubError::Index { path: path.into(), reason: reason.into() };
    let text = std::fs::read(path).map_err(HubError::io(path))?;
    let json: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|error| wrong(&format!("not valid JSON: {error}")))?;
    let map = json.get("weight_map").and_then(serde_json::Value::as_object);
    let map = map.ok_or_else(|| wrong("`weight_map` is missing or not an object"))?;
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

/// Advice for a repository that lacks the files `missing`, by those that it has.
pub(crate) fn instead(missing: &[String], listed: &[String]) -> &'static str {
    let any = |end: &str| listed.iter().any(|name| name.ends_with(end));
    if missing.iter().any(|name| name.starts_with("adapter_")) {
        "give an adapter as PEFT writes it"
    } else if any("adapter_config.json") {
        "it is an adapter: merge it with the model it was trained on, and give the result"
    } else if any(".gguf") {
        "it holds GGUF files: download one and give its path, or give the model they were made from"
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
    fn only_needed_files_are_downloaded() {
        let is_companion = |name: &str| name.starts_with("tokenizer") || name == "LICENSE";
        let check = |listed: &str, config: &str, model: &str, index: Option<&str>| {
            let listed = names(listed);
            assert_eq!(Needed::of(&listed, Need::Config).unwrap().files, names(config));
            let described = Needed::of(&listed, Need::Companions(is_companion)).unwrap().files;
            assert!(
                described.iter().all(|name| !name.starts_with("model") && !name.ends_with(".bin"))
            );
            let found = Needed::of(&listed, Need::Model(is_companion)).unwrap();
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
    fn missing_files_are_named() {
        let missing = |listed: &str| Needed::of(&names(listed), Need::Model(|_| true)).unwrap_err();
        assert_eq!(missing("README.md model.safetensors"), ["config.json"]);
        assert_eq!(missing("config.json model.gguf").len(), 4);
        let config = names("config.json");
        assert!(instead(&config, &names("a.gguf")).contains("GGUF"));
        assert!(instead(&config, &names("adapter_config.json a.gguf")).contains("merge it"));
    }

    #[test]
    fn adapters_need_their_own_files() {
        let is_companion = |name: &str| name.starts_with("tokenizer");
        let of = |listed: &str| Needed::of(&names(listed), Need::Adapter(is_companion));
        let all = "README.md a/tokenizer.json adapter_config.json adapter_model.bin \
                   adapter_model.safetensors config.json model.safetensors tokenizer.json";
        let needed = "adapter_config.json tokenizer.json adapter_model.safetensors";
        assert_eq!(of(all).unwrap(), Needed { files: names(needed), index: None });
        let old = of("adapter_config.json adapter_model.bin").unwrap();
        assert_eq!(old.files, ["adapter_config.json", "adapter_model.bin"]);
        let missing = of("config.json model.safetensors").unwrap_err();
        assert_eq!(missing, ["adapter_config.json"]);
        assert!(instead(&missing, &names("config.json")).contains("PEFT"));
        assert_eq!(of("adapter_config.json").unwrap_err().len(), 2);
    }

    #[test]
    fn an_index_names_files_in_its_directory() {
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
