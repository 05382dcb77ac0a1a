//! [`Template`]: the chat template of a checkpoint, which turns a conversation into a prompt.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::budget::Stop;
use crate::error::TemplateError;
use crate::files::ChatFiles;
use crate::jinja::Jinja;

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text of the turn.
    pub content: String,
    /// What else the template may look at, such as `name` or `reasoning_content`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Message {
    /// A turn of `role`.
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), more: Map::new() }
    }
}

/// A Jinja template that turns a conversation into a prompt.
#[derive(Debug)]
pub struct Template {
    jinja: Jinja,
    /// The special tokens, and what was added to them.
    variables: Map<String, Value>,
}

impl Template {
    /// Reads the template of checkpoint `directory`, or takes `source` in its place.
    ///
    /// # Errors
    ///
    /// If there is none, or it is not valid Jinja.
    pub fn open(directory: &Path, source: Option<String>) -> Result<Self, TemplateError> {
        let files = ChatFiles::read(directory)?;
        let source = match &source {
            Some(source) => Some(&**source),
            None => files.default_template()?,
        };
        let Some(source) = source else {
            return Err(TemplateError::Missing(directory.display().to_string()));
        };
        Ok(Self { jinja: Jinja::new(source)?, variables: files.special_tokens })
    }

    /// A template, with the variables of the special tokens that it may use.
    ///
    /// # Errors
    ///
    /// If `source` is not valid Jinja.
    pub fn new(source: &str, special_tokens: Map<String, Value>) -> Result<Self, TemplateError> {
        Ok(Self { jinja: Jinja::new(source)?, variables: special_tokens })
    }

    /// With more variables for every prompt, such as `enable_thinking`.
    #[must_use]
    pub fn with_variables(mut self, more: Map<String, Value>) -> Self {
        self.variables.extend(more);
        self
    }

    /// The prompt for the next turn after `messages`. It contains all special tokens.
    ///
    /// # Errors
    ///
    /// If the template refuses the conversation, for instance two turns of one role.
    pub fn prompt(&self, messages: &[Message]) -> Result<String, TemplateError> {
        self.prompt_with(messages, &Map::new())
    }

    /// As [`Self::prompt`], with more variables for this prompt. They go before all others but
    /// `messages`.
    ///
    /// # Errors
    ///
    /// As [`Self::prompt`].
    pub fn prompt_with(
        &self,
        messages: &[Message],
        more: &Map<String, Value>,
    ) -> Result<String, TemplateError> {
        self.prompt_until(messages, more, None)
    }

    /// As [`Self::prompt_with`], unless `stop` says before the end that it should stop.
    ///
    /// # Errors
    ///
    /// As [`Self::prompt`], and if it was stopped.
    pub fn prompt_until(
        &self,
        messages: &[Message],
        more: &Map<String, Value>,
        stop: Option<Stop>,
    ) -> Result<String, TemplateError> {
        let messages = Value::Array(messages.iter().map(as_json).collect());
        let (none, yes) = (Value::Null, Value::Bool(true));
        let fixed = [("tools", &none), ("documents", &none), ("add_generation_prompt", &yes)];
        let mut variables: Vec<(&str, &Value)> = Vec::new();
        let given = self.variables.iter().chain(more).map(|(name, value)| (&**name, value));
        variables.extend(fixed);
        variables.extend(given);
        variables.push(("messages", &messages));
        Ok(self.jinja.render_until(&variables, stop)?)
    }
}

/// A message as transformers hands it to a template: the reasoning of a turn under all its names.
fn as_json(message: &Message) -> Value {
    let mut fields = message.more.clone();
    fields.retain(|_, value| !value.is_null());
    let names = ["reasoning_content", "thinking", "reasoning"];
    if let Some(reasoning) = names.iter().find_map(|name| fields.get(*name)).cloned() {
        fields.entry("thinking").or_insert_with(|| reasoning.clone());
        fields.insert("reasoning_content".into(), reasoning);
    }
    let mut all = Map::new();
    all.insert("role".into(), message.role.clone().into());
    all.insert("content".into(), message.content.clone().into());
    all.extend(fields);
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use serde_json::json;

    use super::*;

    const CHATML: &str = "{% for message in messages %}\n\
        {{ '<|im_start|>' + message['role'] + '\\n' + message['content'].strip() \
        + '<|im_end|>' + '\\n' }}\n\
        {% endfor %}\n\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    fn tokens(tokens: Value) -> Map<String, Value> {
        tokens.as_object().unwrap().clone()
    }

    #[test]
    fn a_conversation_becomes_a_prompt() {
        let template = Template::new(CHATML, Map::new()).unwrap();
        let messages = [Message::new("system", "Be brief."), Message::new("user", " Hi! ")];
        let expected = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n\
                        <|im_start|>assistant\n";
        assert_eq!(template.prompt(&messages).unwrap().replace("\n\n", "\n"), expected);
    }

    #[test]
    fn a_template_may_refuse_a_conversation() {
        let source = "{{ bos_token }}{% if messages[0].role != 'user' %}\
                      {{ raise_exception('the user begins') }}{% endif %}";
        let template = Template::new(source, tokens(json!({"bos_token": "<s>"}))).unwrap();
        assert_eq!(template.prompt(&[Message::new("user", "x")]).unwrap(), "<s>");
        let error = template.prompt(&[Message::new("system", "x")]).unwrap_err();
        assert_eq!(error.to_string(), "chat template: the user begins");
    }

    /// Both forms give the same prompt, with all special tokens.
    #[test]
    fn special_tokens_may_be_texts_or_objects() {
        let directory = tempfile::tempdir().unwrap();
        let source = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token }}\
                      {{ unk_token }}{{ additional_special_tokens[0] }}{{ sep_token is defined }}";
        let names = ["bos_token", "eos_token", "pad_token", "unk_token"];
        for object in [false, true] {
            let form = |text: &str| match object {
                true => json!({"__type": "AddedToken", "content": text, "lstrip": false}),
                false => json!(text),
            };
            let mut config = json!({"chat_template": source});
            for name in names {
                config[name] = form(&format!("<{name}>"));
            }
            config["additional_special_tokens"] = json!([form("<more>")]);
            let path = directory.path().join("tokenizer_config.json");
            std::fs::write(path, config.to_string()).unwrap();
            let template = Template::open(directory.path(), None).unwrap();
            assert_eq!(
                template.prompt(&[Message::new("user", "hi")]).unwrap(),
                "<bos_token>hi<eos_token><pad_token><unk_token><more>False"
            );
        }
    }

    #[test]
    fn variables_are_those_of_transformers() {
        let source = "{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}\
                      {{ bos_token }}{{ enable_thinking is defined }}{{ messages | length }}";
        let template = Template::new(source, tokens(json!({"bos_token": "<s>"}))).unwrap();
        assert_eq!(template.prompt(&[]).unwrap(), "TrueTrueTrue<s>False0");
        let more = tokens(json!({"enable_thinking": false, "bos_token": "<b>", "messages": [1],
            "add_generation_prompt": false}));
        assert_eq!(template.prompt_with(&[], &more).unwrap(), "TrueTrueFalse<b>True0");
    }

    #[test]
    fn a_prompt_can_be_stopped() {
        let source = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}\
                      {% endfor %}";
        let template = Template::new(source, Map::new()).unwrap();
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let stop: Stop = Arc::new(move || asked.fetch_add(1, Ordering::Relaxed) == 2);
        let error = template.prompt_until(&[], &Map::new(), Some(stop)).unwrap_err().to_string();
        assert!(error.contains("too much work: the template takes too long"), "{error}");
        let template = Template::new("a", Map::new()).unwrap();
        let never: Stop = Arc::new(|| false);
        assert_eq!(template.prompt_until(&[], &Map::new(), Some(never)).unwrap(), "a");
    }

    #[test]
    fn a_message_has_its_reasoning_under_all_names() {
        let template = Template::new("{{ messages[0] }}", Map::new()).unwrap();
        let mut message = Message::new("assistant", "yes");
        message.more = tokens(json!({"reasoning": "why", "name": null}));
        let want = "{'role': 'assistant', 'content': 'yes', 'reasoning': 'why', \
                    'thinking': 'why', 'reasoning_content': 'why'}";
        assert_eq!(template.prompt(&[message]).unwrap(), want);
    }

    #[test]
    fn a_checkpoint_without_a_template_is_no_chat_model() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Template::open(directory.path(), None).unwrap_err();
        assert!(matches!(open(), TemplateError::Missing(_)));
        std::fs::write(directory.path().join("chat_template.jinja"), "{% if %}").unwrap();
        assert!(open().to_string().starts_with("chat template: syntax error: "), "{}", open());
    }
}
