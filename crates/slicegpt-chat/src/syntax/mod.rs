//! Parses the text of a template into a syntax tree.

pub mod ast;
mod escapes;
mod expression;
mod lexer;
mod operand;
mod parser;
mod statement;
mod tokens;

use crate::error::Result;

/// The syntax tree of `source`.
///
/// # Errors
///
/// If its syntax is invalid, or it is nested too deeply.
pub fn parse(source: &str) -> Result<ast::Body> {
    statement::parse(parser::Parser::new(lexer::tokens(source)?))
}
