//! Files of conversations as text: each goes through the chat template of a model.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Map, Value};
use slicegpt_corpus::Text;
use slicegpt_generate::{Message, Template};

/// The text of a file for the model in `directory`.
///
/// # Errors
///
/// If it cannot be read, or holds conversations that the chat template refuses.
pub fn read_text(directory: &Path, file: &Path, column: Option<&str>) -> Result<Text> {
    let conversations = Conversations { directory: directory.into(), template: OnceCell::new() };
    let render = |turns: &Value| conversations.render(turns);
    Ok(Text::read_with(file, column, Some(&render))?)
}

/// Turns conversations into text.
struct Conversations {
    directory: PathBuf,
    /// It is opened for the first conversation: models without one read other texts.
    template: OnceCell<Result<Template, String>>,
}

impl Conversations {
    fn render(&self, turns: &Value) -> Result<String, String> {
        let open = || Template::open(&self.directory, None).map_err(|error| error.to_string());
        let template = self.template.get_or_init(open).as_ref().map_err(Clone::clone)?;
        let turns = turns.as_array().map(Vec::as_slice).unwrap_or_default();
        let messages: Vec<Message> = turns.iter().map(message).collect::<Result<_, _>>()?;
        // The conversation is whole: no turn follows.
        let more = Map::from_iter([("add_generation_prompt".to_string(), false.into())]);
        template.prompt_with(&messages, &more).map_err(|error| error.to_string())
    }
}

/// A turn. Its content is text, nothing, or a list of parts of which all are text.
fn message(turn: &Value) -> Result<Message, String> {
    let mut turn = turn.clone();
    let content = match &turn["content"] {
        Value::String(_) => None,
        Value::Null => Some(String::new()),
        Value::Array(parts) => {
            let texts = parts.iter().map(|part| part.get("text").and_then(Value::as_str));
            Some(texts.collect::<Option<String>>().ok_or("a turn has parts that are not text")?)
        }
        _ => return Err("a turn has a `content` that is not text".into()),
    };
    if let (Some(content), Some(fields)) = (content, turn.as_object_mut()) {
        fields.insert("content".into(), content.into());
    }
    serde_json::from_value(turn).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn contents_are_text() {
        let content = |content: Value| {
            message(&json!({"role": "user", "content": content})).map(|message| message.content)
        };
        let text = || Ok("ab".to_string());
        assert_eq!(content("ab".into()), text());
        let parts = [json!({"type": "text", "text": "a"}), json!({"type": "text", "text": "b"})];
        assert_eq!(content(json!(parts)), text());
        assert_eq!(content(Value::Null), Ok(String::new()));
        assert!(content(json!([{"type": "image"}])).is_err());
        assert!(content(json!(1)).is_err());
        assert_eq!(message(&json!({"role": "assistant"})).unwrap().content, "");
    }
}
