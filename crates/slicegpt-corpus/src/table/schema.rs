//! [`Schema`]: the columns of a table, which Parquet writes as a tree.

use crate::table::fault::{Result, damaged};
use crate::table::thrift::Thrift;

/// How deep the tree of columns may be.
const MAX_DEPTH: usize = 32;

/// How many columns, and groups of them, a table may have.
const MAX_ELEMENTS: usize = 100_000;

/// A column with values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Its name, without those of its groups.
    pub name: String,
    /// Its place among all columns with values.
    pub index: usize,
    /// The number of the type of its values.
    pub kind: i64,
    /// The level of a value that is there. A lower one: it, or a group around it, is null.
    pub max_definition: u8,
    /// How many lists are around it.
    pub max_repetition: u8,
    /// The level of definition at which the innermost list around it has an element.
    pub element: u8,
    /// How many groups are around it.
    pub depth: usize,
}

/// A column of the table: one with values, or a group of them.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    /// Its columns with values: itself, or those of the group.
    pub leaves: Vec<Leaf>,
    /// The level of definition of the column itself, if it is not null.
    pub definition: u8,
}

/// The columns of a table.
#[derive(Debug)]
pub(super) struct Schema {
    pub columns: Vec<Column>,
}

/// One element of the tree, as it is written.
#[derive(Default)]
struct Element {
    name: String,
    kind: i64,
    /// 0 required, 1 optional, 2 repeated.
    repetition: i64,
    children: Option<i64>,
}

impl Schema {
    /// Reads the list of elements of a footer.
    pub fn read(thrift: &mut Thrift<'_>) -> Result<Self> {
        let mut elements = Vec::new();
        thrift.list(|thrift, _| {
            if elements.len() == MAX_ELEMENTS {
                return damaged(format!("it has more than {MAX_ELEMENTS} columns"));
            }
            elements.push(element(thrift)?);
            Ok(())
        })?;
        let mut walk = Walk { elements: elements.into_iter(), leaves: 0 };
        let Some(root) = walk.elements.next() else { return damaged("it has no columns") };
        let mut columns = Vec::new();
        for _ in 0..walk.children(&root)? {
            columns.push(walk.column()?);
        }
        match walk.elements.next() {
            None => Ok(Self { columns }),
            Some(Element { name, .. }) => damaged(format!("column `{name}` is in no group")),
        }
    }
}

/// What is left of the elements, which come in the order of the tree.
struct Walk {
    elements: std::vec::IntoIter<Element>,
    leaves: usize,
}

/// The levels around an element.
#[derive(Clone, Copy, Default)]
struct Levels {
    definition: u8,
    repetition: u8,
    element: u8,
    depth: usize,
}

impl Levels {
    /// The levels of `element`, around which are these.
    fn of(self, element: &Element) -> Self {
        let mut levels = Self { depth: self.depth + 1, ..self };
        levels.definition += u8::from(element.repetition != 0);
        if element.repetition == 2 {
            levels.repetition += 1;
            levels.element = levels.definition;
        }
        levels
    }
}

impl Walk {
    fn children(&self, element: &Element) -> Result<i64> {
        let (count, left) = (element.children.unwrap_or(0), self.elements.len());
        if usize::try_from(count).is_ok_and(|count| count <= left) {
            Ok(count)
        } else {
            damaged(format!("group `{}` says it has {count} columns", element.name))
        }
    }

    fn next(&mut self) -> Result<Element> {
        let next = self.elements.next();
        next.map_or_else(|| damaged("a group has fewer columns than it says"), Ok)
    }

    fn column(&mut self) -> Result<Column> {
        let element = self.next()?;
        let levels = Levels::default().of(&element);
        let mut leaves = Vec::new();
        let name = element.name.clone();
        self.leaves_of(element, levels, &mut leaves)?;
        Ok(Column { name, leaves, definition: levels.definition })
    }

    fn leaves_of(
        &mut self,
        element: Element,
        levels: Levels,
        leaves: &mut Vec<Leaf>,
    ) -> Result<()> {
        if levels.depth > MAX_DEPTH {
            return damaged(format!("its columns are nested more than {MAX_DEPTH} deep"));
        }
        if element.children.is_none() {
            let Levels { definition, repetition, element: list, depth } = levels;
            leaves.push(Leaf {
                name: element.name,
                index: self.leaves,
                kind: element.kind,
                max_definition: definition,
                max_repetition: repetition,
                element: list,
                depth: depth - 1,
            });
            self.leaves += 1;
            return Ok(());
        }
        for _ in 0..self.children(&element)? {
            let child = self.next()?;
            let levels = levels.of(&child);
            self.leaves_of(child, levels, leaves)?;
        }
        Ok(())
    }
}

fn element(thrift: &mut Thrift<'_>) -> Result<Element> {
    let mut element = Element::default();
    thrift.fields(|thrift, id, _| {
        match id {
            1 => element.kind = thrift.integer()?,
            3 => element.repetition = thrift.integer()?,
            4 => element.name = thrift.text()?.into(),
            5 => element.children = Some(thrift.integer()?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(element)
}

/// The type of values in words.
pub(super) fn kind_name(kind: i64) -> &'static str {
    match kind {
        0 => "true or false",
        1..=3 => "integers",
        4 | 5 => "floating-point numbers",
        6 => "bytes",
        _ => "bytes of a fixed length",
    }
}
