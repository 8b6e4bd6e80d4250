//! What has changed from one map to the next.

use std::collections::BTreeSet;

use ns_core::NsId;

use crate::model::{Map, Namespace};

/// What has become of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was not there before.
    Appears,
    /// It has its first process.
    GainsProcess,
    /// It has no process any more, and something else keeps it.
    LosesLastProcess,
    /// It is gone.
    Goes,
}

impl What {
    /// Its word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            What::Appears => "appears",
            What::GainsProcess => "gains-process",
            What::LosesLastProcess => "loses-last-process",
            What::Goes => "goes",
        }
    }
}

/// A change of one namespace.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// What has become of it.
    pub what: What,
    /// The namespace as it is after the change; as it was before, if it is gone.
    pub namespace: &'a Namespace,
}

/// What has changed from the map `before` to the map `after`: first what is gone, then what has changed or come.
///
/// The kernel uses inode numbers again. Where both maps have serial numbers, one that has taken the number of another counts as
/// another.
pub fn changes<'a>(before: &'a Map, after: &'a Map) -> Vec<Change<'a>> {
    let ids = |map: &Map| -> BTreeSet<NsId> { map.namespaces.keys().copied().collect() };
    let all: Vec<NsId> = ids(before).union(&ids(after)).copied().collect();
    let pairs = || all.iter().map(|id| (before.namespaces.get(id), after.namespaces.get(id)));
    let gone = pairs().filter_map(|(old, new)| {
        let old = old?;
        let is_gone = new.is_none_or(|new| is_another(old, new));
        is_gone.then_some(Change { what: What::Goes, namespace: old })
    });
    let others = pairs().filter_map(|(old, new)| {
        let new = new?;
        let old = old.filter(|old| !is_another(old, new));
        what(old, new).map(|what| Change { what, namespace: new })
    });
    gone.chain(others).collect()
}

fn is_another(old: &Namespace, new: &Namespace) -> bool {
    old.serial.zip(new.serial).is_some_and(|(old, new)| old != new)
}

fn what(old: Option<&Namespace>, new: &Namespace) -> Option<What> {
    match (old.map(|old| old.members), new.members) {
        (None, _) => Some(What::Appears),
        (Some(0), 1..) => Some(What::GainsProcess),
        (Some(1..), 0) => Some(What::LosesLastProcess),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ns_core::Kind;

    /// A map of network namespaces: inode number, processes, serial number.
    fn map(namespaces: &[(u64, usize, u64)]) -> Map {
        let mut map = Map::default();
        for (ino, members, serial) in namespaces {
            let namespace = map.at(NsId { kind: Kind::Net, dev: 4, ino: *ino });
            (namespace.members, namespace.serial) = (*members, Some(*serial));
        }
        map
    }

    #[test]
    fn a_change_is_told_once() {
        let before = map(&[(1, 5, 1), (2, 1, 2), (3, 0, 3), (4, 1, 4), (5, 1, 5)]);
        let after = map(&[(1, 6, 1), (2, 0, 2), (3, 1, 3), (5, 1, 7), (6, 1, 6)]);
        let found: Vec<_> =
            changes(&before, &after).iter().map(|it| (it.what, it.namespace.id.ino)).collect();
        assert_eq!(
            found,
            [
                (What::Goes, 4),
                // Another has its number now.
                (What::Goes, 5),
                (What::LosesLastProcess, 2),
                (What::GainsProcess, 3),
                (What::Appears, 5),
                (What::Appears, 6),
            ]
        );
        assert!(changes(&after, &after).is_empty());
    }
}
