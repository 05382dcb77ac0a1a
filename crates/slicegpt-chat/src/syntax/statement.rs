//! [`parse`]: the statements of a template.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::syntax::ast::{
    Body, Catches, Expr, ExprKind, For, Macro, Statement, StatementKind, Target,
};
use crate::syntax::parser::Parser;
use crate::syntax::tokens::Kind;

/// The statements that `parser` goes over.
pub fn parse(parser: Parser) -> Result<Body> {
    let mut statements = Statements { parser, loops: 0, names: Vec::new() };
    let body = statements.until(&[])?;
    match statements.parser.peek() {
        Kind::End => Ok(body),
        _ => statements.parser.unexpected("the end of the template"),
    }
}

struct Statements {
    parser: Parser,
    /// Loops around the tag here, in the same macro.
    loops: u32,
    /// For each macro around the tag here, which special variables it uses.
    names: Vec<Catches>,
}

impl Statements {
    /// Statements up to a tag with one of the names `ends`, whose `{%` is consumed.
    fn until(&mut self, ends: &[&str]) -> Result<Body> {
        let mut body = Vec::new();
        loop {
            let line = self.parser.line();
            let kind = match self.parser.next() {
                Kind::Data(text) => StatementKind::Text(text.to_string()),
                Kind::PrintBegin => {
                    let value = self.tuple(true)?;
                    self.parser.expect(&Kind::PrintEnd)?;
                    StatementKind::Print(vec![value])
                }
                Kind::TagBegin => {
                    if ends.iter().any(|end| self.parser.is_name(end)) {
                        return Ok(body);
                    }
                    let kind = self.tag(line)?;
                    self.parser.expect(&Kind::TagEnd)?;
                    kind
                }
                _ if ends.is_empty() => {
                    self.parser.at -= 1;
                    return Ok(body);
                }
                _ => {
                    let end = ends.last().unwrap_or(&"");
                    return Err(Error::syntax(format!("'{end}' is missing"), line));
                }
            };
            body.push(Statement { kind, line });
        }
    }

    /// The body after a tag, up to the tag `end`, which is consumed.
    fn body(&mut self, end: &str) -> Result<Body> {
        let body = self.part(&[end])?;
        self.parser.next();
        Ok(body)
    }

    /// The body after a tag, up to one of `ends`.
    fn part(&mut self, ends: &[&str]) -> Result<Body> {
        self.parser.skip_sign(":");
        self.parser.expect(&Kind::TagEnd)?;
        // The parser counts levels in a closure, which cannot borrow this.
        self.parser.deepen()?;
        let body = self.until(ends)?;
        self.parser.rise();
        Ok(body)
    }

    fn expression(&mut self) -> Result<Expr> {
        let from = self.parser.at;
        let value = self.parser.expression()?;
        self.catch(from);
        Ok(value)
    }

    fn tuple(&mut self, conditional: bool) -> Result<Expr> {
        let from = self.parser.at;
        let value = self.parser.tuple(conditional)?;
        self.catch(from);
        Ok(value)
    }

    /// Notes the special variables among the tokens since `from`, for the macro around them.
    fn catch(&mut self, from: usize) {
        let Some(catches) = self.names.last_mut() else { return };
        for name in self.parser.names_since(from) {
            catches.positional |= name == "varargs";
            catches.named |= name == "kwargs";
            catches.caller |= name == "caller";
        }
    }

    fn tag(&mut self, line: u32) -> Result<StatementKind> {
        let name = self.parser.name()?;
        match &*name {
            "if" => self.condition(),
            "for" => self.repeat(),
            "set" => self.set(),
            "macro" => {
                let name = self.parser.name()?;
                self.parser.expect_sign("(")?;
                let parameters = self.parameters()?;
                Ok(StatementKind::Macro(self.function(name, parameters, "endmacro")?))
            }
            "call" => self.call(line),
            "filter" => {
                let filter = self.filters()?;
                Ok(StatementKind::Filter(filter, self.body("endfilter")?))
            }
            "with" => self.with(),
            "generation" => Ok(StatementKind::Scope(self.body("endgeneration")?)),
            "autoescape" => {
                self.expression()?;
                Ok(StatementKind::Scope(self.body("endautoescape")?))
            }
            "block" => {
                let name = self.parser.name()?;
                while self.parser.skip_name("scoped") || self.parser.skip_name("required") {}
                let body = self.body("endblock")?;
                self.parser.skip_name(&name);
                Ok(StatementKind::Scope(body))
            }
            "print" => {
                let mut values = vec![self.expression()?];
                while self.parser.skip_sign(",") {
                    values.push(self.expression()?);
                }
                Ok(StatementKind::Print(values))
            }
            "break" | "continue" if self.loops == 0 => {
                Err(Error::syntax(format!("'{name}' outside of a loop"), line))
            }
            "break" => Ok(StatementKind::Break),
            "continue" => Ok(StatementKind::Continue),
            "include" | "import" | "from" | "extends" => {
                let message = format!("'{name}' needs other templates, and there are none");
                Err(Error::syntax(message, line))
            }
            _ => Err(Error::syntax(format!("unknown tag '{name}'"), line)),
        }
    }

    fn filters(&mut self) -> Result<Expr> {
        let from = self.parser.at;
        let filter = self.parser.filters(None)?;
        self.catch(from);
        Ok(filter)
    }

    fn condition(&mut self) -> Result<StatementKind> {
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple(false)?;
            let body = self.part(&["elif", "else", "endif"])?;
            branches.push((condition, body));
            if self.parser.skip_name("elif") {
                continue;
            }
            let otherwise = if self.parser.skip_name("else") {
                self.body("endif")?
            } else {
                self.parser.next();
                Vec::new()
            };
            return Ok(StatementKind::If(branches, otherwise));
        }
    }

    fn repeat(&mut self) -> Result<StatementKind> {
        let target = self.target(false)?;
        if !self.parser.skip_name("in") {
            return self.parser.unexpected("'in'");
        }
        let items = self.tuple(false)?;
        let condition = if self.parser.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.parser.skip_name("recursive");
        self.loops += 1;
        let body = self.part(&["endfor", "else"])?;
        self.loops -= 1;
        let otherwise = if self.parser.skip_name("else") {
            self.body("endfor")?
        } else {
            self.parser.next();
            Vec::new()
        };
        let repeat = For { target, items, condition, recursive, body, otherwise };
        Ok(StatementKind::For(Arc::new(repeat)))
    }

    fn set(&mut self) -> Result<StatementKind> {
        let target = self.target(true)?;
        if self.parser.skip_sign("=") {
            return Ok(StatementKind::Set(target, self.tuple(true)?));
        }
        let filter = match self.parser.peek() {
            Kind::Sign("|") => Some(self.filters()?),
            _ => None,
        };
        Ok(StatementKind::SetBlock(target, filter, self.body("endset")?))
    }

    /// One target of an assignment, or several with commas between them.
    fn target(&mut self, attributes: bool) -> Result<Target> {
        let first = self.one_target(attributes)?;
        if *self.parser.peek() != Kind::Sign(",") {
            return Ok(first);
        }
        let mut targets = vec![first];
        while self.parser.skip_sign(",") {
            let ends = matches!(self.parser.peek(), Kind::Sign(")" | "=")) // `{% set a, = b %}`
                || self.parser.is_name("in");
            if ends {
                break;
            }
            targets.push(self.one_target(attributes)?);
        }
        Ok(Target::Tuple(targets))
    }

    fn one_target(&mut self, attributes: bool) -> Result<Target> {
        if self.parser.skip_sign("(") {
            self.parser.deepen()?;
            let target = self.target(attributes)?;
            self.parser.rise();
            self.parser.expect_sign(")")?;
            return Ok(target);
        }
        let line = self.parser.line();
        let name = self.parser.name()?;
        if matches!(&*name, "true" | "True" | "false" | "False" | "none" | "None") {
            return Err(Error::syntax(format!("'{name}' cannot be assigned to"), line));
        }
        if attributes && self.parser.skip_sign(".") {
            return Ok(Target::Attribute(name, self.parser.name()?));
        }
        Ok(Target::Name(name))
    }

    /// A macro with the body after this tag.
    fn function(
        &mut self,
        name: Arc<str>,
        parameters: Vec<(Arc<str>, Option<Expr>)>,
        end: &str,
    ) -> Result<Arc<Macro>> {
        self.names.push(Catches::default());
        let loops = std::mem::take(&mut self.loops);
        let body = self.body(end)?;
        self.loops = loops;
        let mut catches = self.names.pop().unwrap_or_default();
        let given = |name: &str| parameters.iter().any(|(other, _)| **other == *name);
        catches.positional &= !given("varargs");
        catches.named &= !given("kwargs");
        catches.caller &= !given("caller");
        Ok(Arc::new(Macro { name, parameters, body, catches }))
    }

    fn parameters(&mut self) -> Result<Vec<(Arc<str>, Option<Expr>)>> {
        let mut parameters: Vec<(Arc<str>, Option<Expr>)> = Vec::new();
        while !self.parser.skip_sign(")") {
            if !parameters.is_empty() {
                self.parser.expect_sign(",")?;
            }
            let line = self.parser.line();
            let name = self.parser.name()?;
            let default = if self.parser.skip_sign("=") { Some(self.expression()?) } else { None };
            if default.is_none() && parameters.last().is_some_and(|(_, last)| last.is_some()) {
                return Err(Error::syntax("a parameter without a default after one", line));
            }
            parameters.push((name, default));
        }
        Ok(parameters)
    }

    fn call(&mut self, line: u32) -> Result<StatementKind> {
        let parameters = if self.parser.skip_sign("(") { self.parameters()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(call.kind, ExprKind::Call(..)) {
            return Err(Error::syntax("a call expected", line));
        }
        let body = self.function(Arc::from("caller"), parameters, "endcall")?;
        Ok(StatementKind::Call(call, body))
    }

    fn with(&mut self) -> Result<StatementKind> {
        let mut values = Vec::new();
        while !matches!(self.parser.peek(), Kind::TagEnd | Kind::Sign(":")) {
            if !values.is_empty() {
                self.parser.expect_sign(",")?;
            }
            let target = self.one_target(false)?;
            self.parser.expect_sign("=")?;
            values.push((target, self.expression()?));
        }
        Ok(StatementKind::With(values, self.body("endwith")?))
    }
}
