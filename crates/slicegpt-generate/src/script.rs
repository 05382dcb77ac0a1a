//! [`Script`]: what a sequence sampled from a model consists of: one text, or the turns of a
//! conversation.

use slicegpt_chat::{Message, Template, TemplateError};
use slicegpt_corpus::{CorpusError, Vocabulary};

/// What a sampled sequence consists of. The model writes all tokens, except those that the script
/// gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The tokens that a sequence begins with; at least one.
    begin: Vec<u32>,
    /// `None`: the model writes one text up to the end of the sequence.
    turns: Option<Turns>,
}

/// How the turns of a conversation follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Turns {
    /// The tokens after a turn of the user, up to the answer, and after an answer, up to the next
    /// turn of the user; at least one each.
    after: [Vec<u32>; 2],
    /// Tokens with which the model ends a turn.
    ends: Vec<u32>,
}

/// Why a chat template gives no script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The template cannot be rendered.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// What the template writes cannot be tokenised.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The turns of the rendered conversation cannot be distinguished from the rest of the text.
    #[error("the chat template does not show the texts of the turns, with something around each")]
    Turns,
}

/// The texts of the turns from which the parts of a template are found: user, assistant, user.
const MARKS: [&str; 3] = ["SliceGPTQuestion", "SliceGPTAnswer", "SliceGPTFollowUp"];

/// The turn of a user has at most one in this many tokens of a sequence.
const USER_PART: usize = 4;

impl Script {
    /// One text that begins with the token `first`.
    pub fn text(first: u32) -> Self {
        Self { begin: vec![first], turns: None }
    }

    /// A conversation in the form of `template`, of which the model writes both sides, as in Magpie
    /// (Xu et al., 2024). `ends` are the end-of-sequence tokens of the model. A turn ends with one
    /// of them, with a special token of the template, or with what the template writes after the
    /// turn; that of the user also after a quarter of the sequence.
    ///
    /// # Errors
    ///
    /// If the template refuses a conversation of three turns, does not show their texts, or the
    /// tokenizer fails.
    pub fn conversation(
        template: &Template,
        vocabulary: &Vocabulary,
        ends: &[u32],
    ) -> Result<Self, ScriptError> {
        let turns = ["user", "assistant", "user"].into_iter().zip(MARKS);
        let messages: Vec<_> = turns.map(|(role, text)| Message::new(role, text)).collect();
        let rendered = template.prompt(&messages)?;
        let parts = parts(&rendered).ok_or(ScriptError::Turns)?;
        let [begin, next, answer] = parts;
        let encode = |text: &str| vocabulary.encode_inner(text);
        let (begin, after) = (encode(begin)?, [encode(answer)?, encode(next)?]);
        if begin.is_empty() || after.iter().any(Vec::is_empty) {
            return Err(ScriptError::Turns);
        }
        let given = begin.iter().chain(after.iter().flatten());
        let special = given.filter(|id| vocabulary.special(**id).is_some());
        let mut ends: Vec<u32> = ends.iter().chain(special).copied().collect();
        ends.sort_unstable();
        ends.dedup();
        Ok(Self { begin, turns: Some(Turns { after, ends }) })
    }

    /// The tokens that the script gives.
    pub fn given(&self) -> impl Iterator<Item = u32> + '_ {
        let after = self.turns.iter().flat_map(|turns| turns.after.iter().flatten());
        self.begin.iter().chain(after).copied()
    }

    /// The least number of tokens of a sequence in which both sides of a conversation write.
    pub fn least_tokens(&self) -> usize {
        self.begin.len() + self.turns.as_ref().map_or(0, |turns| turns.after[0].len() + 2)
    }
}

/// What a template writes before the first turn, between an answer and the next turn of the user,
/// and between the last turn and an answer. Spaces before a turn are left to the model, which
/// writes them as part of the first word.
fn parts(rendered: &str) -> Option<[&str; 3]> {
    let (begin, rest) = rendered.split_once(MARKS[0])?;
    let (_, rest) = rest.split_once(MARKS[1])?;
    let (next, answer) = rest.split_once(MARKS[2])?;
    Some([begin, next, answer].map(|part| part.trim_end_matches(' ')))
}

/// A sequence that is being sampled.
pub(crate) struct Line<'a> {
    script: &'a Script,
    ids: Vec<u32>,
    /// The next tokens, which the script gives.
    given: &'a [u32],
    /// Where the present turn begins.
    turn: usize,
    /// Whose turn it is: 0 is the user, 1 the assistant.
    speaker: usize,
    /// The largest number of tokens of a turn of the user.
    most: usize,
}

impl<'a> Line<'a> {
    /// A sequence that will have `tokens` tokens.
    pub fn new(script: &'a Script, tokens: usize) -> Self {
        let (first, given) = script.begin.split_first().expect("a script begins with a token");
        let most = (tokens / USER_PART).max(1);
        Self { script, ids: vec![*first], given, turn: 1, speaker: 0, most }
    }

    /// The tokens so far; at least one.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The tokens that must not be drawn next: no turn is empty.
    pub fn banned(&self) -> &[u32] {
        match &self.script.turns {
            Some(turns) if self.given.is_empty() && self.turn == self.ids.len() => &turns.ends,
            _ => &[],
        }
    }

    /// Adds the next token: the one that the script gives, or else `drawn`.
    pub fn add(&mut self, drawn: u32) {
        if self.given.is_empty()
            && let Some(Turns { after, ends }) = &self.script.turns
        {
            let length = self.ids.len() - self.turn;
            let is_long = self.speaker == 0 && length >= self.most;
            if length > 0 && (ends.contains(&drawn) || is_long) {
                self.given = &after[self.speaker];
                self.speaker = 1 - self.speaker;
            }
        }
        if let Some((next, rest)) = self.given.split_first() {
            self.ids.push(*next);
            self.given = rest;
            self.turn = self.ids.len();
            return;
        }
        self.ids.push(drawn);
        // The model may write the end of its turn itself, if that is no special token.
        if let Some(Turns { after, .. }) = &self.script.turns
            && self.ids[self.turn..].ends_with(&after[self.speaker])
        {
            self.speaker = 1 - self.speaker;
            self.turn = self.ids.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequences begin with 1 and 2; 3 and 4 precede an answer, 5 the next turn of the user.
    fn conversation() -> Script {
        let turns = Turns { after: [vec![3, 4], vec![5]], ends: vec![0, 3] };
        Script { begin: vec![1, 2], turns: Some(turns) }
    }

    fn written(script: &Script, tokens: usize, drawn: &[u32]) -> Vec<u32> {
        let mut line = Line::new(script, tokens);
        drawn.iter().for_each(|drawn| line.add(*drawn));
        line.ids
    }

    #[test]
    fn a_text_is_what_was_drawn() {
        assert_eq!(written(&Script::text(7), 4, &[1, 0, 3]), [7, 1, 0, 3]);
        assert_eq!(Script::text(7).least_tokens(), 1);
    }

    #[test]
    fn turns_follow_each_other() {
        let script = conversation();
        assert_eq!(script.least_tokens(), 6);
        // 9 is drawn where the script gives the token; 0 and 3 end turns.
        let drawn = [9, 10, 11, 0, 9, 12, 3, 13, 0, 9, 14];
        let expected = [1, 2, 10, 11, 3, 4, 12, 5, 13, 3, 4, 14];
        assert_eq!(written(&script, 40, &drawn), expected);
        // The model writes what follows an answer itself.
        let drawn = [9, 10, 0, 9, 12, 5, 13];
        assert_eq!(written(&script, 40, &drawn), [1, 2, 10, 3, 4, 12, 5, 13]);
    }

    #[test]
    fn the_turn_of_a_user_ends_after_a_quarter() {
        let found = written(&conversation(), 12, &[9; 11]);
        assert_eq!(found, [1, 2, 9, 9, 9, 3, 4, 9, 9, 9, 9, 9]);
    }

    #[test]
    fn no_turn_is_empty() {
        let script = conversation();
        let mut line = Line::new(&script, 40);
        let banned = [9, 10, 0, 9, 12, 5].map(|drawn| {
            line.add(drawn);
            !line.banned().is_empty()
        });
        assert_eq!(banned, [true, false, false, true, false, true]);
        assert!(Line::new(&Script::text(7), 4).banned().is_empty());
    }

    #[test]
    fn a_template_has_three_parts() {
        let source = "<s>{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} \
                      [/INST]{% else %} {{ m.content }}</s>{% endif %}{% endfor %}";
        let template = Template::new(source, serde_json::Map::new()).unwrap();
        let messages = ["user", "assistant", "user"].into_iter().zip(MARKS);
        let messages: Vec<_> = messages.map(|(role, text)| Message::new(role, text)).collect();
        let rendered = template.prompt(&messages).unwrap();
        assert_eq!(parts(&rendered), Some(["<s>[INST]", "</s>[INST]", " [/INST]"]));
        assert_eq!(parts("no turns"), None);
    }
}
