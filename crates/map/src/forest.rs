//! The trees of a map: user namespaces and PID namespaces by their parents, and what a user namespace owns.

use std::collections::{BTreeMap, BTreeSet};

use ns_core::{Kind, NsId};

use crate::model::{Map, Namespace};

/// The namespaces of a map by their relations, each in the order of the map.
#[derive(Debug)]
pub struct Forest<'a> {
    children: BTreeMap<(Kind, Option<NsId>), Vec<&'a Namespace>>,
    owned: BTreeMap<Option<NsId>, Vec<&'a Namespace>>,
}

impl<'a> Forest<'a> {
    /// All trees of a map.
    pub fn of(map: &'a Map) -> Forest<'a> {
        Forest::grow(map, |_| true)
    }

    /// The trees of those that `takes` takes, and of what they stand below: their parents and owners.
    pub fn chosen(map: &'a Map, takes: impl Fn(&Namespace) -> bool) -> Forest<'a> {
        let mut chosen = BTreeSet::new();
        for namespace in map.namespaces.values().filter(|namespace| takes(namespace)) {
            let mut next = vec![namespace.id];
            while let Some(id) = next.pop() {
                if chosen.insert(id) {
                    let relatives = map.namespaces.get(&id).map(|it| [it.parent, it.owner]);
                    next.extend(relatives.into_iter().flatten().flatten());
                }
            }
        }
        Forest::grow(map, |id| chosen.contains(&id))
    }

    fn grow(map: &'a Map, has: impl Fn(NsId) -> bool) -> Forest<'a> {
        let mut forest = Forest { children: BTreeMap::new(), owned: BTreeMap::new() };
        for namespace in map.namespaces.values().filter(|it| has(it.id)) {
            let kind = namespace.id.kind;
            // A parent that the caller may not know is none.
            if matches!(kind, Kind::User | Kind::Pid) {
                forest.children.entry((kind, namespace.parent)).or_default().push(namespace);
            }
            if kind != Kind::User {
                forest.owned.entry(namespace.owner).or_default().push(namespace);
            }
        }
        forest
    }

    /// The namespaces of `kind` (user or PID) that have no parent, or none that the caller may know.
    pub fn roots(&self, kind: Kind) -> &[&'a Namespace] {
        self.children.get(&(kind, None)).map_or(&[], Vec::as_slice)
    }

    /// The children of a user or PID namespace.
    pub fn children(&self, of: NsId) -> &[&'a Namespace] {
        self.children.get(&(of.kind, Some(of))).map_or(&[], Vec::as_slice)
    }

    /// The namespaces of other kinds that a user namespace owns.
    pub fn owned(&self, owner: NsId) -> &[&'a Namespace] {
        self.owned.get(&Some(owner)).map_or(&[], Vec::as_slice)
    }

    /// Those whose owner the caller may not know.
    pub fn of_unknown_owner(&self) -> &[&'a Namespace] {
        self.owned.get(&None).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: Kind, ino: u64) -> NsId {
        NsId { kind, dev: 4, ino }
    }

    /// A user namespace 1, in it 2, which owns the network 3; and a PID namespace 4 of nobody that is known.
    fn map() -> Map {
        let mut map = Map::default();
        map.at(id(Kind::User, 1));
        map.at(id(Kind::User, 2)).parent = Some(id(Kind::User, 1));
        map.at(id(Kind::Net, 3)).owner = Some(id(Kind::User, 2));
        map.at(id(Kind::Pid, 4));
        map
    }

    fn inodes(namespaces: &[&Namespace]) -> Vec<u64> {
        namespaces.iter().map(|namespace| namespace.id.ino).collect()
    }

    #[test]
    fn each_stands_below_its_parent_or_its_owner() {
        let map = map();
        let forest = Forest::of(&map);
        assert_eq!(inodes(forest.roots(Kind::User)), [1]);
        assert_eq!(inodes(forest.children(id(Kind::User, 1))), [2]);
        assert_eq!(inodes(forest.owned(id(Kind::User, 2))), [3]);
        assert_eq!(inodes(forest.of_unknown_owner()), [4]);
        assert_eq!(inodes(forest.roots(Kind::Pid)), [4]);
    }

    #[test]
    fn what_is_chosen_stands_below_what_it_stood_below() {
        let map = map();
        let forest = Forest::chosen(&map, |namespace| namespace.id.kind == Kind::Net);
        assert_eq!(inodes(forest.roots(Kind::User)), [1]);
        assert_eq!(inodes(forest.owned(id(Kind::User, 2))), [3]);
        assert!(forest.roots(Kind::Pid).is_empty() && forest.of_unknown_owner().is_empty());
    }
}
