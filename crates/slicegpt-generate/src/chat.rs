//! [`Template`]: the chat template of a checkpoint, which turns a conversation into a prompt.

use std::path::Path;

use jiff::ZonedDateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, context};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text of the turn.
    pub content: String,
}

impl Message {
    /// A turn of `role`.
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// Why there is no template, or why it makes no prompt of a conversation.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The checkpoint has no template.
    #[error(
        "{0} has no chat template (chat_template.jinja, or `chat_template` in \
         tokenizer_config.json): it is no chat model, or its template must be given"
    )]
    Missing(String),
    /// A file cannot be read.
    #[error("{0}: {1}")]
    File(String, String),
    /// The template is invalid, or refuses the conversation.
    #[error("chat template: {0}")]
    Template(String),
}

/// A Jinja template that turns a conversation into a prompt.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl Template {
    /// Reads the template of checkpoint `directory`, or takes `source` in its place.
    ///
    /// # Errors
    ///
    /// If there is none, or it is not valid Jinja.
    pub fn open(directory: &Path, source: Option<String>) -> Result<Self, TemplateError> {
        let read = |name: &str| -> Result<Option<String>, TemplateError> {
            let path = directory.join(name);
            match std::fs::read_to_string(&path) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => {
                    Err(TemplateError::File(path.display().to_string(), error.to_string()))
                }
            }
        };
        let json = |name: &str| -> Result<Value, TemplateError> {
            let text = read(name)?.unwrap_or_else(|| "{}".into());
            serde_json::from_str(&text).map_err(|error| {
                TemplateError::File(directory.join(name).display().to_string(), error.to_string())
            })
        };
        let config = json("tokenizer_config.json")?;
        let source = match source {
            Some(source) => Some(source),
            None => match read("chat_template.jinja")? {
                Some(source) => Some(source),
                None => stored(&config).or(stored(&json("chat_template.json")?)),
            },
        };
        let missing = || TemplateError::Missing(directory.display().to_string());
        let token = |name: &str| {
            let value = config.get(name);
            let text = value.and_then(|value| value.as_str().or(value.get("content")?.as_str()));
            text.unwrap_or_default().to_string()
        };
        Self::new(source.ok_or_else(missing)?, token("bos_token"), token("eos_token"))
    }

    /// A template, with the text of the special tokens that it may use.
    ///
    /// # Errors
    ///
    /// If `source` is not valid Jinja.
    pub fn new(source: String, bos: String, eos: String) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        // The Jinja settings of transformers.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(failed)?);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: String| {
            jiff::fmt::strtime::format(&format, &ZonedDateTime::now())
                .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
        });
        environment.add_filter("tojson", crate::json::tojson);
        environment.add_template_owned("chat", source).map_err(failed)?;
        Ok(Self { environment, bos, eos })
    }

    /// The prompt for the next turn after `messages`. It contains all special tokens.
    ///
    /// # Errors
    ///
    /// If the template refuses the conversation, for instance two turns of one role.
    pub fn prompt(&self, messages: &[Message]) -> Result<String, TemplateError> {
        let template = self.environment.get_template("chat").map_err(failed)?;
        let values = context! {
            messages => Serde(messages),
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        template.render(values).map_err(failed)
    }
}

/// The template in a config file, which may hold several by name.
fn stored(config: &Value) -> Option<String> {
    match config.get("chat_template")? {
        Value::String(source) => Some(source.clone()),
        Value::Array(named) => {
            let default = named.iter().find(|entry| entry["name"] == "default");
            Some(default.or(named.first())?.get("template")?.as_str()?.to_string())
        }
        _ => None,
    }
}

fn failed(error: Error) -> TemplateError {
    // The message that the template gave to `raise_exception` is the one that helps a user.
    let what = match error.kind() {
        ErrorKind::InvalidOperation => error.detail().map(ToString::to_string),
        _ => None,
    };
    TemplateError::Template(what.unwrap_or_else(|| error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{% for message in messages %}\n\
        {{ '<|im_start|>' + message['role'] + '\\n' + message['content'].strip() \
        + '<|im_end|>' + '\\n' }}\n\
        {% endfor %}\n\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    #[test]
    fn a_conversation_becomes_a_prompt() {
        let template = Template::new(CHATML.into(), "<s>".into(), "</s>".into()).unwrap();
        let messages = [Message::new("system", "Be brief."), Message::new("user", " Hi! ")];
        let expected = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n\
                        <|im_start|>assistant\n";
        assert_eq!(template.prompt(&messages).unwrap().replace("\n\n", "\n"), expected);
    }

    #[test]
    fn tojson_writes_json_as_python_does() {
        let source = "{{ messages[0] | tojson }}".to_string();
        let template = Template::new(source, String::new(), String::new()).unwrap();
        let prompt = template.prompt(&[Message::new("user", "1 < 2 & it's")]).unwrap();
        assert_eq!(prompt, r#"{"role": "user", "content": "1 < 2 & it's"}"#);
    }

    #[test]
    fn a_template_may_refuse_a_conversation() {
        let source = "{{ bos_token }}{% if messages[0].role != 'user' %}\
                      {{ raise_exception('the user begins') }}{% endif %}";
        let template = Template::new(source.into(), "<s>".into(), String::new()).unwrap();
        assert_eq!(template.prompt(&[Message::new("user", "x")]).unwrap(), "<s>");
        let error = template.prompt(&[Message::new("system", "x")]).unwrap_err();
        assert_eq!(error.to_string(), "chat template: the user begins");
    }

    #[test]
    fn the_template_is_found_where_checkpoints_keep_it() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Template::open(directory.path(), None);
        assert!(matches!(open(), Err(TemplateError::Missing(_))));
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text);
        let config = r#"{"bos_token": {"content": "<b>"},
            "chat_template": [{"name": "tool", "template": "t"},
                              {"name": "default", "template": "{{ bos_token }}c"}]}"#;
        write("tokenizer_config.json", config).unwrap();
        assert_eq!(open().unwrap().prompt(&[]).unwrap(), "<b>c");
        write("chat_template.jinja", "file").unwrap();
        assert_eq!(open().unwrap().prompt(&[]).unwrap(), "file");
        write("chat_template.jinja", "{% if %}").unwrap();
        assert!(open().unwrap_err().to_string().starts_with("chat template: syntax error"));
        write("tokenizer_config.json", "{").unwrap();
        assert!(open().unwrap_err().to_string().contains("tokenizer_config.json: "));
    }
}
