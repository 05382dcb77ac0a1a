//! Expressions in Jinja's order of precedence.

use crate::error::Result;
use crate::syntax::ast::{Comparison, Expr, ExprKind, Operator};
use crate::syntax::parser::{Parser, deepest};
use crate::syntax::tokens::Kind;

type Boxed = Box<Expr>;

impl Parser {
    /// One expression, or a tuple without brackets.
    pub fn tuple(&mut self, conditional: bool) -> Result<Expr> {
        let line = self.line();
        let first = self.one(conditional)?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_sign(",") && !self.ends_tuple() {
            items.push(self.one(conditional)?);
        }
        let depth = deepest(&items);
        self.node(ExprKind::Tuple(items), line, depth)
    }

    fn ends_tuple(&self) -> bool {
        matches!(self.peek(), Kind::PrintEnd | Kind::TagEnd | Kind::Sign(")"))
            || self.is_name("recursive")
    }

    fn one(&mut self, conditional: bool) -> Result<Expr> {
        if conditional { self.expression() } else { self.or() }
    }

    /// An expression.
    pub fn expression(&mut self) -> Result<Expr> {
        self.nested(|parser| {
            let mut value = parser.or()?;
            while parser.is_name("if") {
                let line = parser.line();
                parser.next();
                let condition = parser.or()?;
                let otherwise = if parser.skip_name("else") {
                    Some(Box::new(parser.expression()?))
                } else {
                    None
                };
                let depth = value.depth.max(condition.depth);
                let depth = depth.max(otherwise.as_ref().map_or(0, |value| value.depth));
                let kind = ExprKind::If(Box::new([value, condition]), otherwise);
                value = parser.node(kind, line, depth)?;
            }
            Ok(value)
        })
    }

    fn or(&mut self) -> Result<Expr> {
        self.chain(Self::and, |parser| {
            parser.skip_name("or").then_some(ExprKind::Or as fn(Boxed, Boxed) -> ExprKind)
        })
    }

    fn and(&mut self) -> Result<Expr> {
        self.chain(Self::not, |parser| {
            parser.skip_name("and").then_some(ExprKind::And as fn(Boxed, Boxed) -> ExprKind)
        })
    }

    /// Operands of `operand` with operators between them, from the left.
    fn chain<M: FnOnce(Boxed, Boxed) -> ExprKind>(
        &mut self,
        operand: impl Fn(&mut Self) -> Result<Expr>,
        operator: impl Fn(&mut Self) -> Option<M>,
    ) -> Result<Expr> {
        let mut left = operand(self)?;
        loop {
            let line = self.line();
            let Some(make) = operator(self) else { return Ok(left) };
            let right = operand(self)?;
            let depth = left.depth.max(right.depth);
            left = self.node(make(Box::new(left), Box::new(right)), line, depth)?;
        }
    }

    fn not(&mut self) -> Result<Expr> {
        let line = self.line();
        if !self.skip_name("not") {
            return self.compare();
        }
        let value = self.nested(Self::not)?;
        let depth = value.depth;
        self.node(ExprKind::Not(Box::new(value)), line, depth)
    }

    fn compare(&mut self) -> Result<Expr> {
        let line = self.line();
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison() {
            rest.push((comparison, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let depth = rest.iter().map(|(_, value)| value.depth).fold(first.depth, u32::max);
        self.node(ExprKind::Compare(Box::new(first), rest), line, depth)
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let (comparison, width) = match self.peek() {
            Kind::Sign("==") => (Comparison::Equal, 1),
            Kind::Sign("!=") => (Comparison::NotEqual, 1),
            Kind::Sign("<") => (Comparison::Less, 1),
            Kind::Sign("<=") => (Comparison::LessOrEqual, 1),
            Kind::Sign(">") => (Comparison::Greater, 1),
            Kind::Sign(">=") => (Comparison::GreaterOrEqual, 1),
            Kind::Name(name) if **name == *"in" => (Comparison::In, 1),
            Kind::Name(name) if **name == *"not" => match self.after(1) {
                Kind::Name(name) if **name == *"in" => (Comparison::NotIn, 2),
                _ => return None,
            },
            _ => return None,
        };
        self.at += width;
        Some(comparison)
    }

    fn sum(&mut self) -> Result<Expr> {
        self.arithmetic(&[("+", Operator::Add), ("-", Operator::Subtract)], Self::concat)
    }

    fn concat(&mut self) -> Result<Expr> {
        let line = self.line();
        let first = self.product()?;
        if !self.is_sign("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_sign("~") {
            parts.push(self.product()?);
        }
        let depth = deepest(&parts);
        self.node(ExprKind::Concat(parts), line, depth)
    }

    fn product(&mut self) -> Result<Expr> {
        let operators = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("//", Operator::FloorDivide),
            ("%", Operator::Remainder),
        ];
        self.arithmetic(&operators, |parser| {
            parser.arithmetic(&[("**", Operator::Power)], |parser| parser.unary(true))
        })
    }

    fn arithmetic(
        &mut self,
        operators: &[(&'static str, Operator)],
        operand: impl Fn(&mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        self.chain(operand, |parser| {
            let found = operators.iter().find(|(sign, _)| parser.skip_sign(sign));
            let operator = found?.1;
            Some(move |left, right| ExprKind::Binary(left, operator, right))
        })
    }

    fn unary(&mut self, filters: bool) -> Result<Expr> {
        let line = self.line();
        let mut value = match self.peek() {
            Kind::Sign(sign @ ("-" | "+")) => {
                let make = if *sign == "-" { ExprKind::Negative } else { ExprKind::Positive };
                self.at += 1;
                let value = self.nested(|parser| parser.unary(false))?;
                let depth = value.depth;
                self.node(make(Box::new(value)), line, depth)?
            }
            _ => self.primary()?,
        };
        value = self.postfix(value)?;
        if !filters {
            return Ok(value);
        }
        loop {
            value = if self.is_sign("|") {
                self.filters(Some(value))?
            } else if self.is_name("is") {
                self.test(value)?
            } else if self.is_sign("(") {
                self.call(value)?
            } else {
                return Ok(value);
            };
        }
    }
}
