//! Cycles between the files of one crate: two files that use each other's items are one idea in
//! two places.

use super::modules::{Modules, Use};
use super::violation::Violation;

/// One violation for each group of files that reach each other.
pub fn check(folder: &str, files: &[(String, String)]) -> Vec<Violation> {
    let modules = Modules::parse(folder, files);
    let uses: Vec<Vec<Use>> = (0..modules.len()).map(|index| modules.uses(index)).collect();
    let next: Vec<Vec<usize>> =
        uses.iter().map(|uses| uses.iter().map(|found| found.definer).collect()).collect();
    let mut reported = vec![false; next.len()];
    let mut violations = Vec::new();
    for start in 0..next.len() {
        if reported[start] {
            continue;
        }
        let Some(cycle) = shortest_cycle(&next, start) else { continue };
        let reached = reachable(&next, start);
        for (other, reported) in reported.iter_mut().enumerate() {
            *reported |= reached[other] && reachable(&next, other)[start];
        }
        let second = cycle[1];
        let at = uses[start].iter().find(|found| found.definer == second).map_or(0, |it| it.at);
        let names: Vec<&str> = cycle.iter().map(|index| modules.file(*index)).collect();
        let short = |name: &str| name.rsplit_once("/src/").map_or(name, |(_, it)| it).to_owned();
        let names: Vec<String> = names.into_iter().map(short).collect();
        let message = format!("a cycle of files: {}", names.join(" -> "));
        violations.push(Violation::new(modules.file(start), modules.line(start, at), message));
    }
    violations
}

/// The shortest way from `start` back to it, both ends included.
fn shortest_cycle(next: &[Vec<usize>], start: usize) -> Option<Vec<usize>> {
    let mut from = vec![None; next.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for &to in &next[at] {
            if to == start {
                let mut cycle = vec![start, at];
                let mut at = at;
                while let Some(before) = from[at].filter(|_| at != start) {
                    cycle.push(before);
                    at = before;
                }
                cycle.reverse();
                return Some(cycle);
            }
            if from[to].is_none() {
                from[to] = Some(at);
                queue.push_back(to);
            }
        }
    }
    None
}

/// Which files can be reached from `start`.
fn reachable(next: &[Vec<usize>], start: usize) -> Vec<bool> {
    let mut seen = vec![false; next.len()];
    let mut stack = vec![start];
    while let Some(at) = stack.pop() {
        for &to in next[at].iter().filter(|to| !std::mem::replace(&mut seen[**to], true)) {
            stack.push(to);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_named_once_with_its_files() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\n"),
            ("a.rs", "//! A.\nuse crate::b::B;\npub struct A;\n"),
            ("b.rs", "use crate::c::C;\npub struct B;\n"),
            ("c.rs", "use crate::A;\npub struct C;\n"),
        ]
        .map(|(name, text)| (format!("crates/x/src/{name}"), text.to_owned()));
        let found = check("crates/x", &files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("crates/x/src/a.rs", 2));
        assert!(found[0].message.ends_with("a.rs -> b.rs -> c.rs -> a.rs"), "{}", found[0].message);
    }

    #[test]
    fn a_module_and_its_reexports_are_no_cycle() {
        let files = [
            ("lib.rs", "mod a;\npub use a::A;\npub struct Error;\n"),
            ("a.rs", "use crate::Error;\npub struct A;\n"),
        ]
        .map(|(name, text)| (format!("crates/x/src/{name}"), text.to_owned()));
        assert!(check("crates/x", &files).is_empty());
    }
}
