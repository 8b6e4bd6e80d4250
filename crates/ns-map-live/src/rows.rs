//! The namespaces in the order in which they are shown: a tree, or a list.

use map::{Choice, Forest, Map, Namespace};
use ns_core::{Kind, NsId};

/// How they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// User or PID namespaces by their parents, and what user namespaces own.
    Tree(Kind),
    /// By kind and number.
    List,
}

impl Shape {
    /// The one after this.
    pub(crate) const fn next(self) -> Shape {
        match self {
            Shape::Tree(Kind::User) => Shape::Tree(Kind::Pid),
            Shape::Tree(_) => Shape::List,
            Shape::List => Shape::Tree(Kind::User),
        }
    }

    /// In words.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Shape::Tree(Kind::Pid) => "by PID namespace",
            Shape::Tree(_) => "by user namespace",
            Shape::List => "list",
        }
    }
}

/// A row: a namespace, and the branch that it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: NsId,
    pub(crate) branch: String,
}

/// The rows of a map: of what `choice` takes, and of what that stands below. With `plain`, branches are ASCII.
pub(crate) fn rows(map: &Map, choice: &Choice, shape: Shape, plain: bool) -> Vec<Row> {
    let Shape::Tree(kind) = shape else {
        return choice.shown(map).iter().map(|it| Row { id: it.id, branch: String::new() }).collect();
    };
    let forest = choice.forest(map);
    let mut tree =
        Tree { forest: &forest, kind, signs: if plain { &ASCII } else { &LINES }, rows: Vec::new() };
    for root in forest.roots(kind) {
        tree.add(root, "", "");
    }
    if kind == Kind::User {
        // The owner of these is not ours to know.
        for stranger in by_process(forest.of_unknown_owner()) {
            tree.rows.push(Row { id: stranger.id, branch: String::new() });
        }
    }
    tree.rows
}

/// What stands before the last below another, before one that is not the last, and before what is below these two.
const LINES: [&str; 4] = ["└ ", "├ ", "  ", "│ "];
const ASCII: [&str; 4] = ["` ", "| ", "  ", "| "];

struct Tree<'a> {
    forest: &'a Forest<'a>,
    kind: Kind,
    signs: &'static [&'static str; 4],
    rows: Vec<Row>,
}

impl Tree<'_> {
    fn add(&mut self, namespace: &Namespace, branch: &str, below: &str) {
        self.rows.push(Row { id: namespace.id, branch: branch.into() });
        let owned = if self.kind == Kind::User { self.forest.owned(namespace.id) } else { &[] };
        let all = by_process(owned).into_iter().chain(by_process(self.forest.children(namespace.id)));
        let all: Vec<&Namespace> = all.collect();
        let [corner, tee, blank, bar] = self.signs;
        for (at, namespace) in all.iter().enumerate() {
            let is_last = at + 1 == all.len();
            let branch = format!("{below}{}", if is_last { corner } else { tee });
            if namespace.id.kind == self.kind {
                self.add(namespace, &branch, &format!("{below}{}", if is_last { blank } else { bar }));
            } else {
                self.rows.push(Row { id: namespace.id, branch });
            }
        }
    }
}

/// Those with the same first process stand together, those without one last.
fn by_process<'a>(namespaces: &[&'a Namespace]) -> Vec<&'a Namespace> {
    let mut all = namespaces.to_vec();
    all.sort_by_key(|namespace| (namespace.lowest.is_none(), namespace.lowest, namespace.id));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: Kind, ino: u64) -> NsId {
        NsId { kind, dev: 4, ino }
    }

    #[test]
    fn what_belongs_to_a_process_stands_together() {
        let mut map = Map::default();
        let (root, child) = (id(Kind::User, 1), id(Kind::User, 2));
        map.at(root).lowest = Some(1);
        map.at(child).parent = Some(root);
        for (kind, ino, pid, owner) in [
            (Kind::Net, 3, Some(1), root),
            (Kind::Net, 4, Some(70), root),
            (Kind::Net, 5, None, root),
            (Kind::Uts, 6, Some(1), root),
            (Kind::Uts, 7, Some(70), root),
            (Kind::Uts, 8, Some(90), child),
        ] {
            let namespace = map.at(id(kind, ino));
            (namespace.lowest, namespace.owner) = (pid, Some(owner));
        }
        let drawn = |shape, plain| -> Vec<String> {
            let rows = rows(&map, &Choice::default(), shape, plain);
            rows.iter().map(|row| format!("{}{}", row.branch, row.id.ino)).collect()
        };
        let tree = drawn(Shape::Tree(Kind::User), false);
        assert_eq!(tree, ["1", "├ 3", "├ 6", "├ 4", "├ 7", "├ 5", "└ 2", "  └ 8"]);
        assert_eq!(drawn(Shape::Tree(Kind::User), true)[6..], ["` 2", "  ` 8"]);
        assert_eq!(drawn(Shape::List, false), ["3", "4", "5", "1", "2", "6", "7", "8"]);
        assert!(drawn(Shape::Tree(Kind::Pid), false).is_empty());
    }
}
