//! Checks both methods, half precision and generated text on trained models against the CPU.

use anyhow::Result;

use super::context::{A_SECOND, Context};
use crate::agreement::file_name;
use crate::{Agreement, HALVES, Log, METHODS};

const PROMPT: &str = "Once upon a time";

pub fn run(context: &Context, log: &mut Log<'_>) -> Result<()> {
    let tested = context.tested()?;
    let models = context.cases("models", "config.json")?;
    // A second is left to write the result.
    let agreement = || Agreement {
        program: context.program.clone(),
        device: context.device.clone(),
        text: context.text(),
        limit: context.deadline.left().saturating_sub(A_SECOND).min(120 * A_SECOND),
    };
    let is_late = || context.deadline.is_short_of(4 * A_SECOND);
    const LATE: &str = "no time was left in the stage";
    // The checks that find most errors come first: text, then each method on each model.
    for model in &models {
        let name = file_name(model);
        match agreement().text(model, PROMPT) {
            Ok(check) => log.check(check)?,
            Err(reason) => context.unfinished(log, &format!("text of {name}"), reason)?,
        }
    }
    for method in METHODS {
        for model in &models {
            let name = format!("{}, {}", file_name(model), method.0);
            if is_late() {
                log.skipped(&name, LATE)?;
                continue;
            }
            match agreement().method(model, method) {
                Ok(checks) => checks.into_iter().try_for_each(|check| log.check(check))?,
                Err(reason) => context.unfinished(log, &name, reason)?,
            }
        }
    }
    for (dtype, long) in HALVES {
        for model in &models {
            let name = format!("{}, {dtype}", file_name(model));
            if !tested.computes_in(long) {
                log.skipped(&name, format!("the device does not compute in {long}"))?;
            } else if is_late() {
                log.skipped(&name, LATE)?;
            } else {
                match agreement().half(model, dtype) {
                    Ok(check) => log.check(check)?,
                    Err(reason) => context.unfinished(log, &name, reason)?,
                }
            }
        }
    }
    Ok(())
}
