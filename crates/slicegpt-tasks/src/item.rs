//! [`Item`]: the question that a document asks; [`Prompt`]: the texts that a model is given for it.

/// The question that a document asks, with its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Contexts and continuations.
    pub form: ItemForm,
    /// Index of the right answer; 0 if there is only one.
    pub gold: usize,
}

/// The form of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemForm {
    /// Multiple choice: one context, followed by one of several choices.
    Choices {
        /// The text before every choice.
        context: String,
        /// The choices.
        choices: Vec<String>,
    },
    /// Partial evaluation: one of several contexts, followed by one continuation.
    Contexts {
        /// The contexts, with one option in each.
        contexts: Vec<String>,
        /// The text after every context.
        continuation: String,
    },
    /// Cloze: the last word of a passage.
    LastWord {
        /// The passage without its last word.
        context: String,
        /// The last word, with the space before it.
        word: String,
    },
}

/// The text between a context and its continuation.
const DELIMITER: &str = " ";

/// The text after a few-shot example.
const SEPARATOR: &str = "\n\n";

impl Item {
    /// The text of the item with its right answer, as a few-shot example.
    pub fn solved(&self) -> String {
        let (context, answer) = match &self.form {
            ItemForm::Choices { context, choices } => (context, &choices[self.gold]),
            ItemForm::Contexts { contexts, continuation } => (&contexts[self.gold], continuation),
            // The result has two spaces: the harness puts its delimiter before a word that begins
            // with one.
            ItemForm::LastWord { context, word } => (context, word),
        };
        // The harness treats an empty continuation as missing, and adds nothing to the context.
        if matches!(self.form, ItemForm::Contexts { .. }) && answer.is_empty() {
            return context.clone();
        }
        format!("{context}{DELIMITER}{answer}{SEPARATOR}")
    }

    /// The prompt for a model; `before` is the description and the examples, or empty.
    pub fn prompt(&self, before: &str) -> Prompt {
        let with = |context: &String| format!("{before}{context}");
        let with_delimiter = |text: &String| format!("{DELIMITER}{text}");
        let (contexts, continuations) = match &self.form {
            ItemForm::Choices { context, choices } => {
                (vec![with(context)], choices.iter().map(with_delimiter).collect())
            }
            ItemForm::Contexts { contexts, continuation } => {
                (contexts.iter().map(with).collect(), vec![with_delimiter(continuation)])
            }
            ItemForm::LastWord { context, word } => (vec![with(context)], vec![word.clone()]),
        };
        Prompt { contexts, continuations }
    }

    /// The number of answers.
    pub fn answers(&self) -> usize {
        match &self.form {
            ItemForm::Choices { choices, .. } => choices.len(),
            ItemForm::Contexts { contexts, .. } => contexts.len(),
            ItemForm::LastWord { .. } => 1,
        }
    }

    /// The number of characters of each answer, by which `acc_norm` divides log-likelihoods.
    pub fn lengths(&self) -> Vec<usize> {
        let choices = match &self.form {
            ItemForm::Choices { choices, .. } => choices.as_slice(),
            ItemForm::Contexts { contexts, .. } => contexts.as_slice(),
            ItemForm::LastWord { word, .. } => std::slice::from_ref(word),
        };
        choices.iter().map(|choice| choice.chars().count()).collect()
    }
}

/// Texts to be scored: every continuation of every context. One of the two lists has one element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The texts that the model is given.
    pub contexts: Vec<String>,
    /// The texts whose likelihood is wanted.
    pub continuations: Vec<String>,
}

impl Prompt {
    /// Contexts with their continuations, in the order of the answers.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.contexts.iter().flat_map(|context| {
            self.continuations.iter().map(move |text| (context.as_str(), text.as_str()))
        })
    }
}
