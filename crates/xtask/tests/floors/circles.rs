//! Circles among imports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::imports::Import;

/// The files that each file imports, with the path of one such import.
pub(crate) struct Graph(BTreeMap<String, BTreeMap<String, String>>);

impl Graph {
    pub(crate) fn of(imports: BTreeSet<Import>) -> Graph {
        let mut arrows: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for Import { from, to, path } in imports {
            arrows.entry(from).or_default().entry(to).or_insert(path);
        }
        Graph(arrows)
    }

    /// A shortest circle through each file that is in one, each circle once.
    pub(crate) fn circles(&self) -> Vec<String> {
        let mut told: BTreeSet<BTreeSet<&str>> = BTreeSet::new();
        let mut lines = Vec::new();
        for file in self.0.keys() {
            let Some(circle) = self.circle(file) else { continue };
            if told.insert(circle.iter().copied().collect()) {
                lines.push(self.describe(&circle));
            }
        }
        lines
    }

    /// The shortest way from a file back to itself, without its end.
    fn circle<'a>(&'a self, start: &'a str) -> Option<Vec<&'a str>> {
        let mut before: BTreeMap<&str, &str> = BTreeMap::new();
        let mut ahead = VecDeque::from([start]);
        while let Some(at) = ahead.pop_front() {
            for to in self.0.get(at).into_iter().flat_map(BTreeMap::keys) {
                if to == start {
                    let mut circle = vec![at];
                    while let Some(earlier) = before.get(circle[circle.len() - 1]) {
                        circle.push(earlier);
                    }
                    circle.reverse();
                    return Some(circle);
                }
                if !before.contains_key(to.as_str()) {
                    before.insert(to, at);
                    ahead.push_back(to);
                }
            }
        }
        None
    }

    fn describe(&self, circle: &[&str]) -> String {
        let next = |at: usize| circle[(at + 1) % circle.len()];
        let paths: Vec<&str> = (0..circle.len()).map(|at| self.0[circle[at]][next(at)].as_str()).collect();
        format!("circle: {} -> {} ({})", circle.join(" -> "), circle[0], paths.join(", "))
    }
}
