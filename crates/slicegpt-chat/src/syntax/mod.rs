//! The text of a template as a tree.

pub mod ast;
mod escapes;
mod expression;
mod lexer;
mod operand;
mod parser;
mod statement;
mod tokens;

use crate::error::Result;

/// The tree of `source`.
///
/// # Errors
///
/// If it is no template, or nested too deeply.
pub fn parse(source: &str) -> Result<ast::Body> {
    statement::parse(parser::Parser::new(lexer::tokens(source)?))
}
