//! The syntax tree of a template.

use std::sync::Arc;

/// An expression, with its line.
#[derive(Debug)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// Where it begins.
    pub line: u32,
    /// Levels of expressions in it.
    pub depth: u32,
}

/// What an expression computes.
#[derive(Debug)]
pub enum ExprKind {
    /// A constant.
    Literal(Literal),
    /// A variable.
    Name(Arc<str>),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `(a, b)`
    Tuple(Vec<Expr>),
    /// `{a: b}`
    Dict(Vec<(Expr, Expr)>),
    /// `value.name`
    Attribute(Box<Expr>, Arc<str>),
    /// `value[index]`
    Item(Box<Expr>, Box<Expr>),
    /// `value[start:stop:step]`
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    /// `value(arguments)`
    Call(Box<Expr>, Arguments),
    /// `value | name(arguments)`; without a value in a filter block.
    Filter(Option<Box<Expr>>, Arc<str>, Arguments),
    /// `value is name(arguments)`
    Test(Box<Expr>, Arc<str>, Arguments),
    /// `not value`
    Not(Box<Expr>),
    /// `-value`
    Negative(Box<Expr>),
    /// `+value`
    Positive(Box<Expr>),
    /// Arithmetic.
    Binary(Box<Expr>, Operator, Box<Expr>),
    /// `a ~ b ~ c`
    Concat(Vec<Expr>),
    /// `a < b < c`
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    /// `a and b`
    And(Box<Expr>, Box<Expr>),
    /// `a or b`
    Or(Box<Expr>, Box<Expr>),
    /// `then if condition else otherwise`
    If(Box<[Expr; 2]>, Option<Box<Expr>>),
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `none`
    None,
    /// `true`, `false`
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A text.
    Text(Arc<str>),
}

/// Arithmetic with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `//`
    FloorDivide,
    /// `%`
    Remainder,
    /// `**`
    Power,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in`
    In,
    /// `not in`
    NotIn,
}

/// The arguments of a call.
#[derive(Debug, Default)]
pub struct Arguments {
    /// Those without a name.
    pub positional: Vec<Expr>,
    /// Those with a name.
    pub named: Vec<(Arc<str>, Expr)>,
    /// `*list`
    pub rest: Option<Box<Expr>>,
    /// `**dict`
    pub rest_named: Option<Box<Expr>>,
}

/// A statement, with its line.
#[derive(Debug)]
pub struct Statement {
    /// What it does.
    pub kind: StatementKind,
    /// Where it begins.
    pub line: u32,
}

/// The statements between two tags.
pub type Body = Vec<Statement>;

/// What a statement does.
#[derive(Debug)]
pub enum StatementKind {
    /// Text outside of tags.
    Text(String),
    /// `{{ value }}`, or several values in a tag.
    Print(Vec<Expr>),
    /// `{% if %}`: conditions with their bodies, and the body of `else`.
    If(Vec<(Expr, Body)>, Body),
    /// `{% for %}`
    For(Arc<For>),
    /// `{% set target = value %}`
    Set(Target, Expr),
    /// `{% set target %}`, with filters.
    SetBlock(Target, Option<Expr>, Body),
    /// `{% macro %}`
    Macro(Arc<Macro>),
    /// `{% call %}`: the call, and the body as a macro.
    Call(Expr, Arc<Macro>),
    /// `{% filter %}`
    Filter(Expr, Body),
    /// `{% with %}`
    With(Vec<(Target, Expr)>, Body),
    /// A body with variables of its own: `{% generation %}`, `{% block %}`.
    Scope(Body),
    /// `{% break %}`
    Break,
    /// `{% continue %}`
    Continue,
}

/// A loop.
#[derive(Debug)]
pub struct For {
    /// The variables of a step.
    pub target: Target,
    /// What it goes over.
    pub items: Expr,
    /// Which items it takes.
    pub condition: Option<Expr>,
    /// Whether the body may call `loop`.
    pub recursive: bool,
    /// What it does.
    pub body: Body,
    /// What is done if there are no items.
    pub otherwise: Body,
}

/// What a value is assigned to.
#[derive(Debug)]
pub enum Target {
    /// A variable.
    Name(Arc<str>),
    /// An attribute of a namespace.
    Attribute(Arc<str>, Arc<str>),
    /// The items of the value.
    Tuple(Vec<Target>),
}

/// A macro.
#[derive(Debug)]
pub struct Macro {
    /// Its name.
    pub name: Arc<str>,
    /// Its parameters, with their defaults.
    pub parameters: Vec<(Arc<str>, Option<Expr>)>,
    /// What it writes.
    pub body: Body,
    /// Names that the body uses and the parameters do not give.
    pub catches: Catches,
}

/// Which special variables the body of a macro uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Catches {
    /// `varargs`
    pub positional: bool,
    /// `kwargs`
    pub named: bool,
    /// `caller`
    pub caller: bool,
}
