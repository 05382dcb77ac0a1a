//! Checks every family: logits against transformers, fused and rotated against dense. Several
//! families are checked at a time.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use anyhow::Result;

use super::context::{A_SECOND, Context};
use crate::agreement::{Checked, file_name};
use crate::{Agreement, Check, Log};

/// Commands run at a time on one device. They are short, and most of their time is start-up.
const AT_A_TIME: usize = 4;

/// CPU cores for each command.
const CORES: usize = 4;

pub fn run(context: &Context, log: &mut Log<'_>) -> Result<()> {
    let cases = context.cases("families", "expected.safetensors")?;
    let agreement = Agreement {
        program: context.program.clone(),
        device: context.device.clone(),
        text: context.text(),
        limit: 60 * A_SECOND,
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = (cores / CORES).clamp(1, AT_A_TIME);
    let next = AtomicUsize::new(0);
    let skipped = Mutex::new(Vec::new());
    let (sender, receiver) = channel::<(PathBuf, Checked<Vec<Check>>)>();
    thread::scope(|scope| -> Result<()> {
        for _ in 0..workers {
            let (sender, agreement) = (sender.clone(), &agreement);
            let (cases, next, skipped) = (&cases, &next, &skipped);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if context.deadline.is_short_of(3 * A_SECOND) {
                        skipped.lock().expect("no holder panics").push(file_name(case));
                        continue;
                    }
                    let found = agreement.rotation(case).and_then(|rotation| {
                        let logits = agreement.logits(case)?;
                        Ok(std::iter::once(rotation).chain(logits).collect())
                    });
                    // The receiver is gone if the log cannot be written.
                    if sender.send((case.clone(), found)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (case, found) in receiver {
            match found {
                Ok(checks) => checks.into_iter().try_for_each(|check| log.check(check))?,
                Err(reason) => log.failed(&file_name(&case), reason)?,
            }
        }
        Ok(())
    })?;
    let skipped = skipped.into_inner().expect("no holder panics");
    if !skipped.is_empty() {
        log.skipped(&skipped.join(", "), "no time was left in the stage")?;
    }
    Ok(())
}
