//! The modules of one crate: which file each is, what it defines, and what it imports.

use std::collections::{BTreeMap, BTreeSet};

use super::code::Code;
use super::paths::{Import, imports, is_word, words, written_paths};

/// A file of a crate, as a module.
pub struct Module {
    /// The path of the file from the root of the workspace.
    pub file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// The names of the items it defines itself.
    items: BTreeSet<String>,
    imports: Vec<Import>,
    /// Paths that are written out, with their offsets.
    paths: Vec<(usize, String)>,
    /// The byte ranges of modules inside the file.
    inline: Vec<std::ops::Range<usize>>,
    bare: String,
}

/// One use of an item: the module that defines it, and the offset of the path that names it.
pub struct Use {
    pub definer: usize,
    pub at: usize,
}

/// All modules of a crate. A binary under `src/bin` has a separate tree.
pub struct Modules(Vec<Module>);

/// Where a path leads.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    /// An item that this module defines.
    Item(usize),
}

impl Modules {
    /// From the paths and texts of the files under `src` of the package in `folder`.
    pub fn parse(folder: &str, files: &[(String, String)]) -> Self {
        let source = format!("{folder}/src/");
        let has_library = files.iter().any(|(path, _)| path == &format!("{source}lib.rs"));
        let mut places = BTreeMap::new();
        let mut modules = Vec::new();
        for (path, text) in files {
            let Some(inside) = path.strip_prefix(&source) else { continue };
            places.insert(place(inside, has_library), modules.len());
            modules.push(Module::parse(path, text));
        }
        for ((tree, path), &index) in &places {
            let Some((name, above)) = path.split_last() else { continue };
            if let Some(&parent) = places.get(&(tree.clone(), above.to_vec())) {
                modules[index].parent = Some(parent);
                modules[parent].children.insert(name.clone(), index);
            }
        }
        Self(modules)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn file(&self, index: usize) -> &str {
        &self.0[index].file
    }

    /// The line of `offset` in the file of a module.
    pub fn line(&self, index: usize, offset: usize) -> usize {
        super::violation::line_at(&self.0[index].bare, offset)
    }

    /// The items of other files that module `index` uses. A path through a re-export counts as a
    /// use of the file that defines the item.
    pub fn uses(&self, index: usize) -> Vec<Use> {
        let module = &self.0[index];
        let imported = module.imports.iter().filter(|import| !import.is_public);
        let imported = imported.map(|import| (import.at, import.path.as_str()));
        let written = module.paths.iter().map(|(at, path)| (*at, path.as_str()));
        let mut uses = Vec::new();
        for (at, path) in imported.chain(written) {
            if let Some(Target::Item(definer)) = self.resolve(index, at, path)
                && definer != index
            {
                uses.push(Use { definer, at });
            }
        }
        uses
    }

    /// The item or module of this crate that `path`, at `offset` in module `from`, names.
    fn resolve(&self, from: usize, offset: usize, path: &str) -> Option<Target> {
        let mut parts: Vec<&str> = path.split("::").collect();
        // In a module inside the file, the first `super` is the file itself.
        let inline = self.0[from].inline.iter().filter(|range| range.contains(&offset)).count();
        for _ in 0..inline {
            if parts.first() == Some(&"super") {
                parts[0] = "self";
                if parts.get(1) == Some(&"super") {
                    parts.remove(0);
                }
            }
        }
        self.walk(from, &parts, 0)
    }

    fn walk(&self, from: usize, parts: &[&str], depth: usize) -> Option<Target> {
        // Re-exports may form a cycle.
        if depth > 8 {
            return None;
        }
        let (first, mut rest) = parts.split_first()?;
        let mut at = match *first {
            "crate" => Target::Module(self.root(from)),
            "self" => Target::Module(from),
            "super" => Target::Module(self.0[from].parent?),
            name => self.member(from, name, depth)?,
        };
        while let (Target::Module(module), Some((name, tail))) = (at, rest.split_first()) {
            at = match *name {
                "super" => Target::Module(self.0[module].parent?),
                "self" => Target::Module(module),
                name => self.member(module, name, depth)?,
            };
            rest = tail;
        }
        Some(at)
    }

    /// The meaning of `name` in a module: a child, an item, or an import.
    fn member(&self, module: usize, name: &str, depth: usize) -> Option<Target> {
        let Module { children, items, imports, .. } = &self.0[module];
        if let Some(child) = children.get(name) {
            return Some(Target::Module(*child));
        }
        if items.contains(name) {
            return Some(Target::Item(module));
        }
        let follow = |path: &str| {
            let parts: Vec<&str> = path.split("::").collect();
            // `use name::..` is another crate, unless this module has such a child.
            (parts[0] != name || parts.len() > 1 && children.contains_key(name))
                .then(|| self.walk(module, &parts, depth + 1))
                .flatten()
        };
        if let Some(import) = imports.iter().find(|import| import.name == name) {
            return follow(&import.path);
        }
        let globs = imports.iter().filter_map(|import| import.path.strip_suffix("::*"));
        globs.filter_map(follow).find_map(|target| match target {
            Target::Module(other) if other != module => self.member(other, name, depth + 1),
            _ => None,
        })
    }

    fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.0[module].parent {
            module = parent;
        }
        module
    }
}

impl Module {
    fn parse(path: &str, text: &str) -> Self {
        let bare = Code::parse(text).bare;
        let paths = written_paths(&bare);
        Self {
            file: path.to_owned(),
            parent: None,
            children: BTreeMap::new(),
            items: items(&bare),
            imports: imports(&bare),
            paths: paths.into_iter().map(|(at, path)| (at, path.to_owned())).collect(),
            inline: inline_modules(&bare),
            bare,
        }
    }
}

/// The tree a file belongs to, and its path in it: `a/mod.rs` and `a.rs` are both `a`.
fn place(inside: &str, has_library: bool) -> (String, Vec<String>) {
    let mut parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    let mut tree = String::new();
    if parts[0] == "bin" && parts.len() > 1 {
        tree = format!("bin/{}", parts[1]);
        parts.drain(..2);
    } else if parts == ["main"] && has_library {
        return ("main".to_owned(), Vec::new());
    }
    if matches!(parts.last(), Some(&("mod" | "main" | "lib"))) {
        parts.pop();
    }
    (tree, parts.into_iter().map(str::to_owned).collect())
}

const ITEMS: &[&str] =
    &["const", "enum", "fn", "macro_rules", "mod", "static", "struct", "trait", "type"];

/// The names of the items that bare code defines outside of every bracket.
fn items(bare: &str) -> BTreeSet<String> {
    let depths = depths(bare);
    let words: Vec<(usize, &str)> = words(bare).filter(|(at, _)| depths[*at] == 0).collect();
    let pairs = words.windows(2).filter(|pair| ITEMS.contains(&pair[0].1));
    let names = pairs.filter_map(|pair| {
        let [(at, keyword), (name_at, name)] = [pair[0], pair[1]];
        // `fn(u8)` is a type.
        let between = &bare[at + keyword.len()..name_at];
        let is_item = between.trim().is_empty() || between.trim() == "!";
        (is_item && !ITEMS.contains(&name)).then(|| name.to_owned())
    });
    names.collect()
}

/// Modules that are written inside a file.
fn inline_modules(bare: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in words(bare).filter(|(_, word)| *word == "mod") {
        let rest = bare[at + "mod".len()..].trim_start().trim_start_matches(is_word);
        if let Some(body) = rest.trim_start().strip_prefix('{') {
            let start = bare.len() - body.len();
            let mut depth = 1;
            let end = body.bytes().position(|byte| {
                depth += i32::from(byte == b'{') - i32::from(byte == b'}');
                depth == 0
            });
            found.push(start..start + end.unwrap_or(body.len()));
        }
    }
    found
}

/// How many brackets are open at each byte.
fn depths(bare: &str) -> Vec<usize> {
    let mut depth = 0_usize;
    let depths = bare.bytes().map(|byte| {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth
    });
    depths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(path, text)| (format!("x/src/{path}"), (*text).to_owned()))
            .collect();
        let modules = Modules::parse("x", &files);
        let mut found = Vec::new();
        for index in 0..modules.len() {
            for Use { definer, .. } in modules.uses(index) {
                let short = |index| modules.file(index)["x/src/".len()..].to_owned();
                found.push((short(index), short(definer)));
            }
        }
        found.sort();
        found.dedup();
        found
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(users(files), expected);
    }

    #[test]
    fn an_item_belongs_to_the_file_that_defines_it() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\npub use a::Item;\npub use b::*;\n"),
            ("a.rs", "use crate::Other;\npub struct Item;\n"),
            ("b.rs", "fn f(x: crate::a::Item) {}\npub enum Other { A }\n"),
        ];
        check(&files, &[("a.rs", "b.rs"), ("b.rs", "a.rs")]);
    }

    #[test]
    fn parents_and_children_are_followed() {
        let files = [
            ("main.rs", "mod a;\nmod c;\nfn main() { a::run(); c::deep::f() }\nconst N: u8 = 1;\n"),
            ("a/mod.rs", "mod b;\nuse super::c;\npub fn run() { b::go(c::deep::f()) }\n"),
            ("a/b.rs", "pub fn go() { super::super::N; super::run }\n"),
            ("c.rs", "pub mod deep { pub fn f() {} fn g() { super::h() } }\nfn h() {}\n"),
        ];
        check(
            &files,
            &[
                ("a/b.rs", "a/mod.rs"),
                ("a/b.rs", "main.rs"),
                ("a/mod.rs", "a/b.rs"),
                ("a/mod.rs", "c.rs"),
                ("main.rs", "a/mod.rs"),
                ("main.rs", "c.rs"),
            ],
        );
    }

    #[test]
    fn other_crates_and_other_binaries_are_not_followed() {
        let files = [
            ("lib.rs", "use serde::Serialize;\nmod a;\n"),
            ("a.rs", "use std::fmt;\nuse rand::Rng as _;\nfn f() -> fmt::Result {}\n"),
            ("bin/tool.rs", "use x::A;\nfn main() {}\n"),
            ("bin/more/main.rs", "mod part;\nfn main() { part::f() }\n"),
            ("bin/more/part.rs", "pub fn f() {}\n"),
        ];
        check(&files, &[("bin/more/main.rs", "bin/more/part.rs")]);
    }

    #[test]
    fn items_are_found_by_their_keyword() {
        let code =
            "const fn a() {}\ntype B = fn(C) -> D;\nmacro_rules! e { }\nimpl F { fn g() {} }";
        let expected = ["B", "a", "e"].map(str::to_owned);
        assert_eq!(items(code), expected.into());
    }
}
