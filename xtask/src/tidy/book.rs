//! The documents as a book: every page under `docs` is in SUMMARY.md, and every link works, in a
//! checkout and in the book.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::rules::{DOCUMENTS, WRITTEN_DOCS};
use super::violation::{Violation, line_at};
use crate::workspace::relative;

const BOOK: &str = "docs/";
const SUMMARY: &str = "docs/SUMMARY.md";

/// Documents by their path from the root, with `/` on every system.
type Documents = BTreeMap<String, String>;

pub fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut documents = Documents::new();
    for (name, _) in DOCUMENTS {
        let path = root.join(name);
        if path.is_file() {
            documents.insert((*name).to_owned(), read(&path)?);
        }
    }
    collect(root, &root.join(BOOK), &mut documents)?;
    let mut violations = orphans(&documents);
    for (name, text) in &documents {
        violations.extend(dead_links(&documents, name, text, |path| root.join(path).exists()));
    }
    Ok(violations)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn collect(root: &Path, folder: &Path, documents: &mut Documents) -> Result<()> {
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = relative(root, &path);
        if path.is_dir() && !WRITTEN_DOCS.contains(&name.as_str()) {
            collect(root, &path, documents)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            documents.insert(name, read(&path)?);
        }
    }
    Ok(())
}

/// Pages that are missing in the book, or in it twice.
fn orphans(documents: &Documents) -> Vec<Violation> {
    let Some(summary) = documents.get(SUMMARY) else {
        return vec![Violation::new(SUMMARY, 1, "is missing: list the pages of the book")];
    };
    let mut violations = Vec::new();
    let mut listed = BTreeSet::new();
    for link in links(summary) {
        let page = resolve(SUMMARY, &link.target).unwrap_or(link.target);
        if listed.contains(&page) {
            let message = format!("{page} is listed twice");
            violations.push(Violation::new(SUMMARY, link.line, message));
        }
        listed.insert(page);
    }
    for page in documents.keys() {
        if page.starts_with(BOOK) && page != SUMMARY && !listed.contains(page) {
            let message = "is in no chapter: list it in docs/SUMMARY.md";
            violations.push(Violation::new(page, 1, message));
        }
    }
    violations
}

/// Dead links of the document `name`.
fn dead_links(
    documents: &Documents,
    name: &str,
    text: &str,
    exists: impl Fn(&str) -> bool,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for Link { target, line } in links(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let page = match path {
            "" => Some(name.to_owned()),
            _ => resolve(name, path),
        };
        let reason = match page {
            None => Some("leads out of the repository".to_owned()),
            Some(page) if !exists(&page) && !documents.contains_key(&page) => {
                Some(format!("there is no {page}"))
            }
            Some(page) if name.starts_with(BOOK) && !page.starts_with(BOOK) => {
                Some(format!("{page} is not in the book: name it without a link"))
            }
            Some(page) if !anchor.is_empty() => {
                let known = documents.get(&page).is_some_and(|text| anchors(text).contains(anchor));
                (!known).then(|| format!("{page} has no heading #{anchor}"))
            }
            Some(_) => None,
        };
        if let Some(reason) = reason {
            violations.push(Violation::new(name, line, format!("link to {target}: {reason}")));
        }
    }
    violations
}

struct Link {
    target: String,
    line: usize,
}

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES)
}

/// The links and images of a document.
fn links(text: &str) -> Vec<Link> {
    let link = |(event, range): (Event<'_>, std::ops::Range<usize>)| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(Link { target: dest_url.into_string(), line: line_at(text, range.start) })
        }
        _ => None,
    };
    parser(text).into_offset_iter().filter_map(link).collect()
}

/// The anchors of the headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in parser(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(part) | Event::Code(part) => {
                heading.iter_mut().for_each(|heading| heading.push_str(&part));
            }
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap_or_default());
                let numbered = (1..).map(|n| format!("{slug}-{n}"));
                let free = std::iter::once(slug.clone()).chain(numbered);
                anchors.extend(free.into_iter().find(|slug| !anchors.contains(slug)));
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let character = |c: char| match c {
        c if c.is_whitespace() => Some('-'),
        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
        _ => None,
    };
    heading.trim().to_lowercase().chars().filter_map(character).collect()
}

/// `path`, relative to the document `from`, as a path from the root; `None` if it leaves the root.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\n## Nominal & real\n\n## `x` to y\n\n## `x` to y\n";

    fn documents(summary: &str) -> Documents {
        [("README.md", "# Top"), (SUMMARY, summary), ("docs/page.md", PAGE)]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into()
    }

    #[track_caller]
    fn check_link(from: &str, target: &str, reason: Option<&str>) {
        let documents = documents("");
        let text = format!("Text.\n\nSee [this]({target}).\n");
        let found = dead_links(&documents, from, &text, |path| path == "docs/a/chart.svg");
        assert_eq!(found.len(), usize::from(reason.is_some()), "{target}: {found:?}");
        for (violation, reason) in found.iter().zip(reason) {
            assert_eq!(violation.line, 3);
            assert!(violation.message.contains(reason), "{violation}");
        }
    }

    #[test]
    fn a_link_leads_somewhere() {
        check_link("README.md", "docs/page.md", None);
        check_link("README.md", "page.md", Some("there is no page.md"));
        check_link("docs/a/b.md", "../page.md#nominal--real", None);
        check_link("docs/a/b.md", "chart.svg", None);
        check_link("docs/a/b.md", "../page.md#nominal", Some("no heading #nominal"));
        check_link("docs/page.md", "page.md#x-to-y-1", None);
        check_link("docs/page.md", "page.md#x-to-y-2", Some("no heading"));
        check_link("docs/page.md", "../README.md", Some("not in the book"));
        check_link("docs/page.md", "../../x.md", Some("out of the repository"));
        check_link("docs/page.md", "https://example.com/x.md#y", None);
        check_link("docs/page.md", "#top", Some("no heading #top"));
    }

    #[test]
    fn a_page_is_in_a_chapter_once() {
        assert!(orphans(&documents("[Page](page.md)\n")).is_empty());
        let missing = orphans(&documents("# Summary\n"));
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].file, "docs/page.md");
        let twice = orphans(&documents("- [Page](page.md)\n- [Page](./page.md)\n"));
        assert_eq!((twice.len(), twice[0].line), (1, 2));
    }
}
