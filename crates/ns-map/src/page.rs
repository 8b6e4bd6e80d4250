//! The map as a page that needs no other file and no script. What it looks like stands in page.html and page.css.

use anyhow::{Context, Result};
use map::words::{because, limits, members, short_path, summary};
use map::{Forest, Group, Map, Namespace};
use minijinja::value::Serde;
use minijinja::{Value as Safe, context};
use ns_core::{Kind, printable};
use pages::COLOURS;
use serde::Serialize;

use crate::outline::{self, Frame, Row};

/// The table of all namespaces has at most so many rows.
const MOST: usize = 2000;

/// What the template shows. Whatever is text here is escaped there.
#[derive(Debug, Serialize)]
struct Page {
    summary: String,
    trees: Vec<Tree>,
    strangers: Vec<Line>,
    strangers_hidden: usize,
    table: Vec<Entry>,
    /// So many namespaces are not in the table.
    left: usize,
}

/// The trees of one kind.
#[derive(Debug, Serialize)]
struct Tree {
    title: &'static str,
    frames: Vec<Inner>,
    hidden: usize,
}

/// A box.
#[derive(Debug, Serialize)]
struct Inner {
    name: String,
    members: String,
    because: Vec<String>,
    held: bool,
    lines: Vec<Line>,
    frames: Vec<Inner>,
    alike: usize,
    hidden: usize,
}

/// A row of a box.
#[derive(Debug, Serialize)]
struct Line {
    chips: Vec<Chip>,
    command: Option<String>,
    pid: Option<i32>,
    user: Option<String>,
    count: String,
    because: Vec<String>,
    limits: String,
    alike: usize,
}

#[derive(Debug, Serialize)]
struct Chip {
    kind: &'static str,
    inode: u64,
    held: bool,
}

/// A row of the table.
#[derive(Debug, Serialize)]
struct Entry {
    kind: &'static str,
    inode: u64,
    members: String,
    owner: Option<u64>,
    parent: Option<u64>,
    because: Vec<String>,
    cgroup: Option<String>,
    /// The same without what is shortened.
    cgroup_path: Option<String>,
    limits: String,
}

/// The page of what was chosen from a map.
///
/// # Errors
/// When the template is at fault.
pub(crate) fn html(map: &Map, forest: &Forest<'_>, shown: &[&Namespace]) -> Result<String> {
    let (strangers, strangers_hidden) = outline::strangers(forest);
    let page = Page {
        summary: summary(map, shown.len()),
        trees: vec![
            Tree::of(forest, Kind::User, "User namespaces, and what each owns"),
            Tree::of(forest, Kind::Pid, "PID namespaces"),
        ],
        strangers: strangers.iter().map(Line::of).collect(),
        strangers_hidden,
        table: shown.iter().take(MOST).map(|namespace| Entry::of(namespace)).collect(),
        left: shown.len().saturating_sub(MOST),
    };
    let mut environment = pages::environment()?;
    environment.add_template("page.html", include_str!("page.html")).context("page.html")?;
    let css = [COLOURS, include_str!("page.css")].concat();
    let context = context! { css => Safe::from_safe_string(css), ..Safe::from(Serde(&page)) };
    environment.get_template("page.html")?.render(context).context("page.html")
}

impl Tree {
    fn of(forest: &Forest<'_>, kind: Kind, title: &'static str) -> Tree {
        let (frames, hidden) = outline::frames(forest, kind);
        Tree { title, frames: frames.iter().map(Inner::of).collect(), hidden }
    }
}

impl Inner {
    fn of(frame: &Frame<'_>) -> Inner {
        let namespace = frame.namespace;
        Inner {
            name: namespace.id.to_string(),
            members: members(namespace),
            because: because(&Group { namespaces: vec![namespace] }, 3),
            held: namespace.members == 0,
            lines: frame.rows.iter().map(Line::of).collect(),
            frames: frame.frames.iter().map(Inner::of).collect(),
            alike: frame.alike,
            hidden: frame.hidden,
        }
    }
}

impl Line {
    fn of(row: &Row<'_>) -> Line {
        let group = &row.group;
        let first = group.first();
        let cgroup = group.namespaces.iter().find_map(|namespace| namespace.cgroup.as_ref());
        Line {
            chips: group.namespaces.iter().map(|namespace| Chip::of(namespace)).collect(),
            command: first.map(|first| printable(&first.command)),
            pid: first.map(|first| first.pid),
            user: first.map(|first| printable(&first.user)),
            count: group.count(),
            because: because(group, 3),
            limits: cgroup.map(limits).unwrap_or_default(),
            alike: row.alike,
        }
    }
}

impl Chip {
    fn of(namespace: &Namespace) -> Chip {
        Chip { kind: namespace.id.kind.link(), inode: namespace.id.ino, held: namespace.members == 0 }
    }
}

impl Entry {
    fn of(namespace: &Namespace) -> Entry {
        Entry {
            kind: namespace.id.kind.link(),
            inode: namespace.id.ino,
            members: members(namespace),
            owner: namespace.owner.map(|owner| owner.ino),
            parent: namespace.parent.map(|parent| parent.ino),
            because: because(&Group { namespaces: vec![namespace] }, 3),
            cgroup: namespace.cgroup.as_ref().map(|cgroup| short_path(&cgroup.path)),
            cgroup_path: namespace.cgroup.as_ref().map(|cgroup| printable(&cgroup.path)),
            limits: namespace.cgroup.as_ref().map(limits).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use map::Process;
    use ns_core::NsId;

    #[test]
    fn what_others_have_named_is_text_and_no_markup() {
        let mut map = Map::default();
        let user = NsId { kind: Kind::User, dev: 4, ino: 1 };
        for id in [user, NsId { kind: Kind::Net, dev: 4, ino: 2 }, NsId { kind: Kind::Pid, dev: 4, ino: 3 }] {
            let namespace = map.at(id);
            (namespace.members, namespace.lowest, namespace.owner) = (1, Some(7), Some(user));
            let (user, command) = ("\"><i>".into(), "<script>\u{1b}[2J".into());
            namespace.first = Some(Process { pid: 7, uid: 0, user, command });
            namespace.kept_by = vec![map::Keeper::Mount { path: "/a<img src=x>'\"&".into(), pid: 7 }];
            let path = "/<svg onload=x>".into();
            namespace.cgroup = Some(map::Cgroup { path, memory_max: None, pids_max: None, cpu_max: None });
        }
        map.at(user).owner = None;
        let forest = Forest::of(&map);
        let shown: Vec<_> = map.namespaces.values().collect();
        let html = html(&map, &forest, &shown).unwrap();
        let svg = crate::picture::svg(&map, &forest, shown.len());
        for text in [&html, &svg] {
            for markup in ["<script", "<i>", "<img", "<svg onload", "\u{1b}"] {
                assert!(!text.contains(markup), "{markup} in {text}");
            }
            assert!(text.contains("&lt;script&gt;"), "{text}");
        }
    }
}
