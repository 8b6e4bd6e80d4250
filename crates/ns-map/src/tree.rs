//! The map as a tree: user namespaces or PID namespaces by their parents, and below each what it owns.

use lesson::render::Layout;
use map::words::{because, limits, members};
use map::{Forest, Group, Namespace};
use ns_core::Kind;

/// The namespaces of `kind` (user or PID) as a tree. Below a user namespace stand those of other kinds that it owns; last,
/// those whose owner the caller may not know.
pub(crate) fn draw(forest: &Forest<'_>, kind: Kind, layout: Layout) -> String {
    let tree = Tree { forest, kind, layout };
    let mut text = String::new();
    for root in forest.roots(kind) {
        tree.add(&mut text, root, "", "");
    }
    let strangers = if kind == Kind::User { forest.of_unknown_owner() } else { &[] };
    if !strangers.is_empty() {
        text += &layout.wrap("owner not readable", "", "");
        tree.add_all(&mut text, strangers, "");
    }
    text
}

struct Tree<'a> {
    forest: &'a Forest<'a>,
    kind: Kind,
    layout: Layout,
}

impl Tree<'_> {
    fn add(&self, text: &mut String, namespace: &Namespace, first: &str, rest: &str) {
        *text += &self.layout.wrap(&line(namespace), first, rest);
        let owned = if self.kind == Kind::User { self.forest.owned(namespace.id) } else { &[] };
        let below: Vec<&Namespace> =
            owned.iter().chain(self.forest.children(namespace.id)).copied().collect();
        self.add_all(text, &below, rest);
    }

    fn add_all(&self, text: &mut String, below: &[&Namespace], rest: &str) {
        let plain = self.layout.plain;
        let [branch, corner, bar] = if plain { ["  ", "  ", "  "] } else { ["├─ ", "└─ ", "│  "] };
        for (at, namespace) in below.iter().enumerate() {
            let is_last = at + 1 == below.len();
            let first = format!("{rest}{}", if is_last { corner } else { branch });
            let rest = format!("{rest}{}", if is_last || plain { "   " } else { bar });
            if namespace.id.kind == self.kind {
                self.add(text, namespace, &first, &rest);
            } else {
                *text += &self.layout.wrap(&line(namespace), &first, &rest);
            }
        }
    }
}

fn line(namespace: &Namespace) -> String {
    let mut line = format!("{}  {}", namespace.id, members(namespace));
    for words in because(&Group { namespaces: vec![namespace] }, usize::MAX) {
        line += &format!("; {words}");
    }
    let limits = namespace.cgroup.as_ref().map(limits).unwrap_or_default();
    if limits.is_empty() { line } else { format!("{line}; {limits}") }
}
