//! Operands of expressions: constants, brackets, calls, filters and tests.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::syntax::ast::{Arguments, Expr, ExprKind, Literal};
use crate::syntax::parser::{Parser, deepest};
use crate::syntax::tokens::Kind;

impl Parser {
    /// A name, a constant, or something in brackets.
    pub fn primary(&mut self) -> Result<Expr> {
        let line = self.line();
        let kind = match self.peek().clone() {
            Kind::Name(name) => match &*name {
                "true" | "True" => ExprKind::Literal(Literal::Bool(true)),
                "false" | "False" => ExprKind::Literal(Literal::Bool(false)),
                "none" | "None" => ExprKind::Literal(Literal::None),
                _ => ExprKind::Name(name),
            },
            Kind::Text(first) => {
                let mut text = first;
                while let Kind::Text(next) = self.after(1) {
                    text = format!("{text}{next}").into();
                    self.at += 1;
                }
                ExprKind::Literal(Literal::Text(text))
            }
            Kind::Int(value) => ExprKind::Literal(Literal::Int(value)),
            Kind::Float(value) => ExprKind::Literal(Literal::Float(value)),
            Kind::Sign("(") => return self.nested(Self::parentheses),
            Kind::Sign("[") => return self.nested(Self::list),
            Kind::Sign("{") => return self.nested(Self::dict),
            _ => return self.unexpected("an expression"),
        };
        self.at += 1;
        self.node(kind, line, 0)
    }

    fn parentheses(&mut self) -> Result<Expr> {
        let line = self.line();
        self.next();
        if self.skip_sign(")") {
            return self.node(ExprKind::Tuple(Vec::new()), line, 0);
        }
        let value = self.tuple(true)?;
        self.expect_sign(")")?;
        Ok(value)
    }

    fn list(&mut self) -> Result<Expr> {
        let line = self.line();
        self.next();
        let mut items = Vec::new();
        while !self.is_sign("]") {
            items.push(self.expression()?);
            if !self.skip_sign(",") {
                break;
            }
        }
        self.expect_sign("]")?;
        let depth = deepest(&items);
        self.node(ExprKind::List(items), line, depth)
    }

    fn dict(&mut self) -> Result<Expr> {
        let line = self.line();
        self.next();
        let mut entries = Vec::new();
        let mut depth = 0;
        while !self.is_sign("}") {
            let key = self.expression()?;
            self.expect_sign(":")?;
            let value = self.expression()?;
            depth = depth.max(key.depth).max(value.depth);
            entries.push((key, value));
            if !self.skip_sign(",") {
                break;
            }
        }
        self.expect_sign("}")?;
        self.node(ExprKind::Dict(entries), line, depth)
    }

    /// Attributes, indices and calls after `value`.
    pub fn postfix(&mut self, mut value: Expr) -> Result<Expr> {
        loop {
            value = match self.peek() {
                Kind::Sign(".") => self.attribute(value)?,
                Kind::Sign("[") => self.nested(|parser| parser.subscript(value))?,
                Kind::Sign("(") => self.call(value)?,
                _ => return Ok(value),
            };
        }
    }

    fn attribute(&mut self, value: Expr) -> Result<Expr> {
        let line = self.line();
        self.next();
        let depth = value.depth;
        let value = Box::new(value);
        let kind = match self.peek().clone() {
            Kind::Name(name) => ExprKind::Attribute(value, name),
            Kind::Int(index) => {
                let index = self.node(ExprKind::Literal(Literal::Int(index)), line, 0)?;
                ExprKind::Item(value, Box::new(index))
            }
            _ => return self.unexpected("a name or a number"),
        };
        self.next();
        self.node(kind, line, depth)
    }

    fn subscript(&mut self, value: Expr) -> Result<Expr> {
        let line = self.line();
        self.next();
        let mut parts: [Option<Box<Expr>>; 3] = [None, None, None];
        let mut colons = 0;
        let mut depth = value.depth;
        loop {
            if self.skip_sign(":") {
                colons += 1;
                if colons > 2 {
                    return self.unexpected("']'");
                }
            } else if self.skip_sign("]") {
                break;
            } else if parts[colons].is_none() {
                let part = if colons == 0 { self.index()? } else { self.expression()? };
                depth = depth.max(part.depth);
                parts[colons] = Some(Box::new(part));
            } else {
                return self.unexpected("']'");
            }
        }
        let value = Box::new(value);
        let kind = match (colons, parts) {
            (0, [Some(index), None, None]) => ExprKind::Item(value, index),
            (0, _) => return self.unexpected("an index"),
            (_, parts) => ExprKind::Slice(value, parts),
        };
        self.node(kind, line, depth)
    }

    /// An index, which may be a tuple without brackets.
    fn index(&mut self) -> Result<Expr> {
        let line = self.line();
        let first = self.expression()?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_sign(",") {
            items.push(self.expression()?);
        }
        let depth = deepest(&items);
        self.node(ExprKind::Tuple(items), line, depth)
    }

    /// A call of `value`.
    pub fn call(&mut self, value: Expr) -> Result<Expr> {
        let line = self.line();
        let (arguments, depth) = self.nested(Self::arguments)?;
        let depth = depth.max(value.depth);
        self.node(ExprKind::Call(Box::new(value), arguments), line, depth)
    }

    /// The arguments of a call, with their depth.
    fn arguments(&mut self) -> Result<(Arguments, u32)> {
        self.expect_sign("(")?;
        let mut arguments = Arguments::default();
        let mut depth = 0;
        while !self.is_sign(")") {
            let line = self.line();
            let mut read = |parser: &mut Self| {
                let value = parser.expression()?;
                depth = depth.max(value.depth);
                Ok(value)
            };
            let ends = arguments.rest.is_some() || arguments.rest_named.is_some();
            let late = ends || !arguments.named.is_empty();
            let mut misplaced = arguments.rest_named.is_some();
            if self.skip_sign("**") {
                arguments.rest_named = Some(Box::new(read(self)?));
            } else if self.skip_sign("*") {
                misplaced = ends;
                arguments.rest = Some(Box::new(read(self)?));
            } else if matches!(self.peek(), Kind::Name(_)) && *self.after(1) == Kind::Sign("=") {
                let name = self.name()?;
                self.next();
                arguments.named.push((name, read(self)?));
            } else {
                misplaced = late;
                arguments.positional.push(read(self)?);
            }
            if misplaced {
                return Err(Error::syntax("an argument of a call is in the wrong place", line));
            }
            if !self.skip_sign(",") {
                break;
            }
        }
        self.expect_sign(")")?;
        Ok((arguments, depth))
    }

    /// Filters after `value`; in a filter block without a value, beginning with a name.
    pub fn filters(&mut self, mut value: Option<Expr>) -> Result<Expr> {
        let mut inline = value.is_none() && !self.is_sign("|");
        loop {
            if !inline {
                self.expect_sign("|")?;
            }
            inline = false;
            let line = self.line();
            let (name, arguments, depth) = self.named_call()?;
            let depth = depth.max(value.as_ref().map_or(0, |value| value.depth));
            let filtered = ExprKind::Filter(value.take().map(Box::new), name, arguments);
            let filtered = self.node(filtered, line, depth)?;
            if !self.is_sign("|") {
                return Ok(filtered);
            }
            value = Some(filtered);
        }
    }

    fn named_call(&mut self) -> Result<(Arc<str>, Arguments, u32)> {
        let mut name = self.name()?;
        while self.skip_sign(".") {
            name = format!("{name}.{}", self.name()?).into();
        }
        let (arguments, depth) =
            if self.is_sign("(") { self.nested(Self::arguments)? } else { Default::default() };
        Ok((name, arguments, depth))
    }

    /// `value is ...`
    pub fn test(&mut self, value: Expr) -> Result<Expr> {
        let line = self.line();
        self.next();
        let negated = self.skip_name("not");
        let (name, mut arguments, mut depth) = self.named_call()?;
        let has_list = *self.before() == Kind::Sign(")");
        let operand = match self.peek() {
            Kind::Name(name) => !matches!(&**name, "else" | "or" | "and" | "if" | "in" | "not"),
            Kind::Text(_) | Kind::Int(_) | Kind::Float(_) | Kind::Sign("[" | "{") => true,
            _ => false,
        };
        if operand && !has_list {
            if self.is_name("is") {
                return Err(Error::syntax("tests with 'is' cannot be chained", line));
            }
            let operand = self.primary()?;
            let operand = self.postfix(operand)?;
            depth = operand.depth;
            arguments.positional.push(operand);
        }
        let depth = depth.max(value.depth);
        let test = self.node(ExprKind::Test(Box::new(value), name, arguments), line, depth)?;
        if negated { self.node(ExprKind::Not(Box::new(test)), line, depth + 1) } else { Ok(test) }
    }
}
