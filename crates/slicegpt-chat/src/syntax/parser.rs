//! [`Parser`]: a cursor over the tokens of a template, with a bound on nesting.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::syntax::ast::{Expr, ExprKind};
use crate::syntax::tokens::{Kind, Token};

/// Levels of expressions and tags inside each other.
pub const MAX_NESTING: u32 = 250;

/// A cursor over the tokens of a template.
pub struct Parser {
    tokens: Vec<Token>,
    /// Index of the current token.
    pub at: usize,
    nesting: u32,
}

impl Parser {
    /// A cursor at the first of `tokens`.
    pub fn new(tokens: Vec<Token>) -> Self {
        Self { tokens, at: 0, nesting: 0 }
    }

    /// The current token.
    pub fn peek(&self) -> &Kind {
        self.after(0)
    }

    /// The token `count` after the current one.
    pub fn after(&self, count: usize) -> &Kind {
        &self.tokens[(self.at + count).min(self.tokens.len() - 1)].kind
    }

    /// The token before the current one.
    pub fn before(&self) -> &Kind {
        &self.tokens[self.at.saturating_sub(1)].kind
    }

    /// The line of the current token.
    pub fn line(&self) -> u32 {
        self.tokens[self.at.min(self.tokens.len() - 1)].line
    }

    /// Consumes the current token and returns it.
    pub fn next(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.at += 1;
        kind
    }

    /// An error about the current token.
    pub fn unexpected<T>(&self, wanted: &str) -> Result<T> {
        Err(Error::syntax(format!("{wanted} expected, not {}", self.peek()), self.line()))
    }

    /// Consumes the current token if it is `kind`, and returns whether it was.
    pub fn skip(&mut self, kind: &Kind) -> bool {
        let here = self.peek() == kind;
        self.at += usize::from(here);
        here
    }

    /// Consumes the current token, which must be `kind`.
    pub fn expect(&mut self, kind: &Kind) -> Result<()> {
        if self.skip(kind) { Ok(()) } else { self.unexpected(&kind.to_string()) }
    }

    /// Whether the current token is the word `name`.
    pub fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Kind::Name(word) if **word == *name)
    }

    /// Consumes the current token if it is the word `name`, and returns whether it was.
    pub fn skip_name(&mut self, name: &str) -> bool {
        let here = self.is_name(name);
        self.at += usize::from(here);
        here
    }

    /// Consumes the current token, which must be a word.
    pub fn name(&mut self) -> Result<Arc<str>> {
        match self.peek() {
            Kind::Name(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => self.unexpected("a name"),
        }
    }

    /// Consumes the current token if it is `sign`, and returns whether it was.
    pub fn skip_sign(&mut self, sign: &'static str) -> bool {
        self.skip(&Kind::Sign(sign))
    }

    /// Consumes the current token, which must be `sign`.
    pub fn expect_sign(&mut self, sign: &'static str) -> Result<()> {
        self.expect(&Kind::Sign(sign))
    }

    /// Whether the current token is `sign`.
    pub fn is_sign(&self, sign: &'static str) -> bool {
        *self.peek() == Kind::Sign(sign)
    }

    /// Calls `parse` one level of nesting deeper.
    pub fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.deepen()?;
        let parsed = parse(self);
        self.rise();
        parsed
    }

    /// Enters a level of nesting, until [`Self::rise`].
    pub fn deepen(&mut self) -> Result<()> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING { Err(too_deep(self.line())) } else { Ok(()) }
    }

    /// Leaves a level of nesting.
    pub fn rise(&mut self) {
        self.nesting -= 1;
    }

    /// The words among the tokens from index `from` to the current one.
    pub fn names_since(&self, from: usize) -> impl Iterator<Item = &str> {
        self.tokens[from..self.at].iter().filter_map(|token| match &token.kind {
            Kind::Name(name) => Some(&**name),
            _ => None,
        })
    }

    /// An expression of `kind` whose deepest part has `depth` levels.
    pub fn node(&self, kind: ExprKind, line: u32, depth: u32) -> Result<Expr> {
        if depth >= MAX_NESTING {
            return Err(too_deep(line));
        }
        Ok(Expr { kind, line, depth: depth + 1 })
    }
}

/// The depth of the deepest of `items`.
pub fn deepest(items: &[Expr]) -> u32 {
    items.iter().map(|item| item.depth).max().unwrap_or(0)
}

fn too_deep(line: u32) -> Error {
    let what = format!("expressions nested too deeply: more than {MAX_NESTING} levels");
    Error::syntax(what, line)
}
