//! [`entries`]: the values of one column in one group of rows, with their levels.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use slicegpt_limits::Budget;

use crate::table::fault::{Result, damaged};
use crate::table::footer::Chunk;
use crate::table::levels::Runs;
use crate::table::page::{Holds, Page, costs, page};
use crate::table::schema::Leaf;
use crate::table::values::{Dictionary, Values};

/// Bytes of memory per value, whether it is null or not.
const VALUE_COST: u64 = size_of::<Entry>() as u64;

/// Bytes of memory per text besides its own.
const TEXT_COST: u64 = 32;

/// A value of a column, or that there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// 0 at the beginning of a row.
    pub repetition: u8,
    pub definition: u8,
    pub text: Option<String>,
}

/// The budget for what is kept, and the one for pages that are unpacked.
pub(super) struct Budgets {
    pub texts: Budget,
    pub pages: Budget,
}

/// The values of a column of texts in a group of rows.
pub(super) fn entries(
    file: &mut File,
    chunk: &Chunk,
    leaf: &Leaf,
    budgets: &mut Budgets,
) -> Result<Vec<Entry>> {
    let mut bytes = vec![0; chunk.length as usize];
    file.seek(SeekFrom::Start(chunk.start))?;
    file.read_exact(&mut bytes)?;
    let mut left = &bytes[..];
    let mut dictionary = None;
    let mut entries = Vec::new();
    let mut found = 0;
    while found < chunk.values {
        let page = page(&mut left, chunk.codec, &mut budgets.pages)?;
        match page.holds {
            Holds::Other => {}
            Holds::Dictionary if dictionary.is_some() => {
                return damaged(format!("column `{}` has two dictionaries", leaf.name));
            }
            Holds::Dictionary => {
                costs(&mut budgets.texts, Dictionary::cost(page.bytes.len()))?;
                dictionary = Some(Dictionary::new(&page.bytes, page.values)?);
            }
            Holds::Values | Holds::Second { .. } => {
                found += page.values as u64;
                let texts = &mut budgets.texts;
                read(&page, leaf, dictionary.as_ref(), texts, &mut entries)?;
            }
        }
    }
    Ok(entries)
}

/// Adds the values of a page to `entries`.
fn read(
    page: &Page<'_>,
    leaf: &Leaf,
    dictionary: Option<&Dictionary>,
    budget: &mut Budget,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    costs(budget, VALUE_COST.saturating_mul(page.values as u64))?;
    entries.reserve(page.values);
    let mut bytes = &page.bytes[..];
    let mut repetitions = levels(&mut bytes, page.holds, leaf.max_repetition, 0)?;
    let mut definitions = levels(&mut bytes, page.holds, leaf.max_definition, 1)?;
    let mut values = Values::new(bytes, page.encoding, dictionary, page.values)?;
    for _ in 0..page.values {
        let [repetition, definition] = [
            level(&mut repetitions, leaf.max_repetition)?,
            level(&mut definitions, leaf.max_definition)?,
        ];
        let text = if definition == leaf.max_definition {
            let text = values.next()?;
            costs(budget, TEXT_COST + text.len() as u64)?;
            match std::str::from_utf8(text) {
                Ok(text) => Some(text.to_string()),
                Err(_) => return damaged(format!("column `{}` is not UTF-8", leaf.name)),
            }
        } else {
            None
        };
        entries.push(Entry { repetition, definition, text });
    }
    Ok(())
}

/// The levels that `bytes` begin with; leaves in them what follows. `None` if all are 0.
fn levels<'a>(
    bytes: &mut &'a [u8],
    holds: Holds,
    most: u8,
    which: usize,
) -> Result<Option<Runs<'a>>> {
    let length = match holds {
        Holds::Second { repetition, definition } => [repetition, definition][which],
        _ if most == 0 => return Ok(None),
        _ => {
            let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
                return damaged("a page ends before its levels");
            };
            *bytes = rest;
            u32::from_le_bytes(*length) as usize
        }
    };
    let Some((levels, rest)) = bytes.split_at_checked(length) else {
        return damaged(format!("a page of {} bytes has levels of {length}", bytes.len()));
    };
    *bytes = rest;
    match most {
        0 => Ok(None),
        most => Runs::new(levels, u32::from(most).ilog2() + 1).map(Some),
    }
}

fn level(runs: &mut Option<Runs<'_>>, most: u8) -> Result<u8> {
    let Some(runs) = runs else { return Ok(0) };
    let level = runs.next()?;
    match u8::try_from(level).ok().filter(|level| *level <= most) {
        Some(level) => Ok(level),
        None => damaged(format!("a level of {level}, where at most {most} are")),
    }
}
