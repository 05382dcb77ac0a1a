//! [`walk`]: follows a pickle as Python would, without making any object.

use std::collections::HashMap;
use std::io::BufRead;
use std::rc::Rc;

use slicegpt_limits::Budget;

use super::names::check;
use super::operands::{Operands, Text};
use super::refusal::{Refusal, Result};

/// Memory that the reader of tensors needs for one object, in bytes.
const OBJECT: u64 = 128;

/// Memory that it needs for one tensor in addition to its name, in bytes.
const TENSOR: u64 = 384;

/// Bytes of the longest index that names a tensor in a list.
const INDEX: u64 = 20;

/// Walks through one pickle at the start of `bytes`, and spends what its objects cost the reader.
///
/// # Errors
///
/// If it names something that weights do not need, costs more than `budget`, or is not a pickle.
pub(super) fn walk(bytes: &mut impl BufRead, budget: &mut Budget) -> Result<()> {
    let machine = Machine { stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), budget };
    machine.run(&mut Operands(bytes))
}

/// What is known of an object.
#[derive(Clone, Default)]
struct Item {
    /// The text, if it is one: it may become a name.
    text: Option<Rc<str>>,
    /// Bytes that it adds to the names of the tensors that are its value in a dictionary.
    key: u64,
    /// Memory of it and of everything in it.
    size: u64,
    /// Number of tensors in it.
    tensors: u64,
    /// Bytes of the names of these tensors, from here on.
    names: u64,
    /// Its place in the memo.
    memo: Option<u64>,
}

impl Item {
    /// Puts the values `items` in it. The first of two may become the key of the other.
    fn hold(&mut self, items: &[Self]) {
        let key = items.first().map_or(0, |first| first.key).max(INDEX);
        items.iter().for_each(|item| self.hold_one(item, key));
    }

    /// Puts keys and values in it, in turn.
    fn hold_pairs(&mut self, items: &[Self]) {
        for pair in items.chunks(2) {
            pair.iter().for_each(|item| self.hold_one(item, pair[0].key));
        }
    }

    fn hold_one(&mut self, item: &Self, key: u64) {
        self.size = self.size.saturating_add(item.size);
        self.tensors = self.tensors.saturating_add(item.tensors);
        let names = item.tensors.saturating_mul(key.saturating_add(1));
        self.names = self.names.saturating_add(names).saturating_add(item.names);
    }
}

/// The state of an interpreter of pickles.
struct Machine<'a> {
    stack: Vec<Item>,
    /// Heights of the stack where a collection begins.
    marks: Vec<usize>,
    memo: HashMap<u64, Item>,
    budget: &'a mut Budget,
}

impl Machine<'_> {
    fn run(mut self, operands: &mut Operands<&mut impl BufRead>) -> Result<()> {
        loop {
            let instruction = operands.byte()?;
            self.spend(OBJECT)?;
            if instruction == b'.' {
                let whole = self.pop()?;
                let tensors = whole.tensors.saturating_mul(TENSOR);
                return self.spend(whole.names.saturating_mul(2).saturating_add(tensors));
            }
            let known = self.scalar(instruction, operands)?
                || self.memo(instruction, operands)?
                || self.collection(instruction)?
                || self.object(instruction, operands)?;
            if !known {
                return Err(Refusal::corrupt("it is not a pickle of weights"));
            }
        }
    }

    /// Handles an instruction that pushes a number or a text, or does nothing.
    fn scalar<R: BufRead>(&mut self, code: u8, operands: &mut Operands<R>) -> Result<bool> {
        let counted = match code {
            b'X' | b'T' | b'B' | 0x8b => Some(4),
            0x8c | b'U' | b'C' | 0x8a => Some(1),
            0x8d | 0x8e | 0x96 => Some(8),
            _ => None,
        };
        if let Some(size) = counted {
            let length = operands.number(size)?;
            // The reader may hold it twice, as bytes and as a text.
            self.spend(length.saturating_mul(2))?;
            let text = operands.text(length)?;
            match code {
                b'B' | b'C' | 0x8a | 0x8b | 0x8e | 0x96 => self.push(text.length, None),
                _ => self.push(text.length, Some(text.start)),
            }
            return Ok(true);
        }
        match code {
            b'N' | 0x88 | 0x89 => self.push(0, None),
            b'K' => self.number(1, operands)?,
            b'M' => self.number(2, operands)?,
            b'J' => self.number(4, operands)?,
            b'G' => self.number(8, operands)?,
            b'I' | b'L' | b'F' | b'S' | b'V' => {
                let Text { start, length } = operands.line()?;
                self.spend(length.saturating_mul(2))?;
                self.push(length, (code == b'V').then_some(start));
            }
            // A version, or the length of a frame.
            0x80 => operands.skip(1)?,
            0x95 => operands.skip(8)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn number<R: BufRead>(&mut self, size: u64, operands: &mut Operands<R>) -> Result<()> {
        operands.skip(size)?;
        self.push(0, None);
        Ok(())
    }

    /// Handles an instruction that copies: to the memo, from it, or on the stack.
    fn memo<R: BufRead>(&mut self, code: u8, operands: &mut Operands<R>) -> Result<bool> {
        match code {
            b'2' => {
                let copy = self.top()?.clone();
                self.spend(copy.size)?;
                self.stack.push(copy);
            }
            b'p' | b'q' | b'r' | 0x94 => {
                let place = match code {
                    b'p' => operands.decimal()?,
                    b'q' => operands.number(1)?,
                    b'r' => operands.number(4)?,
                    // As many as there are, whatever their places.
                    _ => self.memo.len() as u64,
                };
                let top = self.top()?;
                top.memo = Some(place);
                let copy = top.clone();
                self.spend(copy.size)?;
                self.memo.insert(place, copy);
            }
            b'g' | b'h' | b'j' => {
                let place = match code {
                    b'g' => operands.decimal()?,
                    b'h' => operands.number(1)?,
                    _ => operands.number(4)?,
                };
                let copy = self.memo.get(&place).cloned();
                let copy = copy.ok_or_else(|| {
                    Refusal::corrupt("it reads an entry of the memo that it did not write")
                })?;
                self.spend(copy.size)?;
                self.stack.push(copy);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Handles an instruction that makes or fills a collection, or drops something.
    fn collection(&mut self, code: u8) -> Result<bool> {
        match code {
            b'(' => self.marks.push(self.stack.len()),
            b')' | b']' | b'}' | 0x8f => self.push(0, None),
            b't' | b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.make(&items);
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(0, None);
                self.top()?.hold_pairs(&items);
            }
            0x85..=0x87 => self.combine(usize::from(code - 0x84))?,
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.top()?.hold(&items);
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.top()?.hold_pairs(&items);
            }
            b'a' => {
                let item = self.pop()?;
                self.top()?.hold(&[item]);
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.top()?.hold_pairs(&items);
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Handles an instruction that names a Python object, or makes one.
    fn object<R: BufRead>(&mut self, code: u8, operands: &mut Operands<R>) -> Result<bool> {
        match code {
            b'c' => {
                let [module, name] = [operands.line()?, operands.line()?];
                check(&module.start, &name.start)?;
                self.push(module.length + name.length, None);
            }
            b'i' => {
                let [module, name] = [operands.line()?, operands.line()?];
                check(&module.start, &name.start)?;
                let items = self.pop_to_mark()?;
                self.make(&items);
            }
            0x93 => {
                let [name, module] = [self.pop()?, self.pop()?];
                match (&module.text, &name.text) {
                    (Some(module), Some(name)) => check(module, name)?,
                    _ => return Err(Refusal::Names("a name that it computes".into())),
                }
                self.push(module.size.saturating_add(name.size), None);
            }
            // Entries of a registry that only Python has.
            0x82..=0x84 => return Err(Refusal::Names("an extension of pickle".into())),
            // An instance of a class that was pushed before.
            b'o' => return Err(Refusal::Names("an object of a class".into())),
            b'P' => {
                let length = operands.line()?.length;
                self.push(length, None);
                self.top()?.tensors = 1;
            }
            b'Q' => {
                self.combine(1)?;
                self.top()?.tensors += 1;
            }
            b'R' | 0x81 => self.combine(2)?,
            0x92 => self.combine(3)?,
            b'b' => {
                let [state, object] = [self.pop()?, self.pop()?];
                let memo = object.memo;
                self.make(&[object, state]);
                if let Some(place) = memo {
                    let built = self.top()?.clone();
                    self.spend(built.size)?;
                    self.memo.insert(place, built);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn spend(&mut self, bytes: u64) -> Result<()> {
        let spent = self.budget.spend(bytes);
        spent.map_err(|error| Refusal::Unusual(format!("it asks for {error}")))
    }

    /// Pushes an object of `length` bytes that holds nothing.
    fn push(&mut self, length: u64, text: Option<Rc<str>>) {
        let size = OBJECT.saturating_add(length);
        self.stack.push(Item { text, key: length, size, ..Item::default() });
    }

    /// Pushes an object that holds `items`.
    fn make(&mut self, items: &[Item]) {
        let mut made = Item { size: OBJECT, ..Item::default() };
        made.hold(items);
        self.stack.push(made);
    }

    /// Replaces the last `count` objects by one that holds them.
    fn combine(&mut self, count: usize) -> Result<()> {
        let items = self.pop_many(count)?;
        self.make(&items);
        Ok(())
    }

    /// Pops the last `count` objects, in the order in which they were pushed.
    fn pop_many(&mut self, count: usize) -> Result<Vec<Item>> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop(&mut self) -> Result<Item> {
        self.top()?;
        self.stack.pop().ok_or_else(empty)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Item>> {
        let mark = self.marks.pop().ok_or_else(empty)?;
        Ok(self.stack.split_off(mark))
    }

    /// The last object, which must have been pushed after the last mark.
    fn top(&mut self) -> Result<&mut Item> {
        if self.marks.last() == Some(&self.stack.len()) {
            Err(empty())
        } else {
            self.stack.last_mut().ok_or_else(empty)
        }
    }
}

fn empty() -> Refusal {
    Refusal::corrupt("its pickle takes an object that it did not make")
}
