//! Filters of lists and dicts.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use crate::attributes::item;
use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::methods::container::pairs;
use crate::operators::binary;
use crate::predicates;
use crate::syntax::ast::Operator;
use crate::value::compare::{equal, order, sort};
use crate::value::generator::Generator;
use crate::value::repr::text;
use crate::value::writer::Writer;
use crate::value::{Args, Missing, Object, Value, Weight};

/// How another filter is called.
pub type Filter = fn(&str, &Value, Args, &Budget) -> Result<Value>;

/// Calls filter `name`, which is one of lists and dicts.
pub fn call(
    name: &str,
    value: &Value,
    arguments: Args,
    filter: Filter,
    budget: &Budget,
) -> Result<Value> {
    match name {
        "count" | "length" => {
            let [] = arguments.bind(name, [], 0)?;
            Ok(Value::Int(value.length()? as i128))
        }
        "list" => {
            let [] = arguments.bind(name, [], 0)?;
            Value::list(value.iterate(budget)?, budget)
        }
        "items" => match value {
            Value::Dict(dict) => Generator::of(pairs(dict, budget)?.iterate(budget)?, budget),
            Value::Undefined(_) => Generator::of(Vec::new(), budget),
            _ => fail!("can only get item pairs from a mapping"),
        },
        "last" if Generator::is(value) => {
            fail!("'{}' object is not reversible", value.kind())
        }
        "first" | "last" => {
            let [] = arguments.bind(name, [], 0)?;
            let found = match Generator::next_of(value) {
                Some(next) => next,
                None if name == "first" => value.iterate(budget)?.into_iter().next(),
                None => value.iterate(budget)?.pop(),
            };
            Ok(found.unwrap_or(Value::Undefined(Missing::Because("the sequence was empty"))))
        }
        "reverse" => {
            let mut items = value.iterate(budget)?;
            items.reverse();
            match value {
                Value::Text(text) => Ok(Value::text(text.chars().rev().collect::<String>())),
                _ if Generator::is(value) => Value::list(items, budget),
                _ => Generator::reversed(items, budget),
            }
        }
        "join" => join(value, arguments, budget),
        "sum" => {
            let [attribute, start] = arguments.bind(name, ["attribute", "start"], 0)?;
            let path = Path::new(attribute.as_ref(), budget)?;
            let mut sum = start.unwrap_or(Value::Int(0));
            for one in value.iterate(budget)? {
                sum = binary(&sum, Operator::Add, &path.get(&one, budget)?, budget)?;
            }
            Ok(sum)
        }
        "batch" | "slice" => divide(name, value, arguments, budget),
        "map" => map(value, arguments, filter, budget),
        "select" | "reject" | "selectattr" | "rejectattr" => select(name, value, arguments, budget),
        "min" | "max" => extreme(name, value, arguments, budget),
        "unique" => unique(value, arguments, budget),
        "sort" => sorted(value, arguments, budget),
        "groupby" => groups(value, arguments, budget),
        _ => sorted_entries(value, arguments, budget),
    }
}

/// The way to a part of an item: `a.b.0`.
struct Path {
    steps: Vec<Value>,
    default: Option<Value>,
    fold: bool,
}

impl Path {
    fn new(attribute: Option<&Value>, budget: &Budget) -> Result<Self> {
        let steps = match attribute {
            None | Some(Value::None) => Vec::new(),
            Some(Value::Text(path)) => {
                budget.text(path.len())?;
                let step = |step: &str| match step.parse() {
                    Ok(index) => Value::Int(index),
                    Err(_) => Value::text(step),
                };
                path.split('.').map(step).collect()
            }
            Some(other) => vec![other.clone()],
        };
        Ok(Self { steps, default: None, fold: false })
    }

    /// With texts in lower case unless `case_sensitive`.
    fn folding(mut self, case_sensitive: Option<Value>) -> Self {
        self.fold = !case_sensitive.is_some_and(|sensitive| sensitive.truth());
        self
    }

    fn get(&self, value: &Value, budget: &Budget) -> Result<Value> {
        let mut found = value.clone();
        for step in &self.steps {
            budget.spend(1)?;
            found = item(&found, step, budget)?;
            if let (Value::Undefined(_), Some(default)) = (&found, &self.default) {
                found = default.clone();
            }
        }
        match &found {
            Value::Text(text) if self.fold => {
                budget.text(text.len())?;
                Ok(Value::text(text.to_lowercase()))
            }
            _ => Ok(found),
        }
    }
}

fn join(value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    let [separator, attribute] = arguments.bind("join", ["d", "attribute"], 0)?;
    let separator = separator.unwrap_or_else(|| Value::text(""));
    let separator = text(&separator, budget)?;
    let path = Path::new(attribute.as_ref(), budget)?;
    let mut writer = Writer::new(budget);
    for (index, one) in value.iterate(budget)?.iter().enumerate() {
        if index > 0 {
            writer.push(&separator)?;
        }
        writer.push(&text(&path.get(one, budget)?, budget)?)?;
    }
    Ok(Value::text(writer.finish()))
}

/// The items in `count` lists, or in lists of `count`.
fn divide(name: &str, value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    let [count, fill] = arguments.bind(name, ["count", "fill_with"], 1)?;
    let count = usize::try_from(count.unwrap_or(Value::None).int("the count")?).unwrap_or(0);
    if count == 0 {
        return fail!("{name}: the count must be positive");
    }
    let fill = fill.filter(|fill| !matches!(fill, Value::None));
    let items = value.iterate(budget)?;
    let mut lists = Vec::new();
    if name == "batch" {
        for part in items.chunks(count) {
            let mut part = part.to_vec();
            if let Some(fill) = &fill {
                budget.list(count)?;
                part.resize(count, fill.clone());
            }
            lists.push(Value::list(part, budget)?);
        }
    } else {
        budget.list(count)?;
        let (each, longer) = (items.len() / count, items.len() % count);
        let mut rest = &items[..];
        for number in 0..count {
            let (part, after) = rest.split_at(each + usize::from(number < longer));
            rest = after;
            let fill = fill.iter().filter(|_| number >= longer).cloned();
            lists.push(Value::list(part.iter().cloned().chain(fill).collect(), budget)?);
        }
    }
    Generator::of(lists, budget)
}

fn map(value: &Value, arguments: Args, filter: Filter, budget: &Budget) -> Result<Value> {
    let Args { mut positional, mut named } = arguments;
    let items = value.iterate(budget)?;
    let mut mapped = Vec::with_capacity(items.len());
    if positional.is_empty() {
        let arguments = Args { positional, named: std::mem::take(&mut named) };
        let [attribute, default] = arguments.bind("map", ["attribute", "default"], 1)?;
        let mut path = Path::new(attribute.as_ref(), budget)?;
        path.default = default.filter(|default| !matches!(default, Value::None));
        for one in &items {
            mapped.push(path.get(one, budget)?);
        }
    } else {
        let name = positional.remove(0);
        for one in &items {
            let arguments = Args { positional: positional.clone(), named: named.clone() };
            mapped.push(filter(name.str("the name of a filter")?, one, arguments, budget)?);
        }
    }
    Generator::of(mapped, budget)
}

fn select(name: &str, value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    let Args { mut positional, named } = arguments;
    let path = if !name.ends_with("attr") {
        Path::new(None, budget)?
    } else if positional.is_empty() {
        return fail!("{name}: missing attribute name");
    } else {
        Path::new(Some(&positional.remove(0)), budget)?
    };
    let test = (!positional.is_empty()).then(|| positional.remove(0));
    let mut chosen = Vec::new();
    for one in value.iterate(budget)? {
        let part = path.get(&one, budget)?;
        let passed = match &test {
            None => part.truth(),
            Some(test) => {
                let arguments = Args { positional: positional.clone(), named: named.clone() };
                predicates::call(test.str("the name of a test")?, &part, arguments, budget)?
            }
        };
        if passed == name.starts_with("select") {
            chosen.push(one);
        }
    }
    Generator::of(chosen, budget)
}

fn extreme(name: &str, value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    let [sensitive, attribute] = arguments.bind(name, ["case_sensitive", "attribute"], 0)?;
    let path = Path::new(attribute.as_ref(), budget)?.folding(sensitive);
    let mut best: Option<(Value, Value)> = None;
    for one in value.iterate(budget)? {
        let key = path.get(&one, budget)?;
        let better = match &best {
            None => true,
            Some((held, _)) if name == "min" => {
                order(&key, held, budget)? == Some(std::cmp::Ordering::Less)
            }
            Some((held, _)) => order(&key, held, budget)? == Some(std::cmp::Ordering::Greater),
        };
        if better {
            best = Some((key, one));
        }
    }
    let empty = Value::Undefined(Missing::Because("the sequence was empty"));
    Ok(best.map_or(empty, |(_, one)| one))
}

fn unique(value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    let [sensitive, attribute] = arguments.bind("unique", ["case_sensitive", "attribute"], 0)?;
    let path = Path::new(attribute.as_ref(), budget)?.folding(sensitive);
    let mut seen: Vec<Value> = Vec::new();
    let mut kept = Vec::new();
    for one in value.iterate(budget)? {
        let key = path.get(&one, budget)?;
        key.hashable()?;
        budget.spend(1 + seen.len() as u64 / 8)?;
        let mut known = false;
        for other in &seen {
            known = known || equal(other, &key, budget)?;
        }
        if !known {
            seen.push(key);
            kept.push(one);
        }
    }
    Generator::of(kept, budget)
}

fn sorted(value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    let names = ["reverse", "case_sensitive", "attribute"];
    let [reverse, sensitive, attribute] = arguments.bind("sort", names, 0)?;
    let mut paths = Vec::new();
    match &attribute {
        Some(Value::Text(several)) => {
            for one in several.split(',') {
                let path = Path::new(Some(&Value::text(one)), budget)?;
                paths.push(path.folding(sensitive.clone()));
            }
        }
        other => paths.push(Path::new(other.as_ref(), budget)?.folding(sensitive)),
    }
    let mut keyed = Vec::new();
    for one in value.iterate(budget)? {
        let keys = paths.iter().map(|path| path.get(&one, budget)).collect::<Result<_>>()?;
        keyed.push((Value::tuple(keys, budget)?, one));
    }
    sort(&mut keyed, reverse.is_some_and(|reverse| reverse.truth()), budget)?;
    Value::list(keyed.into_iter().map(|(_, one)| one).collect(), budget)
}

fn sorted_entries(value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    let names = ["case_sensitive", "by", "reverse"];
    let [sensitive, by, reverse] = arguments.bind("dictsort", names, 0)?;
    let Value::Dict(dict) = value else { return fail!("dictsort needs a dict") };
    let by = by.unwrap_or_else(|| Value::text("key"));
    let by_value = match by.str("by")? {
        "key" => false,
        "value" => true,
        _ => return fail!("dictsort: by is \"key\" or \"value\""),
    };
    let path = Path::new(None, budget)?.folding(sensitive);
    let mut keyed = Vec::new();
    for (key, value) in &dict.entries {
        let by = path.get(if by_value { value } else { key }, budget)?;
        keyed.push((by, Value::tuple(vec![key.clone(), value.clone()], budget)?));
    }
    sort(&mut keyed, reverse.is_some_and(|reverse| reverse.truth()), budget)?;
    Value::list(keyed.into_iter().map(|(_, entry)| entry).collect(), budget)
}

fn groups(value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    let names = ["attribute", "default", "case_sensitive"];
    let [attribute, default, sensitive] = arguments.bind("groupby", names, 1)?;
    let mut path = Path::new(attribute.as_ref(), budget)?;
    path.default = default.filter(|default| !matches!(default, Value::None));
    let exact = Path { steps: path.steps.clone(), default: path.default.clone(), fold: false };
    let path = path.folding(sensitive);
    let mut keyed = Vec::new();
    for one in value.iterate(budget)? {
        keyed.push((path.get(&one, budget)?, one));
    }
    sort(&mut keyed, false, budget)?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, one) in keyed {
        match groups.last_mut() {
            Some((last, members)) if equal(last, &key, budget)? => members.push(one),
            _ => groups.push((key, vec![one])),
        }
    }
    let mut made = Vec::new();
    for (_, members) in groups {
        let grouper = exact.get(&members[0], budget)?;
        let list = Value::list(members, budget)?;
        let weight = Weight::around([&grouper, &list].into_iter())?;
        made.push(Value::Object(Rc::new(Group { parts: [grouper, list], weight })));
    }
    Value::list(made, budget)
}

/// A group of `groupby`: what its items have in common, and the items.
#[derive(Debug)]
struct Group {
    parts: [Value; 2],
    weight: Weight,
}

impl Object for Group {
    fn kind(&self) -> &'static str {
        "_GroupTuple"
    }

    fn attribute(&self, name: &str) -> Option<Value> {
        let names: [Arc<str>; 2] = ["grouper".into(), "list".into()];
        let index = names.iter().position(|other| **other == *name)?;
        Some(self.parts[index].clone())
    }

    fn items(&self) -> Option<Vec<Value>> {
        Some(self.parts.to_vec())
    }

    fn weight(&self) -> Weight {
        self.weight
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
