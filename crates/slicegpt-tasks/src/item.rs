//! [`Item`]: what a document asks, and [`Prompt`]: what a model is asked for it.

/// What a document asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Contexts and continuations.
    pub answer: Answer,
    /// Which of the answers is right; 0 where there is one only.
    pub gold: usize,
}

/// The forms a question has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One context, and one of these choices behind it.
    Choice {
        /// Before every choice.
        context: String,
        /// What may follow.
        choices: Vec<String>,
    },
    /// One of these contexts, and one continuation behind it: partial evaluation.
    Context {
        /// What may come before, an option in each.
        contexts: Vec<String>,
        /// What follows.
        continuation: String,
    },
    /// One context, and what follows it, with the space before.
    Word {
        /// The passage without its last word.
        context: String,
        /// The last word, with the space before it.
        word: String,
    },
}

/// What stands between a context and its continuation.
const DELIMITER: &str = " ";

/// What stands behind a solved example.
const BETWEEN: &str = "\n\n";

impl Item {
    /// The text of the item with its right answer, as an example for others.
    pub fn solved(&self) -> String {
        let (context, answer) = match &self.answer {
            Answer::Choice { context, choices } => (context, &choices[self.gold]),
            Answer::Context { contexts, continuation } => (&contexts[self.gold], continuation),
            // Two spaces: the harness puts its delimiter before a word that has one.
            Answer::Word { context, word } => (context, word),
        };
        // The harness takes an empty continuation for none, and puts nothing behind the context.
        if matches!(self.answer, Answer::Context { .. }) && answer.is_empty() {
            return context.clone();
        }
        format!("{context}{DELIMITER}{answer}{BETWEEN}")
    }

    /// What a model is asked, with `before` in front: a description and examples, or nothing.
    pub fn prompt(&self, before: &str) -> Prompt {
        let with = |context: &String| format!("{before}{context}");
        let behind = |text: &String| format!("{DELIMITER}{text}");
        let (contexts, continuations) = match &self.answer {
            Answer::Choice { context, choices } => {
                (vec![with(context)], choices.iter().map(behind).collect())
            }
            Answer::Context { contexts, continuation } => {
                (contexts.iter().map(with).collect(), vec![behind(continuation)])
            }
            Answer::Word { context, word } => (vec![with(context)], vec![word.clone()]),
        };
        Prompt { contexts, continuations }
    }

    /// How many answers there are.
    pub fn answers(&self) -> usize {
        match &self.answer {
            Answer::Choice { choices, .. } => choices.len(),
            Answer::Context { contexts, .. } => contexts.len(),
            Answer::Word { .. } => 1,
        }
    }

    /// The characters of each choice, which normalised likelihoods are divided by.
    pub fn lengths(&self) -> Vec<usize> {
        let choices = match &self.answer {
            Answer::Choice { choices, .. } => choices.as_slice(),
            Answer::Context { contexts, .. } => contexts.as_slice(),
            Answer::Word { word, .. } => std::slice::from_ref(word),
        };
        choices.iter().map(|choice| choice.chars().count()).collect()
    }
}

/// Texts, whose continuations are to be scored: every continuation of every context. One of the two
/// lists has one element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What the model is given.
    pub contexts: Vec<String>,
    /// What may follow.
    pub continuations: Vec<String>,
}

impl Prompt {
    /// Contexts with their continuations, in the order of answers.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.contexts.iter().flat_map(|context| {
            self.continuations.iter().map(move |text| (context.as_str(), text.as_str()))
        })
    }
}
