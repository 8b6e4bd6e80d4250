//! The map as boxes in boxes, for pictures and pages: what is alike is shown once and counted, so that ten thousand namespaces
//! fit a page.

use std::collections::{HashMap, HashSet};

use map::{Forest, Group, Namespace, groups};
use ns_core::Kind;

/// So many are shown one by one, though they are alike.
const APART: usize = 3;
/// A box shows at most so many rows, and so many boxes.
const MOST: usize = 40;

/// A user or PID namespace: what it owns, and its children.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// The namespace.
    pub(crate) namespace: &'a Namespace,
    /// What it owns; of a PID namespace nothing.
    pub(crate) rows: Vec<Row<'a>>,
    /// Its children.
    pub(crate) frames: Vec<Frame<'a>>,
    /// So many others are like this one.
    pub(crate) alike: usize,
    /// So many rows and boxes are not shown.
    pub(crate) hidden: usize,
}

/// A set of namespaces.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// The set.
    pub(crate) group: Group<'a>,
    /// So many other sets are like this one.
    pub(crate) alike: usize,
}

/// The trees of a kind (user or PID), folded.
pub(crate) fn frames<'a>(forest: &Forest<'a>, kind: Kind) -> (Vec<Frame<'a>>, usize) {
    fold(forest.roots(kind).iter().map(|root| frame(forest, root)).collect(), shape_of_frame, |it| {
        &mut it.alike
    })
}

/// The sets whose owner the caller may not know, folded, and how many are not shown.
pub(crate) fn strangers<'a>(forest: &Forest<'a>) -> (Vec<Row<'a>>, usize) {
    rows(forest.of_unknown_owner())
}

fn frame<'a>(forest: &Forest<'a>, namespace: &'a Namespace) -> Frame<'a> {
    let is_user = namespace.id.kind == Kind::User;
    let owned = if is_user { forest.owned(namespace.id) } else { &[] };
    let (rows, hidden_rows) = rows(owned);
    let children = forest.children(namespace.id).iter().map(|child| frame(forest, child)).collect();
    let (frames, hidden_frames) = fold(children, shape_of_frame, |it| &mut it.alike);
    Frame { namespace, rows, frames, alike: 0, hidden: hidden_rows + hidden_frames }
}

fn rows<'a>(owned: &[&'a Namespace]) -> (Vec<Row<'a>>, usize) {
    let rows = groups(owned.iter().copied()).into_iter().map(|group| Row { group, alike: 0 }).collect();
    fold(rows, |row| shape_of_group(&row.group), |row| &mut row.alike)
}

/// Of those that have the same shape, the first stands for all, if there are many. Gives how many are not shown at all.
fn fold<T>(
    all: Vec<T>,
    shape: impl Fn(&T) -> String,
    alike: impl Fn(&mut T) -> &mut usize,
) -> (Vec<T>, usize) {
    let shapes: Vec<String> = all.iter().map(shape).collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for shape in &shapes {
        *counts.entry(shape).or_default() += 1;
    }
    let mut seen: HashSet<&str> = HashSet::new();
    let mut folded = Vec::new();
    for (mut one, shape) in all.into_iter().zip(&shapes) {
        let count = counts[shape.as_str()];
        if count > APART {
            if !seen.insert(shape.as_str()) {
                continue;
            }
            *alike(&mut one) = count - 1;
        }
        folded.push(one);
    }
    let hidden = folded.split_off(folded.len().min(MOST));
    let hidden = hidden.into_iter().map(|mut one| 1 + *alike(&mut one)).sum();
    (folded, hidden)
}

/// What two sets have in common that are alike: kinds, first process and what made or keeps them, without numbers.
fn shape_of_group(group: &Group<'_>) -> String {
    let first = group.first().map(|first| (first.command.as_str(), first.uid));
    let runtime = group.namespaces.iter().find_map(|it| it.made_by.as_ref().map(|by| by.runtime.word()));
    let kept: Vec<_> = group.kept_by().map(map::Keeper::word).collect();
    format!("{:?} {first:?} {runtime:?} {kept:?}", group.kinds())
}

fn shape_of_frame(frame: &Frame<'_>) -> String {
    let own = shape_of_group(&Group { namespaces: vec![frame.namespace] });
    let rows: Vec<_> = frame.rows.iter().map(|row| (shape_of_group(&row.group), row.alike)).collect();
    let frames: Vec<_> = frame.frames.iter().map(|inner| (shape_of_frame(inner), inner.alike)).collect();
    format!("{own} {rows:?} {frames:?} {}", frame.hidden)
}

#[cfg(test)]
mod tests {
    use super::*;
    use map::{Map, Process};
    use ns_core::NsId;

    /// A user namespace that owns `count` networks, each with a process of its own.
    fn owning(count: u64) -> Map {
        let mut map = Map::default();
        let user = NsId { kind: Kind::User, dev: 4, ino: 1 };
        map.at(user).members = 1;
        for ino in 0..count {
            let network = map.at(NsId { kind: Kind::Net, dev: 4, ino: 10 + ino });
            let pid = 100 + i32::try_from(ino).unwrap();
            (network.owner, network.members, network.lowest) = (Some(user), 1, Some(pid));
            network.first = Some(Process { pid, uid: 0, user: "root".into(), command: "sleep".into() });
        }
        map
    }

    #[test]
    fn what_is_alike_is_shown_once_and_counted() {
        for (count, rows, alike) in [(3, 3, 0), (4, 1, 3), (10_000, 1, 9_999)] {
            let map = owning(count);
            let (frames, _) = frames(&Forest::of(&map), Kind::User);
            assert_eq!((frames[0].rows.len(), frames[0].rows[0].alike), (rows, alike), "{count}");
        }
    }

    #[test]
    fn of_what_differs_the_first_are_shown() {
        let mut map = owning(100);
        for (at, namespace) in map.namespaces.values_mut().enumerate() {
            namespace.first.iter_mut().for_each(|first| first.command = format!("worker{at}"));
        }
        let (frames, _) = frames(&Forest::of(&map), Kind::User);
        assert_eq!((frames[0].rows.len(), frames[0].hidden), (MOST, 100 - MOST));
    }
}
