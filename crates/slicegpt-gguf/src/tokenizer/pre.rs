//! The pre-tokenizer of a `tokenizer.json`, the rule that splits text into words before bytes are
//! merged. llama.cpp knows such rules by name only.

use serde_json::{Value, json};

use super::json::{TokenizerJson, kind, text};
use crate::error::{GgufError, Result};

/// The two ways in which tokenizers write English contractions in any case.
const CONTRACTIONS: [&str; 2] = ["(?i:'s|'t|'re|'ve|'m|'ll|'d)", "'(?i:[sdmt]|ll|ve|re)"];

/// The words of GPT-2, which a ByteLevel step splits text into.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Single digits.
const DIGIT: &str = r"\p{N}";

/// Names; the value of `ignore_merges`, where it matters; and the expressions that split the text,
/// one after another, with `<c>` for contractions.
#[rustfmt::skip]
const TABLE: &[(&str, Option<bool>, &[&str])] = &[
    ("gpt-2", None, &[GPT2]),
    ("smollm", None, &[DIGIT, GPT2]),
    ("llama-bpe", Some(true), &[LLAMA3]),
    // The same words, but merges are not ignored.
    ("smaug-bpe", Some(false), &[LLAMA3]),
    ("qwen2", None, &[
        r"<c>|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ]),
    ("qwen35", None, &[
        concat!(
            r"<c>|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|",
            r"\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
    ]),
    ("gpt-4o", None, &[
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+<c",
            r">?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]",
            r"*<c>?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
    ]),
    ("tekken", None, &[
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|",
            r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
    ]),
    ("seed-coder", None, &[
        r"<c>|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
    ]),
    ("deepseek-coder", None, &[
        r"[\r\n]",
        r"\s?\p{L}+",
        r"\s?\p{P}+",
        "[\u{4e00}-\u{9fa5}\u{800}-\u{4e00}\u{ac00}-\u{d7ff}]+",
        DIGIT,
    ]),
    ("deepseek-v3", None, &[
        r"\p{N}{1,3}",
        "[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+",
        concat!(
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|",
            "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|",
            "\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
        ),
    ]),
];

const LLAMA3: &str =
    r"<c>|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The values of `tokenizer.ggml.pre`, those that can be detected first.
#[rustfmt::skip]
pub const PRE_TOKENIZERS: &[&str] = &[
    "gpt-2", "smollm", "llama-bpe", "smaug-bpe", "qwen2", "qwen35", "gpt-4o", "tekken",
    "seed-coder", "deepseek-coder", "deepseek-v3", "default", "bailingmoe", "bloom", "chatglm-bpe",
    "codeshell", "command-r", "dbrx", "deepseek-llm", "deepseek-r1-qwen", "exaone", "exaone4",
    "falcon", "falcon3", "gigachat", "glm4", "hunyuan", "llama4", "megrez", "minerva-7b", "mpt",
    "olmo", "phi-2", "pixtral", "poro-chat", "refact", "stablelm2", "starcoder", "superbpe",
    "trillion", "viking",
];

/// Other names of the rules of [`TABLE`] in llama.cpp.
#[rustfmt::skip]
const ALIASES: &[(&str, &[&str])] = &[
    ("gpt-2", &["phi-2", "mpt", "olmo", "gigachat", "exaone4", "trillion"]),
    ("smollm", &["starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"]),
    ("llama-bpe", &["llama3", "llama-v3", "falcon3", "pixtral"]),
    ("smaug-bpe", &["dbrx", "glm4", "chatglm-bpe"]),
    ("qwen2", &["stablelm2", "megrez", "hunyuan", "deepseek-r1-qwen"]),
    ("gpt-4o", &["llama4"]),
];

/// A rule that splits text into words.
pub(crate) struct Rule {
    /// Its first name.
    pub name: &'static str,
    /// Whether a word that is a token is not split further.
    pub ignores_merges: bool,
    expressions: &'static [&'static str],
}

/// The rule with this name in llama.cpp, if it is known here.
pub(crate) fn rule(name: &str) -> Option<Rule> {
    let alias = ALIASES.iter().find(|(_, names)| names.contains(&name)).map(|(first, _)| *first);
    let name = alias.unwrap_or(name);
    let (name, ignores, expressions) = TABLE.iter().find(|(known, ..)| *known == name)?;
    // In llama.cpp, only Llama 3 and tekken ignore merges.
    let ignores_merges = ignores.unwrap_or(*name == "tekken");
    Some(Rule { name, ignores_merges, expressions })
}

/// The names for which there is a [`rule`].
pub(crate) fn names() -> Vec<&'static str> {
    let aliases = ALIASES.iter().flat_map(|(_, names)| names.iter().copied());
    TABLE.iter().map(|(name, ..)| *name).chain(aliases).collect()
}

impl Rule {
    /// The steps of a pre-tokenizer in `tokenizer.json`.
    pub fn steps(&self) -> Vec<Value> {
        let split = |expression: &&str| match *expression {
            DIGIT => json!({ "type": "Digits", "individual_digits": true }),
            expression => {
                let regex = expression.replace("<c>", CONTRACTIONS[0]);
                let pattern = json!({ "Regex": regex });
                json!({
                    "type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false,
                })
            }
        };
        // GPT-2's words are those of the last step itself.
        let (own, words) = match self.expressions {
            [rest @ .., GPT2] => (rest, true),
            all => (all, false),
        };
        let bytes = json!({
            "type": "ByteLevel",
            "add_prefix_space": false,
            "trim_offsets": true,
            "use_regex": words,
        });
        own.iter().map(split).chain([bytes]).collect()
    }
}

/// The name of the pre-tokenizer of `json`.
pub(super) fn detect(json: &TokenizerJson) -> Result<&'static str> {
    let unknown = |found: String| GgufError::PreTokenizer { path: json.path.clone(), found };
    let mut expressions = Vec::new();
    for step in &json.pre_tokenizers {
        expressions.extend(expression(step).map_err(unknown)?);
    }
    let spelled = |list: &[&str]| list.iter().map(|expression| one_spelling(expression)).collect();
    let ours: Vec<String> = expressions.iter().map(|expression| one_spelling(expression)).collect();
    let found = TABLE.iter().find(|(_, ignores, known)| {
        let known: Vec<String> = spelled(known);
        ignores.is_none_or(|ignores| ignores == json.ignore_merges) && known == ours
    });
    match found {
        Some((name, ..)) => Ok(name),
        None => Err(unknown(format!("it splits by {}", expressions.join(", then ")))),
    }
}

/// The expression that a step splits text by, if it splits.
fn expression(step: &Value) -> std::result::Result<Option<String>, String> {
    let flag =
        |name: &str, default: bool| step.get(name).and_then(Value::as_bool).unwrap_or(default);
    match kind(step) {
        "ByteLevel" if flag("add_prefix_space", true) => {
            Err("a ByteLevel step with add_prefix_space, which llama.cpp does not support".into())
        }
        "ByteLevel" => Ok(flag("use_regex", true).then(|| GPT2.to_string())),
        "Digits" if flag("individual_digits", false) => Ok(Some(DIGIT.into())),
        "Split" => {
            let how = (text(step, "behavior").unwrap_or(""), flag("invert", false));
            let pattern = step.get("pattern").and_then(|pattern| text(pattern, "Regex"));
            match (how, pattern) {
                // Both split at the matches and keep what is matched.
                (("Isolated", false) | ("Removed", true), Some(pattern)) => {
                    Ok(Some(pattern.into()))
                }
                _ => Err(format!("a Split step with behavior {}", how.0)),
            }
        }
        other => Err(format!("a step of type {other}")),
    }
}

/// One of several ways to write the same expression.
fn one_spelling(pattern: &str) -> String {
    let mut pattern = pattern.to_string();
    for contractions in CONTRACTIONS {
        pattern = pattern.replace(contractions, "<c>");
    }
    // Possessive quantifiers change speed only; spaces before a line break match either way.
    pattern
        .replace("++", "+")
        .replace("?+", "?")
        .replace("*+", "*")
        .replace(r"\s*[\r\n]|", r"\s*[\r\n]+|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(
        pre_tokenizer: Value,
        ignore_merges: bool,
    ) -> std::result::Result<&'static str, String> {
        let directory = tempfile::tempdir().unwrap();
        let model = json!({
            "type": "BPE", "vocab": { "a": 0 }, "merges": [], "ignore_merges": ignore_merges,
        });
        let json = json!({ "model": model, "pre_tokenizer": pre_tokenizer });
        std::fs::write(directory.path().join("tokenizer.json"), json.to_string()).unwrap();
        let json = TokenizerJson::read(directory.path()).unwrap().unwrap();
        detect(&json).map_err(|error| error.to_string())
    }

    fn split(pattern: &str) -> Value {
        let pattern = json!({ "Regex": pattern });
        json!({ "type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false })
    }

    fn sequence(steps: &[Value]) -> Value {
        json!({ "type": "Sequence", "pretokenizers": steps })
    }

    fn bytes(use_regex: bool) -> Value {
        json!({ "type": "ByteLevel", "add_prefix_space": false, "use_regex": use_regex })
    }

    #[test]
    fn known_pre_tokenizers_are_named() {
        let llama3 = concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
            r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        );
        let cl100k = concat!(
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}|",
            r" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
        );
        let qwen2 = llama3.replace("{1,3}", "");
        let digits = json!({ "type": "Digits", "individual_digits": true });
        for (steps, ignore_merges, name) in [
            (vec![bytes(true)], false, "gpt-2"),
            (vec![split(GPT2), bytes(false)], false, "gpt-2"),
            (vec![digits, bytes(true)], false, "smollm"),
            (vec![split(llama3), bytes(false)], true, "llama-bpe"),
            (vec![split(llama3), bytes(false)], false, "smaug-bpe"),
            (vec![split(cl100k), bytes(false)], true, "llama-bpe"),
            (vec![split(&qwen2), bytes(false)], false, "qwen2"),
        ] {
            assert_eq!(detected(sequence(&steps), ignore_merges), Ok(name));
        }
        assert_eq!(detected(bytes(true), false), Ok("gpt-2"));
    }

    #[test]
    fn an_unknown_pre_tokenizer_is_an_error() {
        let prefix = json!({ "type": "ByteLevel", "add_prefix_space": true, "use_regex": true });
        for (pre_tokenizer, words) in [
            (sequence(&[split("[a-z]+"), bytes(false)]), "it splits by [a-z]+"),
            (
                sequence(&[json!({ "type": "Punctuation" }), bytes(true)]),
                "a step of type Punctuation",
            ),
            (prefix, "add_prefix_space"),
        ] {
            let error = detected(pre_tokenizer, false).unwrap_err();
            assert!(
                error.contains(words) && error.contains("pre-tokenizer is not known"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_steps_of_a_rule_are_detected_as_that_rule() {
        for (name, ..) in TABLE {
            let rule = rule(name).unwrap();
            assert_eq!(detected(sequence(&rule.steps()), rule.ignores_merges), Ok(*name));
        }
        assert_eq!(rule("starcoder").unwrap().name, "smollm");
        assert!(rule("bloom").is_none());
    }

    #[test]
    fn detected_names_are_listed() {
        assert!(TABLE.iter().all(|(name, ..)| PRE_TOKENIZERS.contains(name)));
    }
}
