//! The filters of Jinja, and `tojson` as transformers has it.

mod names;
mod sequence;
mod text;
mod value;
mod words;

pub use names::is_filter;

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::value::{Args, Value};

/// `value | name(arguments)`
pub fn call(name: &str, value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    budget.spend(1)?;
    if names::is_absent(name) {
        return fail!("filter '{name}' is not available in chat templates here");
    }
    if !is_filter(name) {
        return fail!("no filter named '{name}'");
    }
    if let Some(done) = value::call(name, value, &arguments, budget) {
        return done;
    }
    if let Some(done) = text::call(name, value, &arguments, budget) {
        return done;
    }
    sequence::call(name, value, arguments, call, budget)
}
